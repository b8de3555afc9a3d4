"""Environment defaults that let Metaflow run and be read anywhere with no setting. To be set before it is imported."""

import os

from .project import project_dir


def set_metaflow_defaults() -> None:
    """Keep results in the project's folder and give runs a user's name, unless the environment says otherwise."""
    if "METAFLOW_RUNTIME_ENVIRONMENT" in os.environ:
        return  # on a rented machine, which Metaflow has told all that it wants to be set
    # Results stay in the project, wherever a command is started, so that cards, resume and export find them again.
    os.environ.setdefault("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(project_dir()))
    # Metaflow wants a name to file runs under and does not take `root`, which is who runs in most containers.
    if os.environ.get("USER", "root") == "root":
        os.environ.setdefault("METAFLOW_USER", "trainer")

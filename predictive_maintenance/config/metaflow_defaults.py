"""Default environment variables for Metaflow. Metaflow reads them when it is imported, so set them before."""

import os

from .project import project_dir


def set_metaflow_defaults() -> None:
    """Store results in the project folder and set a user name, unless the environment already sets them."""
    if "METAFLOW_RUNTIME_ENVIRONMENT" in os.environ:
        return  # on a remote machine: Metaflow has set everything already
    # Independent of the working directory, so that cards, resume and export find the results of earlier runs.
    os.environ.setdefault("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(project_dir()))
    # Metaflow requires a user name and rejects `root`, the user in most containers.
    if os.environ.get("USER", "root") == "root":
        os.environ.setdefault("METAFLOW_USER", "trainer")

"""What Metaflow needs to run anywhere with no setting. Imported before anything else of Metaflow."""

import os
import sys
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
if str(PROJECT_DIR) not in sys.path:
    sys.path.insert(0, str(PROJECT_DIR))

from predictive_maintenance.metaflow_defaults import set_metaflow_defaults  # noqa: E402  needs the path above

set_metaflow_defaults()

from metaflow.plugins.cards.card_datastore import CardDatastore  # noqa: E402  reads the defaults above

# Metaflow 2.19.39 writes cards below the working directory and reads them below the datastore, and its setting for the
# place, METAFLOW_CARD_LOCALROOT, is read and then not returned. Cards belong beside the runs they are about.
_CARD_ROOT = str(Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow", "mf.cards"))
_storage_root = CardDatastore.get_storage_root


def _card_root(storage_type: str) -> str:
    return _CARD_ROOT if storage_type == "local" else str(_storage_root(storage_type))


CardDatastore.get_storage_root = staticmethod(_card_root)


def check_results_folder() -> None:
    """Leaves with an error unless the folder of local results can be written: Metaflow itself would show a traceback."""
    if os.environ.get("METAFLOW_DEFAULT_DATASTORE", "local") != "local":
        return
    folder = Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "no permission to write"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        sys.exit(f"{folder}: {reason}: set METAFLOW_DATASTORE_SYSROOT_LOCAL to a folder of yours for runs and cards")

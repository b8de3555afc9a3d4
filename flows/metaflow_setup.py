"""What Metaflow needs to run anywhere with no setting. Imported before anything else of Metaflow."""

import os
import sys
from pathlib import Path
from typing import Any

PROJECT_DIR = Path(__file__).resolve().parents[1]
if str(PROJECT_DIR) not in sys.path:
    sys.path.insert(0, str(PROJECT_DIR))
# The flow belongs to its own project, wherever the command is started.
os.environ.setdefault("PDM_PROJECT_DIR", str(PROJECT_DIR))

from predictive_maintenance.config.metaflow_defaults import set_metaflow_defaults  # noqa: E402  needs the path above

set_metaflow_defaults()

from metaflow.plugins.cards.card_datastore import CardDatastore  # noqa: E402  reads the defaults above
from metaflow.user_configs.config_options import ConvertPath  # noqa: E402

# Metaflow 2.19.39 writes cards below the working directory and reads them below the datastore, and its setting for the
# place, METAFLOW_CARD_LOCALROOT, is read and then not returned. Cards belong beside the runs they are about.
_storage_root = CardDatastore.get_storage_root


def _card_root(storage_type: str) -> str:
    if storage_type == "local":
        return str(Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow", "mf.cards"))
    return str(_storage_root(storage_type))


CardDatastore.get_storage_root = staticmethod(_card_root)

_settings_text = ConvertPath.convert_value


def _utf8_settings_text(path: str | None, is_default: bool) -> Any:
    """What Metaflow reads from a settings file, with an error where it would show a traceback."""
    try:
        return _settings_text(path, is_default)
    except UnicodeDecodeError as error:
        sys.exit(f"{path}: not UTF-8 text (byte {error.start + 1}): save it as UTF-8")


ConvertPath.convert_value = staticmethod(_utf8_settings_text)


def whole_minutes(setting: str, default: int, at_least: int = 0) -> int:
    """The minutes that an environment variable holds. Leaves with an error for what is no whole number."""
    text = os.environ.get(setting, str(default))
    if not text.isdecimal() or int(text) < at_least:
        sys.exit(
            f"{setting}: must be a whole number of minutes{f', at least {at_least}' if at_least else ''}, not {text!r}"
        )
    return int(text)


RETRY_MINUTES = whole_minutes("PDM_RETRY_MINUTES", default=1)
TRAIN_TIMEOUT_MINUTES = whole_minutes("PDM_TRAIN_TIMEOUT_MINUTES", default=12 * 60, at_least=1)


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

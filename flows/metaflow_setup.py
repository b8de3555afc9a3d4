"""Set Metaflow's defaults, so that the flow runs without configuration. Import this before any other part of Metaflow."""

import os
import sys
from pathlib import Path
from typing import Any

PROJECT_DIR = Path(__file__).resolve().parents[1]
if str(PROJECT_DIR) not in sys.path:
    sys.path.insert(0, str(PROJECT_DIR))
# The flow always uses its own project folder, independent of the working directory.
os.environ.setdefault("PDM_PROJECT_DIR", str(PROJECT_DIR))

from predictive_maintenance.config.metaflow_defaults import set_metaflow_defaults  # noqa: E402  needs the path above
from predictive_maintenance.engine.settings import check_engine_settings  # noqa: E402
from predictive_maintenance.errors import ConfigError  # noqa: E402

try:
    set_metaflow_defaults()
    check_engine_settings()  # not only in the step `ingest`, which is the first to open the engine
except ConfigError as error:
    sys.exit(str(error))

from metaflow.plugins.cards.card_datastore import CardDatastore  # noqa: E402  reads the defaults above
from metaflow.user_configs.config_options import ConvertPath  # noqa: E402

# Metaflow 2.19.39 writes cards below the working directory but reads them below the datastore, and ignores its setting
# METAFLOW_CARD_LOCALROOT. Here, cards are written to the datastore, beside their runs.
_storage_root = CardDatastore.get_storage_root


def _card_root(storage_type: str) -> str:
    if storage_type == "local":
        return str(Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow", "mf.cards"))
    return str(_storage_root(storage_type))


CardDatastore.get_storage_root = staticmethod(_card_root)

_settings_text = ConvertPath.convert_value


def _utf8_settings_text(path: str | None, is_default: bool) -> Any:
    """Read a settings file as Metaflow does, but exit with an error text instead of a traceback if it is not UTF-8."""
    try:
        return _settings_text(path, is_default)
    except UnicodeDecodeError as error:
        sys.exit(f"{path}: not UTF-8 text (byte {error.start + 1}): save the file as UTF-8")


ConvertPath.convert_value = staticmethod(_utf8_settings_text)


def whole_minutes(setting: str, default: int, at_least: int = 0) -> int:
    """The minutes in the environment variable `setting`. Exits with an error if the value is not a whole number."""
    text = os.environ.get(setting, str(default))
    if not text.isdecimal() or int(text) < at_least:
        minimum = f", at least {at_least}" if at_least else ""
        sys.exit(f"{setting}: must be a whole number of minutes{minimum}, not {text!r}")
    return int(text)


RETRY_MINUTES = whole_minutes("PDM_RETRY_MINUTES", default=1)
TRAIN_TIMEOUT_MINUTES = whole_minutes("PDM_TRAIN_TIMEOUT_MINUTES", default=12 * 60, at_least=1)


def check_results_folder() -> None:
    """Exit with an error if the folder for local results cannot be written. Metaflow itself would print a traceback."""
    if os.environ.get("METAFLOW_DEFAULT_DATASTORE", "local") != "local":
        return
    folder = Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "no permission to write"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        sys.exit(f"{folder}: {reason}: set METAFLOW_DATASTORE_SYSROOT_LOCAL to a folder that you can write to")

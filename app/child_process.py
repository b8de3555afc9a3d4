"""The environment of the service's child processes, which handle files and bodies that may be hostile."""

import os
from pathlib import Path

from predictive_maintenance.config.project import project_dir

_CODE_FOLDER = Path(__file__).resolve().parents[1]
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "ORT_DISABLE_TELEMETRY", "PATH", "TMPDIR", "VIRTUAL_ENV")


def child_environment() -> dict[str, str]:
    """Return the variables of a child process that runs this code: none that could hold a secret."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "PYTHONPATH": str(_CODE_FOLDER),
        "PDM_PROJECT_DIR": str(project_dir()),
        "OPENBLAS_NUM_THREADS": "1",
    }

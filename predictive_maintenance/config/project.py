"""The project folder: it contains params.yaml and, by default, data, runs, results and the embedded registry."""

import os
from pathlib import Path

from ..errors import ConfigError

PARAMS_NAME = "params.yaml"
_SETTING = "PDM_PROJECT_DIR"


def project_dir() -> Path:
    """The absolute path of the project folder, found by the first rule that applies.

    1. The folder that the environment variable PDM_PROJECT_DIR names.
    2. The working directory, or the nearest folder above it, that contains params.yaml.
    3. The source checkout that the package is imported from.

    Raises ConfigError if there is none.
    """
    if setting := os.environ.get(_SETTING):
        folder = Path(setting).expanduser().absolute()
        if not folder.is_dir():
            raise ConfigError(f"{_SETTING}: {folder} is not a folder")
        return folder
    here, checkout = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, checkout):
        if (folder / PARAMS_NAME).is_file():
            return folder
    raise ConfigError(
        f"no {PARAMS_NAME} in {here} or in a folder above it: run the command in your project folder, or set {_SETTING}"
    )


def params_file() -> Path:
    """The absolute path of the project's params.yaml. Raises ConfigError if there is no project folder."""
    return project_dir() / PARAMS_NAME

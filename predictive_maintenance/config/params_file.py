"""Read params.yaml for training and for the commands."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from .machine_file import find_machine
from .params import Params, parse_params
from .params_reader import MACHINE_VARIABLE, plain_params
from .project import PARAMS_NAME, params_file
from .text_file import read_text


def read_yaml(text: str, origin: str = PARAMS_NAME, machine: str | None = None) -> dict[str, Any]:
    """Parse and validate the text of a params.yaml for the machine that it or `machine` names.

    Returns plain values, with the description of the machine. Raises ConfigError.
    """
    raw, origin = plain_params(text, origin, find_machine, machine)
    parse_params(raw, origin)
    return raw


def load_params(path: Path | None = None, machine: str | None = None) -> Params:
    """Read the settings from `path`, by default the project's params.yaml, for the machine that they or `machine` name.

    Raises ConfigError.
    """
    return _load(path or params_file(), machine or os.environ.get(MACHINE_VARIABLE))


@lru_cache
def _load(path: Path, machine: str | None) -> Params:
    return parse_params(*plain_params(read_text(path), str(path), find_machine, machine))

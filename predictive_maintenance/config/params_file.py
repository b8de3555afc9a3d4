"""Read params.yaml."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .params import Params, parse_params
from .project import PARAMS_NAME, params_file
from .text_file import read_text
from .yaml_reader import read_plain_yaml


def read_yaml(text: str, origin: str = PARAMS_NAME) -> dict[str, Any]:
    """Parse and validate the text of a params.yaml, and return it as plain values. Raises ConfigError."""
    raw = read_plain_yaml(text, origin)
    if raw is None:
        raise ConfigError(f"{origin}: the file is empty: start from a copy of the project's {PARAMS_NAME}")
    parse_params(raw, origin)
    return raw


def load_params(path: Path | None = None) -> Params:
    """Read the settings from `path`, by default the project's params.yaml. Raises ConfigError."""
    return _load(path or params_file())


@lru_cache
def _load(path: Path) -> Params:
    return parse_params(read_yaml(read_text(path), str(path)), str(path))

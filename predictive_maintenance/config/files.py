"""params.yaml as a file and as text."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .params import Params, parse_params
from .plain_yaml import read_plain_yaml

PROJECT_DIR = Path(__file__).resolve().parents[2]
PARAMS_FILE = PROJECT_DIR / "params.yaml"


def read_yaml(text: str, origin: str = PARAMS_FILE.name) -> dict[str, Any]:
    """The text of a params.yaml as plain values, after checking all of it. Raises ConfigError."""
    raw = read_plain_yaml(text, origin)
    if raw is None:
        raise ConfigError(f"{origin}: is empty: begin with a copy of the project's {PARAMS_FILE.name}")
    parse_params(raw, origin)
    return raw


@lru_cache
def load_params(path: Path = PARAMS_FILE) -> Params:
    """The parameters in the file `path`. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start + 1}): save it as UTF-8") from None
    return parse_params(read_yaml(text, str(path)), str(path))

"""Read a text file of settings."""

from pathlib import Path

from ..errors import ConfigError


def read_text(path: Path) -> str:
    """The text of `path`. Raises ConfigError that names the file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start + 1}): save it as UTF-8") from None

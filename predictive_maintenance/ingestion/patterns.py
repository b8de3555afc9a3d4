"""Patterns of file names: what a file is named below the folder of the first wildcard, and which files a pattern names."""

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ..config.uris import expand, scheme_of

_WILDCARD = re.compile(r"[*?\[]")
_AZURE_URL = re.compile(r"^(?:az|abfss?)://([^@/]+)(?:@[^/]*)?/")


def name_start(path: str, is_pattern: bool) -> int:
    """Where the name of a file begins in its path: after the folder with the first wildcard of a pattern, or the file's folder.

    So a name depends on the pattern and on the file alone, not on which other files there are.
    """
    wildcard = _WILDCARD.search(path) if is_pattern else None
    return path.rfind("/", 0, wildcard.start() if wildcard else None) + 1


def normal_url(url: str) -> str:
    """The same text for all paths or URLs of one file. Azure's have three schemes, and an account that may be left out."""
    return _AZURE_URL.sub(r"abfs://\1/", url) if scheme_of(url) else os.path.realpath(url)


def has_wildcard(uri: str) -> bool:
    """Whether `uri`, in which ${NAME} stands for secrets, has a wildcard."""
    return _WILDCARD.search(expand(uri)) is not None


def names_file(uri: str, location: str) -> bool:
    """Whether the path or pattern `uri`, in which ${NAME} stands for secrets, names the file at the path or URL `location`."""
    from fsspec.utils import glob_translate

    pattern = expand(uri)
    if not scheme_of(pattern):
        return not scheme_of(location) and _names_local_file(str(Path(pattern).expanduser()), location)
    # Within a name, ** is *.
    parts = (part if part == "**" else re.sub(r"\*+", "*", part) for part in normal_url(pattern).split("/"))
    return re.match(glob_translate("/".join(parts)), normal_url(location)) is not None


def _names_local_file(pattern: str, path: str) -> bool:
    start = name_start(pattern, is_pattern=True)
    folder, file = Path(os.path.realpath(pattern[:start])), Path(os.path.realpath(path))
    return file.is_relative_to(folder) and _match(pattern[start:].split("/"), file.relative_to(folder).parts)


def _match(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether glob.glob finds a path of these names. It finds a hidden name only if the pattern has its dot."""
    if not pattern:
        return not names
    first, rest = pattern[0], pattern[1:]
    if first == "**" and _match(rest, names):
        return True
    if not names or (names[0].startswith(".") and not first.startswith(".")):
        return False
    return fnmatchcase(names[0], first) and _match(pattern if first == "**" else rest, names[1:])

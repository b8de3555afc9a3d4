"""Patterns of file names: what a file is named below the folder of the first wildcard, and which files a pattern names."""

import glob
import os
import re
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
    if scheme_of(pattern):
        pattern, location = normal_url(pattern), normal_url(location)
    elif scheme_of(location):
        return False
    else:
        text = str(Path(pattern).expanduser())
        start = name_start(text, is_pattern=True)
        pattern, location = (
            str(Path(glob.escape(os.path.realpath(text[:start])), text[start:])),
            os.path.realpath(location),
        )
    # Within a name, ** is *.
    parts = (part if part == "**" else re.sub(r"\*+", "*", part) for part in pattern.split("/"))
    return re.match(glob_translate("/".join(parts)), location) is not None

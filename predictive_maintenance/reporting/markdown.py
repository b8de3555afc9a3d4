"""Text and tables for whatever reads Markdown. Standard library only."""

import re
from collections.abc import Iterable, Sequence

_INLINE = re.compile(r"([\\`*_\[\]<>~$:&|])")
_AT_THE_START = re.compile(r"^(\d*|#*)([#+\-.)])(?=\s|$)")


def plain(text: str) -> str:
    """`text` as it is where Markdown is read: nothing of it is a heading, a list, a picture, a formula, or a link in disguise."""
    return _AT_THE_START.sub(r"\1\\\2", _INLINE.sub(r"\\\1", " ".join(text.split())))


def code(text: str) -> str:
    """`text` as code: no name in it is called, no address in it is a link."""
    return f"`{' '.join(text.replace('`', chr(39)).split()) or ' '}`".replace("|", "\\|")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are Markdown: what comes from elsewhere goes through `plain` or `code` first."""
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])

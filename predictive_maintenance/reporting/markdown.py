"""Escaped text, code and tables in Markdown. Standard library only."""

import re
from collections.abc import Iterable, Sequence

_INLINE = re.compile(r"([\\`*_\[\]<>~$:&|])")
_LINE_START = re.compile(r"^(\d*|#*)([#+\-.)])(?=\s|$)")


def plain(text: str) -> str:
    """Escape `text` so that Markdown shows it literally: no heading, list, image, formula, HTML or link."""
    return _LINE_START.sub(r"\1\\\2", _INLINE.sub(r"\\\1", " ".join(text.split())))


def code(text: str) -> str:
    """Format `text` as inline code, in which no user name and no address becomes a link."""
    return f"`{' '.join(text.replace('`', chr(39)).split()) or ' '}`".replace("|", "\\|")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table. Cells are Markdown: pass foreign text through `plain` or `code` first."""
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])

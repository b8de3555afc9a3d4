"""Write YAML with a comment beside or above a value."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..printable import printable

CHECK = "check: "
"""The start of a comment on what a person has to confirm."""

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./°µ²³-]| (?=[A-Za-z0-9]))*|[°µ][A-Za-z]*")
_NOT_TEXT = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
_MAX_LINE, _MAX_NUMBER = 120, 10


@dataclass(frozen=True)
class Noted:
    """A value with a comment. The comment of a mapping is above it."""

    value: Any
    note: str


def yaml_lines(mapping: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    """The lines of a block mapping. A value is a mapping, a list, text, a number, a boolean, or Noted one of these.

    A list, and an empty mapping, is written on one line.
    """
    margin = " " * indent
    for key, entry in mapping.items():
        value, note = (entry.value, printable(entry.note)) if isinstance(entry, Noted) else (entry, "")
        if isinstance(value, Mapping) and value:
            yield from _above(note, margin)
            yield f"{margin}{_inline(key)}:"
            yield from yaml_lines(value, indent + 2)
            continue
        line = f"{margin}{_inline(key)}: {_inline(value)}"
        if note and len(line) + len(note) + 4 > _MAX_LINE:
            yield from _above(note, margin)
            yield line
        else:
            yield f"{line}  # {note}" if note else line


def short_number(number: float) -> str:
    """A number for a comment, without an exponent where that is short: 1039900, 518.026, 1e-06."""
    text = f"{number:.15g}"
    return text if len(text) <= _MAX_NUMBER else f"{number:.6g}"


def _above(note: str, margin: str) -> list[str]:
    return textwrap.wrap(note, _MAX_LINE, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}#   ")


def _inline(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return f"{value:.15g}"
        case str():
            plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT
            return value if plain else json.dumps(value, ensure_ascii=False)
        case Mapping():
            return "{" + ", ".join(f"{_inline(key)}: {_inline(part)}" for key, part in value.items()) + "}"
    return "[" + ", ".join(map(_inline, value)) + "]"

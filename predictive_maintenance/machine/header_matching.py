"""Match the headers of a file to canonical columns and units."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from ..errors import SourceError

_TRANSLATED = str.maketrans(
    {"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u", "\N{SUPERSCRIPT TWO}": "2", "\N{SUPERSCRIPT THREE}": "3"}
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A canonical column.

    `headers` are its names in published files, compared without case, spaces, punctuation and unit.
    `units` maps a unit's key to (scale, offset): canonical value = value * scale + offset.
    """

    name: str
    label: str
    headers: tuple[str, ...] = ()
    unit: str = ""
    units: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def example_header(self) -> str:
        """A valid header without unit: the label if it is one, else the first of `headers`, else the name."""
        known = {header_key(header) for header in (self.name, *self.headers)}
        return next(header for header in (self.label, *self.headers, self.name) if header_key(header) in known)


@dataclass(frozen=True)
class HeaderMatch:
    """The headers of one file by canonical name, as (header, scale, offset), and the headers that are ignored."""

    columns: Mapping[str, tuple[str, float, float]]
    ignored: tuple[str, ...]

    def missing(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.columns]


def match_headers(
    columns: Mapping[str, Column], headers: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None
) -> HeaderMatch:
    """Match a file's headers to `columns`, by canonical name, and to units.

    `aliases` adds headers for canonical names. Raises SourceError if two headers match the same column, or if the
    header of a sensor contains an unknown unit.
    """
    known = {header_key(header): column for column in columns.values() for header in (column.name, *column.headers)}
    for name, own in (aliases or {}).items():
        known |= {header_key(header): columns[name] for header in own}
    matched: dict[str, tuple[str, float, float]] = {}
    ignored: list[str] = []
    for header in headers:
        column, unit = _match(header, known)
        if column is None:
            ignored.append(header)
            continue
        if column.name in matched:
            raise SourceError(
                f"columns {matched[column.name][0]!r} and {header!r} both match {column.name}: remove or rename one"
            )
        matched[column.name] = (header, *_conversion(header, column, unit))
    return HeaderMatch(matched, tuple(ignored))


def describe_missing(columns: Mapping[str, Column], missing: Iterable[str], headers: Iterable[str]) -> str:
    """A line for each missing column, with a valid header and the closest header in the file."""
    spelled = {header.lower(): header for header in headers if header}
    lines = []
    for name in missing:
        column = columns[name]
        unit = f" [{column.unit}]" if column.unit else ""
        near = get_close_matches(column.label.lower(), spelled, 1, 0.6)
        hint = f"; the closest header is {spelled[near[0]]!r}" if near else ""
        lines.append(f"no column for {name} (a header such as {column.example_header + unit!r}{hint})")
    return "\n".join(lines)


def header_without_unit(column: Column, header: str) -> str:
    """A header of the file that matches `column`, without the unit that it has in brackets or in a canonical name."""
    name = re.split(r"[\[(]", header, maxsplit=1)[0].strip()
    known = {header_key(other) for other in column.headers}
    return name if header_key(name) in known else column.example_header


def header_key(header: str) -> str:
    """A header or a unit without case, spaces and punctuation. "µm" becomes "um", not "m"; "m/s²" becomes "ms2"."""
    return re.sub(r"[^a-z0-9]", "", header.lower().translate(_TRANSLATED))


def _match(header: str, known: Mapping[str, Column]) -> tuple[Column | None, str]:
    """The column that a header matches and the key of the unit in the header ('' if none)."""
    if column := known.get(header_key(header)):
        return column, ""
    # Takes linear time for any header: the text before the first bracket can end in one place only.
    bracket = re.fullmatch(r"([^\[(]*)[\[(](.*)[\])]\s*", header, re.DOTALL)
    if bracket and (column := known.get(header_key(bracket[1]))):
        return column, header_key(bracket[2])
    suffix = re.fullmatch(r"(.+)[_ ]([^_ ]+)", header.strip())
    if suffix and (column := known.get(header_key(suffix[1]))) and header_key(suffix[2]) in column.units:
        return column, header_key(suffix[2])
    return None, ""


def _conversion(header: str, column: Column, unit: str) -> tuple[float, float]:
    if not unit or not column.units:
        return 1.0, 0.0
    if unit not in column.units:
        raise SourceError(
            f"column {header!r}: unknown unit {unit!r} for {column.name}; known units: {', '.join(column.units)}"
        )
    return column.units[unit]

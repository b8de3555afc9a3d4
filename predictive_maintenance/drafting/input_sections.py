"""The sections of categories and sensors in a draft, with a comment for each guess."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .column_headers import NamedColumn
from .column_profile import ColumnProfile
from .header_units import split_unit
from .ranges import Scale
from .yaml_lines import CHECK, Noted, short_number

_MAX_FEW_VALUES = 5
_ORDERS = (
    ("l", "m", "h"), ("low", "medium", "high"), ("low", "normal", "high"), ("small", "medium", "large"), ("s", "m", "l"),
    ("slow", "normal", "fast"), ("idle", "partial", "full"),
)  # fmt: skip
"""Values with a known order, ascending."""


def category_section(column: ColumnProfile, named: NamedColumn, notes: Sequence[str]) -> dict[str, Any]:
    """The section of a category. `notes` are further things to check."""
    values, is_ordered = _ordered(list(column.counts))
    section: dict[str, Any] = {"label": _with_notes(named.label, notes)}
    section["values"] = Noted(values, f"{CHECK}these are all; a row with another value is rejected")
    if is_ordered:
        section["ordered"] = Noted(True, f"{CHECK}ascending")
    if column.missing and "other" not in values:
        section["values"] = values
        section["unseen"] = Noted("other", f"{CHECK}{missing_cells(column)}; these, and other values, count as other")
    return section | headers_of(named)


def sensor_section(column: ColumnProfile, named: NamedColumn, scale: Scale, notes: Sequence[str]) -> dict[str, Any]:
    """The section of a sensor. `notes` are further things to check."""
    lowest, highest = short_number(scale.lowest), short_number(scale.highest)
    section: dict[str, Any] = {"label": _with_notes(named.label, [*notes, *_oddities(column, named, scale)])}
    if named.unit:
        section["unit"] = Noted(named.unit, f"from the header {column.header!r}")
    section["range"] = Noted(scale.range, f"{CHECK}the data has {lowest} to {highest}")
    if scale.resolution:
        section["resolution"] = scale.resolution
    if column.missing:
        section["required"] = Noted(False, f"{CHECK}{missing_cells(column)}")
    return section | headers_of(named)


def sensors_note(sensors: Sequence[ColumnProfile]) -> str:
    """The comment above all sensors."""
    note = (
        f"{CHECK}range is what is physically possible, not what is usual: a reading outside is rejected. Here it is the range of "
        "the data, widened by its width on both sides."
    )
    if any(not split_unit(column.header).unit for column in sensors):
        note += " Add the unit where a sensor has one."
    return note


def headers_of(named: NamedColumn) -> dict[str, Any]:
    """The headers of a column, if the canonical name is not enough."""
    return {"headers": list(named.headers)} if named.headers else {}


def missing_cells(column: ColumnProfile) -> str:
    """How many cells are missing."""
    return f"{column.missing:,} of {column.rows:,} cells are missing"


def _with_notes(label: str, notes: Sequence[str]) -> Any:
    return Noted(label, CHECK + "; ".join(notes)) if notes else label


def _oddities(column: ColumnProfile, named: NamedColumn, scale: Scale) -> Iterator[str]:
    if named.doubt:
        yield named.doubt
    yield from scale.notes
    if column.not_numbers:
        count = column.present - len(column.finite)
        yield f"{count:,} cells are not numbers, such as {column.not_numbers[0][:40]!r}; their rows are rejected"
    distinct = len(np.unique(column.finite))
    if 2 < distinct <= _MAX_FEW_VALUES:
        yield f"it has {distinct} different values only; is it a category?"


def _ordered(values: list[str]) -> tuple[list[str], bool]:
    """The values in a sensible order, and whether they are known to be ascending."""
    by_word = {value.lower(): value for value in values}
    for order in _ORDERS:
        if len(by_word) == len(values) and set(by_word) == set(order):
            return [by_word[word] for word in order], True
    try:
        return sorted(values, key=float), False
    except ValueError:
        return sorted(values), False

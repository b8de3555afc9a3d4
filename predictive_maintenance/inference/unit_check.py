"""Find the sensors whose values are all in another unit than the header of the file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..machine.header_matching import Column, HeaderMatch, header_without_unit
from ..machine.rounding import shown
from ..machine.unit_hints import likely_units
from ..machine.unit_text import unit_text


@dataclass
class _Extent:
    """The finite values of a sensor so far, in the canonical unit. `inside`: one of them is within the limits."""

    smallest: float = np.inf
    largest: float = -np.inf
    inside: bool = False


class UnitCheck:
    """Collects the values of a file batch by batch. `limits` are those of the sensors, in canonical units."""

    def __init__(
        self, columns: Mapping[str, Column], match: HeaderMatch, limits: Mapping[str, tuple[float, float]]
    ) -> None:
        self._columns, self._match, self._limits = columns, match, limits
        self._extents = {name: _Extent() for name in limits if name in match.columns}

    def add(self, values: Mapping[str, Any]) -> None:
        """Add a batch: (n,) floats by canonical name, in canonical units."""
        for name, extent in self._extents.items():
            if extent.inside:
                continue
            numbers = np.asarray(values[name], dtype=np.float64)
            numbers = numbers[np.isfinite(numbers)]
            low, high = self._limits[name]
            extent.inside = bool(((low <= numbers) & (numbers <= high)).any())
            if len(numbers):
                extent.smallest = min(extent.smallest, float(numbers.min()))
                extent.largest = max(extent.largest, float(numbers.max()))

    def hints(self) -> list[str]:
        """A sentence for each sensor of which all values are outside of the limits, but inside in another unit."""
        return [
            hint
            for name, extent in self._extents.items()
            if not extent.inside and extent.smallest <= extent.largest and (hint := self._hint(name, extent))
        ]

    def _hint(self, name: str, extent: _Extent) -> str | None:
        column, (low, high) = self._columns[name], self._limits[name]
        header, scale, offset = self._match.columns[name]
        smallest, largest = ((value - offset) / scale for value in (extent.smallest, extent.largest))
        units = likely_units(column, (low, high), smallest, largest)
        if not units:
            return None
        return (
            f"every value of {header!r} is outside of {shown(low)} to {shown(high)} {unit_text(column.unit)}; the values "
            f"{smallest:g} to {largest:g} look like {' or '.join(units)}: write the unit in the header, for example "
            f"'{header_without_unit(column, header)} [{units[0]}]'"
        )

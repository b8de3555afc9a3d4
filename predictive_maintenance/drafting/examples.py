"""Take example readings from the data."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .ranges import Scale
from .roles import Roles

_MAX_TRIED_ROWS = 1000


def example_readings(roles: Roles, names: Mapping[str, str], scales: Mapping[str, Scale]) -> dict[str, Any]:
    """A reading without failure and one with failure, where there are complete ones.

    `names` maps the headers of inputs to canonical names, `scales` those of sensors to their ranges.
    """
    failed = roles.failed
    failure = "A reading before a failure" if roles.further and roles.further.failures else "A reading with failure"
    examples = {}
    for name, text, rows in (("normal", "A normal reading", ~failed), ("failure", failure, failed)):
        if cells := _complete_cells(roles, scales, rows):
            examples[name] = {"label": text, "reading": {names[header]: value for header, value in cells.items()}}
    return examples


def _complete_cells(roles: Roles, scales: Mapping[str, Scale], rows: npt.NDArray[np.bool_]) -> dict[str, Any] | None:
    """The inputs of the first of `rows` that has a valid value for each one that is required."""
    required = {column.header for column in roles.categories}
    required |= {column.header for column in roles.sensors if not column.missing}
    for row in np.flatnonzero(rows)[:_MAX_TRIED_ROWS]:
        cells = dict(_valid_cells(roles, scales, int(row)))
        if required <= set(cells):
            return cells
    return None


def _valid_cells(roles: Roles, scales: Mapping[str, Scale], row: int) -> Iterator[tuple[str, Any]]:
    for column in roles.categories:
        if (text := column.texts[row].as_py()) is not None:
            yield column.header, text
    for column in roles.sensors:
        low, high = scales[column.header].range
        if low <= column.numbers[row] <= high:
            yield column.header, float(column.numbers[row])

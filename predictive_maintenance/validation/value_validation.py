"""Find invalid values of parsed columns, with the reason of each.

Training, the commands `check` and `score`, and the API share these rules. This module uses numpy only: the service checks
single readings without Arrow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..machine.machine import Machine

SAME_TIME = "also the time of another reading of this machine"

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Faults:
    """The cells of one canonical column that are bad for one reason: row positions and raw values."""

    column: str
    reason: str
    positions: Positions
    values: Sequence[str]


def invalid_values(columns: Mapping[str, Any], names: Sequence[str], machine: Machine) -> Iterator[Faults]:
    """The faults of parsed values: infinite, outside of the range of a sensor, or an unknown value of a category.

    Numeric columns are (n,) floats, categories (n,) objects. Missing cells are skipped: `parse_column` reports them. If
    `names` has every input, the faults of computed features are among them.
    """
    described = machine.description
    for name in names:
        values: Any = columns.get(name)
        if name in described.sensors:
            low, high = described.sensors[name].range
            infinite = np.isinf(values)
            yield from _where(name, "infinite", values, infinite)
            yield from _where(name, machine.range_reason(name), values, ~infinite & ((values < low) | (values > high)))
        elif name in machine.binary_names:
            yield from _where(name, "not 0 or 1", values, ~np.isnan(values) & (values != 0) & (values != 1))
        elif name in described.categories and described.categories[name].unseen == "reject":
            known = described.categories[name].values
            if {*values} <= {*known, None}:
                continue
            unknown = np.array([value is not None and value not in known for value in values], dtype=np.bool_)
            yield from _where(name, f"not one of {', '.join(known)}", values, unknown)
    if set(machine.required_input_names) <= set(names):
        yield from formula_faults(columns, machine)


def formula_faults(columns: Mapping[str, Any], machine: Machine) -> Iterator[Faults]:
    """The rows for which a formula has no finite value. Formulas of statistics that `columns` does not have are skipped."""
    for name, bad in machine.formula_faults(columns).items():
        formula = machine.description.features[name].formula
        positions = np.flatnonzero(bad)
        yield Faults(name, f"{formula} is not a finite number", positions, [""] * len(positions))


def _where(name: str, reason: str, values: Any, bad: npt.NDArray[np.bool_]) -> Iterator[Faults]:
    if bad.any():
        yield Faults(name, reason, np.flatnonzero(bad), [str(value) for value in values[bad]])

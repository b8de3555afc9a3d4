"""The order of readings by machine and time, and readings of one machine at the same time, which have none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from .machine_rows import Positions, Times, machine_bounds


@dataclass(frozen=True)
class TimeOrder:
    """Rows in the order of their machines and, for each machine, of their times.

    `positions` (n,) are their positions in the table, `times` (n,) their times in this order, and `bounds` (M + 1,) the place
    of each machine's first row in this order, and the end. `machines` are the ids of the M machines.
    """

    positions: Positions
    times: Times
    bounds: Positions
    machines: Sequence[Any]


def in_time_order(machine: Machine, columns: Mapping[str, Any]) -> TimeOrder:
    """Order the rows of a table. Raises DataError for a row without machine or time, and for two at the same time."""
    names, codes = machine_codes(columns[MACHINE_ID])
    return _ordered(codes, as_times(columns[machine.time_name], machine), names)


def of_one_machine(machine: Machine, rows: Sequence[Mapping[str, Any]], has_events: bool = False) -> TimeOrder:
    """Order some readings of one machine; a single one without events needs no time.

    Raises DataError as `in_time_order` does, and if they name several machines. They may name none.
    """
    timed = has_events or len(rows) > 1
    times = as_times([row.get(machine.time_name) for row in rows], machine) if timed else np.zeros(1)
    names = dict.fromkeys(name for row in rows if (name := row.get(MACHINE_ID)) is not None)
    if len(names) > 1:
        raise DataError(f"{MACHINE_ID} differs: {', '.join(map(repr, list(names)[:2]))}; send readings of one machine")
    return _ordered(np.zeros(len(rows), dtype=np.int64), times, tuple(names) or (None,))


def at_the_same_time(machines: Positions, times: Times) -> npt.NDArray[np.bool_]:
    """(n,) whether another row has the same machine, given by its code, and the same time."""
    order = np.lexsort((times, machines))
    same = (machines[order][1:] == machines[order][:-1]) & (times[order][1:] == times[order][:-1])
    result = np.zeros(len(times), dtype=bool)
    result[order[1:][same]] = result[order[:-1][same]] = True
    return result


def as_times(values: Any, machine: Machine) -> Times:
    """(n,) int64 microseconds of timestamps, or float64 of a counter. Raises DataError for a missing or invalid time."""
    counter = machine.time_is_counter
    try:
        if not counter and (isinstance(values, list) or values.dtype == object):
            values = [plain_time(value) for value in values]
        times: Times = np.asarray(values, dtype=np.float64 if counter else "datetime64[us]")
    except (TypeError, ValueError) as error:
        raise DataError(f"column {machine.time_name} is not a time: {error}") from None
    if (missing := np.flatnonzero(~np.isfinite(times))).size:
        raise DataError(f"row {missing[0] + 1} has no {machine.time_name}: {missing.size} of {len(times)} rows")
    return times if counter else times.view(np.int64)


def as_possible_times(values: Any, machine: Machine) -> npt.NDArray[np.float64]:
    """(n,) times as float64 in microseconds, or of a counter; NaN for a missing one."""
    if machine.time_is_counter:
        return np.asarray(values, dtype=np.float64)
    times = np.asarray(values, dtype="datetime64[us]")
    return np.where(np.isnat(times), np.nan, times.view(np.int64).astype(np.float64))


def plain_time(value: str | datetime | None) -> datetime | None:
    """A text in ISO 8601, or a time, in UTC and without zone. A time without a zone is UTC. Raises ValueError."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    try:
        return time.astimezone(UTC).replace(tzinfo=None) if time is not None and time.tzinfo else time
    except OverflowError:
        raise ValueError(f"{value!r} is not within the years 1 to 9999 in UTC") from None


def machine_codes(values: Any) -> tuple[list[Any], Positions]:
    """The ids of the machines, and the (n,) place of each row's machine in them. Raises DataError for a row without machine."""
    names = np.asarray(values, dtype=object)
    if missing := [row for row, name in enumerate(names) if name is None or name != name]:
        raise DataError(f"row {missing[0] + 1} has no {MACHINE_ID}: {len(missing)} of {len(names)} rows")
    codes: dict[Any, int] = {}
    places = np.array([codes.setdefault(name, len(codes)) for name in names], dtype=np.int64)
    return list(codes), places


def _ordered(machines: Positions, times: Times, names: Sequence[Any]) -> TimeOrder:
    repeated = at_the_same_time(machines, times)
    if repeated.any():
        rows = np.flatnonzero(repeated)
        first = rows[0]
        second = next(row for row in rows[1:] if machines[row] == machines[first] and times[row] == times[first])
        raise DataError(
            f"rows {first + 1} and {second + 1} are of one machine and have the same time: {len(rows)} such rows"
        )
    positions = np.lexsort((times, machines))
    return TimeOrder(positions, times[positions], machine_bounds(machines[positions]), names)

"""Machines as a table of readings shows them: the readings in the order of time, and the failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from .labels import NEXT_FAILURE
from .lives import Failures, Lives, lives, next_failures, run_to_failure
from .machine_rows import Positions, Times, machine_bounds
from .time_order import as_possible_times, as_times, machine_codes


@dataclass(frozen=True, kw_only=True)
class ObservedMachines:
    """M machines with their readings in the order of machines and times, and their failures.

    `names` (M,) are the machines, `positions` (n,) the rows of the table, `times` (n,) their times, and `bounds` (M + 1,) the
    place of each machine's first reading, and the end.
    """

    names: npt.NDArray[np.object_]
    positions: Positions
    times: Times
    bounds: Positions
    failures: Failures
    lives: Lives


def observe(machine: Machine, rows: Mapping[str, Any], *others: Mapping[str, Any]) -> ObservedMachines:
    """Order `rows` (n of a table) by machine and time, and find the failures of their machines.

    `others` are further readings, such as those without a label and those on the other side of a split: they show failures, and
    how long a machine is observed, too.
    """
    count, tables = len(rows[MACHINE_ID]), (rows, *others)
    _, codes = machine_codes(np.concatenate([np.asarray(table[MACHINE_ID], dtype=object) for table in tables]))
    times = np.concatenate([as_times(table[machine.time_name], machine) for table in tables])
    machines = int(codes[:count].max()) + 1 if count else 0
    every = np.flatnonzero(codes < machines)
    every = every[np.lexsort((times[every], codes[every]))]
    found = _failures(machine, tables, every, times[every], machine_bounds(codes[every]))
    positions = every[every < count]
    own_times, bounds = times[positions], machine_bounds(codes[positions])
    names = np.empty(machines, dtype=object)
    names[codes[:count]] = np.asarray(rows[MACHINE_ID], dtype=object)
    return ObservedMachines(
        names=names,
        positions=positions,
        times=own_times,
        bounds=bounds,
        failures=found,
        lives=lives(own_times, bounds, found),
    )


def _failures(
    machine: Machine, tables: Sequence[Mapping[str, Any]], every: Positions, times: Times, bounds: Positions
) -> Failures:
    """The failures of machines whose readings, in the order of machines and times, are at `times` (n,).

    `every` (n,) are their rows in `tables`. Failures from a table are those that some reading has as its next one.
    """
    if machine.description.label.run_to_failure:
        return run_to_failure(times, bounds)
    following = np.concatenate([as_possible_times(table[NEXT_FAILURE], machine) for table in tables])[every]
    return next_failures(times, bounds, following)

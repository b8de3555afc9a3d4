"""Keep some readings in the store, and score them with what the store has of their machines: one of them, or many."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.events import NO_EVENTS, Events
from predictive_maintenance.history.features import complete_some, take
from predictive_maintenance.machine.machine import MAX_FLOAT32, Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.validation.value_validation import Faults, formula_faults

from .kept_past import follow_alarms, stored_events
from .served_model import NO_HISTORY, SHORT_HISTORY, ServedModel

if TYPE_CHECKING:
    from predictive_maintenance.store.lookback import Lookback
    from predictive_maintenance.store.rows import LockedMachine, Score, Sensors
    from predictive_maintenance.store.store import Transaction

Positions = npt.NDArray[np.int64]
Outcome = Literal["new", "late", "repeated", "refused"]
"""What became of a reading: newer or older than the latest one of its machine, known already, or in contradiction to it."""

MAX_ID_CHARACTERS = 200
_ONE_BY_ONE = 32
"""Readings of a machine in one request that are few."""

CONFLICT = "the store has a reading of this machine at this time with other values, which stays"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """n valid readings, no two of one machine at the same time.

    `columns` has (n,) values of machine, time and all inputs; `keys` (n,) are the times as the store orders them, and
    `sensors` the inputs of each that have a value.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    keys: Positions
    sensors: Sequence["Sensors"]

    @property
    def machine_ids(self) -> list[str]:
        ids: list[str] = self.columns[MACHINE_ID].tolist()
        return ids


@dataclass(frozen=True, kw_only=True)
class KeptRows:
    """What became of n readings. `columns`, `probabilities` and `decisions` are of the readings at the positions `scored`.

    `faults` are formulas that have no value: such a reading is kept, because later windows need it, but has no score.
    `warnings` are about the history of each reading, if they are wanted.
    """

    outcomes: list[Outcome]
    warnings: list[list[str]]
    faults: list[Faults]
    scored: Positions
    columns: dict[str, Any]
    probabilities: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Place:
    """What the store has of the machine of one reading. `stored` is shared by the readings of a machine."""

    machine: "LockedMachine"
    stored: Mapping[int, "Sensors"]


def keep_rows(
    transaction: "Transaction", model: ServedModel, model_name: str, rows: Rows, *, with_warnings: bool = False
) -> KeptRows:
    """Add the readings that the store does not have, and score all that do not contradict it. Raises StoreError."""
    from predictive_maintenance.store.rows import Reading, Score

    machine, received = model.scorer.machine, int(time.time())
    places = _look_up(transaction, machine, model_name, rows)
    outcomes = [_outcome(machine, *row) for row in zip(places, rows.keys.tolist(), rows.sensors, strict=True)]
    valid = np.flatnonzero([outcome != "refused" for outcome in outcomes])
    completed = _complete(machine, rows, valid, places, _events(transaction, machine, rows, places))
    faults = list(formula_faults(completed, machine))
    has_value = np.ones(len(valid), dtype=bool)
    for fault in faults:
        has_value[fault.positions] = False
    columns, scored = take(completed, np.flatnonzero(has_value)), valid[has_value]
    probabilities = model.scorer.probabilities(columns) if len(scored) else np.empty(0)
    decisions = model.scorer.decisions(probabilities)
    scores: dict[int, Score] = {
        row: Score(probability, decision, model.version.version)
        for row, probability, decision in zip(scored.tolist(), probabilities.tolist(), decisions.tolist(), strict=True)
    }
    new = [
        (
            places[row].machine,
            Reading(time=int(rows.keys[row]), received=received, sensors=rows.sensors[row], score=scores.get(row)),
        )
        for row, outcome in enumerate(outcomes)
        if outcome in ("new", "late")
    ]
    decided: dict[LockedMachine, list[tuple[int, Score]]] = {}
    for row, score in _with_modes(model.scorer, scores, columns).items():
        if outcomes[row] == "new":
            decided.setdefault(places[row].machine, []).append((int(rows.keys[row]), score))
    if decided:
        follow_alarms(transaction, machine, decided)
    if new:
        transaction.add(new)
    return KeptRows(
        outcomes=outcomes,
        warnings=_warnings(machine, rows, outcomes, places) if with_warnings else [],
        faults=[Faults(fault.column, fault.reason, valid[fault.positions], fault.values) for fault in faults],
        scored=scored,
        columns=columns,
        probabilities=probabilities,
        decisions=decisions,
    )


def _with_modes(scorer: Scorer, scores: Mapping[int, "Score"], columns: Mapping[str, Any]) -> dict[int, "Score"]:
    """Scores by row, positive ones with the likeliest failure mode. `columns` are those of the rows with scores, in order."""
    positive = [place for place, score in enumerate(scores.values()) if score.alarm]
    if not positive or not scorer.has_modes:
        return dict(scores)
    modes = dict(zip(positive, scorer.likeliest_modes(take(columns, np.array(positive))), strict=True))
    return {
        row: replace(score, mode=mode.name, mode_probability=mode.probability) if (mode := modes.get(place)) else score
        for place, (row, score) in enumerate(scores.items())
    }


@lru_cache(maxsize=4)
def _lookback(machine: Machine) -> "Lookback":
    from predictive_maintenance.store.lookback import Lookback

    return Lookback.of(machine)


def _look_up(transaction: "Transaction", machine: Machine, model_name: str, rows: Rows) -> list[_Place]:
    """Read what the windows of the rows need, once for each machine."""
    ids, keys, lookback = rows.machine_ids, rows.keys.tolist(), _lookback(machine)
    locked, places = transaction.machines(model_name, set(ids)), dict[int, _Place]()
    for name, group in groupby(sorted(range(len(ids)), key=lambda row: (ids[row], keys[row])), key=ids.__getitem__):
        of_machine, stored = list(group), dict[int, "Sensors"]()
        for first, last in _stretches([keys[row] for row in of_machine], lookback, machine):
            beginning = lookback.beginning(first, machine)
            stored |= transaction.window(locked[name], lookback, first=first, beginning=beginning, last=last)
        places |= dict.fromkeys(of_machine, _Place(locked[name], stored))
    return [places[row] for row in range(len(ids))]


def _stretches(keys: Sequence[int], lookback: "Lookback", machine: Machine) -> list[tuple[int, int]]:
    """The first and the last key of readings that are looked up together, because their windows overlap.

    What lies between an old reading and a new one is not read. Windows of a number of readings have no length: few readings
    are then looked up one by one, many together unless they are far apart.
    """
    usual_gap = float(np.median(np.diff(keys))) if len(keys) > _ONE_BY_ONE else 0.0
    stretches: list[tuple[int, int]] = []
    for key in keys:
        before = stretches[-1][1] if stretches else None
        if before is None:
            overlaps = False
        elif lookback.length:
            overlaps = lookback.beginning(key, machine) <= before
        else:
            overlaps = key - before <= _ONE_BY_ONE * usual_gap
        if overlaps:
            stretches[-1] = (stretches[-1][0], key)
        else:
            stretches.append((key, key))
    return stretches


def _outcome(machine: Machine, place: _Place, key: int, sensors: "Sensors") -> Outcome:
    if (stored := place.stored.get(key)) is not None:
        is_same = all(stored.get(name) == sensors.get(name) for name in machine.input_names)
        return "repeated" if is_same else "refused"
    return "late" if place.machine.latest is not None and key < place.machine.latest else "new"


def _events(transaction: "Transaction", machine: Machine, rows: Rows, places: Sequence[_Place]) -> Events:
    """The stored events that the features of the rows need."""
    if not machine.event_tables or not places:
        return NO_EVENTS
    machines = {place.machine: name for place, name in zip(places, rows.machine_ids, strict=True)}
    return stored_events(transaction, machine, machines, int(rows.keys.min()), int(rows.keys.max()))


def _complete(
    machine: Machine, rows: Rows, valid: Positions, places: Sequence[_Place], events: Events
) -> dict[str, Any]:
    """The columns of the valid rows with the features from stored readings and events, and from each other."""
    from predictive_maintenance.store.times import as_times

    keys, ids = rows.keys.tolist(), rows.machine_ids
    given = {(ids[row], keys[row]) for row in valid.tolist()}
    of_machines = {ids[row]: place.stored for row, place in enumerate(places)}
    stored = [
        (name, key, sensors)
        for name, readings in of_machines.items()
        for key, sensors in readings.items()
        if (name, key) not in given
    ]
    times = as_times(
        np.concatenate([rows.keys[valid], np.array([key for _, key, _ in stored], dtype=np.int64)]), machine
    )
    columns: dict[str, Any] = {
        MACHINE_ID: np.concatenate(
            [rows.columns[MACHINE_ID][valid], np.array([name for name, _, _ in stored], object)]
        ),
        machine.time_name: times if machine.time_is_counter else times.view("datetime64[us]"),
    }
    for name in machine.input_names:
        own, other = rows.columns[name][valid], [sensors.get(name) for _, _, sensors in stored]
        if name in machine.sensor_names:  # an earlier description may have had a category of this name
            other = [value if isinstance(value, float) else np.nan for value in other]
        columns[name] = np.concatenate([own, np.array(other, dtype=own.dtype)])
    return complete_some(machine, columns, np.arange(len(valid)), events)


def _warnings(machine: Machine, rows: Rows, outcomes: Sequence[Outcome], places: Sequence[_Place]) -> list[list[str]]:
    """A warning for each row whose windows reach back further than its machine's readings."""
    lookback, ids, keys = _lookback(machine), rows.machine_ids, rows.keys.tolist()
    known: dict[str, list[int]] = {}
    for row, place in enumerate(places):
        known.setdefault(ids[row], list(place.stored))
    for row, outcome in enumerate(outcomes):
        if outcome in ("new", "late"):
            known[ids[row]].append(keys[row])
    found = {name: np.sort(np.array(times, dtype=np.int64)) for name, times in known.items()}
    warnings: list[list[str]] = []
    for name, key in zip(ids, keys, strict=True):
        times = found[name]
        before = int(np.searchsorted(times, key))
        reaches_back = before and times[0] <= lookback.beginning(key, machine) if lookback.length else True
        is_complete = reaches_back and before >= lookback.readings
        warnings.append([] if is_complete else [SHORT_HISTORY if before else NO_HISTORY])
    return warnings


def time_fault(machine: Machine, moment: Any, max_skew_seconds: float) -> str | None:
    """Why a time cannot be that of a reading in the store; None if it can. `moment` is in microseconds, or a count."""
    if machine.time_is_counter:
        return "is too large" if abs(moment) > MAX_FLOAT32 else None
    ahead = moment / 1e6 - time.time()
    if ahead <= max_skew_seconds:
        return None
    return f"is {ahead:.0f} s in the future; at most {max_skew_seconds:g} s are allowed (PDM_MAX_CLOCK_SKEW_SECONDS)"


def machine_id_fault(machine_id: Any) -> str | None:
    """Why a text cannot name a machine in the store; None if it can."""
    if not machine_id:
        return "is empty"
    if len(machine_id) > MAX_ID_CHARACTERS:
        return f"has more than {MAX_ID_CHARACTERS} characters"
    return "has a character that databases do not store (NUL)" if "\0" in machine_id else None


def sensors_of(machine: Machine, reading: Mapping[str, Any]) -> dict[str, float | str]:
    """The inputs of a reading that have a value."""
    given = {name: reading.get(name) for name in machine.input_names}
    return {name: value for name, value in given.items() if value is not None and value == value}

"""Keep a single reading in the store, and score it with what the store has of its machine."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.features import complete_reading
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import MAX_FLOAT32, Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.validation.cell_validation import formula_faults

from ..problems import Problem, field_problem
from ..schemas.reading import HISTORY
from .assessment import assess
from .served_model import ServedModel

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store, Transaction

Outcome = Literal["new", "late", "repeated", "refused"]
"""What became of a reading: newer or older than the latest one of its machine, known already, or in contradiction to it."""

CONFLICT = "the store has a reading of this machine at this time with other values, which stays"
NOT_A_TIME = "is not a time in ISO 8601, such as 2024-01-31T12:00:00Z"
_KEPT_WITHOUT_SCORE = "the reading is kept, but has no prediction"


@dataclass(frozen=True, kw_only=True)
class NewReading:
    """A valid reading on its way into the store. `key` is its time as the store orders it."""

    model: ServedModel
    model_name: str
    reading: Mapping[str, Any]
    key: int

    @property
    def machine_id(self) -> str:
        return str(self.reading[MACHINE_ID])


@dataclass(frozen=True)
class KeptReading:
    """The answer to a reading, the fields of `schemas.prediction.Prediction` or a problem, and what became of it."""

    answer: dict[str, Any] | Problem
    outcome: Outcome


def time_key(machine: Machine, reading: Mapping[str, Any], max_skew_seconds: float) -> int:
    """The time of a reading as the store orders it. Raises Problem for an invalid one, and one in the future."""
    from predictive_maintenance.store.times import as_keys

    name = machine.time_name
    try:
        times = as_times([reading[name]], machine)
    except DataError:
        raise field_problem([(None, name, NOT_A_TIME)]) from None
    if reason := time_fault(machine, times[0], max_skew_seconds):
        raise field_problem([(None, name, reason)])
    return int(as_keys(times)[0])


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
    return "has a character that databases do not store (NUL)" if "\0" in machine_id else None


def sensors_of(machine: Machine, reading: Mapping[str, Any]) -> dict[str, float | str]:
    """The inputs of a reading that have a value."""
    given = {name: reading.get(name) for name in machine.input_names}
    return {name: value for name, value in given.items() if value is not None and value == value}


def keep_readings(store: "Store", readings: Sequence[NewReading]) -> list[KeptReading]:
    """Keep readings in one transaction, and return the answer to each. Raises StoreError: then nothing is kept.

    Those of one machine are scored in the order of their times, so that each has those before it in its windows.
    """
    kept: list[KeptReading | None] = [None] * len(readings)
    with store.writing() as transaction:
        # In one order everywhere, so that two processes do not wait for each other's machines.
        for place in sorted(range(len(readings)), key=lambda place: (readings[place].machine_id, readings[place].key)):
            kept[place] = _keep(transaction, readings[place])
    return [answer for answer in kept if answer is not None]


def _keep(transaction: "Transaction", new: NewReading) -> KeptReading:
    from predictive_maintenance.store.lookback import Lookback
    from predictive_maintenance.store.rows import Reading, Score
    from predictive_maintenance.store.times import plain_times

    machine, lookback = new.model.scorer.machine, Lookback.of(new.model.scorer.machine)
    sensors = sensors_of(machine, new.reading)
    if faults := _without_value(machine, new.reading):
        return KeptReading(field_problem(faults), "refused")
    place = transaction.machine(new.model_name, new.machine_id)
    beginning = lookback.beginning(new.key, machine)
    earlier = transaction.window(place, lookback, first=new.key, beginning=beginning, last=new.key)
    known = earlier.pop(new.key, None)
    if known is not None and known != sensors:
        return KeptReading(Problem(HTTPStatus.CONFLICT, f"{machine.time_name}: {CONFLICT}"), "refused")
    times = plain_times(list(earlier), machine)
    history = [{**values, machine.time_name: when} for when, values in zip(times, earlier.values(), strict=True)]
    answer = _answer(new, history)
    if known is not None:
        return KeptReading(answer, "repeated")
    score = None
    if isinstance(answer, dict):
        score = Score(answer["failure_probability"], answer["predicted_failure"], new.model.version.version)
    transaction.add(place, [Reading(time=new.key, received=int(time.time()), sensors=sensors, score=score)])
    is_late = place.latest is not None and new.key < place.latest
    return KeptReading(answer, "late" if is_late else "new")


def _answer(new: NewReading, history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | Problem:
    machine = new.model.scorer.machine
    reading = dict(complete_reading(machine, new.reading, history)) | {HISTORY: history}
    try:
        return assess(new.model, new.model_name, reading)
    except DataError as error:
        faults = _without_value(machine, reading) or [(None, "", str(error))]
        return field_problem([(None, name, f"{reason}: {_KEPT_WITHOUT_SCORE}") for _, name, reason in faults])


def _without_value(machine: Machine, reading: Mapping[str, Any]) -> list[tuple[int | None, str, str]]:
    """The formulas that have no finite value, of those whose statistics `reading` has."""
    if not machine.computed_names:
        return []
    columns = {name: np.array([reading[name]], dtype=object) for name in machine.category_names}
    numbers = (
        *machine.sensor_names,
        *(name for name in (*machine.time_names, *machine.window_features) if name in reading),
    )
    columns |= {name: np.array([reading.get(name)], dtype=np.float64) for name in numbers}
    return [(None, fault.column, fault.reason) for fault in formula_faults(columns, machine)]

"""Single readings for the store: keep those that arrive together, and answer each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.validation.value_validation import formula_faults

from ..problems import Problem, field_problem
from .assessment import assess_probability
from .kept_rows import CONFLICT, KeptRows, Outcome, Rows, keep_rows, sensors_of, time_fault
from .served_model import ServedModel

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

NOT_A_TIME = "is not a time in ISO 8601, such as 2024-01-31T12:00:00Z"
_KEPT_WITHOUT_SCORE = "the reading is kept, but has no prediction"


@dataclass(frozen=True, kw_only=True)
class NewReading:
    """A valid reading on its way into the store. `key` is its time as the store orders it."""

    model: ServedModel
    model_name: str
    reading: Mapping[str, Any]
    key: int


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


def check_formulas(machine: Machine, reading: Mapping[str, Any]) -> None:
    """Raise Problem if a formula of the reading alone has no finite value. Formulas of statistics depend on the store."""
    if machine.computed_names:
        columns = {name: values for name, values in _columns(machine, [reading]).items() if name in machine.input_names}
        if errors := [(None, fault.column, fault.reason) for fault in formula_faults(columns, machine)]:
            raise field_problem(errors)


def keep_readings(store: "Store", readings: Sequence[NewReading]) -> list[KeptReading]:
    """Keep readings in one transaction, and return the answer to each. Raises StoreError: then nothing is kept."""
    kept: dict[int, KeptReading] = {}
    parts = list(_parts(readings))
    with store.writing() as transaction:
        if len(parts) > 1:  # else two processes could lock machines of their parts in opposite orders
            for name in sorted({new.model_name for new in readings}):
                transaction.machines(name, {str(new.reading[MACHINE_ID]) for new in readings if new.model_name == name})
        for places in parts:
            part = [readings[place] for place in places]
            model, machine = part[0].model, part[0].model.scorer.machine
            given = [new.reading for new in part]
            rows = Rows(
                columns=_columns(machine, given),
                keys=np.array([new.key for new in part], dtype=np.int64),
                sensors=[sensors_of(machine, reading) for reading in given],
            )
            result = keep_rows(transaction, model, part[0].model_name, rows, with_warnings=True)
            kept |= dict(zip(places, _answers(part, result), strict=True))
    return [kept[place] for place in range(len(readings))]


def _parts(readings: Sequence[NewReading]) -> Iterator[list[int]]:
    """The positions of readings that can be kept together: of one model, and no two of a machine at the same time."""
    left = list(range(len(readings)))
    while left:
        part, later, seen = list[int](), list[int](), set[tuple[str, int]]()
        for place in left:
            new = readings[place]
            where = (str(new.reading[MACHINE_ID]), new.key)
            is_part = new.model is readings[left[0]].model and where not in seen
            (part if is_part else later).append(place)
            seen.add(where)
        yield part
        left = later


def _columns(machine: Machine, readings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: np.array([reading[name] for reading in readings], dtype=object)
        for name in (MACHINE_ID, *machine.category_names)
        if name in readings[0]
    }
    for name in machine.sensor_names:
        columns[name] = np.array([reading.get(name) for reading in readings], dtype=np.float64)
    return columns


def _answers(readings: Sequence[NewReading], kept: KeptRows) -> list[KeptReading]:
    answers: dict[int, dict[str, Any] | Problem] = {}
    machine = readings[0].model.scorer.machine
    for place, row in enumerate(kept.scored.tolist()):
        new = readings[row]
        statistics = {name: float(kept.columns[name][place]) for name in machine.history_features}
        reading = dict(new.reading) | statistics
        probability = float(kept.probabilities[place])
        answers[row] = assess_probability(new.model, new.model_name, reading, probability, kept.warnings[row])
    faults: dict[int, list[tuple[int | None, str, str]]] = {}
    for fault in kept.faults:
        for row in fault.positions.tolist():
            faults.setdefault(row, []).append((None, fault.column, f"{fault.reason}: {_KEPT_WITHOUT_SCORE}"))
    answers |= {row: field_problem(errors) for row, errors in faults.items()}
    for row, outcome in enumerate(kept.outcomes):
        if outcome == "refused":
            answers[row] = Problem(HTTPStatus.CONFLICT, f"{machine.time_name}: {CONFLICT}")
    return [KeptReading(answers[row], outcome) for row, outcome in enumerate(kept.outcomes)]

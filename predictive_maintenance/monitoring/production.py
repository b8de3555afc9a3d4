"""The windows of production: the readings that a version scored, from the store, compared with its training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.params import EvaluationSettings, MonitoringSettings
from ..machine.machine import Machine
from ..scorer.monitoring_reference import FloatArray, MonitoringReference, watched_columns
from ..store.outcomes import Read, latest_predictions
from ..store.store import Store
from .drift import Finding, compare
from .inputs import Inputs, rejected_readings
from .labels import (
    LabelledPredictions,
    LabelSource,
    TimedPredictions,
    known_failures,
    labelled_by_failures,
    labelled_by_feedback,
)
from .performance import EvaluationMetrics, OutcomeCounts, Performance, count, losses, measure, unlabelled
from .windows import WindowCounter

_HOUR_SECONDS, _DAY_SECONDS = 3_600, 86_400
_FIRST_MONDAY = 4 * _DAY_SECONDS
"""1970-01-05, in seconds since 1970: windows are counted from it, so that those of a week begin on Mondays, in UTC."""
_FEW_MACHINES = 20
"""With fewer, consecutive readings of each make several clusters."""

WatchedReadings = tuple[dict[str, FloatArray], npt.NDArray[np.object_] | None]
"""The watched columns (n,) of n scored readings, and the machine of each, if any."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window [begins, ends) in seconds since 1970, and how its readings differ; None if nothing in it could be compared.

    `performance` is of the predictions whose labels are due in the window.
    """

    begins: int
    ends: int
    rows: int
    findings: Sequence[Finding] | None
    inputs: Inputs
    performance: Performance


@dataclass(frozen=True, kw_only=True)
class WatchedVersion:
    """A version of the registered model `model` whose predictions are watched."""

    model: str
    version: str
    machine: Machine
    reference: MonitoringReference
    at_evaluation: EvaluationMetrics


@dataclass(frozen=True)
class SilentMachine:
    """A machine that has stopped sending readings. `received` is when the latest one arrived, in seconds since 1970."""

    machine_id: str
    received: int


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The settings by which windows are compared with training and evaluation."""

    monitoring: MonitoringSettings
    evaluation: EvaluationSettings
    seed: int = 0


def recent_windows(store: Store, watched: WatchedVersion, rules: Rules, now: float) -> Iterator[Window]:
    """The last complete windows at `now`, in seconds since 1970, the oldest first. Raises StoreError.

    Windows do not depend on when they are checked: each ends where the next one begins. A window is read in pages: memory does
    not depend on the number of its readings.
    """
    settings = rules.monitoring
    length = round(settings.window_days * _DAY_SECONDS)
    machines = len(store.machines(watched.model, most=_FEW_MACHINES))
    blocks = -(-_FEW_MACHINES // machines) if machines else 1
    outcomes = _Outcomes(store, watched, rules)
    newest_end = int(now) - (int(now) - _FIRST_MONDAY) % length
    first = newest_end - settings.windows * length
    for begins in range(first, newest_end, length):
        ends = begins + length
        counter = WindowCounter(watched.reference, blocks=blocks)
        for columns, names in _scored(store, watched, begins, ends):
            counter.add(columns, names)
        summary = counter.summary()
        findings = list(compare(watched.machine, watched.reference, summary, settings) or ())
        inputs, rejected = rejected_readings(
            store, watched.model, settings, first=first, begins=begins, ends=ends, seed=rules.seed
        )
        performance = outcomes.performance(begins, length)
        findings += [*losses(performance, settings), *([rejected] if rejected else [])]
        yield Window(
            begins=begins,
            ends=ends,
            rows=summary.rows,
            findings=findings if any(finding.is_measured for finding in findings) else None,
            inputs=inputs,
            performance=performance,
        )


def silent_machines(
    store: Store, watched: WatchedVersion, settings: MonitoringSettings, now: float
) -> list[SilentMachine]:
    """The machines of the fleet without a reading for `silent_hours`, the latest to fall silent first. Raises StoreError."""
    retired = now - settings.retired_days * _DAY_SECONDS
    silent_since = now - settings.silent_hours * _HOUR_SECONDS
    silent, after = list[SilentMachine](), ""
    while page := store.machines(watched.model, after=after, most=1_000):
        after = page[-1].machine_id
        silent += [SilentMachine(one.machine_id, one.arrived) for one in page if retired <= one.arrived < silent_since]
    return sorted(silent, key=lambda one: -one.received)


class _Outcomes:
    """What became of the predictions of a version. The predictions of a time are read once."""

    def __init__(self, store: Store, watched: WatchedVersion, rules: Rules) -> None:
        """Read the known failures. Raises StoreError."""
        self._store, self._watched, self._rules = store, watched, rules
        self._counts: dict[int, OutcomeCounts] = {}
        has_failures = watched.machine.description.label.failures is not None
        are_reported = rules.monitoring.failures_are_reported
        self._known = (
            known_failures(store, watched.model, watched.machine, are_reported=are_reported) if has_failures else None
        )

    def performance(self, begins: int, length: int) -> Performance:
        """That of the predictions whose labels are due in a window of some seconds, and in the windows before that belong to it.

        A label is due at the end of the horizon, if there is one, and `label_days` later. Raises StoreError.
        """
        machine, at_evaluation, settings = self._watched.machine, self._watched.at_evaluation, self._rules.monitoring
        horizon = 0.0 if machine.horizon is None or machine.time_is_counter else machine.horizon.length / 1e6
        ends = begins + length - round(horizon + settings.label_days * _DAY_SECONDS)
        parts = range(ends - settings.performance_windows * length, ends, length)
        if machine.description.label.run_to_failure:
            reason = "with label.run_to_failure, no failure of a machine that runs is known"
            return unlabelled(parts.start, ends, at_evaluation, reason)
        if self._known and not self._known.are_known:
            reason = "the store has no feedback on alarms: send it to /feedback, or every failure to /events"
            if not self._rules.monitoring.failures_are_reported:
                reason += " and set monitoring.failures_are_reported"
            return unlabelled(parts.start, ends, at_evaluation, reason)
        source: LabelSource = self._known.source if self._known else "feedback"
        for part in parts:
            if part not in self._counts:
                self._counts[part] = count(self._labelled(part, part + length))
        counts = [self._counts[part] for part in parts]
        return measure(
            counts, source, at_evaluation, settings, self._rules.evaluation, self._rules.seed, parts.start, ends
        )

    def _labelled(self, begins: int, ends: int) -> Iterator[LabelledPredictions]:
        store, watched = self._store, self._watched
        if self._known:
            return labelled_by_failures(_timed(store, watched, begins, ends), self._known, watched.machine)
        return labelled_by_feedback(store, watched.model, _logged(store, watched, begins, ends), name=f"from {begins}")


def _scored(store: Store, watched: WatchedVersion, begins: int, ends: int) -> Iterator[WatchedReadings]:
    """The readings in a window, each once: those that the store keeps, and those of the log of predictions."""
    machine, names = watched.machine, watched.machine.input_names
    for page in store.scored_readings(watched.model, watched.version, since=begins, until=ends):
        inputs = {name: [sensors.get(name) for _, _, sensors, _ in page] for name in names}
        scores = [score.probability for *_, score in page], [score.alarm for *_, score in page]
        yield watched_columns(machine, inputs, *scores), np.array([name for name, *_ in page], dtype=object)
    for logged, counts in latest_predictions(_logged(store, watched, begins, ends), beside_kept=True):
        if logged.inputs is not None and counts.any():
            scores = logged.failure_probability, logged.predicted_failure
            columns = watched_columns(machine, _complete(logged.inputs, names), *scores)
            machines = _machines(logged.machine_id)
            yield (
                {name: values[counts] for name, values in columns.items()},
                None if machines is None else machines[counts],
            )


def _timed(store: Store, watched: WatchedVersion, begins: int, ends: int) -> Iterator[TimedPredictions]:
    """The predictions in a window about readings with machine and time."""
    for page in store.scored_readings(watched.model, watched.version, since=begins, until=ends):
        yield _timed_page(
            [name for name, *_ in page],
            [key for _, key, *_ in page],
            [score.probability for *_, score in page],
            [score.alarm for *_, score in page],
        )
    for logged, counts in latest_predictions(_logged(store, watched, begins, ends), beside_kept=True):
        if logged.inputs is None or logged.machine_id is None or logged.time is None:
            continue
        every = zip(logged.machine_id, logged.time, logged.failure_probability, logged.predicted_failure, strict=True)
        rows = compress(every, counts)
        if complete := [row for row in rows if row[0] is not None and row[1] is not None]:
            yield _timed_page(*zip(*complete, strict=True))


def _timed_page(
    machines: Sequence[Any], keys: Sequence[Any], probabilities: Sequence[float], decisions: Sequence[bool]
) -> TimedPredictions:
    return TimedPredictions(
        machines=np.array(machines, dtype=object),
        keys=np.array(keys, dtype=np.int64),
        probabilities=np.array(probabilities, dtype=np.float64),
        decisions=np.array(decisions, dtype=bool),
    )


def _logged(store: Store, watched: WatchedVersion, begins: int, ends: int) -> Read:
    """A function that reads the predictions of the version in the log that began in a window."""
    return partial(store.predictions_of, watched.model, watched.version, since=begins * 10**6, until=ends * 10**6)


def _complete(inputs: Mapping[str, Sequence[Any]], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Columns of all inputs: the log leaves out those without any value."""
    rows = len(next(iter(inputs.values())))
    return {name: inputs.get(name) or [None] * rows for name in names}


def _machines(names: Sequence[str | None] | None) -> npt.NDArray[np.object_] | None:
    return None if names is None or None in names else np.array(names, dtype=object)

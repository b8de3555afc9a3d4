"""What became of the predictions of a window: labels from failures in the store, and from feedback.

A label is FAILS, DOES_NOT_FAIL, or UNKNOWN for a prediction without a label: its horizon has not ended, its machine was not
observed until then, or nobody has reported what happened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..history.labels import DOES_NOT_FAIL, FAILS, labels_of_machine
from ..history.machine_rows import Times, machine_bounds, slices
from ..machine.machine import Machine
from ..scorer.monitoring_reference import NEIGHBOURS, FloatArray
from ..store.failures import confirmed_failures
from ..store.outcomes import LABELS, Read, reported_predictions
from ..store.store import Store
from ..store.times import as_times

UNKNOWN = -1

LabelSource = Literal["failures", "confirmed alarms", "feedback"]

_ROWS_TOGETHER = 2**18

Labels = npt.NDArray[np.int8]
Names = npt.NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class LabelledPredictions:
    """n predictions: `probabilities`, `decisions`, `labels` and `groups` of related ones, each (n,)."""

    probabilities: FloatArray
    decisions: npt.NDArray[np.bool_]
    labels: Labels
    groups: Names


@dataclass(frozen=True, kw_only=True)
class TimedPredictions:
    """n predictions about machines, each (n,). `keys` are those of the times of their readings."""

    machines: Names
    keys: npt.NDArray[np.int64]
    probabilities: FloatArray
    decisions: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class KnownFailures:
    """The failures of each machine, in their order, and the time until which each is observed.

    If not every failure is reported, `are_reported` is False: a machine without one is not known to be healthy, unless an alarm
    in `false_alarms`, with its beginning and end, was found to be false.
    """

    failed: Mapping[str, Times]
    observed_until: Mapping[str, float]
    false_alarms: Mapping[str, Sequence[tuple[float, float]]]
    are_reported: bool

    @property
    def source(self) -> LabelSource:
        """Where the labels come from."""
        return "failures" if self.are_reported else "confirmed alarms"

    @property
    def are_known(self) -> bool:
        """Whether anything was reported that a label can come from."""
        return self.are_reported or bool(self.failed or self.false_alarms)


def known_failures(store: Store, model: str, machine: Machine, *, are_reported: bool) -> KnownFailures:
    """What the store has of the failures of a machine whose label is computed from them. Raises StoreError.

    `are_reported` says that every failure is sent to the service. Otherwise, only those of confirmed alarms are used: with other
    failures, alarms would have labels that are right, and none that are wrong. They are those of the next training.
    """
    rule = machine.description.label.failures
    assert rule is not None
    stored, reports = store.events(model, rule.table) if are_reported else [], store.alarm_reports(model)
    keys: dict[str, list[int]] = {}
    for machine_id, event in stored + confirmed_failures(stored, reports, machine):
        keys.setdefault(machine_id, []).append(event.time)
    false_alarms: dict[str, list[tuple[float, float]]] = {}
    for report in reports:
        if report.verdict == "false":
            opened, closed = (
                float(as_times([key], machine)[0]) if key is not None else np.inf
                for key in (report.opened, report.closed)
            )
            false_alarms.setdefault(report.machine_id, []).append((opened, closed))
    return KnownFailures(
        failed={name: np.sort(as_times(own, machine)) for name, own in keys.items()},
        observed_until=_latest_times(store, model, machine),
        false_alarms=false_alarms,
        are_reported=bool(stored),
    )


def labelled_by_failures(
    pages: Iterator[TimedPredictions], known: KnownFailures, machine: Machine
) -> Iterator[LabelledPredictions]:
    """Label predictions by whether the machine failed within the horizon. Those at or shortly after a failure are UNKNOWN."""
    for page in _together(pages):
        labels = np.full(len(page.keys), UNKNOWN, dtype=np.int8)
        times = as_times(page.keys, machine)
        order = np.lexsort((times, page.machines.astype(str)))
        names = page.machines[order]
        for rows in slices(machine_bounds(names)):
            own = order[rows]
            labels[own] = _labels(times[own], page.decisions[own], str(names[rows.start]), known, machine)
        yield LabelledPredictions(
            probabilities=page.probabilities, decisions=page.decisions, labels=labels, groups=page.machines
        )


def labelled_by_feedback(store: Store, model: str, read: Read, name: str) -> Iterator[LabelledPredictions]:
    """Label the predictions in blocks of the log by the newest report about each. Raises StoreError.

    Of several predictions of one reading, the latest counts. `name` distinguishes the blocks from others: consecutive
    predictions without machine are related.
    """
    seen = 0
    for block, counts, reports in reported_predictions(store, model, read):
        count = len(counts)
        groups = np.array([f"{name} {number // NEIGHBOURS}" for number in range(seen, seen + count)], dtype=object)
        if block.machine_id is not None and None not in block.machine_id:
            groups = np.array(block.machine_id, dtype=object)
        seen += count
        labels = np.full(count, UNKNOWN, dtype=np.int8)
        for position, report in reports.items():
            labels[position] = LABELS.get(report.verdict, UNKNOWN)
        yield LabelledPredictions(
            probabilities=np.array(block.failure_probability, dtype=np.float64)[counts],
            decisions=np.array(block.predicted_failure, dtype=bool)[counts],
            labels=labels[counts],
            groups=groups[counts],
        )


def _labels(
    times: Times, decisions: npt.NDArray[np.bool_], name: str, known: KnownFailures, machine: Machine
) -> Labels:
    """(n,) labels of the predictions about one machine, in the order of their times."""
    assert machine.horizon is not None
    until, failed = known.observed_until.get(name), known.failed.get(name, times[:0])
    if until is None:
        return np.full(len(times), UNKNOWN, dtype=np.int8)
    until = max(until, failed[-1]) if len(failed) else until
    labels = labels_of_machine(times, failed, machine.horizon.length, machine.ignored_after_failure, until)
    if machine.time_is_counter:
        # No clock says when a horizon has ended: near the end of the observation, only failures would be known.
        labels[times + machine.horizon.length > until] = UNKNOWN
    if not known.are_reported:
        found_false = np.zeros(len(times), dtype=bool)
        for opened, closed in known.false_alarms.get(name, ()):
            found_false |= (times >= opened) & (times <= closed)
        labels[(labels != FAILS) & ~found_false | ~decisions] = UNKNOWN
    labels[labels < DOES_NOT_FAIL] = UNKNOWN
    return labels


def _latest_times(store: Store, model: str, machine: Machine) -> dict[str, float]:
    latest, after = dict[str, float](), ""
    while page := store.machines(model, after=after, most=1_000):
        after = page[-1].machine_id
        latest |= zip(
            (one.machine_id for one in page), as_times([one.time for one in page], machine).tolist(), strict=True
        )
    return latest


def _together(pages: Iterator[TimedPredictions]) -> Iterator[TimedPredictions]:
    """Larger pages, in which each machine has more predictions."""
    waiting: list[TimedPredictions] = []
    for page in pages:
        waiting.append(page)
        if sum(len(one.keys) for one in waiting) >= _ROWS_TOGETHER:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(pages: Sequence[TimedPredictions]) -> TimedPredictions:
    return TimedPredictions(
        machines=np.concatenate([page.machines for page in pages]),
        keys=np.concatenate([page.keys for page in pages]),
        probabilities=np.concatenate([page.probabilities for page in pages]),
        decisions=np.concatenate([page.decisions for page in pages]),
    )

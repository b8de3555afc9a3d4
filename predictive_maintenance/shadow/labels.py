"""The errors of both versions about readings whose outcome is known: from failures of the machines, or from reports of people."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ..history.labels import DOES_NOT_FAIL, FAILS
from ..machine.machine import Machine
from ..monitoring.labels import LabelSource, TimedPredictions, known_failures, labelled_by_failures
from ..scorer.monitoring_reference import CLUSTERS, machine_clusters
from ..store import comparisons
from ..store.outcomes import LABELS, labelled_predictions, reading_name
from ..store.predictions import Predictions
from ..store.rows import Comparison, Errors, Labelled, Saving
from ..store.store import Store
from .agreement import Costs, Decisions
from .counted_readings import CountedReadings
from .pair import Pair, score_block

MOST_LABELLED = 100_000
"""Readings that are scored once more for their labels: the latest ones whose horizon has ended."""

_MIN_MACHINES = 5
"""An interval over fewer is too narrow."""
_SECOND_US = 10**6
_DAY_SECONDS = 86_400
_DRAWS = 1_000
_TAILS = 0.025, 0.975

Decided = tuple[bool, bool, bool]
"""Whether the machine failed, and the decisions of production and candidate."""


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """When labels of failures are due, in days after the horizon, and the fewest readings with an outcome for intervals of costs.

    With failures, so many readings before one are needed; with feedback, so many readings with feedback.

    `are_reported`: every failure is sent to the store, so that a machine without one is healthy.
    """

    label_days: float = 0.0
    min_failures: int = 10
    are_reported: bool = False


@dataclass(frozen=True, kw_only=True)
class _Decided:
    """n predictions of readings of machines over time, and the decisions of the candidate, (n,)."""

    predictions: TimedPredictions
    candidate: Decisions


def labelled_errors(
    store: Store, pair: Pair, comparison: Comparison, costs: Costs, rules: LabelRules, now: float
) -> Labelled | None:
    """The errors in the predictions of a comparison whose outcome is known; None without a report.

    Of a machine whose label is computed from failures, the outcomes are those by which `monitor` judges the performance: a
    failure within the horizon, or none until it has ended; without reports of all failures, feedback on alarms. Others have
    the reports about their predictions. Of several predictions of one reading, the latest counts. Raises StoreError, and
    ModelError if the candidate fails.
    """
    label = pair.production_scorer.machine.description.label
    if label.failures is not None:
        return _by_failures(store, pair, comparison, costs, rules, now)
    found = _by_feedback(store, pair, costs, rules, since=comparison.started)
    if found is None and label.run_to_failure is not None:
        return _refused("with label.run_to_failure, no failure of a machine that runs is known")
    return found


def _by_failures(
    store: Store, pair: Pair, comparison: Comparison, costs: Costs, rules: LabelRules, now: float
) -> Labelled:
    machine = pair.production_scorer.machine
    known = known_failures(store, pair.model, machine, are_reported=rules.are_reported)
    if not known.are_known:
        return _refused(
            "missed failures are unknown, and no alarm has feedback: send it to /feedback, or send all failures to /events and "
            "set monitoring.failures_are_reported"
        )
    parts = list(_decisions(store, pair, comparison, _due(machine, rules, now)))
    if not parts:
        return _refused("no reading of a machine is old enough: its horizon and monitoring.label_days have to end")
    predictions = TimedPredictions(
        machines=np.concatenate([part.predictions.machines for part in parts]),
        keys=np.concatenate([part.predictions.keys for part in parts]),
        probabilities=np.concatenate([part.predictions.probabilities for part in parts]),
        decisions=np.concatenate([part.predictions.decisions for part in parts]),
    )
    (labelled,) = labelled_by_failures(iter([predictions]), known, machine)
    has_label = (labelled.labels == FAILS) | (labelled.labels == DOES_NOT_FAIL)
    failed, machines = labelled.labels[has_label] == FAILS, predictions.machines[has_label]
    before_failures, of_machines = int(failed.sum()), len(set(machines[failed].tolist()))
    reason = ""
    if before_failures < rules.min_failures:
        reason = f"{before_failures:,} readings are before a failure: at least {rules.min_failures} are needed"
    elif of_machines < _MIN_MACHINES:
        reason = f"the failures are of {of_machines} machines: at least {_MIN_MACHINES} are needed for an interval"
    return _measured(
        known.source,
        failed,
        predictions.decisions[has_label],
        np.concatenate([part.candidate for part in parts])[has_label],
        machines,
        costs,
        reason,
    )


def _due(machine: Machine, rules: LabelRules, now: float) -> int:
    """The labels of predictions before this time, in seconds since 1970, are due.

    Later ones would be known for machines that have failed, and unknown for the others. With a counter, no clock says when a
    horizon has ended: a prediction has a label if its machine was observed until then.
    """
    horizon = 0.0 if machine.horizon is None or machine.time_is_counter else machine.horizon.length / _SECOND_US
    return int(now - horizon - rules.label_days * _DAY_SECONDS)


def _decisions(store: Store, pair: Pair, comparison: Comparison, until: int) -> Iterator[_Decided]:
    """The latest predictions before a time, of which each reading has one, in parts."""
    readings, number = CountedReadings(), 0
    for page in comparisons.newest_blocks(store, pair.model, comparison, Predictions, until=until * _SECOND_US):
        for block in page:
            logged = block.content
            if logged.machine_id is None or logged.time is None or not pair.has_past_of(logged):
                continue
            places = zip(logged.machine_id, logged.time, strict=True)
            has_place = np.array([name is not None and time is not None for name, time in places])
            is_due = np.broadcast_to(np.asarray(logged.scored) < until * _SECOND_US, len(has_place))
            # From the end: as of the blocks, the latest predictions come first.
            keys = [key if due else None for key, due in zip(logged.keys() or [], is_due, strict=True)][::-1]
            chosen = np.flatnonzero(readings.first(keys)[::-1] & has_place & is_due).tolist()
            if part := _scored(store, pair, logged.at(chosen)):
                number += len(part.candidate)
                yield part
        readings.keep()
        if number >= MOST_LABELLED:
            return


def _scored(store: Store, pair: Pair, logged: Predictions) -> _Decided | None:
    scores = score_block(store, pair, logged)
    if not len(scores.positions):
        return None
    return _Decided(
        predictions=TimedPredictions(
            machines=np.array(logged.machine_id, dtype=object)[scores.positions],
            keys=np.array(logged.time, dtype=np.int64)[scores.positions],
            probabilities=np.array(logged.failure_probability, dtype=np.float64)[scores.positions],
            decisions=np.array(logged.predicted_failure, dtype=bool)[scores.positions],
        ),
        candidate=pair.candidate_scorer.decisions(scores.probabilities),
    )


def _measured(
    source: LabelSource, failed: Decisions, production: Decisions, candidate: Decisions, names: npt.NDArray[np.object_],
    costs: Costs, reason: str,
) -> Labelled:  # fmt: skip
    """The errors about n readings, (n,) each, with intervals that draw related readings, which have one name, together.

    Without intervals if there is a reason against them.
    """
    wrong = failed & ~production, production & ~failed, failed & ~candidate, candidate & ~failed
    totals = [int(one.sum()) for one in wrong]
    found = Labelled(
        source=source, readings=len(failed), failures=int(failed.sum()), reason=reason,
        production=_errors(totals[0], totals[1], costs), candidate=_errors(totals[2], totals[3], costs),
    )  # fmt: skip
    if reason:
        return found
    clusters = machine_clusters(names)
    sums = np.stack([np.bincount(clusters, one, CLUSTERS) for one in (np.ones(len(failed)), *wrong)], axis=1)
    sums = sums[sums[:, 0] > 0]
    draws = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), _DRAWS) @ sums
    of_production, of_candidate = (
        (draws[:, first] * costs.missed_failure + draws[:, first + 1] * costs.false_alarm) / draws[:, 0] * len(failed)
        for first in (1, 3)
    )
    low, high = np.quantile(of_production - of_candidate, _TAILS)
    return replace(
        found,
        production=_with_interval(found.production, of_production),
        candidate=_with_interval(found.candidate, of_candidate),
        saving=Saving(value=found.production.costs - found.candidate.costs, low=float(low), high=float(high)),
    )


def _refused(reason: str) -> Labelled:
    nothing = Errors(missed_failures=0, false_alarms=0, costs=0.0)
    return Labelled(source="failures", readings=0, failures=0, production=nothing, candidate=nothing, reason=reason)


def _by_feedback(store: Store, pair: Pair, costs: Costs, rules: LabelRules, *, since: int) -> Labelled | None:
    read = partial(store.predictions_of, pair.model, pair.version, since=since * _SECOND_US)
    rows, names = list[Decided](), list[str]()
    for logged, reports in labelled_predictions(store, pair.model, read):
        labelled = list(reports.items())
        scores = score_block(store, pair, logged.at(list(reports)))
        decisions = pair.candidate_scorer.decisions(scores.probabilities)
        for number, decision in zip(scores.positions.tolist(), decisions.tolist(), strict=True):
            place, report = labelled[number]
            rows.append((bool(LABELS[report.verdict]), logged.predicted_failure[place], decision))
            machine_id = logged.machine_id[place] if logged.machine_id else None
            names.append(machine_id or reading_name(logged, place))
    if not rows:
        return None
    failed, production, candidate = np.array(rows, dtype=bool).T
    different = len(set(names))
    reason = ""
    if len(rows) < rules.min_failures:
        reason = f"{len(rows):,} readings have feedback: at least {rules.min_failures} are needed"
    elif different < _MIN_MACHINES:
        reason = f"the feedback is about {different} machines: at least {_MIN_MACHINES} are needed for an interval"
    return _measured("feedback", failed, production, candidate, np.array(names, dtype=object), costs, reason)


def _errors(missed: int, false_alarms: int, costs: Costs) -> Errors:
    return Errors(
        missed_failures=missed,
        false_alarms=false_alarms,
        costs=missed * costs.missed_failure + false_alarms * costs.false_alarm,
    )


def _with_interval(errors: Errors, samples: npt.NDArray[np.float64]) -> Errors:
    low, high = np.quantile(samples, _TAILS)
    return replace(errors, low=float(low), high=float(high))

"""Label clean readings, and make rows to train on: features from the past, computed features and the label."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..history.events import NO_EVENTS, Events, ordered_events
from ..history.features import complete
from ..history.labels import (
    AFTER_FAILURE,
    CENSORED,
    DOES_NOT_FAIL,
    FAILS,
    NEXT_FAILURE,
    horizon_labels,
    run_to_failure_labels,
)
from ..history.time_order import in_time_order
from ..machine.label import Failures
from ..machine.machine import Machine
from ..machine.spans import Span

_REASONS = {
    CENSORED: "the machine was not observed until the end of the horizon",
    AFTER_FAILURE: "at a failure, or shortly after it",
}


@dataclass(frozen=True)
class Labels:
    """(n,) FAILS or DOES_NOT_FAIL for each clean reading, or why it has no label: CENSORED, AFTER_FAILURE.

    `modes` has, by name, the failure modes that are computed: (n,) 1 for a reading that fails in this mode. `next_failure` (n,)
    has the time of the machine's next failure in a table, NaT or NaN without one. `failures` is the number of failures in the
    table, of machines with readings.
    """

    values: npt.NDArray[np.int8]
    modes: Mapping[str, npt.NDArray[np.int8]] = field(default_factory=dict)
    next_failure: npt.NDArray[Any] | None = None
    failures: int = 0

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The further columns of the labelled rows."""
        known = {} if self.next_failure is None else {NEXT_FAILURE: self.next_failure}
        return known | dict(self.modes)

    @property
    def are_known(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each reading has a label."""
        return self.values >= DOES_NOT_FAIL

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each reading is labelled as a failure."""
        return self.values == FAILS

    @property
    def any_healthy(self) -> bool:
        """Whether any reading is known to be healthy."""
        return bool((self.values == DOES_NOT_FAIL).any())

    def reasons(self) -> dict[str, int]:
        """The number of readings without a label, by reason."""
        counts = {text: int((self.values == code).sum()) for code, text in _REASONS.items()}
        return {text: count for text, count in counts.items() if count}


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """`frame` has the rows with all features and the label; `unlabelled` has the others, which are only history.

    `reasons` are counts of the unlabelled rows by reason.
    """

    frame: pd.DataFrame
    unlabelled: pd.DataFrame
    reasons: Mapping[str, int]


def label(frame: pd.DataFrame, machine: Machine, events: Events = NO_EVENTS) -> Labels:
    """Label clean readings. Raises DataError if no reading is known to be healthy for the length of the horizon."""
    labels = label_part(frame, machine, events)
    check_labels(labels.failures, labels.any_healthy, machine)
    return labels


def label_part(frame: pd.DataFrame, machine: Machine, events: Events = NO_EVENTS) -> Labels:
    """Label all clean readings of some machines, without a check of the labels."""
    if failures := machine.description.label.failures:
        return _from_failures(frame, events, machine, failures)
    if machine.horizon:
        return Labels(_run_to_failure(frame, machine, machine.horizon))
    return Labels(frame[machine.label_name].to_numpy())


def check_labels(failures: int, any_healthy: bool, machine: Machine) -> None:
    """Raise DataError if nothing can be learned from computed labels: there is no failure, or no healthy reading."""
    described = machine.description.label
    if described.failures and not failures:
        raise DataError(
            f"the table {described.failures.table} has no failure of a machine with readings: nothing can be learned"
        )
    if machine.horizon and not any_healthy:
        raise DataError(_too_long(machine.horizon, "failures" if described.failures else "run_to_failure"))


def labelled_rows(frame: pd.DataFrame, labels: Labels, machine: Machine, events: Events = NO_EVENTS) -> LabelledRows:
    """Add the features from the past, the computed features and the label to clean readings, as far as there are any.

    A row for which a formula has no finite value gets no label. Raises DataError for readings without machine or time.
    """
    if machine.history_features:
        frame = pd.concat([frame, _past_features(frame, machine, events)], axis=1)
    frame = machine.with_features(frame.assign(**{machine.label_name: labels.values}, **labels.columns()))
    faults = machine.formula_faults(frame)
    good = labels.are_known & ~np.logical_or.reduce([np.zeros(len(frame), dtype=bool), *faults.values()])
    formulas = {f"the formula of {name} has no finite value": int(rows.sum()) for name, rows in faults.items()}
    return LabelledRows(
        frame=frame if good.all() else frame[good].reset_index(drop=True),
        unlabelled=frame[~good].reset_index(drop=True),
        reasons=labels.reasons() | formulas,
    )


def _past_features(frame: pd.DataFrame, machine: Machine, events: Events) -> pd.DataFrame:
    completed = complete(machine, frame, {name: events[name] for name in machine.event_tables if name in events})
    # Without a copy: there may be a hundred features of a million rows.
    return pd.DataFrame({name: completed[name] for name in machine.history_features}, index=frame.index, copy=False)


def _from_failures(frame: pd.DataFrame, events: Events, machine: Machine, failures: Failures) -> Labels:
    order = in_time_order(machine, frame)
    found = ordered_events(machine, events, failures.table, order.machines)
    assert machine.horizon is not None
    ordered, following = horizon_labels(
        order.times, order.bounds, found.times, found.bounds, machine.horizon.length, machine.ignored_after_failure
    )
    values = np.empty(len(frame), dtype=np.int8)
    values[order.positions] = ordered
    types = machine.description.events[failures.table].types
    next_failure = np.full(len(frame), np.nan if machine.time_is_counter else np.datetime64("NaT", "us"))
    ahead = following >= 0
    times = found.times[following[ahead]]
    next_failure[order.positions[ahead]] = times if machine.time_is_counter else times.astype("datetime64[us]")
    modes = {}
    kinds = np.append(found.types, -1)[following]  # -1 where no failure follows
    for name, kind in machine.description.label.mode_types().items():
        of_mode = (ordered == FAILS) & (kinds == types.index(kind))
        modes[name] = np.empty(len(frame), dtype=np.int8)
        modes[name][order.positions] = of_mode
    return Labels(values, modes, next_failure, len(found.times))


def _run_to_failure(frame: pd.DataFrame, machine: Machine, horizon: Span) -> npt.NDArray[np.int8]:
    order = in_time_order(machine, frame)
    labels = np.empty(len(frame), dtype=np.int8)
    labels[order.positions] = run_to_failure_labels(order.times, order.bounds, horizon.length)
    return labels


def _too_long(horizon: Span, rule: str) -> str:
    return (
        f"the horizon {horizon.text} is longer than the readings of every machine: none of them is known to be healthy: "
        f"shorten label.{rule}.horizon in machine.yaml, or add readings"
    )

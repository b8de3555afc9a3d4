"""Label clean readings, and make rows to train on: statistics of windows, computed features and the label."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..history.features import complete
from ..history.labels import run_to_failure_labels
from ..history.time_order import in_time_order
from ..machine.machine import Machine
from ..machine.spans import Span


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """`frame` has the rows with all features and the label; `unlabelled` has the others, which are only history.

    `reasons` are counts of the unlabelled rows by reason.
    """

    frame: pd.DataFrame
    unlabelled: pd.DataFrame
    reasons: Mapping[str, int]


def label(frame: pd.DataFrame, machine: Machine) -> npt.NDArray[np.int8]:
    """(n,) the labels of clean readings: 1 for a failure. Raises DataError if a computed label is 1 for all of them."""
    if machine.horizon:
        return _run_to_failure(frame, machine, machine.horizon)
    return frame[machine.label_name].to_numpy()


def labelled_rows(frame: pd.DataFrame, labels: npt.NDArray[np.int8], machine: Machine) -> LabelledRows:
    """Add the statistics of windows, the computed features and the label to clean readings, as far as there are any.

    A row for which a formula has no finite value gets no label. Raises DataError for readings without machine or time.
    """
    if machine.window_features:
        completed = complete(machine, frame)
        statistics = pd.DataFrame({name: completed[name] for name in machine.window_features}, index=frame.index)
        frame = pd.concat([frame, statistics], axis=1)
    frame = machine.with_features(frame.assign(**{machine.label_name: labels}))
    faults = machine.formula_faults(frame)
    good = ~np.logical_or.reduce([np.zeros(len(frame), dtype=bool), *faults.values()])
    return LabelledRows(
        frame=frame if good.all() else frame[good].reset_index(drop=True),
        unlabelled=frame[~good].reset_index(drop=True),
        reasons={f"the formula of {name} has no finite value": int(rows.sum()) for name, rows in faults.items()},
    )


def _run_to_failure(frame: pd.DataFrame, machine: Machine, horizon: Span) -> npt.NDArray[np.int8]:
    order = in_time_order(machine, frame)
    times, bounds = order.times, order.bounds
    if not (times[bounds[1:] - 1] - times[bounds[:-1]] > horizon.length).any():
        raise DataError(
            f"the horizon {horizon.text} is longer than the readings of every machine: all of them would be labelled as "
            "failures: shorten label.run_to_failure.horizon in machine.yaml, or add readings"
        )
    labels = np.empty(len(frame), dtype=np.int8)
    labels[order.positions] = run_to_failure_labels(times, bounds, horizon.length)
    return labels

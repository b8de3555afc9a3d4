"""The statistics of windows that a machine's description asks for, of a table or of one machine's readings."""

from collections.abc import Mapping

import numpy as np

from ..machine.history import SLOPE_UNIT_US, Span, Statistic
from ..machine.machine import Machine
from .machine_rows import Positions, Times
from .windows import Duration, Floats, Readings, window_statistics


def window_columns(
    machine: Machine, sensors: Mapping[str, Floats], times: Times, bounds: Positions, rows: Positions
) -> dict[str, Floats]:
    """The window features of m readings by name, each (m,), in the order of the description.

    `sensors` has (n,) values of each sensor by name, with NaN for missing ones, in the order of machines and times. `times` (n,)
    are int64 microseconds, or float64 counts; `bounds` (M + 1,) are the machines' first readings, and the end; `rows` (m,)
    are the readings that are wanted.
    """
    features = machine.window_features
    names = list(dict.fromkeys(feature.sensor for feature in features.values()))
    statistics = list(dict.fromkeys(feature.statistic for feature in features.values()))
    values = np.stack([sensors[name] for name in names]) if names else np.empty((0, len(times)))
    slope_unit = SLOPE_UNIT_US if times.dtype.kind == "i" else 1.0
    found: dict[Span, Mapping[Statistic, Floats]] = {}
    for span in dict.fromkeys(feature.span for feature in features.values()):
        starts = _window(span).starts(times, bounds)
        found[span] = window_statistics(values, times, starts, rows, statistics, slope_unit)
    return {
        name: found[feature.span][feature.statistic][names.index(feature.sensor)] for name, feature in features.items()
    }


def _window(span: Span) -> Duration | Readings:
    if span.readings is not None:
        return Readings(span.readings)
    assert span.length is not None
    return Duration(span.length)

"""Window statistics agree with plain formulas, and to the bit between a table and the readings of one window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.history import windows
from predictive_maintenance.history.machine_rows import machine_bounds
from predictive_maintenance.history.windows import Duration, Readings, window_statistics

STATISTICS = tuple(windows._STATISTICS)
HOUR = 3_600_000_000


@st.composite
def tables(draw):
    """Sorted machines, irregular times in microseconds, and values of two sensors, some of them missing."""
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    times = np.concatenate([np.cumsum(random.integers(1, 2 * HOUR, length)) for length in lengths])
    values = random.normal(draw(st.sampled_from([0.0, 1e6])), draw(st.sampled_from([1e-4, 1.0, 1e3])), (2, len(times)))
    values[random.random(values.shape) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    return np.repeat(np.arange(len(lengths)), lengths), times, values


lengths_of_windows = st.sampled_from([Duration(HOUR), Duration(5 * HOUR), Duration(10**12), Readings(1), Readings(4)])


def all_rows(machines, times, values, window):
    starts = window.starts(times, machine_bounds(machines))
    return starts, window_statistics(values, times, starts, np.arange(len(times)), STATISTICS, HOUR)


@given(tables(), lengths_of_windows)
@settings(max_examples=200, deadline=None)
def test_the_readings_of_one_window_give_the_bits_of_the_table(table, window):
    machines, times, values = table
    starts, whole = all_rows(machines, times, values, window)
    for row in range(len(times)):
        own = slice(starts[row], row + 1)
        count = row + 1 - starts[row]
        one = window_statistics(
            np.ascontiguousarray(values[:, own]),
            times[own],
            np.zeros(count, int),
            np.array([count - 1]),
            STATISTICS,
            HOUR,
        )
        for name in STATISTICS:
            assert one[name].tobytes() == whole[name][:, [row]].tobytes(), name


@given(tables(), lengths_of_windows)
@settings(max_examples=50, deadline=None)
def test_one_sensor_alone_and_small_parts_give_the_bits_of_all(table, window):
    machines, times, values = table
    starts, whole = all_rows(machines, times, values, window)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_CELLS_AT_A_TIME", 7)
        alone = window_statistics(values[1:], times, starts, np.arange(len(times)), STATISTICS, HOUR)
    for name in STATISTICS:
        assert alone[name].tobytes() == whole[name][1:].tobytes(), name


@given(tables(), lengths_of_windows, st.data())
@settings(max_examples=100, deadline=None)
def test_no_statistic_depends_on_later_readings_or_on_other_machines(table, window, data):
    machines, times, values = table
    _, before = all_rows(machines, times, values, window)
    row = data.draw(st.integers(0, len(times) - 1))
    changed = values.copy()
    others = (np.arange(len(times)) > row) | (machines != machines[row])
    changed[:, others] = np.where(np.isnan(changed[:, others]), 1.0, np.nan)
    _, after = all_rows(machines, times, changed, window)
    for name in STATISTICS:
        assert after[name][:, row].tobytes() == before[name][:, row].tobytes(), name


@given(tables(), lengths_of_windows)
@settings(max_examples=50, deadline=None)
def test_statistics_agree_with_plain_formulas(table, window):
    machines, times, values = table
    starts, whole = all_rows(machines, times, values, window)
    for row in range(len(times)):
        for sensor in range(2):
            cells = values[sensor, starts[row] : row + 1]
            here = ~np.isnan(cells)
            assert whole["missing_share"][sensor, row] == pytest.approx(1 - here.mean())
            if not here.any():
                assert all(np.isnan(whole[name][sensor, row]) for name in STATISTICS if name != "missing_share")
                continue
            close = {"rel": 1e-6, "abs": 1e-6 * max(np.nanstd(cells), 1e-9), "nan_ok": True}
            assert whole["mean"][sensor, row] == pytest.approx(np.nanmean(cells))
            assert whole["std"][sensor, row] == pytest.approx(np.nanstd(cells), **close)
            assert (whole["min"][sensor, row], whole["max"][sensor, row]) == (np.nanmin(cells), np.nanmax(cells))
            assert whole["range"][sensor, row] == np.nanmax(cells) - np.nanmin(cells)
            assert whole["change"][sensor, row] == pytest.approx(cells[-1] - cells[0], nan_ok=True)
            previous = cells[-2] if len(cells) > 1 else np.nan
            assert whole["last_difference"][sensor, row] == pytest.approx(cells[-1] - previous, nan_ok=True)
            if here.sum() > 1:
                hours = (times[starts[row] : row + 1] - times[row])[here] / HOUR
                spread = hours - hours.mean()
                slope = (spread * (cells[here] - cells[here].mean())).sum() / (spread**2).sum()
                assert whole["slope"][sensor, row] == pytest.approx(slope, rel=1e-5, abs=1e-12)
            else:
                assert np.isnan(whole["slope"][sensor, row])


def test_a_window_of_a_duration_does_not_include_its_beginning():
    times = np.array([0, 1, 2, 3, 4]) * HOUR
    assert Duration(2 * HOUR).starts(times, np.array([0, 5])).tolist() == [0, 0, 1, 2, 3]


def test_a_window_begins_with_the_machine():
    machines, times = np.array([0, 0, 0, 1, 1]), np.array([5.0, 6.0, 7.0, 5.5, 6.5])
    assert Duration(10.0).starts(times, machine_bounds(machines)).tolist() == [0, 0, 0, 3, 3]
    assert Readings(2).starts(times, machine_bounds(machines)).tolist() == [0, 0, 1, 3, 3]


def test_a_table_without_readings_has_no_statistics():
    nothing = np.empty(0, dtype=np.int64)
    starts = Duration(1).starts(nothing, machine_bounds(nothing))
    result = window_statistics(np.empty((2, 0)), nothing, starts, nothing, STATISTICS)
    assert {name: cells.shape for name, cells in result.items()} == dict.fromkeys(STATISTICS, (2, 0))

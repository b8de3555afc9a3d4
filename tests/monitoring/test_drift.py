"""Differences between production and training are found by their size: many rows alone make none, and few rows hide none."""

import numpy as np
import pytest

from predictive_maintenance.config.params import MonitoringSettings
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.monitoring.drift import compare
from predictive_maintenance.monitoring.windows import WindowCounter
from predictive_maintenance.scorer.monitoring_reference import (
    ALARM,
    PROBABILITY,
    MonitoringReference,
    WatchedColumn,
    edges_of,
    machine_clusters,
    watched_columns,
)
from tests.fixtures.machines import random_readings
from tests.fixtures.pumps import pump

SENSOR = "torque_nm"


def scored(machine, rows, seed, **changed):
    """Random readings with a probability and a decision each, as watched columns."""
    probabilities = np.random.default_rng(seed).beta(1, 12, rows)
    columns = watched_columns(machine, random_readings(machine, rows, seed), probabilities, probabilities > 0.2)
    return columns | {name: change(columns[name]) for name, change in changed.items()}


def reference_of(machine, columns, windows=None):
    return MonitoringReference(
        columns={
            name: WatchedColumn.of(values, edges_of(name, values, machine), windows) for name, values in columns.items()
        }
    )


def found(machine, reference, columns, machines=None, **limits):
    """The kind and column of each difference that counts."""
    counter = WindowCounter(reference)
    counter.add(columns, machines)
    findings = compare(machine, reference, counter.summary(), MonitoringSettings(**limits))
    return {(finding.kind, finding.column) for finding in findings if finding.exceeds_limit}


@pytest.fixture(params=["milling", "compressor"])
def machine(request, compressor):
    return MILLING if request.param == "milling" else compressor


@pytest.fixture
def reference(machine):
    return reference_of(machine, scored(machine, 5_000, seed=1))


@pytest.mark.parametrize("rows", [200, 2_000, 100_000])
def test_readings_like_those_of_training_differ_in_nothing(machine, reference, rows):
    assert found(machine, reference, scored(machine, rows, seed=2)) == set()


def test_a_sensor_that_moves_by_a_standard_deviation_is_found_whatever_its_magnitude(machine, reference):
    for name in machine.sensor_names:
        moved = scored(machine, 2_000, 3, **{name: lambda values: values + np.nanstd(values)})
        assert found(machine, reference, moved) == {("distribution", name)}


def test_values_that_get_lost_are_found(machine, reference):
    name = machine.sensor_names[-1]
    lost = np.random.default_rng(1).random(2_000) < 0.2
    columns = scored(machine, 2_000, 3, **{name: lambda values: np.where(lost, np.nan, values)})
    assert found(machine, reference, columns) == {("missing values", name)}


def test_another_mix_of_a_category_is_found():
    machine, (codes,) = MILLING, MILLING.categories.values()
    reference = reference_of(machine, scored(machine, 5_000, seed=1))
    columns = scored(machine, 2_000, 3, **{codes.code_name: lambda values: np.where(values > 0, 0.0, values)})
    assert found(machine, reference, columns) == {("distribution", codes.code_name)}


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.2, set()), (0.1, {("alarm rate", ALARM)}), (0.35, {("alarm rate", ALARM)})]
)
def test_an_alarm_rate_that_doubles_or_halves_is_found(machine, reference, threshold, expected):
    columns = scored(machine, 5_000, 3)
    columns[ALARM] = (columns[PROBABILITY] > threshold).astype(float)
    assert found(machine, reference, columns) == expected


def test_other_probabilities_are_found(machine, reference):
    assert ("predictions", PROBABILITY) in found(
        machine, reference, scored(machine, 2_000, 3, **{PROBABILITY: lambda values: values * 2})
    )


def test_a_window_with_few_rows_tells_nothing(machine, reference):
    counter = WindowCounter(reference)
    counter.add(scored(machine, 199, 3), None)
    assert compare(machine, reference, counter.summary(), MonitoringSettings()) is None


def test_two_different_machines_among_ten_are_not_certain():
    """Readings of a machine resemble each other, so that a thousand of one are no more evidence than one machine is."""
    reference = reference_of(MILLING, scored(MILLING, 5_000, seed=1))
    machines = np.repeat(np.array([f"M{number}" for number in range(10)], dtype=object), 500)
    moved = scored(
        MILLING, 5_000, 3, **{SENSOR: lambda values: values + 3 * np.std(values) * np.isin(machines, ["M3", "M4"])}
    )
    assert ("distribution", SENSOR) not in found(MILLING, reference, moved, machines, max_psi=0.05)
    assert ("distribution", SENSOR) in found(MILLING, reference, moved, None, max_psi=0.05)


def test_what_windows_of_training_differ_by_is_usual():
    """Air gets warmer and colder: a window that is as far away as those of training is no reason to act."""
    season = np.repeat(np.arange(10), 500)

    def warmer(values):
        return values + np.std(values) * np.sin(season)

    training = scored(MILLING, 5_000, 1, air_temperature_k=warmer)
    window = scored(MILLING, 500, 3, air_temperature_k=lambda values: values + 0.9 * np.std(values))
    assert found(MILLING, reference_of(MILLING, training), window) == {("distribution", "air_temperature_k")}
    assert found(MILLING, reference_of(MILLING, training, season), window) == set()


def test_a_sensor_that_is_stuck_at_one_machine_is_found_with_the_machine():
    reference = reference_of(MILLING, scored(MILLING, 5_000, seed=1))
    machines = np.array([f"M{number % 40}" for number in range(2_000)], dtype=object)
    columns = scored(MILLING, 2_000, 3, **{SENSOR: lambda values: np.where(machines == "M7", values[7], values)})
    counter = WindowCounter(reference)
    for start in range(0, 2_000, 300):  # a machine is remembered from one part to the next
        part = {name: values[start : start + 300] for name, values in columns.items()}
        counter.add(part, machines[start : start + 300])
    (finding,) = [
        one for one in compare(MILLING, reference, counter.summary(), MonitoringSettings()) if one.exceeds_limit
    ]
    assert (finding.kind, finding.column, finding.machines) == ("constant values", SENSOR, ("M7",))


@pytest.mark.parametrize(
    ("values", "machines"),
    [
        ([7.0] * 19, ()),
        ([7.0] * 20, ("P1",)),
        ([7.0] * 20 + [8.0], ()),
        ([np.nan, 7.0, np.nan] + [7.0] * 19, ("P1",)),
    ],
)
@pytest.mark.parametrize("together", [1, 100])
def test_a_sensor_is_constant_if_all_of_at_least_20_values_are_the_same(values, machines, together):
    """However many readings are counted at a time."""
    machine, count = pump(), len(values)
    columns = scored(machine, count, 3, flow=lambda _: np.array(values))
    counter = WindowCounter(reference_of(machine, scored(machine, 500, 1)), min_readings=20)
    for start in range(0, count, together):
        part = {name: own[start : start + together] for name, own in columns.items()}
        counter.add(part, np.full(len(part["flow"]), "P1", dtype=object))
    assert counter.summary().constant["flow"] == machines


def test_parts_of_a_window_give_the_same_as_the_whole(machine, reference):
    columns = scored(machine, 3_000, 4)
    machines = np.array([f"M{number % 30}" for number in range(3_000)], dtype=object)
    whole, parts = WindowCounter(reference), WindowCounter(reference)
    whole.add(columns, machines)
    for start in range(0, 3_000, 700):
        parts.add(
            {name: values[start : start + 700] for name, values in columns.items()}, machines[start : start + 700]
        )
    np.testing.assert_array_equal(whole.summary().counts, parts.summary().counts)
    np.testing.assert_array_equal(whole.summary().missing, parts.summary().missing)
    np.testing.assert_allclose(whole.summary().sums, parts.summary().sums, rtol=1e-12)
    assert whole.summary().rows == 3_000


def test_a_value_outside_of_one_that_is_usual_has_another_bin():
    """A sensor that was 0 all the time has one bin for 0, and others below and above."""
    column = WatchedColumn.of(np.zeros(50), edges_of("x", np.zeros(50), MILLING))
    assert len({*column.places(np.array([-1.0, 0.0, 1e-9])).tolist()}) == 3


MACHINES = np.array([f"P{number}" for number in range(50)], dtype=object)


def mix(readings, reference=None):
    """The finding about an attribute: machine i of 50 has `readings[i]` readings, and one of two makes."""
    machine = pump()
    kinds = np.repeat(np.arange(50) % 2.0, readings)
    names = np.repeat(MACHINES, readings)
    columns = scored(machine, len(kinds), 3, make_code=lambda _: kinds)
    if reference is None:
        made = reference_of(machine, columns).columns
        column = made["make_code"].with_clusters(kinds, machine_clusters(names))
        return MonitoringReference(columns=made | {"make_code": column})
    counter = WindowCounter(reference)
    counter.add(columns, names)
    findings = compare(machine, reference, counter.summary(), MonitoringSettings())
    return next(finding for finding in findings if finding.column == "make_code")


def test_another_mix_of_machines_is_found():
    reference = mix(np.full(50, 100))
    assert not mix(np.full(50, 40), reference).exceeds_limit
    fewer = np.where(np.arange(50) % 2 == 0, 40, 8)
    assert mix(fewer, reference).exceeds_limit
    assert not mix(
        fewer, without_clusters(reference)
    ).exceeds_limit  # with machines that are drawn apart, nothing is certain


def test_a_few_machines_that_stand_still_are_no_other_mix():
    readings = np.full(50, 40)
    readings[[1, 3, 5]] = 0
    assert not mix(readings, mix(np.full(50, 100))).exceeds_limit


def without_clusters(reference):
    column = reference.columns["make_code"].model_copy(update={"clusters": None})
    return MonitoringReference(columns={**reference.columns, "make_code": column})

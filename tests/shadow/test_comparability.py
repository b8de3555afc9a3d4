"""Which candidates can score what production has scored: as a champion of another description in the quality gate."""

import pytest

from predictive_maintenance.shadow.pair import why_not_comparable
from predictive_maintenance.shadow.past import input_columns
from tests.fixtures.changed_machines import bare, changed, with_sensor
from tests.fixtures.pumps import pump
from tests.fixtures.run_to_failure import engine


def test_a_candidate_of_the_same_machine_is_comparable(params):
    for machine in (params.machine, pump(), engine()):
        assert why_not_comparable(machine, machine) is None


def test_a_candidate_of_another_machine_names_what_is_missing(params):
    reason = why_not_comparable(params.machine, engine())
    assert "it needs column" in reason
    assert "heat" in reason
    assert "it predicts fails_soon, and the version in production predicts machine_failure" in reason
    assert "it needs the events of errors, service" in why_not_comparable(engine(), pump())


def test_a_candidate_in_a_unit_that_can_be_converted_gets_its_values_in_it(params):
    celsius = with_sensor(bare(params.machine), "air_temperature_k", unit="°C", range=[-50, 80])
    assert why_not_comparable(params.machine, celsius) is None
    logged = {"air_temperature_k": [300.0, None], "torque_nm": [40.0, 41.0]}
    columns = input_columns(celsius, params.machine, logged)
    assert columns["air_temperature_k"].tolist() == [pytest.approx(26.85), pytest.approx(float("nan"), nan_ok=True)]
    assert columns["torque_nm"].tolist() == [40.0, 41.0]


@pytest.mark.parametrize("unit", ["kg", ""])
def test_a_unit_that_cannot_be_converted_is_not_comparable(params, unit):
    other = with_sensor(bare(params.machine), "torque_nm", unit=unit)
    reason = f"column torque_nm has unit {unit or 'none'} for it and Nm in the readings of production"
    assert why_not_comparable(params.machine, other) == reason


def test_events_of_other_types_are_not_comparable():
    def rename(plain):
        plain["events"]["errors"]["type"]["values"] = ["low flow", "leak"]

    reason = "the events of errors have other types in its description"
    assert why_not_comparable(pump(), changed(pump(), rename)) == reason


def test_a_counter_is_not_comparable_with_a_timestamp():
    def count_hours(plain):
        plain["time"] = {"kind": "counter", "unit": "h"}

    assert "time is a counter in one description" in why_not_comparable(pump(), changed(pump(), count_hours))

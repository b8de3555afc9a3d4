"""Which limits a reading breaks: one reading and a column of them get the same answer."""

import numpy as np
import pytest

from predictive_maintenance.machine.operating_limits import (
    LIMITS,
    broken_limit_codes,
    broken_limits,
    limit_margins,
    limits_of_code,
)
from predictive_maintenance.machine.sensors import FAILURE_MODES, INPUT_NAMES

HEALTHY = {
    "product_type": "L",
    "air_temperature_k": 300.0,
    "process_temperature_k": 310.0,
    "rotational_speed_rpm": 1500.0,
    "torque_nm": 40.0,
    "tool_wear_min": 100.0,
}


def names(**changes):
    return [limit.name for limit in broken_limits(HEALTHY | changes)]


def test_a_healthy_reading_breaks_nothing():
    assert names() == []


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"process_temperature_k": 308.5, "rotational_speed_rpm": 1379.0}, ["heat_dissipation"]),
        ({"process_temperature_k": 308.6, "rotational_speed_rpm": 1379.0}, []),
        ({"process_temperature_k": 308.5, "rotational_speed_rpm": 1380.0}, []),
        ({"torque_nm": 10.0}, ["power"]),
        ({"torque_nm": 70.0}, ["power"]),
        ({"torque_nm": 55.1, "tool_wear_min": 199.0}, []),
        ({"torque_nm": 55.5, "tool_wear_min": 199.0}, ["strain"]),
        ({"torque_nm": 55.5, "tool_wear_min": 199.0, "product_type": "M"}, []),
        ({"tool_wear_min": 200.0}, ["tool_wear"]),
        ({"tool_wear_min": 240.0, "torque_nm": 60.0}, ["power", "strain", "tool_wear"]),
    ],
)
def test_each_limit_is_broken_where_the_published_rule_says(changes, broken):
    assert names(**changes) == broken


def test_power_is_mended_in_the_direction_it_is_wrong():
    too_low, too_high = broken_limits(HEALTHY | {"torque_nm": 10.0}), broken_limits(HEALTHY | {"torque_nm": 70.0})
    assert (too_low[0].action, too_high[0].action) == ("raise torque or speed", "lower torque or speed")
    assert too_low[0].measured == 1570.8
    assert too_low[0].unit == "W"


def test_a_column_of_readings_gets_what_each_reading_gets(small):
    rows = small.rows.test[list(INPUT_NAMES)]
    one_by_one = [[limit.action for limit in broken_limits(reading)] for reading in rows.to_dict("records")]
    codes = broken_limit_codes(rows)
    assert [[limit.action for limit in limits_of_code(code)] for code in codes] == one_by_one
    assert len(np.unique(codes)) > 3


def test_every_failure_mode_that_follows_from_a_reading_has_its_limit():
    assert len({limit.name for limit in LIMITS}) == len(FAILURE_MODES) - 1  # random failures follow from nothing


def test_a_margin_is_what_is_left_until_the_bound_and_below_zero_beyond_it(small):
    for reading in small.rows.test[list(INPUT_NAMES)].head(400).to_dict("records"):
        margins = limit_margins(reading)
        assert [margin.name for margin in margins if margin.broken] == [limit.name for limit in broken_limits(reading)]
        assert all(margin.applies for margin in margins if margin.broken)
        for margin in margins:
            # Tool wear is broken from its bound on, the others beyond it.
            beyond = margin.margin <= 0 if margin.name == "tool_wear" else margin.margin < 0
            assert margin.broken == (margin.applies and beyond)


def test_at_a_high_speed_the_limit_of_heat_dissipation_does_not_apply():
    slow, fast = (limit_margins(HEALTHY | {"rotational_speed_rpm": speed})[0] for speed in (1379.0, 1380.0))
    assert (slow.applies, fast.applies) == (True, False)
    assert slow.margin == fast.margin == pytest.approx(1.4)

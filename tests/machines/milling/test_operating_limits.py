"""The limits that a reading exceeds: the same result for one reading and for columns."""

import numpy as np
import pytest

from predictive_maintenance.machine.milling import MILLING

HEALTHY = {
    "product_type": "L",
    "air_temperature_k": 300.0,
    "process_temperature_k": 310.0,
    "rotational_speed_rpm": 1500.0,
    "torque_nm": 40.0,
    "tool_wear_min": 100.0,
}


def names(**changes):
    return [limit.name for limit in MILLING.exceeded_limits(HEALTHY | changes)]


def test_a_healthy_reading_exceeds_no_limit():
    assert names() == []


@pytest.mark.parametrize(
    ("changes", "exceeded"),
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
def test_each_limit_is_exceeded_as_in_the_published_rule(changes, exceeded):
    assert names(**changes) == exceeded


def test_the_action_for_power_depends_on_the_exceeded_side():
    too_low, too_high = (
        MILLING.exceeded_limits(HEALTHY | {"torque_nm": 10.0}),
        MILLING.exceeded_limits(HEALTHY | {"torque_nm": 70.0}),
    )
    assert (too_low[0].action, too_high[0].action) == ("raise torque or speed", "lower torque or speed")
    assert too_low[0].measured == 1570.8
    assert too_low[0].unit == "W"


def test_columns_of_readings_give_the_same_limits_as_single_readings(small):
    rows = small.rows.test[list(MILLING.input_names)]
    one_by_one = [[limit.action for limit in MILLING.exceeded_limits(reading)] for reading in rows.to_dict("records")]
    codes = MILLING.exceeded_limit_codes(rows)
    assert [[limit.action for limit in MILLING.limits_of_code(code)] for code in codes] == one_by_one
    assert len(np.unique(codes)) > 3


def test_every_failure_mode_that_depends_on_the_reading_has_a_limit():
    assert (
        len({limit.name for limit in MILLING.limits}) == len(MILLING.mode_names) - 1
    )  # random failures do not depend on the reading


def test_a_margin_is_the_distance_to_the_bound_and_negative_if_exceeded(small):
    for reading in small.rows.test[list(MILLING.input_names)].head(400).to_dict("records"):
        margins = MILLING.limit_margins(reading)
        assert [margin.name for margin in margins if margin.broken] == [
            limit.name for limit in MILLING.exceeded_limits(reading)
        ]
        assert all(margin.applies for margin in margins if margin.broken)
        for margin in margins:
            # Tool wear is exceeded at its bound, the other limits beyond it.
            beyond = margin.margin <= 0 if margin.name == "tool_wear" else margin.margin < 0
            assert margin.broken == (margin.applies and beyond)


def test_the_heat_dissipation_limit_does_not_apply_at_high_speed():
    slow, fast = (MILLING.limit_margins(HEALTHY | {"rotational_speed_rpm": speed})[0] for speed in (1379.0, 1380.0))
    assert (slow.applies, fast.applies) == (True, False)
    assert slow.margin == fast.margin == pytest.approx(1.4)

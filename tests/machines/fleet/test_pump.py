"""What the sensors of a pump show of its load, of upsets and of wear."""

import numpy as np
import pytest

from machines.fleet.components import COMPONENTS
from machines.fleet.pump import UPSET_HOURS, UPSETS_PER_DAY, draw_pump, draw_upsets, flow_shares, sensor_values

NAMES = tuple(component.name for component in COMPONENTS)
HOURS = np.arange(1000.0)
FROM_H, TO_H = 500, 520


def sensors(wear=(), upsets=()):
    """The sensors of a pump; those in `wear` and `upsets` have the strength 1 from FROM_H to TO_H."""
    random = np.random.default_rng(5)
    inside = ((HOURS >= FROM_H) & (HOURS < TO_H)).astype(float)
    pump = draw_pump(NAMES, random)
    shares = flow_shares(pump, HOURS, random)
    return sensor_values(
        pump,
        HOURS,
        shares,
        {name: inside * (name in wear) for name in NAMES},
        {name: inside * (name in upsets) for name in UPSETS_PER_DAY},
        random,
    )


def changes(values):
    """The mean change of each sensor from FROM_H to TO_H against a pump without wear and upsets."""
    return {name: (values[name] / normal)[FROM_H:TO_H].mean() - 1 for name, normal in sensors().items()}


@pytest.mark.parametrize(
    ("component", "higher", "lower"),
    [
        ("bearing", {"vibration_mm_s", "bearing_temperature_c"}, set()),
        ("seal", set(), {"flow_m3_h", "discharge_pressure_bar"}),
        ("impeller", {"vibration_mm_s", "motor_current_a"}, {"flow_m3_h", "discharge_pressure_bar"}),
        ("motor_winding", {"motor_current_a", "bearing_temperature_c"}, set()),
    ],
)
def test_each_component_shows_its_wear_in_its_own_sensors(component, higher, lower):
    change = changes(sensors(wear=[component]))
    assert {name for name, value in change.items() if value > 0.03} == higher
    assert {name for name, value in change.items() if value < -0.03} == lower


@pytest.mark.parametrize(
    ("upset", "higher", "lower"),
    [
        ("cavitation", {"vibration_mm_s"}, {"flow_m3_h", "discharge_pressure_bar"}),
        ("pipe_vibration", {"vibration_mm_s", "bearing_temperature_c"}, set()),
        ("bypass_open", set(), {"flow_m3_h", "discharge_pressure_bar"}),
        ("viscous_product", {"motor_current_a", "bearing_temperature_c"}, {"flow_m3_h"}),
    ],
)
def test_an_upset_looks_like_wear_and_leaves_nothing_behind(upset, higher, lower):
    values, normal = sensors(upsets=[upset]), sensors()
    change = changes(values)
    assert {name for name, value in change.items() if value > 0.02} == higher
    assert {name for name, value in change.items() if value < -0.02} == lower
    for name in values:
        np.testing.assert_array_equal(values[name][:FROM_H], normal[name][:FROM_H])
        np.testing.assert_allclose(values[name][TO_H + 24 :], normal[name][TO_H + 24 :], atol=0.011)


def test_upsets_are_rare_and_end_within_two_days():
    hours = np.arange(20_000.0)
    for strength in draw_upsets(hours, np.random.default_rng(1)).values():
        edges = np.diff(np.concatenate([[0], strength > 0, [0]]).astype(int))
        lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
        assert 10 < len(lengths) < 70
        assert np.median(lengths) < 24
        assert lengths.max() <= 2 * UPSET_HOURS[1]  # two may follow each other
        assert (strength > 0).mean() < 0.05


def test_the_load_has_a_cycle_of_a_day_and_lower_weekends():
    random = np.random.default_rng(2)
    hours = np.arange(365 * 24.0)
    shares = np.mean([flow_shares(draw_pump(NAMES, random), hours, random) for _ in range(20)], axis=0)
    by_hour = [shares[hours % 24 == hour].mean() for hour in range(24)]
    assert int(np.argmax(by_hour)) in (14, 15, 16)
    saturdays = (hours // 24) % 7 == 3  # the first day is a Wednesday
    assert shares[saturdays].mean() < 0.95 * shares[(hours // 24) % 7 == 1].mean()

"""The section `history` of a description: windows, names and units of the features, and mistakes."""

import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import ConfigError

ENGINE = """
name: engine
model_name: engine
units: [cycle]
machine: {headers: [unit]}
time: {kind: counter, unit: cycle, headers: [cycle]}
sensors:
  t24: {label: Temperature, unit: K, range: [0, 1000]}
  ratio: {label: Ratio, range: [0, 1]}
history: {windows: [5, 30 cycle, 4 readings], statistics: [mean, slope, missing_share]}
features: {rise: {label: Rise, formula: t24 - t24_mean_30cycle}}
label: {column: failed}
group: machine
"""
PUMP = ENGINE.replace("kind: counter, unit: cycle", "kind: timestamp").replace("5, 30 cycle", "3h, 7 d, 1.5h")
PUMP = PUMP.replace("30cycle", "7d").replace("units: [cycle]\n", "")


def test_the_features_are_named_by_sensor_statistic_and_window():
    machine = parse_machine(ENGINE)
    assert list(machine.window_features) == [
        f"{sensor}_{statistic}_{window}"
        for sensor in ("t24", "ratio")
        for window in ("5cycle", "30cycle", "4readings")
        for statistic in ("mean", "slope", "missing_share")
    ]
    assert machine.feature_names == ("t24", "ratio", *machine.window_features, "rise")
    assert machine.labels["t24_mean_30cycle"] == "Temperature, mean of 30 cycle"
    assert [machine.unit(f"t24_{name}_5cycle") for name in ("mean", "slope", "missing_share")] == ["K", "K/cycle", ""]


def test_durations_of_timestamps_are_microseconds():
    machine = parse_machine(PUMP)
    lengths = {feature.span.name: feature.span.length for feature in machine.window_features.values()}
    assert lengths == {"3h": 3 * 3.6e9, "7d": 7 * 86.4e9, "1_5h": 1.5 * 3.6e9, "4readings": 0.0}
    assert machine.unit("ratio_slope_3h") == "1/h"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("machine: {headers: [unit]}\n", "", "history needs the column of the machine: add machine"),
        ("30 cycle", "30 h", "'30 h' is not a span of time: write 30, or 30 cycle, or 5 readings"),
        ("30 cycle", "5 cycle", "the window '5 cycle' is listed twice: it equals '5'"),
        ("4 readings", "0 readings", "'0 readings' is not a span of time"),
        ("4 readings", "0", "'0' is not a span of time"),
        ("statistics: [mean", "sensors: [t42], statistics: [mean", "'t42' is not a sensor; did you mean 't24'?"),
        ("statistics: [mean", "statistics: [mean, mean", "'mean' is listed twice"),
        (
            "t24_mean_30cycle}",
            "t24_mean_7cycle}",
            "'t24_mean_7cycle' is not a sensor or feature; did you mean 't24_mean_5cycle'?",
        ),
        ("features: {rise", "features: {t24_mean_5cycle", "the name t24_mean_5cycle is taken"),
    ],
)
def test_a_mistake_is_named(old, new, message):
    assert old in ENGINE
    with pytest.raises(ConfigError) as caught:
        parse_machine(ENGINE.replace(old, new))
    assert message in str(caught.value)

"""Tables of events and of machine attributes in a description: names of the features, columns, and mistakes."""

import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import ConfigError
from tests.fixtures.pumps import DESCRIPTION, pump


def test_event_features_are_named_by_table_type_and_span():
    machine = pump()
    assert list(machine.event_features) == [
        "errors_count_12h",
        "errors_count_48h",
        "errors_time_since_last",
        "service_seal_time_since_last",
        "service_bearing_time_since_last",
    ]
    assert machine.feature_names == (
        "make_code", "flow", "heat", "age", *machine.window_features, *machine.event_features, "errors_a_day",
    )  # fmt: skip
    assert machine.labels["service_seal_time_since_last"] == "Service, seal, time since the last one"
    assert machine.labels["errors_count_12h"] == "Errors, count of 12 h"
    assert (machine.unit("errors_time_since_last"), machine.unit("errors_count_12h")) == ("h", "")


def test_a_table_of_events_has_machine_time_and_type_with_its_own_headers():
    columns = pump().event_columns("service")
    assert list(columns) == ["machine_id", "timestamp", "type"]
    assert columns["machine_id"].headers == ("pump", "asset")
    assert columns["timestamp"].headers == ("done",)
    assert "Part" in columns["type"].headers


def test_the_label_and_the_modes_of_failures_are_no_columns_of_the_readings():
    machine = pump()
    assert list(machine.columns) == ["machine_id", "timestamp", "make", "flow", "heat", "age"]
    assert machine.binary_names == ()
    assert machine.mode_names == ("seal_failure", "bearing")
    assert machine.horizon.text == "24 h"


def test_attributes_are_inputs_from_another_table():
    machine = pump()
    assert machine.attribute_tables == {"pumps": ("make", "age")}
    assert list(machine.attribute_columns("pumps")) == ["machine_id", "timestamp", "make", "age"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count_over: [12h, 48h]", "count_over: [12h, 5 readings]", "'5 readings' is not a span of time: write 24h"),
        ("count_over: [12h, 48h]", "count_over: [12h, 12h]", "the span '12h' is listed twice"),
        ("    errors: {count", "    error: {count", "'error' is not a table in events; did you mean 'errors'?"),
        ("{time_since_last: true, by_type: true}", "{by_type: true}", "nothing is computed from these events"),
        ("[low flow, over-heat]", "[low flow, low-flow]", "'low-flow' and 'low flow' would have the same features"),
        ("[low flow, over-heat]", "['!', a]", "'!' has no letter a to z and no digit"),
        ("failures: {horizon", "failures: {table: failure, horizon", "'failure' is not a table in events"),
        ("horizon: 24h", "horizon: 24 readings", "horizon: '24 readings' is not a span of time"),
        ("ignore_after: 3h", "ignore_after: soon", "ignore_after: 'soon' is not a span of time"),
        ("bearing: {label: Bearing failure}", "motor: {label: Motor}", "modes: 'motor' is not a type of failures"),
        ("type: seal}", "headers: [x]}", "headers is not allowed with failures: write type"),
        ("failures: {horizon: 24h", "run_to_failure: {horizon: 24h}\n  failures: {horizon: 24h", "only one of"),
        ("from_table: pumps}", "from_table: errors}", "errors is not a table of machine attributes"),
        ("age: {label: Age", "errors_count_12h: {label: Age", "the name errors_count_12h is taken"),
        ("machine: {headers: [pump]}\n", "", "events needs the column of the machine: add machine"),
        ("  errors: {label", "  readings: {label", "readings is not the name of a table of events"),
    ],
)
def test_a_mistake_is_named(old, new, message):
    assert old in DESCRIPTION
    text = DESCRIPTION.replace(old, new)
    with pytest.raises(ConfigError) as caught:
        parse_machine(text)
    assert message in str(caught.value)


def test_features_by_type_need_types():
    text = DESCRIPTION.replace(", type: {label: Code, values: [low flow, over-heat]}", "")
    with pytest.raises(ConfigError, match=r"the events of errors have no type: add events\.errors\.type"):
        parse_machine(text.replace("count_over: [12h, 48h],", "count_over: [12h, 48h], by_type: true,"))


def test_a_history_without_features_is_a_mistake():
    text = DESCRIPTION[: DESCRIPTION.index("history:")] + DESCRIPTION[DESCRIPTION.index("features:") :]
    with pytest.raises(ConfigError, match="nothing is computed from the history: add windows or events"):
        parse_machine(text.replace("features: {errors_a_day", "history: {same_instant: true}\nfeatures: {errors_a_day"))

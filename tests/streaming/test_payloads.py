"""What is read from the payload of a message. Machines: pumps with timestamps, and turbofans with a counter."""

import json

import pytest

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import parse_tables
from predictive_maintenance.errors import ConfigError, DataError, PredictiveMaintenanceError
from predictive_maintenance.streaming.attributes import read_attributes
from predictive_maintenance.streaming.payloads import MessageReader
from predictive_maintenance.streaming.source import Message
from predictive_maintenance.streaming.topics import parse_topic
from tests.fixtures.pumps import pump
from tests.paths import PARAMS_FILE

PUMP = pump()
READING = {"timestamp": "2024-03-01", "make": "A", "flow": 40.5, "age": 3}


def reader(machine=PUMP, *templates, aliases=None, **options):
    given = templates or ("plant/{machine_id}/telemetry", "errors:plant/{machine_id}/errors")
    topics = [parse_topic(template, machine) for template in given]
    return MessageReader(machine, topics, aliases or {}, **options)


def message(payload, topic="plant/P1/telemetry"):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic=topic, payload=body, received=1709251200.5)


def read_all(reading, given):
    """The table and the rows of a message. Raises the reason why its first unreadable row is one."""
    found = reading.read(given)
    for reason in found.reasons.values():
        raise DataError(reason)
    return found.table, list(found.rows.values())


def test_a_reading_has_canonical_names_and_units_and_the_machine_of_its_topic():
    payload = {"Timestamp": "2024-03-01", "MAKE": "A", "flow [l/s]": 10, "heat (degC)": 20.5, "Age": 3, "spare": [1]}
    table, rows = read_all(reader(), message(payload))
    assert table == "readings"
    assert rows == [
        {
            "machine_id": "P1", "timestamp": "2024-03-01", "make": "A", "flow": pytest.approx(36), "heat": 293.65,
            "age": 3,
        }
    ]  # fmt: skip


def test_a_payload_may_name_the_machine_and_may_be_a_list():
    machines = read_all(
        reader(PUMP, "plant/+/telemetry"), message([READING | {"pump": 7}, READING | {"machine_id": "P8"}])
    )
    assert [row["machine_id"] for row in machines[1]] == ["7", "P8"]


def test_the_topic_is_believed_rather_than_the_payload():
    assert read_all(reader(), message(READING | {"machine_id": "P2"}))[1][0]["machine_id"] == "P1"


def test_aliases_of_the_settings_are_headers():
    named = {name: value for name, value in READING.items() if name != "flow"} | {"Q1": 40}
    assert read_all(reader(aliases={"flow": ("Q1",)}), message(named))[1][0]["flow"] == 40


def test_attributes_of_the_machine_are_added_where_the_payload_lacks_them(tmp_path):
    table = tmp_path / "pumps.csv"
    table.write_text("pump,make,age\nP1,B,7.5\nP2,A,\n")
    attributes = read_attributes(parse_tables(f"pumps:{table}"), PUMP)
    assert attributes == {"P1": {"make": "B", "age": 7.5}, "P2": {"make": "A"}}
    plain = {"timestamp": "2024-03-01", "flow": 40.5}
    described = reader(attributes=attributes)
    place = {"machine_id": "P1", "timestamp": "2024-03-01", "flow": 40.5}
    assert read_all(described, message([plain, plain | {"make": "A"}]))[1] == [
        place | {"make": "B", "age": 7.5},
        place | {"make": "A", "age": 7.5},
    ]
    with pytest.raises(DataError, match="no column for make"):
        read_all(described, message(plain, "plant/P3/telemetry"))


@pytest.mark.parametrize(
    ("table", "text", "error"),
    [
        ("errors", "pump,timestamp,code\n", "errors is no table of machine attributes: the description has pumps"),
        ("pumps", "pump,make,age\nP1,X,1\n", "rows of the table pumps are invalid: .*: correct or remove them"),
        ("pumps", "pump,make,age\nP1,A,1\nP1,B,1\n", "the same machine with other attributes"),
    ],
)
def test_a_table_that_gives_no_attributes_is_refused(tmp_path, table, text, error):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(PredictiveMaintenanceError, match=error):
        read_attributes(parse_tables(f"{table}:{tmp_path / 'table.csv'}"), PUMP)


def test_an_event_has_the_columns_of_its_table():
    table, rows = read_all(reader(), message({"timestamp": "2024-03-01T12:00", "code": "low flow"}, "plant/P1/errors"))
    assert (table, rows) == (
        "errors",
        [{"machine_id": "P1", "timestamp": "2024-03-01T12:00", "type": "low flow"}],
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1709251200, "2024-03-01T00:00:00+00:00"),
        (1709251200.25, "2024-03-01T00:00:00.250000+00:00"),
        (1709251200250, "2024-03-01T00:00:00.250000+00:00"),
        (1709251200250000, "2024-03-01T00:00:00.250000+00:00"),
        ("2024-03-01T01:00+01:00", "2024-03-01T01:00+01:00"),
    ],
)
def test_a_number_is_a_time_since_1970_as_in_files(value, expected):
    assert read_all(reader(), message(READING | {"timestamp": value}))[1][0]["timestamp"] == expected


def test_the_time_of_arrival_is_used_only_if_asked_for_and_only_without_a_time():
    without = {name: value for name, value in READING.items() if name != "timestamp"}
    with pytest.raises(DataError, match="no column for timestamp"):
        read_all(reader(), message(without))
    found = read_all(reader(use_arrival=True), message([without, without | {"timestamp": None}, READING]))[1]
    times = [row["timestamp"] for row in found]
    assert times == ["2024-03-01T00:00:00.500000+00:00", "2024-03-01T00:00:00.500000+00:00", "2024-03-01"]


def test_the_counter_of_a_machine_stays_a_number():
    turbofan = load_params(PARAMS_FILE, "turbofan").machine
    names = dict.fromkeys(turbofan.input_names, 1.5)
    found = read_all(reader(turbofan, "{machine_id}"), message(names | {"counter": 1709251200}, "engine 7"))[1]
    assert found == [names | {"machine_id": "engine 7", "counter": 1709251200}]
    with pytest.raises(ConfigError, match="is a counter: leave out --arrival-time"):
        reader(turbofan, "{machine_id}", use_arrival=True)


def test_a_machine_without_time_has_no_readings_to_keep(machines):
    with pytest.raises(ConfigError, match="has no machine or no time, so that no readings are kept"):
        reader(machines["compressor"], "#")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload is not JSON"),
        (b'{"flow": NaN}', "the payload is not JSON"),
        (b"\xff", "the payload is not JSON"),
        (b"[" * 10_000, "the payload is not JSON"),
        (3, "must be a JSON object of named values"),
        ([[]], "^must be a JSON object of named values$"),
        (READING | {"Flow": 3}, "both match flow"),
        (READING | {"heat [bar]": 3}, "unknown unit 'bar' for heat"),
        ({"timestamp": "2024-03-01", "make": "A", "age": 1, "flw": 4}, "such as 'Flow .* the closest header is 'flw'"),
        (READING | {"timestamp": 12}, "timestamp: 12 is no time from 1990 to 2100"),
        (b'{"timestamp": 1e999}', "timestamp: inf is not a finite number"),
        (b'{"timestamp": "2024-03-01", "make": "A", "flow": -1e999, "age": 1}', "flow: -inf is not a finite number"),
        (READING | {"make": ["A"]}, "make: must be one value, not a list or an object"),
        (READING | {"flow": {"a": 1}}, "flow: must be one value, not a list or an object"),
        (READING | {"timestamp": 10**400}, "the payload is not JSON|is no time"),
        ({"timestamp": "2024-03-01", "make": "A", "flow [l/s]": 10**400, "age": 1}, "too large|not JSON"),
    ],
)
def test_what_cannot_be_read_has_a_reason(payload, reason):
    with pytest.raises(PredictiveMaintenanceError, match=reason):
        read_all(reader(), message(payload))


def test_the_rows_of_a_list_are_read_each_by_itself():
    given = [READING, "on", READING | {"flow": 41}, {"timestamp": "2024-03-01"}, READING | {"timestamp": 12}]
    table, rows, reasons, unreadable = reader().read(message(given))
    assert table == "readings"
    assert {number: row["flow"] for number, row in rows.items()} == {1: 40.5, 3: 41}
    assert {number: reason.partition(" (")[0] for number, reason in reasons.items()} == {
        2: "must be a JSON object of named values",
        4: "no column for make",
        5: "timestamp: 12 is no time from 1990 to 2100, in any unit from seconds to nanoseconds",
    }
    assert unreadable == 3


def test_the_reasons_of_many_rows_that_cannot_be_read_take_no_memory():
    found = reader().read(message([1, READING, *range(1_000)]))
    assert (list(found.reasons), found.unreadable, list(found.rows)) == ([1, 3, 4], 1_001, [2])


@pytest.mark.parametrize("machine", [["P1"], {"id": "P1"}])
def test_a_payload_whose_machine_is_not_one_value_has_a_reason(machine):
    with pytest.raises(DataError, match="machine_id: must be one value"):
        read_all(reader(PUMP, "plant/+/telemetry"), message(READING | {"machine_id": machine}))


def test_a_topic_of_an_earlier_subscription_has_a_reason():
    with pytest.raises(DataError, match=r"no --topic matches: .*--client-id"):
        read_all(reader(), message(READING, "elsewhere/P1"))


@pytest.mark.parametrize("value", [True, None, "12", "P1"])
def test_a_value_that_is_no_number_is_left_for_the_service_to_refuse(value):
    assert read_all(reader(), message(READING | {"flow": value}))[1][0]["flow"] == value

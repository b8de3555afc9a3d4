"""JMESPath expressions for payloads that are not an object of named values."""

import re

import pytest

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.errors import ConfigError, DataError
from predictive_maintenance.streaming.expressions import parse_payloads
from predictive_maintenance.streaming.payloads import MessageReader
from predictive_maintenance.streaming.topics import parse_topic
from tests.fixtures.pumps import pump
from tests.paths import PARAMS_FILE
from tests.streaming.test_payloads import message, read_all

PUMP = pump()
NESTED = "merge({timestamp: ts}, values)"
PAIRS = "merge({timestamp: timestamp}, from_items(metrics[].[name, value]))"


def read(payload, *texts, machine=PUMP, topic="plant/P1/telemetry", **options):
    topics = [
        parse_topic(text, machine) for text in ("plant/{machine_id}/telemetry", "errors:plant/{machine_id}/errors")
    ]
    reader = MessageReader(machine, topics, {}, expressions=parse_payloads(texts, machine), **options)
    return read_all(reader, message(payload, topic))[1]


def pairs(**values):
    return {"timestamp": 1709251200000, "metrics": [{"name": name, "value": value} for name, value in values.items()]}


ROW = {"machine_id": "P1", "timestamp": "2024-03-01T00:00:00+00:00", "make": "A", "flow": pytest.approx(36), "age": 3}


@pytest.mark.parametrize(
    ("text", "payload", "count"),
    [
        (NESTED, {"ts": 1709251200, "values": {"Make": "A", "flow [l/s]": 10, "age": 3, "spare": [1]}}, 1),
        (f"[].{NESTED}", [{"ts": 1709251200, "values": {"make": "A", "flow": 36, "age": 3}}] * 2, 2),
        (PAIRS, pairs(make="A", flow=36, age=3, heat=None), 1),
        (
            "from_items([].[n, v])",
            [{"n": "timestamp", "v": 1709251200}, {"n": "make", "v": "A"}, {"n": "flow", "v": 36.0}, {"n": "age", "v": 3}],
            1,
        ),
        (
            "readings: {timestamp: head.t, make: head.make, flow: to_number(body.\"Flow (1)\"), age: `3`}",
            {"head": {"t": 1709251200, "make": "A"}, "body": {"Flow (1)": "36"}},
            1,
        ),
    ],
)  # fmt: skip
def test_an_expression_makes_named_values_of_nested_ones(text, payload, count):
    assert read(payload, text) == [ROW] * count


def test_a_table_has_its_own_expression():
    event = {"at": "2024-03-01", "error": {"code": "low flow"}}
    assert read(event, NESTED, "errors:{timestamp: at, code: error.code}", topic="plant/P1/errors") == [
        {"machine_id": "P1", "timestamp": "2024-03-01", "type": "low flow"}
    ]


def test_a_counter_is_read_from_a_nested_payload():
    turbofan = load_params(PARAMS_FILE, "turbofan").machine
    names = dict.fromkeys(turbofan.input_names, 1.5)
    topic = parse_topic("{machine_id}", turbofan)
    expressions = parse_payloads(["merge({counter: cycle}, values)"], turbofan)
    reader = MessageReader(turbofan, [topic], {}, expressions=expressions)
    found = read_all(reader, message({"cycle": 7, "values": names}, "engine 7"))
    assert found == ("readings", [names | {"machine_id": "engine 7", "counter": 7}])


def test_what_the_payload_lacks_is_taken_from_the_attributes_of_the_machine():
    text = "{timestamp: ts, make: info.make, flow: values.flow}"
    given = {"ts": "2024-03-01", "values": {"flow": 40}}
    attributes = {"P1": {"make": "B", "age": 2}}
    assert read(given, text, attributes=attributes)[0]["make"] == "B"


@pytest.mark.parametrize(
    ("text", "payload", "reason"),
    [
        (
            NESTED,
            {"ts": 1, "data": {"flow": 2}},
            f"{NESTED}: merge() needs objects, and one is not in the payload; the payload has ts, data.flow",
        ),
        (NESTED, {"ts": 1709251200, "values": {"make": "A", "age": 3}},
         f"{NESTED}: no column for flow (a header such as 'Flow [m^3/h]'); the payload has ts, values.make, values.age"),
        (
            PAIRS,
            {"metrics": [{"nm": "flow", "value": 1}]},
            "from_items() needs a list of pairs of a name and a value; the payload has metrics[].nm, metrics[].value",
        ),
        (PAIRS, {"timestamp": 1}, "from_items() needs array, and got null; the payload has timestamp"),
        (PAIRS, {"metrics": [{"name": "flow", "value": 1}] * 2}, "from_items() got several values with the name 'flow'; "),
        ("{flow: to_number(f)}", {"f": "nan"}, "flow: nan is not a finite number; the payload has f"),
        ("{flow: ceil(to_number(f))}", {"f": "nan"}, "a function cannot use a value: cannot convert float NaN to integer; "),
        ("{flow: floor(to_number(f))}", {"f": "inf"}, "a function cannot use a value: cannot convert float infinity"),
        ("{flow: avg(f)}", {"f": [10**400, 0.5]}, "a function cannot use a value: int too large to convert to float; "),
        ("{flow: contains(f, `1`)}", {"f": "1"}, "a function cannot use a value: 'in <string>' requires string"),
        ("{flow: f[::0]}", {"f": [1]}, "a function cannot use a value: slice step cannot be zero; the payload has f[]"),
        ("{flow: &f}", {"f": 1}, "flow: must be one value, not a list or an object; the payload has f"),
        ("values", {"ts": 1}, "values: is not an object of named values, or a list of them; the payload has ts"),
        ("[].values", [], "is not an object of named values, or a list of them; the payload has no names"),
        ("ts", {f"n{number}": number for number in range(20)}, "n10, n11, ..."),
    ],
)  # fmt: skip
def test_a_payload_without_the_values_is_rejected_with_the_expression_and_the_paths_that_it_has(text, payload, reason):
    with pytest.raises(DataError, match=re.escape(reason)) as error:
        read(payload, text)
    assert str(error.value).startswith("--payload ")


def test_a_row_without_the_values_is_rejected_and_the_others_are_read():
    values = {"make": "A", "flow": 36, "age": 3}
    payload = [{"ts": 1709251200, "values": values}, {"ts": 1709251201, "values": {}}, {"ts": 12, "values": values}]
    topic = parse_topic("{machine_id}", PUMP)
    reader = MessageReader(PUMP, [topic], {}, expressions=parse_payloads([f"[].{NESTED}"], PUMP))
    _, rows, reasons, _ = reader.read(message(payload, "P1"))
    assert rows == {1: ROW}
    paths = "; the payload has [].ts, [].values.make, [].values.flow, [].values.age"
    for number, fault in {2: "no column for make (", 3: "timestamp: 12 is no time "}.items():
        assert reasons[number].startswith(f"--payload [].{NESTED}: {fault}")
        assert reasons[number].endswith(paths)


def test_what_is_no_object_among_the_rows_of_an_expression_is_rejected_by_itself():
    topic = parse_topic("{machine_id}", PUMP)
    reader = MessageReader(PUMP, [topic], {}, expressions=parse_payloads(["rows"], PUMP))
    row = {"timestamp": 1709251200, "make": "A", "flow": 36, "age": 3, "heat": None}
    _, rows, reasons, _ = reader.read(message({"rows": [7, row]}, "P1"))
    assert rows == {2: ROW}
    assert reasons[1].startswith("--payload rows: must be a JSON object of named values; the payload has rows[]")


def test_a_nested_payload_without_an_expression_names_the_option():
    with pytest.raises(DataError, match=r"no column for flow.*; read nested values with --payload"):
        read({"timestamp": "2024-03-01", "values": {"flow": 2}})
    with pytest.raises(DataError, match="no column for flow") as error:
        read({"timestamp": "2024-03-01"})
    assert "--payload" not in str(error.value)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["values."], r"--payload values\.: Expecting: .* Parse error at column 7, .*: write an expression of https"),
        ([""], "cannot be empty"),
        (["merge({a: b}"], "Incomplete expression"),
        (["values.temp-1"], 'Unexpected token: -1: Parse error at column 11, token "-1"'),
        (["[].form_items(@)"], r"unknown function form_items\(\)"),
        (["from_items(a, b)"], r"from_items\(\) needs 1 arguments, and has 2"),
        (["merge()"], r"merge\(\) needs at least 1 arguments, and has 0"),
        (["error:values"], "'error' is no table: begin with readings: or errors:"),
        (["a", "readings:b"], "the table readings has an expression already"),
    ],
)
def test_an_expression_that_cannot_be_used_is_named_at_the_start(texts, message):
    with pytest.raises(ConfigError, match=message):
        parse_payloads(texts, PUMP)

"""A description with a mistake is refused: the message names the file, the line and what is valid instead.

Each case changes one place of DESCRIPTION. The messages are given in full, so that they can be judged by reading this file.
"""

import json
from contextlib import suppress
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.config.machine_file import load_machine, parse_machine
from predictive_maintenance.config.yaml_reader import read_plain_yaml
from predictive_maintenance.errors import ConfigError

DESCRIPTION = """\
name: pump
model_name: pump_bearing
id: {headers: [number]}
machine: {headers: [pump]}
time: {kind: counter, unit: h, headers: [hours]}
categories:
  grade: {label: Grade, values: [A, B]}
sensors:
  heat_k: {label: Heat, unit: K, range: [200, 500], headers: [temp]}
  speed_rpm: {label: Speed, unit: rpm, range: [0, 3000], headers: [n], resolution: 1}
features:
  rise_k: {label: Rise, unit: K, formula: heat_k - 273.15, decimals: 1}
  load: {label: Load, formula: rise_k * speed_rpm}
operating_limits:
  - {name: heat, label: Heat, measure: rise_k, maximum: 90, action: cool it, when: speed_rpm > 10}
  - {name: speed, label: Speed, measure: speed_rpm, maximum: {A: 2000, B: 2500}, by: grade, action: slow down}
label: {column: failed}
group: machine
examples:
  healthy:
    label: Healthy
    reading: {reading_id: P1, heat_k: 300, speed_rpm: 100, grade: A}
"""

MISTAKES = [
    ("name: pump\n", "", [
        ": name is missing",
    ]),
    ("label: Speed, unit: rpm", "label: Speed, unti: rpm", [
        ", line 10: sensors.speed_rpm.unti is not a setting; did you mean 'unit'?",
    ]),
    ("sensors:\n", "sensor:\n", [
        ": sensors is missing",
        ", line 8: sensor is not a setting; did you mean 'sensors'?",
    ]),
    ("range: [0, 3000]", "range: [3000, 0]", [
        ", line 10: sensors.speed_rpm: range: 3000 is not below 0",
    ]),
    ("range: [0, 3000]", "range: [0]", [
        ", line 10: sensors.speed_rpm.range.1 is missing",
    ]),
    ("range: [0, 3000]", "range: [0, fast]", [
        ", line 10: sensors.speed_rpm.range.1: Input should be a valid number (got 'fast')",
    ]),
    ("range: [0, 3000]", "range: [0, .inf]", [
        ", line 10: sensors.speed_rpm.range.1: Input should be a finite number (got inf)",
    ]),
    ("resolution: 1}", "resolution: 0}", [
        ", line 10: sensors.speed_rpm.resolution: Input should be greater than 0 (got 0)",
    ]),
    ("resolution: 1}", "resolution: 9000}", [
        ", line 10: sensors.speed_rpm: resolution: 9000 is larger than the range 0 to 3000",
    ]),
    ("speed_rpm: {", "Speed: {", [
        ", line 10: sensors.Speed: 'Speed' is not a name: use at most 60 small letters, digits and _, with a letter first",
    ]),
    ("speed_rpm: {", "pi: {", [
        ", line 10: sensors.pi: 'pi' has a meaning in formulas: choose another name",
    ]),
    ("unit: rpm", "unit: rpmm", [
        ", line 10: speed_rpm: unit 'rpmm' is not known: did you mean 'rpm'? Or list a unit of your own in units",
    ]),
    ("unit: K,", "unit: flurb,", [
        ", line 9: heat_k: unit 'flurb' is not known: correct it, or list a unit of your own in units",
    ]),
    ("values: [A, B]", "values: [1, 2]", [
        ", line 7: categories.grade.values.0: Input should be a valid string: write it in quotes (got 1)",
        ", line 7: categories.grade.values.1: Input should be a valid string: write it in quotes (got 2)",
    ]),
    ("values: [A, B]", "values: [A]", [
        ", line 7: categories.grade.values: at least 2 values are needed, not 1",
    ]),
    ("values: [A, B]", "values: [A, A]", [
        ", line 7: categories.grade: values: 'A' is listed twice",
    ]),
    ("values: [A, B]", "values: [yes, no]", [
        ", line 7: categories.grade.values.0: YAML reads yes, no, on and off as true and false: write text in quotes",
        ", line 7: categories.grade.values.1: YAML reads yes, no, on and off as true and false: write text in quotes",
    ]),
    ("values: [A, B]", "values: [A, other], unseen: other", [
        ", line 7: categories.grade: values: 'other' stands for the values that are not listed: remove it",
    ]),
    ("values: [A, B]", "values: [A, B], unseen: drop", [
        ", line 7: categories.grade.unseen: Input should be 'reject' or 'other' (got 'drop')",
    ]),
    ("formula: heat_k - 273.15", "formula: heat_c - 273.15", [
        ", line 12: the formula of rise_k: 'heat_c' is not a sensor or feature; did you mean 'heat_k'?",
    ]),
    ("formula: heat_k - 273.15", "formula: heat_k - speed_rpm", [
        ", line 12: the formula of rise_k subtracts heat_k in K and speed_rpm in rpm",
    ]),
    ("formula: heat_k - 273.15", "formula: heat_k * speed_rpm", [
        ", line 12: the unit of rise_k is K (temperature), but its formula gives temperature/time",
    ]),
    ("formula: heat_k - 273.15", "formula: heat_k.real", [
        (", line 12: the formula of rise_k: 'heat_k.real' is not arithmetic: use numbers, pi, column names, + - * "
         "/ ** and functions"),
    ]),
    ("formula: heat_k - 273.15", "formula: load + 1", [
        ", line 12: the formula of rise_k uses itself: rise_k -> load -> rise_k",
    ]),
    ("formula: heat_k - 273.15", "formula: rise_k + 1", [
        ", line 12: the formula of rise_k uses itself: rise_k -> rise_k",
    ]),
    ("formula: heat_k - 273.15", "formula: grade + 1", [
        (", line 12: the formula of rise_k: grade is a category; a formula has numbers and codes of ordered "
         "categories only"),
    ]),
    ("formula: heat_k - 273.15", "formula: grade_code + 1", [
        (", line 12: the formula of rise_k: grade_code is a category; a formula has numbers and codes of ordered "
         "categories only"),
    ]),
    ("group: machine", "group: machine\nidentity: [grade, sped_rpm]", [
        ", line 19: identity: 'sped_rpm' is not a category or sensor; did you mean 'speed_rpm'?",
    ]),
    ("formula: heat_k - 273.15", "formula: heat_k -", [
        ", line 12: the formula of rise_k: not valid arithmetic: invalid syntax",
    ]),
    ("measure: rise_k", "measure: rise", [
        ", line 15: limit heat: measure: 'rise' is not a sensor or feature; did you mean 'rise_k'?",
    ]),
    ("maximum: 90,", "", [
        ", line 15: limit heat: minimum or maximum is missing",
    ]),
    ("by: grade", "by: grad", [
        ", line 16: limit speed: 'grad' is not a category; did you mean 'grade'?",
    ]),
    ("{A: 2000, B: 2500}", "{A: 2000}", [
        ", line 16: limit speed: maximum: the number for B is missing",
    ]),
    ("{A: 2000, B: 2500}", "{A: 2000, B: 2500, C: 1}", [
        ", line 16: limit speed: maximum: 'C' is not a value of grade; valid names: A, B",
    ]),
    ("maximum: 90", "minimum: 100, maximum: 90", [
        ", line 15: limit heat: minimum 100 is not below maximum 90",
    ]),
    ("maximum: 90", "maximum: 90, by: grade", [
        ", line 15: limit heat: by has no effect: no bound has a number for each value of grade",
    ]),
    ("when: speed_rpm > 10", "when: speed_rpm", [
        ", line 15: limit heat: when: 'speed_rpm' is not a condition: compare two values, for example speed_rpm < 1380",
    ]),
    ("when: speed_rpm > 10", "when: sped_rpm > 10", [
        ", line 15: limit heat: when: 'sped_rpm' is not a sensor or feature; did you mean 'speed_rpm'?",
    ]),
    ("when: speed_rpm > 10", "when: speed_rpm > heat_k", [
        ", line 15: limit heat: when compares speed_rpm in rpm and heat_k in K",
    ]),
    ("name: speed,", "name: heat,", [
        ", line 15: limit heat has more than one maximum",
        ", line 16: limit heat has more than one maximum",
    ]),
    ("group: machine", "group: tool", [
        ", line 18: group: 'tool' is not a group: write row, machine, {falls: SENSOR} or {column: NAME}",
    ]),
    ("group: machine", "group: {falls: wear}", [
        ", line 18: group: 'wear' is not a sensor; valid names: heat_k, speed_rpm",
    ]),
    (", by: grade", "", [
        ", line 16: limit speed: maximum has a number for each value of a category: name the category in by",
    ]),
    ("group: machine", "group: {}", [
        ", line 18: group: exactly one of falls and column is needed",
    ]),
    ("machine: {headers: [pump]}\n", "", [
        ", line 17: group: machine needs the column of the machine: add machine",
    ]),
    ("kind: counter, unit: h", "kind: counter", [
        ", line 5: time: unit is missing: a counter has one, for example h, or a unit listed in units",
    ]),
    ("kind: counter, unit: h", "kind: timestamp, unit: h", [
        ", line 5: time: unit is not allowed: a timestamp has none",
    ]),
    ("kind: counter", "kind: clock", [
        ", line 5: time.kind: Input should be 'timestamp' or 'counter' (got 'clock')",
    ]),
    ("column: failed", "column: heat_k", [
        ", line 17: the name heat_k is taken: it is sensors.heat_k",
    ]),
    ("headers: [n]", "headers: [temp]", [
        ", line 10: the header 'temp' already belongs to heat_k",
    ]),
    ("headers: [n]", "headers: ['!']", [
        ", line 10: the header '!' has no letter a to z and no digit",
    ]),
    ("heat_k: 300", "heat_k: 9000", [
        ", line 22: example healthy: heat_k: 9000 is outside of its range 200 to 500",
    ]),
    ("heat_k: 300", "heat_k: hot", [
        ", line 22: example healthy: heat_k: 'hot' is not a number",
    ]),
    ("heat_k: 300, ", "", [
        ", line 22: example healthy: heat_k is missing",
    ]),
    ("grade: A}", "grade: C}", [
        ", line 22: example healthy: grade: 'C' is not one of A, B",
    ]),
    ("grade: A}", "grade: A, speed: 3}", [
        ", line 22: example healthy: 'speed' is not an input; did you mean 'speed_rpm'?",
    ]),
    ("reading_id: P1", "reading_id: 17", [
        ", line 22: example healthy: reading_id: write the id 17 in quotes",
    ]),
    ("name: pump\n", "name: pump\nname: pump\n", [
        ", line 2: not valid YAML: duplicate key 'name', first in line 1",
    ]),
    ("name: pump", "name: [pump", [
        ", line 2: not valid YAML: while parsing a flow sequence expected ',' or ']', but got ':'",
    ]),
    ("model_name: pump_bearing", "model_name: pump/bearing", [
        ", line 2: model_name: 'pump/bearing': a model name must not contain a slash, a colon or a quote",
    ]),
    ("label: Heat,", "label: ' ',", [
        ", line 9: sensors.heat_k.label: must be one line of text that is not blank",
    ]),
    ("group: machine", "supply: {voltage: 24}", [
        (", line 18: supply is not a setting; valid names: name, model_name, id, machine, time, format, units, categories, "
         "sensors, features, events, history, operating_limits, label, alarm, identity, group, examples, texts"),
    ]),
    ("headers: [number]", "headers: [no]", [
        ", line 3: id.headers.0: YAML reads yes, no, on and off as true and false: write text in quotes",
    ]),
    ("formula: heat_k - 273.15", "formula: " + "1+" * 300 + "heat_k", [
        ", line 12: the formula of rise_k: 606 characters are more than 500: split it into several features",
    ]),
    ("formula: heat_k - 273.15", "formula: 9 ** 9 ** 9 * heat_k", [
        ", line 12: the formula of rise_k: the exponent 3.8742e+08 is beyond 64",
    ]),
    ("formula: heat_k - 273.15", "formula: tan(heat_k)", [
        ", line 12: the formula of rise_k: 'tan(heat_k)' is not allowed; the functions are min, max, abs, sqrt, log, exp",
    ]),
    ("group: machine", "group: {column: grade, headers: [g]}", [
        ", line 18: group: grade is a category, which has headers: remove these",
    ]),
    ("load: {", "speed_rpm: {", [
        ", line 13: the name speed_rpm is taken: it is sensors.speed_rpm",
        ", line 13: the formula of speed_rpm uses itself: speed_rpm -> speed_rpm",
    ]),
    ("column: failed", "column: timestamp", [
        ", line 17: the name timestamp is taken: it is the name of a column that every machine can have",
    ]),
    ("group: machine", "group: {column: machine_id}", [
        ", line 18: the name machine_id is taken: it is the name of a column that every machine can have",
    ]),
    ("load: {", "grade_code: {", [
        ", line 7: the name grade_code is taken: it is features.grade_code",
    ]),
    ("label: Speed, unit: rpm, range: [0, 3000], headers: [n]", "lable: Speed, unit: rpmm, range: [0, 3000], header: [n]", [
        ", line 10: sensors.speed_rpm.label is missing",
        ", line 10: sensors.speed_rpm.lable is not a setting; did you mean 'label'?",
        ", line 10: sensors.speed_rpm.header is not a setting; did you mean 'headers'?",
    ]),
]  # fmt: skip
"""(text, its replacement, the lines of the message after the name of the file)"""


def test_the_description_without_a_mistake_is_valid():
    assert parse_machine(DESCRIPTION).description.name == "pump"


@pytest.mark.parametrize(
    ("old", "new", "lines"), MISTAKES, ids=[f"{new[:40]} for {old[:30]}" for old, new, _ in MISTAKES]
)
def test_a_mistake_is_reported_with_its_line_and_what_is_valid(old, new, lines):
    assert old in DESCRIPTION
    with pytest.raises(ConfigError) as refused:
        parse_machine(DESCRIPTION.replace(old, new, 1), "pump.yaml")
    assert str(refused.value).splitlines() == [f"pump.yaml{line}" for line in lines]


@pytest.mark.parametrize("text", ["", "3", "- a"])
def test_a_file_without_settings_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        parse_machine(text, "pump.yaml")
    assert str(refused.value) == "pump.yaml: the file must have settings such as name and sensors"


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path):
    path = tmp_path / "machine.yaml"
    with pytest.raises(ConfigError, match=r"machine\.yaml: cannot be read: No such file or directory"):
        load_machine(path)
    path.write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match=r"machine\.yaml: not UTF-8 text \(byte 7\): save it as UTF-8"):
        load_machine(path)


def test_a_number_with_an_exponent_needs_no_point():
    machine = parse_machine(DESCRIPTION.replace("[0, 3000]", "[1e-4, 3e6]"))
    assert machine.description.sensors["speed_rpm"].range == (0.0001, 3_000_000.0)


def places(value, path=()):
    """The path of every value below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


RAW = read_plain_yaml(DESCRIPTION, "pump.yaml")
wrong = st.sampled_from(
    [None, True, -1, 0, 1e300, "", " ", "x", "A", "heat_k", "rise_k", "heat_k < 3", "K", [], [1], ["a", "a"], {}, {"a": 1}]
) | st.text(max_size=8)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(list(places(RAW))), wrong), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_wrong_value_is_accepted_or_reported(changes):
    raw = json.loads(json.dumps(RAW))
    for path, value in changes:
        with suppress(KeyError, IndexError, TypeError):  # an earlier change has replaced the place
            target = raw
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = deepcopy(value)  # the same value may be drawn again, and changed there
    with suppress(ConfigError):  # any other exception fails the test
        parse_machine(json.dumps(raw), "pump.yaml")

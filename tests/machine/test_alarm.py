"""The section `alarm` of a description: the policy, its default, and mistakes."""

import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.alarm import AlarmPolicy
from predictive_maintenance.machine.machine_json import from_json, to_json

ENGINE = """
name: engine
model_name: engine
units: [cycle]
machine: {headers: [unit]}
time: {kind: counter, unit: cycle, headers: [cycle]}
sensors:
  heat: {label: Heat, unit: K, range: [0, 1000]}
history: {windows: [5]}
label: {column: fails, run_to_failure: {horizon: 30}}
alarm: {open: 2 of 3, close_after: 6}
group: machine
"""


def test_the_policy_has_the_numbers_of_the_section():
    assert parse_machine(ENGINE).description.alarm_policy() == AlarmPolicy(positive=2, of=3, close_after=6)


def test_without_the_section_an_alarm_opens_and_closes_with_each_decision():
    machine = parse_machine(ENGINE.replace("alarm: {open: 2 of 3, close_after: 6}\n", ""))
    assert machine.description.alarm is None
    assert machine.description.alarm_policy() == AlarmPolicy(positive=1, of=1, close_after=1)


def test_a_key_that_is_left_out_has_its_default():
    only_open = parse_machine(ENGINE.replace(", close_after: 6", "")).description
    only_close = parse_machine(ENGINE.replace("open: 2 of 3, ", "")).description
    assert only_open.alarm_policy() == AlarmPolicy(positive=2, of=3, close_after=1)
    assert only_close.alarm_policy() == AlarmPolicy(positive=1, of=1, close_after=6)


def test_a_model_version_carries_the_policy():
    assert from_json(to_json(parse_machine(ENGINE))).description.alarm_policy().of == 3


def test_the_policy_as_text():
    assert AlarmPolicy().text() == "opens at a positive decision, closes after 1 negative one"
    assert AlarmPolicy(positive=2, of=3, close_after=6).text() == (
        "opens at 2 positive of 3 decisions, closes after 6 negative ones in a row"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2 of 3", "3 of 2", "line 11: alarm.open: '3 of 2': the first number must be 1 to the second"),
        ("2 of 3", "0 of 3", "line 11: alarm.open: '0 of 3': the first number must be 1 to the second"),
        ("2 of 3", "1 of 1001", "line 11: alarm.open: '1 of 1001': the first number"),
        ("2 of 3", "2 in 3", "line 11: alarm.open: '2 in 3' is not a number of decisions: write, for example, 2 of 3"),
        ("2 of 3", "2", "line 11: alarm.open: Input should be a valid string: write it in quotes (got 2)"),
        ("close_after: 6", "close_after: 0", "line 11: alarm.close_after: Input should be greater than or equal to 1"),
        ("close_after", "closes_after", "line 11: alarm.closes_after is not a setting; did you mean 'close_after'?"),
        (
            "history: {windows: [5]}\nlabel: {column: fails, run_to_failure: {horizon: 30}}",
            "label: {column: fails}",
            "line 10: alarm needs history or a computed label",
        ),
        (
            "machine: {headers: [unit]}\n",
            "",
            "line 10: alarm needs the column of the machine: add machine",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(old, new, message):
    assert old in ENGINE
    with pytest.raises(ConfigError) as caught:
        parse_machine(ENGINE.replace(old, new))
    assert message in str(caught.value)

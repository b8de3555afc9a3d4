"""Templates of topics."""

import pytest

from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.streaming.topics import parse_topic
from tests.fixtures.pumps import pump

PUMP = pump()


@pytest.mark.parametrize(
    ("template", "table", "subscription", "topic", "values"),
    [
        ("plant/{machine_id}/telemetry", "readings", "plant/+/telemetry", "plant/P 1/telemetry", {"machine_id": "P 1"}),
        ("errors:plant/{machine_id}/errors", "errors", "plant/+/errors", "plant/ü/errors", {"machine_id": "ü"}),
        ("{make}/+/{machine_id}/#", "readings", "+/+/+/#", "A/x/P1/y/z", {"make": "A", "machine_id": "P1"}),
        ("plant/#", "readings", "plant/#", "plant", {}),
        ("plant/#", "readings", "plant/#", "plant/a/b", {}),
        ("#", "readings", "#", "plant/a", {}),
        ("readings:site:1/{machine_id}", "readings", "site:1/+", "site:1/P1", {"machine_id": "P1"}),
        ("a.b/+", "readings", "a.b/+", "a.b/", {}),
        ("site/line:1/{machine_id}", "readings", "site/line:1/+", "site/line:1/P", {"machine_id": "P"}),
    ],
)
def test_a_template_subscribes_and_reads_the_fields_of_a_topic(template, table, subscription, topic, values):
    found = parse_topic(template, PUMP)
    assert (found.table, found.subscription, found.values(topic)) == (table, subscription, values)


@pytest.mark.parametrize("topic", ["plant/P1/errors", "plant/a/b/telemetry", "other/P1/telemetry", "plant//telemetry"])
def test_another_topic_has_no_fields(topic):
    assert parse_topic("plant/{machine_id}/telemetry", PUMP).values(topic) is None


def test_a_dot_in_a_template_is_a_dot():
    assert parse_topic("a.b/+", PUMP).values("axb/c") is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("plant/{machine}/t", r"\{machine\} must be one of \{machine_id\}, \{make\}, each once"),
        ("plant/{machine_id}/{machine_id}", "each once"),
        ("plant/{flow}", "must be one of"),
        ("errors:plant/{make}", r"must be one of \{machine_id\}, each once"),
        (
            "errrors:plant/{machine_id}",
            "'errrors' is no table: begin with readings: or errors: or service: or failures:",
        ),
        ("errors:", "the topic is empty"),
        ("plant/#/x", "# may be the last one"),
        ("plant/a+", "a level is a text"),
        ("plant/p{machine_id}", "a level is a text"),
        ("$share/group/plant/+", "a level is a text"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(template, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse_topic(template, PUMP)
    assert str(error.value).startswith(f"--topic {template}: ")


def test_the_fields_are_those_of_the_machine():
    with pytest.raises(ConfigError, match=r"one of \{machine_id\}, \{product_type\}, each once"):
        parse_topic("plant/{make}", MILLING)

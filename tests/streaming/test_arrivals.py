"""Times of arrival that are kept for messages that are delivered again."""

import sqlite3

import pytest

from predictive_maintenance.errors import DataError
from predictive_maintenance.streaming.arrivals import Arrivals
from predictive_maintenance.streaming.source import Message


def message(identity, received, payload=b"1", *, again=False, topic="t"):
    return Message(topic=topic, payload=payload, received=received, is_repeated=again, identity=identity)


@pytest.fixture
def arrivals(tmp_path):
    return Arrivals(tmp_path / "arrivals.db", "broker bridge")


def times(arrivals, *messages):
    """As another process would see them."""
    return [one.received for one in Arrivals(arrivals.path, arrivals.session).first(messages)]


def test_a_message_that_is_delivered_again_has_its_first_time(arrivals):
    assert times(arrivals, message(1, 10.123456), message(2, 11.5)) == [10.123456, 11.5]
    assert times(arrivals, message(2, 20.0, again=True), message(1, 21.0, again=True)) == [11.5, 10.123456]
    assert times(arrivals, message(1, 30.0, again=True)) == [10.123456]


def test_an_equal_message_that_is_new_has_its_own_time(arrivals):
    assert times(arrivals, message(1, 10.0), message(2, 11.0), message(1, 12.0)) == [10.0, 11.0, 12.0]
    assert times(arrivals, message(1, 20.0, again=True)) == [12.0]


def test_a_message_that_was_not_seen_has_its_own_time(arrivals):
    assert times(arrivals, message(1, 10.0), message(7, 11.0, again=True)) == [10.0, 11.0]
    others = [message(1, 20.0, b"2", again=True), message(7, 21.0, topic="t1", again=True)]
    assert times(arrivals, *others) == [20.0, 21.0]
    assert times(Arrivals(arrivals.path, "another bridge"), message(1, 30.0, b"2", again=True)) == [30.0]


def test_what_is_never_delivered_again_is_not_kept(arrivals):
    assert times(arrivals, message(None, 10.0)) == [10.0]
    with sqlite3.connect(arrivals.path) as database:
        assert database.execute("SELECT count(*) FROM arrivals").fetchone() == (0,)
    database.close()


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "text.db").write_text("no database" * 100)
    for path in (tmp_path / "text.db", tmp_path / "none" / "arrivals.db"):
        with pytest.raises(DataError, match=r"\.db: times of arrival cannot be kept: .*: choose another --arrivals"):
            Arrivals(path, "").check()

"""The bridge with a source in memory and a service in memory: what is sent, repeated, acknowledged and written down."""

import itertools
import json
import threading
from dataclasses import replace

import httpx
import pytest

from predictive_maintenance.errors import DataError, ServiceError
from predictive_maintenance.streaming.backoff import Backoff
from predictive_maintenance.streaming.bridge import Bridge
from predictive_maintenance.streaming.dead_letters import DeadLetters
from predictive_maintenance.streaming.payloads import MessageReader
from predictive_maintenance.streaming.service import KeepingService
from predictive_maintenance.streaming.source import Message
from predictive_maintenance.streaming.topics import parse_topic
from tests.fixtures.pumps import pump

PUMP = pump()


class Source:
    """Delivers lists of messages one after the other, then sets `stopping`."""

    waiting = lost = 0

    def __init__(self, stopping, *parts):
        self._stopping, self._parts = stopping, list(parts)
        self.acknowledged, self.closed = [], False

    def start(self):
        pass

    def close(self):
        self.closed = True

    def receive(self, most, seconds):
        if self._parts:
            return self._parts.pop(0)
        self._stopping.set()
        return []

    def acknowledge(self, messages):
        self.acknowledged.extend(messages)


class Plant:
    """A bridge of pumps, and what the service was sent. `answer` makes the response to a path and a body."""

    def __init__(self, folder, answer):
        self.stopping, self.sent, self.failures, self.reports = threading.Event(), [], [], []
        self.file = folder / "dead.jsonl"

        def respond(request):
            body = json.loads(request.content)
            self.sent.append((request.url.path, body))
            return answer(request.url.path, body)

        self.client = httpx.Client(base_url="http://user:secret@service", transport=httpx.MockTransport(respond))

    def carry(self, *parts):
        """Run the bridge over parts of messages and return the source."""
        source = Source(self.stopping, *parts)
        topics = [parse_topic(text, PUMP) for text in ("{machine_id}/t", "errors:{machine_id}/e")]
        self.bridge = Bridge(
            source=source,
            reader=MessageReader(PUMP, topics, {}),
            service=KeepingService(self.client, self.stopping, self._fail),
            dead_letters=DeadLetters(self.file),
            report=self.reports.append,
        )
        with self.client:
            self.bridge.run(self.stopping, lambda: None)
        return source

    def _fail(self, reason, seconds):
        self.failures.append((reason, seconds))

    @property
    def reasons(self):
        return [json.loads(line)["reason"] for line in self.file.read_text().splitlines()]


def row(number):
    return {"timestamp": f"2024-03-01T00:{number:02}", "make": "A", "flow": number, "age": 1}


def readings(*numbers):
    return Message(topic="P/t", payload=json.dumps([row(number) for number in numbers]).encode(), received=1.7e9)


def error(code="low flow"):
    payload = json.dumps({"timestamp": "2024-03-01", "code": code}).encode()
    return Message(topic="P/e", payload=payload, received=1.7e9)


def kept(_path, body):
    return httpx.Response(200, json={"predictions": [{"failure_probability": 0.1}] * len(body)})


@pytest.fixture(autouse=True)
def no_delays(monkeypatch):
    monkeypatch.setattr(Backoff, "next_delay", lambda _: 0.001)


def test_messages_of_a_part_are_sent_together_events_first_and_acknowledged(tmp_path):
    plant = Plant(tmp_path, kept)
    part = [readings(1, 2), error(), readings(3), error("over-heat")]
    assert plant.carry(part).acknowledged == part
    assert [(path, len(body) if path == "/readings" else len(body["errors"])) for path, body in plant.sent] == [
        ("/events", 2),
        ("/readings", 3),
    ]
    counts = plant.bridge.counts
    assert (counts.received, counts.readings, counts.events, counts.rejected) == (4, 3, 2, 0)
    assert plant.file.read_text() == ""


def test_large_messages_are_sent_in_parts_of_some_mebibytes(tmp_path):
    def large(number):
        message = readings(number)
        return replace(message, payload=message.payload + b" " * 3 * 2**19)  # 1.5 MiB

    plant = Plant(tmp_path, kept)
    part = [*map(large, range(5)), replace(large(5), payload=readings(5).payload + b" " * 2**23), readings(6)]
    assert plant.carry(part).acknowledged == part
    assert [[row["flow"] for row in body] for _, body in plant.sent] == [[0, 1], [2, 3], [4], [5], [6]]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 429])
def test_a_request_is_repeated_until_the_service_answers_it(tmp_path, status):
    answers = itertools.chain([httpx.Response(status, json={"detail": "busy"})] * 3, itertools.repeat(None))
    plant = Plant(tmp_path, lambda path, body: next(answers) or kept(path, body))
    message = readings(1)
    assert plant.carry([message]).acknowledged == [message]
    assert len(plant.sent) == 4
    assert [reason for reason, _ in plant.failures] == [f"http://service: POST /readings answers {status}: busy"] * 3


def test_a_service_that_names_a_time_is_not_asked_before(tmp_path):
    answers = iter([httpx.Response(503, headers={"retry-after": "1"}), None])
    plant = Plant(tmp_path, lambda path, body: next(answers) or kept(path, body))
    plant.carry([readings(1)])
    assert [seconds for _, seconds in plant.failures] == [1]


def test_nothing_is_acknowledged_while_the_service_is_away_and_a_stop_ends_the_wait(tmp_path):
    plant = Plant(tmp_path, kept)

    def away(path, body):
        if len(plant.sent) == 3:
            plant.stopping.set()
        raise httpx.ConnectError("Connection refused")

    plant = Plant(tmp_path, away)
    source = plant.carry([readings(1)], [readings(2)])
    assert source.acknowledged == []
    assert source.closed
    assert plant.bridge.waiting == 1
    assert {reason for reason, _ in plant.failures} == {
        "http://service: the service cannot be reached: Connection refused"
    }


@pytest.mark.parametrize(
    ("status", "way_out"), [(401, "set PDM_API_KEY"), (404, "check --url"), (409, "no readings are kept"), (421, "421")]
)
def test_a_refusal_of_every_request_stops_the_bridge_and_keeps_the_message_at_the_source(tmp_path, status, way_out):
    plant = Plant(tmp_path, lambda *_: httpx.Response(status, json={"detail": "no readings are kept"}))
    with pytest.raises(ServiceError, match=way_out):
        plant.carry([readings(1)])
    assert plant.bridge.source.acknowledged == []
    assert plant.bridge.source.closed


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_as_a_whole_is_halved_until_the_row_at_fault_is_found(tmp_path, status):
    def refuse_7(path, body):
        if any(row["flow"] == 7 for row in body):
            return httpx.Response(status, json={"detail": "7 is no flow"})
        return kept(path, body)

    plant = Plant(tmp_path, refuse_7)
    part = [readings(number) for number in range(20)]
    assert plant.carry(part).acknowledged == part
    assert plant.reasons == ["row 1: 7 is no flow"]
    accepted = [row["flow"] for _, body in plant.sent for row in body if all(other["flow"] != 7 for other in body)]
    assert sorted(accepted) == [*range(7), *range(8, 20)]
    assert (plant.bridge.counts.readings, plant.bridge.counts.rejected) == (19, 1)


def test_the_reason_of_a_refused_event_has_no_place_in_the_request(tmp_path):
    answer = httpx.Response(422, json={"detail": "errors.0.type: should be 'low flow' or 'over-heat'"})
    plant = Plant(tmp_path, lambda *_: answer)
    plant.carry([error("none")])
    assert plant.reasons == ["row 1: type: should be 'low flow' or 'over-heat'"]


def test_a_batch_that_takes_too_long_is_halved(tmp_path):
    plant = Plant(tmp_path, lambda path, body: httpx.Response(504) if len(body) > 3 else kept(path, body))
    plant.carry([readings(*range(10))])
    assert [len(body) for _, body in plant.sent] == [10, 5, 2, 3, 5, 2, 3]
    assert plant.failures == []


def test_a_message_of_which_one_row_is_refused_is_a_dead_letter_whose_other_rows_are_kept(tmp_path):
    def refuse_odd(_path, body):
        errors = {"errors": [{"field": "flow", "reason": "is odd"}]}
        return httpx.Response(200, json={"predictions": [errors if row["flow"] % 2 else {} for row in body]})

    plant = Plant(tmp_path, refuse_odd)
    part = [readings(0, 1), readings(2), readings(1, 3, 5, 7, 9)]
    assert plant.carry(part).acknowledged == part
    assert plant.reasons == [
        "row 2: flow: is odd",
        "row 1: flow: is odd; row 2: flow: is odd; row 3: flow: is odd; and 2 further rows",
    ]
    assert (plant.bridge.counts.readings, plant.bridge.counts.rejected) == (2, 2)
    assert plant.reports == [f"P: rejected: flow: is odd; the message and further ones are in {plant.file}"]


def test_the_rows_of_a_list_that_can_be_used_are_kept_and_the_others_rejected_each_with_its_reason(tmp_path):
    def refuse_2(_path, body):
        errors = {"errors": [{"field": "flow", "reason": "is 2"}]}
        return httpx.Response(200, json={"predictions": [errors if row["flow"] == 2 else {} for row in body]})

    plant = Plant(tmp_path, refuse_2)
    given = [row(0), "on", row(2), row(3), row(4) | {"flow": [4]}]
    message = Message(topic="P/t", payload=json.dumps(given).encode(), received=1.7e9)
    assert plant.carry([message, readings(5)]).acknowledged == [message, readings(5)]
    assert [[row["flow"] for row in body] for _, body in plant.sent] == [[0, 2, 3, 5]]
    unreadable = "must be a JSON object of named values"
    assert plant.reasons == [
        f"row 2: {unreadable}; row 3: flow: is 2; row 5: flow: must be one value, not a list or an object"
    ]
    assert (plant.bridge.counts.readings, plant.bridge.counts.rejected) == (3, 1)
    assert [report.partition(";")[0] for report in plant.reports] == [
        f"topic P/t: rejected: {unreadable}",
        "P: rejected: flow: is 2",
    ]


def test_the_first_reasons_of_a_list_are_those_of_its_first_rows_at_fault(tmp_path):
    def refuse_all(_path, body):
        return httpx.Response(
            200, json={"predictions": [{"errors": [{"field": "flow", "reason": "is odd"}]}] * len(body)}
        )

    plant = Plant(tmp_path, refuse_all)
    given = [row(1), 1, row(2), *range(10)]
    plant.carry([Message(topic="P/t", payload=json.dumps(given).encode(), received=1.7e9)])
    assert plant.reasons == [
        "row 1: flow: is odd; row 2: must be a JSON object of named values; row 3: flow: is odd; and 10 further rows"
    ]


def test_long_names_from_publishers_do_not_stay_in_memory(tmp_path):
    plant = Plant(tmp_path, kept)
    part = [Message(topic=f"{'x' * 10_000}/{number}", payload=b"on", received=0.0) for number in range(3)]
    plant.carry(part)
    assert sum(map(len, plant.bridge.reported)) < 1_000


def test_the_first_message_of_a_topic_that_cannot_be_read_is_reported(tmp_path):
    plant = Plant(tmp_path, kept)
    part = [Message(topic=topic, payload=b"on", received=0.0) for topic in ("P/t", "P/t", "Q/t")]
    assert plant.carry(part).acknowledged == part
    assert len(plant.reasons) == 3
    assert [report.partition(": the payload")[0] for report in plant.reports] == [
        "topic P/t: rejected",
        "topic Q/t: rejected",
    ]


def test_a_report_is_one_line_of_limited_length_whatever_a_publisher_sends(tmp_path):
    plant = Plant(tmp_path, kept)
    payload = json.dumps({"timestamp": "2024-03-01", "spare\n2024-03-01 stopped; \x1b[2J" + "x" * 10_000: 1}).encode()
    plant.carry([Message(topic="P\nstopped/t", payload=payload, received=0.0)])
    (report,) = plant.reports
    assert report.isprintable()
    assert report.startswith("topic P stopped/t: rejected: no column for ")
    assert len(report) < 700 + len(str(plant.file))


def test_a_message_is_not_acknowledged_if_its_dead_letter_cannot_be_written(tmp_path):
    plant = Plant(tmp_path, kept)
    plant.file = tmp_path / "no folder" / "dead.jsonl"
    with pytest.raises(DataError, match=r"dead\.jsonl: .* No such file or directory: choose another --dead-letters"):
        plant.carry([Message(topic="P/t", payload=b"", received=0.0)])
    assert plant.bridge.source.acknowledged == []


def test_delays_grow_to_the_longest_and_differ(monkeypatch):
    monkeypatch.undo()
    backoff = Backoff(shortest=1, longest=8)
    delays = [backoff.next_delay() for _ in range(50)]
    for delay, most in zip(delays, [1, 2, 4, *[8] * 47], strict=True):
        assert most / 2 <= delay <= most
    assert len(set(delays[3:])) > 40

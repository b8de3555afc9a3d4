"""What the source of MQTT messages does when a broker refuses something. The broker is a script of packets."""

import gc
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest

from predictive_maintenance.errors import ConfigError, SourceError
from predictive_maintenance.streaming.mqtt import Broker, MqttSource, parse_address, tls_context
from tests.fixtures.servers import free_port, wait_for

CONNACK, PUBLISH, PUBACK, SUBACK, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xE0
_CONNECTED = bytes([CONNACK, 3, 0, 0, 0])
_SUBSCRIBED = bytes([SUBACK, 5, 0, 1, 0, 1, 1])
_TOPIC = b"plant/P1/telemetry"


def published(payload, number=None):
    """A message with quality of service 1 and a packet number, or without either."""
    identifier = b"" if number is None else number.to_bytes(2)
    content = len(_TOPIC).to_bytes(2) + _TOPIC + identifier + b"\0" + payload
    return bytes([PUBLISH | (0 if number is None else 2), len(content)]) + content


class ScriptedBroker:
    """Answers each packet of a connection with the next one of a list, then keeps what it receives in `received`.

    The connections follow the lists of `scripts`, all further ones the last list. `drop` ends a connection.
    """

    def __init__(self, scripts):
        self._scripts, self._listener = list(scripts), socket.create_server(("127.0.0.1", 0))
        self.port, self.received, self._connection = self._listener.getsockname()[1], b"", None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self._connection, _ = self._listener.accept()
            except OSError:
                return
            with self._connection, suppress(ConnectionResetError):
                for packet in self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]:
                    self._connection.recv(65536)
                    self._connection.sendall(packet)
                while part := self._connection.recv(65536):
                    self.received += part

    def drop(self):
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def connect():
    """Start a source of a scripted broker; returns the source, its reports and the broker."""
    made = []

    def start(*scripts, report=None):
        lines, scripted = [], ScriptedBroker(scripts)
        broker = Broker(host="127.0.0.1", port=scripted.port, client_id="tester", password="a secret")
        source = MqttSource(broker, ["plant/+/telemetry", "plant/+/errors"], 10, report or lines.append)
        made.append((source, scripted))
        source.start()
        return source, lines, scripted

    yield start
    for source, scripted in made:
        scripted.close()
        source.close()


def failure(source):
    def raised():
        try:
            assert source.receive(1, 0.05) == []
        except SourceError as error:
            return str(error)
        return ""

    return wait_for(raised)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (
            [bytes([CONNACK, 3, 0, 0x87, 0])],
            "refuses the connection: Not authorized: check --user and PDM_MQTT_PASSWORD",
        ),
        ([bytes([CONNACK, 3, 0, 0x84, 0])], "refuses the connection: Unsupported protocol version: check"),
        (
            [_CONNECTED, bytes([SUBACK, 5, 0, 1, 0, 1, 0x87])],
            "refuses the topic plant/+/errors: Not authorized: allow the user to subscribe to it",
        ),
        (
            [_CONNECTED, bytes([DISCONNECT, 1, 0x8E])],
            "another client connected as tester: stop it, or choose another --client-id",
        ),
    ],
)
def test_what_only_a_person_can_change_is_an_error(connect, answers, reason):
    source, _, _ = connect(answers)
    assert reason in failure(source)


def test_a_broker_that_is_busy_is_asked_again(connect):
    source, lines, _ = connect([bytes([CONNACK, 3, 0, 0x88, 0])], [_CONNECTED, _SUBSCRIBED])
    wait_for(lambda: lines and lines[-1].endswith(": connected"))
    assert [line.partition(": ")[2] for line in lines] == [
        "refuses the connection: Server unavailable; trying again in 1 s",
        "connected",
    ]
    assert source.receive(1, 0.05) == []


def test_each_attempt_to_reach_a_broker_is_reported_with_the_reason_and_the_time_of_the_next_one():
    lines = []
    source = MqttSource(Broker(host="127.0.0.1", port=free_port(), client_id="tester"), ["#"], 10, lines.append)
    source.start()
    wait_for(lambda: len(lines) == 2)
    source.close()
    reason = "cannot be reached: Connection refused"
    assert [line.partition(": ")[2] for line in lines] == [f"{reason}; trying again in {n} s" for n in (1, 2)]


# paho leaves its socket to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_without_tls_is_reported_as_such():
    lines, scripted = [], ScriptedBroker([[b"no TLS"]])
    broker = Broker(host="127.0.0.1", port=scripted.port, client_id="tester", tls=tls_context(None, None, None))
    source = MqttSource(broker, ["#"], 10, lines.append)
    source.start()
    wait_for(lambda: lines)
    source.close()
    scripted.close()
    gc.collect()
    assert lines[0].endswith(" (mqtts:// needs a broker with TLS); trying again in 1 s")


def test_a_broker_that_does_not_answer_is_reported_and_asked_again(connect):
    _, lines, broker = connect([], [_CONNECTED, _SUBSCRIBED])
    wait_for(lambda: broker.received)
    broker.drop()
    wait_for(lambda: lines and lines[-1].endswith(": connected"))
    assert "ends the connection without an answer" in lines[0]
    assert "; trying again in 1 s" in lines[0]


def test_a_lost_connection_is_tried_again_after_the_shortest_wait(connect):
    _, lines, broker = connect([_CONNECTED, _SUBSCRIBED])
    wait_for(lambda: lines and lines[-1].endswith(": connected"))
    broker.drop()
    wait_for(lambda: len(lines) == 4)
    assert "the connection is lost; trying again in 1 s; if this repeats" in lines[1]
    assert lines[3].endswith(": connected")


def test_a_message_without_quality_of_service_is_dropped_and_counted_while_too_many_wait(connect):
    source, _, _ = connect([_CONNECTED, _SUBSCRIBED + 12 * published(b"{}")])
    wait_for(lambda: source.lost == 2)
    assert [message.payload for message in source.receive(20, 5)] == 10 * [b"{}"]


def test_no_more_messages_are_in_memory_than_asked_for_if_the_broker_sends_more(connect):
    messages = b"".join(published(bytes([number]), number) for number in range(1, 16))
    source, _, _ = connect([_CONNECTED, _SUBSCRIBED + messages])
    wait_for(lambda: source.waiting == 10)
    time.sleep(0.2)
    assert source.waiting == 10
    found = []
    wait_for(lambda: found.extend(source.receive(3, 1)) or len(found) == 15)
    assert [message.payload for message in found] == [bytes([number]) for number in range(1, 16)]


def test_a_source_whose_memory_is_full_can_be_closed(connect):
    messages = b"".join(published(b"", number) for number in range(1, 16))
    source, _, _ = connect([_CONNECTED, _SUBSCRIBED + messages])
    wait_for(lambda: source.waiting == 10)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 10


def test_a_report_that_cannot_be_written_is_an_error(connect):
    def broken(_line):
        raise BrokenPipeError(32, "Broken pipe")

    source, _, _ = connect([_CONNECTED, _SUBSCRIBED], report=broken)
    assert "a report cannot be written: Broken pipe" in failure(source)


def test_a_message_is_acknowledged_when_its_user_says_so(connect):
    source, _, scripted = connect([_CONNECTED, _SUBSCRIBED + published(b"1", 1) + published(b"2", 2)])
    first, _ = wait_for(lambda: source.waiting == 2 and source.receive(2, 1))
    assert scripted.received == b""
    source.acknowledge([first])
    wait_for(lambda: scripted.received == bytes([PUBACK, 2, 0, 1]))


def test_a_message_of_a_lost_connection_is_not_acknowledged_on_the_next_one(connect):
    """The broker has forgotten the session, and gives the number to another message."""
    source, lines, scripted = connect(
        [_CONNECTED, _SUBSCRIBED + published(b"old", 1) + published(b"waiting", 2)],
        [_CONNECTED, _SUBSCRIBED + published(b"new", 1)],
    )
    (old,) = source.receive(1, 5)
    wait_for(lambda: source.waiting == 1)
    scripted.drop()
    wait_for(lambda: any("has lost the session" in line for line in lines))
    (new,) = source.receive(2, 5)
    source.acknowledge([old])
    assert (old.payload, new.payload) == (b"old", b"new")
    time.sleep(0.2)
    assert scripted.received == b""
    source.acknowledge([new])
    wait_for(lambda: scripted.received == bytes([PUBACK, 2, 0, 1]))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", ("broker", 1883, False)),
        ("mqtts://broker.plant.example", ("broker.plant.example", 8883, True)),
        ("mqtt://10.0.0.5:2883/", ("10.0.0.5", 2883, False)),
        ("mqtts://[::1]:1", ("::1", 1, True)),
    ],
)
def test_an_address_has_a_host_a_port_and_says_whether_tls_is_used(url, expected):
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    "url", ["broker", "http://broker", "mqtt://", "mqtt://a:b", "mqtt://a/topic", "mqtt://" + "a" * 99]
)
def test_an_address_that_cannot_be_used_is_named(url):
    with pytest.raises(ConfigError, match="write mqtt://HOST:1883, or mqtts://HOST:8883 for TLS"):
        parse_address(url)


def test_a_password_in_the_address_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="the password in PDM_MQTT_PASSWORD") as error:
        parse_address("mqtt://user:secret@broker")
    assert "secret" not in str(error.value)


def test_a_password_is_not_in_the_text_of_a_broker():
    assert "secret" not in repr(Broker(host="a", port=1, client_id="b", password="secret"))


def test_files_without_certificates_are_named(tmp_path):
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigError, match=r"--ca-file .*empty\.pem: has no certificates"):
        tls_context(empty, None, None)
    with pytest.raises(ConfigError, match=r"--client-certificate .*missing\.pem: needs .*: No such file"):
        tls_context(None, tmp_path / "missing.pem", None)
    assert tls_context(None, None, None).verify_mode == ssl.CERT_REQUIRED

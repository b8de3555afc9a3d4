"""Messages of an MQTT 5 broker, acknowledged by hand in a session that the broker keeps."""

import queue
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ..errors import ConfigError, SourceError
from .source import Message

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_SECONDS = 30
_SHORTEST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 1, 30
_NEVER = 0xFFFFFFFF
_ONLY_NEW_SUBSCRIPTIONS = 1
_TEMPORARY_REFUSALS = {"Server unavailable", "Server busy", "Quota exceeded", "Connection rate exceeded"}
_TAKEN_OVER = "Session taken over"
_CLOSED = "Unspecified error"
"""What the client reports if the broker gives no reason."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker and how to sign in. `tls` is None for a connection without encryption."""

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


def parse_address(url: str) -> tuple[str, int, bool]:
    """The host, the port and whether TLS is used, of `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:  # of which UnicodeError is one
        host, port = "", None
    if "@" in url:
        raise ConfigError("--broker: give the user as --user, and the password in PDM_MQTT_PASSWORD")
    if not host or parts.scheme not in _PORTS or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(f"--broker {url}: write mqtt://HOST:1883, or mqtts://HOST:8883 for TLS")
    return host, port or _PORTS[parts.scheme], parts.scheme == "mqtts"


def tls_context(ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """TLS that accepts certificates of the authorities in `ca_file`, by default the system's. Raises ConfigError.

    `certificate` and `key` identify this client, if the broker wants that.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # of which ssl.SSLError is one
        raise ConfigError(f"--ca-file {ca_file}: has no certificates in PEM: {_reason(error)}") from None
    if certificate:
        try:
            context.load_cert_chain(
                certificate, key, password=""
            )  # so that an encrypted key is an error, not a question
        except OSError as error:
            raise ConfigError(
                f"--client-certificate {certificate}: needs a certificate and its key without a passphrase, in PEM, "
                f"--client-key if the key has its own file: {_reason(error)}"
            ) from None
    return context


class MqttSource:
    """A message source over one persistent session; see MessageSource.

    The broker sends at most `most_waiting` messages before the first is acknowledged, and sends those without an acknowledgement
    again on the next connection. `report` is called with a line about each attempt to connect and each lost connection, by
    another thread.
    """

    def __init__(
        self, broker: Broker, subscriptions: Sequence[str], most_waiting: int, report: Callable[[str], None]
    ) -> None:
        self._broker, self._most_waiting, self._report = broker, most_waiting, report
        self._subscriptions = tuple(dict.fromkeys(subscriptions))
        self._queue: queue.Queue[Message] = queue.Queue(most_waiting)
        self._lock = threading.Lock()
        self._connection = 0
        """Identifies a connection: an acknowledgement counts on the one that delivered the message only."""
        self._was_connected = self._is_connected = self._is_closing = False
        self._attempts = 0
        """Since the last connection."""
        self._refusal = ""
        self._failure: str | None = None
        self.lost = 0
        self._client = self._new_client()

    def _new_client(self) -> Client:
        broker = self._broker
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.reconnect_delay_set(_SHORTEST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS)
        client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            client.tls_set_context(broker.tls)
        client.on_connect, client.on_connect_fail = self._on_connect, self._on_connect_fail
        client.on_disconnect, client.on_subscribe = self._on_disconnect, self._on_subscribe
        client.on_message = self._on_message
        return client

    def start(self) -> None:
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = _NEVER
        session.ReceiveMaximum = self._most_waiting
        self._client.connect_async(
            self._broker.host, self._broker.port, _KEEPALIVE_SECONDS, clean_start=False, properties=session
        )
        self._client.loop_start()

    def close(self) -> None:
        self._is_closing = True
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def receive(self, most: int, seconds: float) -> list[Message]:
        found: list[Message] = []
        with suppress(queue.Empty):
            while len(found) < most:
                found.append(self._queue.get(timeout=0 if found else seconds))
        if self._failure:
            raise SourceError(self._failure)
        return found

    def acknowledge(self, messages: Sequence[Message]) -> None:
        with self._lock:
            for message in messages:
                if message.delivery is not None:
                    connection, number = message.delivery
                    if connection == self._connection:
                        self._client.ack(number, 1)

    # The methods below are called by the thread of the client.

    def _on_connect(self, client: Client, _data: Any, flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            if str(code) not in _TEMPORARY_REFUSALS:
                self._fail(f"refuses the connection: {code}: {self._way_out()}")
            else:
                self._refusal = f"refuses the connection: {code}"
            return
        self._is_connected, self._attempts = True, 0
        if self._was_connected and not flags.session_present:
            self._say("has lost the session, and with it messages that waited: let the broker keep sessions on disk")
        self._was_connected = True
        options = SubscribeOptions(qos=1, retainHandling=_ONLY_NEW_SUBSCRIPTIONS)
        client.subscribe([(subscription, options) for subscription in self._subscriptions])

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        error = sys.exception()  # the client calls this while it handles the error
        if isinstance(error, ssl.SSLCertVerificationError):
            self._fail(
                f"its certificate is refused: {error.verify_message}: give the certificate of its authority as --ca-file"
            )
        else:
            hint = " (mqtts:// needs a broker with TLS)" if isinstance(error, ssl.SSLError) else ""
            self._say(f"cannot be reached: {_reason(error)}{hint}; {self._next_attempt()}")

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        was_connected, self._is_connected = self._is_connected, False
        refusal, self._refusal = self._refusal, ""
        with self._lock:
            self._connection += 1  # before the client connects again, which clears acknowledgements that were not sent
        self._drop_waiting()
        if self._is_closing or self._failure:
            return
        client_id = self._broker.client_id
        if str(code) == _TAKEN_OVER:
            self._fail(f"another client connected as {client_id}: stop it, or choose another --client-id")
            return
        reason = "" if str(code) == _CLOSED else f": {code}"
        if was_connected:
            hint = f"if this repeats, another client has the id {client_id}"
            self._say(f"the connection is lost{reason}; {self._next_attempt()}; {hint}")
        else:
            no_answer = f"ends the connection without an answer{reason}: use a broker for MQTT 5, and mqtts:// for TLS"
            self._say(f"{refusal or no_answer}; {self._next_attempt()}")

    def _next_attempt(self) -> str:
        """When the client tries again: it waits twice as long after each attempt."""
        seconds = min(_SHORTEST_DELAY_SECONDS * 2**self._attempts, _LONGEST_DELAY_SECONDS)
        self._attempts += 1
        return f"trying again in {seconds} s"

    def _drop_waiting(self) -> None:
        """Drop what the broker will send again, so that it has room."""
        kept = []
        with suppress(queue.Empty):
            while True:
                message = self._queue.get_nowait()
                if message.delivery is None:
                    kept.append(message)
        for message in kept:
            self._queue.put_nowait(message)  # this thread alone puts messages

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        for subscription, code in zip(self._subscriptions, codes, strict=True):
            if code.is_failure:
                self._fail(f"refuses the topic {subscription}: {code}: allow the user to subscribe to it")
                return
        self._say("connected")

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.qos == 0 and self.waiting >= self._most_waiting:
            self.lost += 1  # the receive maximum does not limit these, and they are never sent again
            return
        delivery = (self._connection, message.mid) if message.qos else None
        arrived = Message(
            topic=message.topic,
            payload=bytes(message.payload),
            received=time.time(),
            is_repeated=message.dup,
            is_retained=message.retain,
            identity=message.mid if message.qos else None,
            delivery=delivery,
        )
        # Some brokers exceed the receive maximum, such as Mosquitto 2.0 for what waited in a session. Then the network waits.
        while not self._is_closing:
            with suppress(queue.Full):
                self._queue.put(arrived, timeout=1)
                return

    def _say(self, text: str) -> None:
        try:
            self._report(f"{self._broker.name}: {text}")
        except OSError as error:  # would end the thread of the client, without anybody noticing
            self._fail(f"its messages end, because a report cannot be written: {_reason(error)}")

    def _fail(self, text: str) -> None:
        self._failure = f"{self._broker.name}: {text}"

    def _way_out(self) -> str:
        client_id = self._broker.client_id
        return f"check --user and PDM_MQTT_PASSWORD, and that the broker accepts MQTT 5 and the client id {client_id}"


def _reason(error: BaseException | None) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__

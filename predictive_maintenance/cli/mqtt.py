"""The command mqtt: carry readings and events from an MQTT broker to the service."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .shared import FILE, Command, count, load_settings, machine_option, service_client, url_option

if TYPE_CHECKING:
    from ..config.params import Params
    from ..machine.machine import Machine
    from ..streaming.bridge import Bridge
    from ..streaming.mqtt import Broker
    from ..streaming.payloads import MachineAttributes

_PASSWORD = "PDM_MQTT_PASSWORD"  # noqa: S105  # the name of the variable
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_CLIENT = "predictive-maintenance"
_MOST_UNACKNOWLEDGED = 65_535


@click.command(cls=Command)
@click.option(
    "--topic",
    "topics",
    metavar="[TABLE:]TEMPLATE",
    multiple=True,
    required=True,
    help="Topics of readings, or of the events of TABLE; several times for several topics.",
)
@click.option(
    "--payload",
    "payloads",
    metavar="[TABLE:]EXPRESSION",
    multiple=True,
    help="JMESPath expression that makes named values of a nested payload, once for each table.",
)
@click.option(
    "--broker",
    metavar="URL",
    default="mqtt://127.0.0.1:1883",
    show_default=True,
    help="The broker, mqtts:// for TLS. It needs MQTT 5.",
)
@url_option
@click.option("--user", help=f"User at the broker. The password is read from {_PASSWORD}.")
@click.option(
    "--ca-file", type=FILE, help="Certificates of authorities that sign the broker's.  [default: the system's]"
)
@click.option("--client-certificate", type=FILE, help="Certificate that identifies this client to the broker.")
@click.option("--client-key", type=FILE, help="The key of the client certificate, if it has its own file.")
@click.option(
    "--client-id",
    help="Name of the session at the broker. Use another one for each bridge.  [default: predictive-maintenance-MODEL]",
)
@click.option(
    "--tables",
    metavar="TABLE:SOURCE,...",
    default="",
    help="Tables of machine attributes that payloads lack, such as machines:machines.csv.",
)
@click.option("--arrival-time", is_flag=True, help="Use the time of arrival for payloads without a time.")
@click.option(
    "--arrivals",
    type=FILE,
    default="arrivals.db",
    show_default=True,
    help="File that keeps times of arrival, for messages that are delivered again.",
)
@click.option(
    "--dead-letters",
    type=FILE,
    default="dead-letters.jsonl",
    show_default=True,
    help="File for messages that cannot be used.",
)
@click.option(
    "--max-waiting",
    type=click.IntRange(1, _MOST_UNACKNOWLEDGED),
    default=1000,
    show_default=True,
    help="Most messages in memory. Further ones wait at the broker.",
)
@click.option(
    "--report-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="How often counts are shown, if they have changed.",
)
@machine_option
@click.pass_obj
def mqtt(
    params_file: Path | None,
    topics: Sequence[str],
    payloads: Sequence[str],
    broker: str,
    url: str,
    user: str | None,
    ca_file: Path | None,
    client_certificate: Path | None,
    client_key: Path | None,
    client_id: str | None,
    tables: str,
    arrival_time: bool,
    arrivals: Path,
    dead_letters: Path,
    max_waiting: int,
    report_seconds: float,
) -> None:
    """Carry readings and events from an MQTT broker to a running service, at least once.

    A template such as plant/{machine_id}/telemetry subscribes to plant/+/telemetry and takes the machine from the topic. + is
    any level, # all further ones. A payload is a JSON object of named values, or a list of them; its names and units are
    matched by the description, as those of a file are. --payload makes such an object of any other JSON.

    A message is acknowledged when the service has kept it, or when it is in the file of dead letters with the reason why it
    cannot be used. If some readings of a list cannot be used, the others are kept. While the service or the broker is away,
    messages wait at the broker. The service keeps a reading of a machine and a time once, so a message that is delivered again
    changes nothing. With --arrival-time, the bridge keeps the first arrival of each message in a file for that. A reading still
    counts twice if its publisher sends it twice, or if the broker crashes and forgets that it was delivered.

    A service with an API key needs it in PDM_API_KEY. With PDM_STORE_URL, the settings are recorded in the audit log there.

    \b
    Examples:
      predictive-maintenance mqtt --machine fleet --topic 'plant/{machine_id}/telemetry' --tables machines:machines.csv
      predictive-maintenance mqtt --machine fleet --broker mqtts://broker.plant.example --user bridge \\
        --tables machines:machines.csv --topic 'plant/{machine_id}/telemetry' --topic 'errors:plant/{machine_id}/errors'
      predictive-maintenance mqtt --machine fleet --topic 'plant/{machine_id}/telemetry' --tables machines:machines.csv \\
        --payload 'merge({timestamp: ts}, values)'
    """
    from ..streaming.arrivals import Arrivals  # the command line starts quickly without the clients of MQTT and HTTP
    from ..streaming.bridge import Bridge
    from ..streaming.dead_letters import DeadLetters
    from ..streaming.expressions import parse_payloads
    from ..streaming.mqtt import MqttSource
    from ..streaming.payloads import MessageReader
    from ..streaming.service import KeepingService
    from ..streaming.topics import parse_topic

    params = load_settings(params_file)
    machine = params.machine
    found = [parse_topic(text, machine) for text in topics]
    subscriptions = [topic.subscription for topic in found]
    attributes = _attributes(tables, machine) if tables else {}
    reader = MessageReader(
        machine,
        found,
        params.columns.aliases,
        attributes=attributes,
        expressions=parse_payloads(payloads, machine),
        use_arrival=arrival_time,
    )
    tls_files = {"--ca-file": ca_file, "--client-certificate": client_certificate, "--client-key": client_key}
    at_broker = _broker(broker, user, tls_files, client_id or f"{_CLIENT}-{params.registry.model_name}")

    def on_failure(reason: str, seconds: float) -> None:
        click.echo(f"{reason}; trying again in {seconds:.1f} s; {_line(bridge)}")

    with service_client(url) as client, _stopped_by_signals() as stopping:
        service = KeepingService(client, stopping, on_failure)
        _record_settings(params, at_broker, service.address)
        bridge = Bridge(
            source=MqttSource(at_broker, subscriptions, max_waiting, click.echo),
            reader=reader,
            service=service,
            dead_letters=DeadLetters(dead_letters),
            report=click.echo,
            arrivals=Arrivals(arrivals, f"{at_broker.name} {at_broker.client_id}") if arrival_time else None,
        )
        carried = ", ".join(subscriptions)
        click.echo(f"{at_broker.name}: connecting as {at_broker.client_id}, to carry {carried} to {service.address}")
        bridge.run(stopping, _Progress(report_seconds, bridge).show)
    click.echo(f"stopped; {_line(bridge)}")


def _record_settings(params: Params, broker: Broker, service: str) -> None:
    """Add the settings of this bridge to the audit log. An error is a warning: the bridge itself needs no store."""
    from ..config.serving_params import MODEL_NAME_VARIABLE
    from ..config.shown_settings import shown_settings
    from ..config.sources import parse_tables
    from ..store.audit_log import SettingsInForce

    options = {name: value for name, value in click.get_current_context().params.items() if value not in (None, "")}
    options |= {name: str(value) for name, value in options.items() if isinstance(value, Path)}
    options |= {"topics": list(options["topics"]), "broker": broker.name, "url": service, "client_id": broker.client_id}
    if tables := options.get("tables"):
        options["tables"] = [str(source) for source in parse_tables(tables)]
    secrets = {"password": broker.password, "api_key": os.environ.get("PDM_API_KEY")}
    options |= {name: "set" for name, value in secrets.items() if value}
    settings = shown_settings(params, "columns.aliases", "registry.model_name") | options
    model = os.environ.get(MODEL_NAME_VARIABLE) or params.registry.model_name
    if warning := SettingsInForce(f"mqtt {broker.client_id}", model, settings).record():
        click.echo(f"warning: {warning}", err=True)


def _attributes(tables: str, machine: Machine) -> MachineAttributes:
    from ..config.sources import parse_tables
    from ..streaming.attributes import read_attributes  # imports pandas

    return read_attributes(parse_tables(tables), machine)


def _broker(url: str, user: str | None, tls_files: dict[str, Path | None], client_id: str) -> Broker:
    from ..streaming.mqtt import Broker, parse_address, tls_context

    host, port, uses_tls = parse_address(url)
    given = [option for option, path in tls_files.items() if path]
    if given and not uses_tls:
        raise click.UsageError(f"{given[0]} is for TLS: write --broker mqtts://{host}")
    if tls_files["--client-key"] and not tls_files["--client-certificate"]:
        raise click.UsageError("--client-key belongs to a --client-certificate: give both")
    password = os.environ.get(_PASSWORD) or None
    if password and not user:
        raise click.UsageError(f"{_PASSWORD} is set, but no user: give --user, or unset it")
    if password and not uses_tls and host not in _LOCAL_HOSTS:
        click.echo(f"warning: the password is sent to {host} without encryption: use mqtts://", err=True)
    tls = tls_context(*tls_files.values()) if uses_tls else None
    return Broker(host=host, port=port, client_id=client_id, user=user, password=password, tls=tls)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl+C and SIGTERM set. A second one ends the program at once."""
    stopping = threading.Event()

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: Any) -> None:
        stopping.set()
        restore()

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        restore()


class _Progress:
    """Shows the counts of a bridge every `seconds`, if they have changed."""

    def __init__(self, seconds: float, bridge: Bridge) -> None:
        self._seconds, self._bridge = seconds, bridge
        self._next, self._shown = time.monotonic() + seconds, _line(bridge)

    def show(self) -> None:
        now, line = time.monotonic(), _line(self._bridge)
        if now >= self._next and line != self._shown:
            self._next, self._shown = now + self._seconds, line
            click.echo(line)


def _line(bridge: Bridge) -> str:
    counts, lost = bridge.counts, bridge.source.lost
    return (
        f"received {count(counts.received, 'message')}, {counts.repeated:,} of them repeated; kept "
        f"{count(counts.readings, 'reading')} and {count(counts.events, 'event')}; rejected {counts.rejected:,}; "
        f"waiting {bridge.waiting:,}" + (f"; lost {lost:,} with QoS 0" if lost else "")
    )

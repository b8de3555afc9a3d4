"""Options of the command mqtt that cannot be used. What it carries is tested in tests/streaming."""

import signal

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.cli.mqtt import _stopped_by_signals

TOPIC = ("--topic", "plant/{machine_id}/telemetry")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, where the file of dead letters would be, and no password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PDM_MQTT_PASSWORD", raising=False)
    return tmp_path


def mqtt(*options):
    result = CliRunner().invoke(main, ["mqtt", "--machine", "fleet", *options])
    assert isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "Missing option '--topic'"),
        (("--topic", "plant/{machine}/telemetry"), 1, "{machine} must be one of {machine_id}, {model}"),
        ((*TOPIC, "--broker", "broker:1883"), 1, "--broker broker:1883: write mqtt://HOST:1883"),
        ((*TOPIC, "--ca-file", "ca.pem"), 2, "--ca-file is for TLS: write --broker mqtts://127.0.0.1"),
        ((*TOPIC, "--broker", "mqtts://b", "--client-key", "k"), 2, "--client-key belongs to a --client-certificate"),
        ((*TOPIC, "--broker", "mqtts://b", "--ca-file", "no.pem"), 1, "--ca-file no.pem: has no certificates in PEM"),
        ((*TOPIC, "--url", "127.0.0.1:8000"), 1, "--url 127.0.0.1:8000: write http://HOST:8000"),
        ((*TOPIC, "--url", "http://127.0.0.1:80000"), 1, "--url http://127.0.0.1:80000: write http://HOST:8000"),
        ((*TOPIC, "--url", "http://plant..example"), 1, "--url http://plant..example: write http://HOST:8000"),
        ((*TOPIC, "--url", "http://u:secret@h:80000"), 1, "--url http://***:***@h:80000: write http://HOST:8000"),
        ((*TOPIC, "--url", "u:secret@h:8000"), 1, "--url h:8000: write http://HOST:8000"),
        ((*TOPIC, "--dead-letters", "none/x.jsonl"), 1, "none/x.jsonl: messages that cannot be used cannot be kept"),
        (
            (*TOPIC, "--arrival-time", "--arrivals", "none/x.db"),
            1,
            "none/x.db: times of arrival cannot be kept: unable to open database file: choose another --arrivals",
        ),
        ((*TOPIC, "--payload", "merge(a"), 1, "--payload merge(a: Invalid jmespath expression"),
        (
            (*TOPIC, "--tables", "errors:x.csv"),
            1,
            "errors is no table of machine attributes: the description has machines",
        ),
        ((*TOPIC, "--tables", "machines:no.csv"), 1, "no.csv"),
        ((*TOPIC, "--max-waiting", "0"), 2, "0 is not in the range 1<=x<=65535"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_with_the_way_out(options, code, message):
    found, output = mqtt(*options)
    assert (found, message in " ".join(output.split())) == (code, True), output


@pytest.mark.parametrize("key", ["hidden-wörd", "hidden-word\nX: 1"])
def test_an_api_key_that_no_header_can_have_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("PDM_API_KEY", key)
    assert mqtt(*TOPIC) == (1, "Error: PDM_API_KEY must be printable ASCII\n")


def test_a_password_needs_a_user_and_is_not_shown(monkeypatch):
    monkeypatch.setenv("PDM_MQTT_PASSWORD", "a secret")
    code, output = mqtt(*TOPIC)
    assert code == 2
    assert "PDM_MQTT_PASSWORD is set, but no user: give --user" in output
    assert "a secret" not in output


def test_a_password_without_encryption_is_warned_about(monkeypatch):
    monkeypatch.setenv("PDM_MQTT_PASSWORD", "a secret")
    options = ("--dead-letters", "none/x.jsonl", "--user", "u")  # so that the command ends
    assert "sent to broker.example without encryption" in mqtt(*TOPIC, *options, "--broker", "mqtt://broker.example")[1]
    assert "without encryption" not in mqtt(*TOPIC, *options)[1]


@pytest.fixture
def default_signals():
    """Ctrl+C as in a terminal: a shell starts its background jobs without it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_the_first_signal_stops_gently_and_the_second_one_at_once(default_signals):
    with _stopped_by_signals() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

"""The command mqtt with a real broker and a real service: nothing is lost and nothing is kept twice."""

import json
import signal
import subprocess
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from predictive_maintenance.store.store import Store
from tests.fixtures.brokers import PASSWORD, USER, password_file
from tests.fixtures.servers import free_port, wait_for


def reading(number, **values):
    """Reading `number` of a pump, one a minute. Each has another flow."""
    timestamp = f"2024-03-01T{number // 60:02}:{number % 60:02}:00Z"
    return {"timestamp": timestamp, "make": "A", "flow": 40 + number / 100, "age": 3} | values


def telemetry(machine_id, *numbers):
    return [(f"plant/{machine_id}/telemetry", json.dumps(reading(number))) for number in numbers]


def flows(service, machine_id):
    return [sensors["flow"] for _, _, sensors in service.readings(machine_id)]


def expected_flows(count):
    return [40 + number / 100 for number in range(count)]


def wait_for_count(service, machine_id, count):
    wait_for(lambda: len(service.readings(machine_id)) >= count)
    time.sleep(0.3)  # so that a reading too many would be seen
    assert flows(service, machine_id) == expected_flows(count)


def test_readings_and_events_are_kept_and_scored_and_a_signal_ends_the_bridge(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto)
    bridge.up()
    error = {"timestamp": "2024-03-01T00:00:30Z", "code": "low flow"}
    several = [reading(1), {"Timestamp": "2024-03-01T00:02:00Z", "Make": "A", "flow [l/s]": 40.02 / 3.6, "Age": 3}]
    mosquitto.publish(
        ("plant/kept/errors", json.dumps(error)),
        *telemetry("kept", 0),
        ("plant/kept/telemetry", json.dumps(several)),
    )
    wait_for(lambda: len(service.readings("kept")) == 3)
    rows = service.readings("kept")
    assert [round(sensors["flow"], 9) for _, _, sensors in rows] == expected_flows(3)
    assert all(0 <= probability <= 1 for _, probability, _ in rows)
    assert service.events("kept") == [("errors", "2024-03-01T00:00:30+00:00", "low flow")]
    assert bridge.stop() == 0
    assert bridge.output.endswith(
        "stopped; received 3 messages, 0 of them repeated; kept 3 readings and 1 event; rejected 0; waiting 0\n"
    )


def test_a_message_that_cannot_be_used_is_a_dead_letter_and_the_others_are_kept(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto)
    bridge.up()
    topic = "plant/bad/telemetry"
    bad = {
        '{"flow": ': "the payload is not JSON",
        "\xff\xfe".encode("latin-1"): "the payload is not JSON",
        '"on"': "must be a JSON object",
        json.dumps(reading(1) | {"flow": "a lot"}): "row 1: flow: ",
        json.dumps(reading(1, flow=1000)): "row 1: flow: outside of the physical limits 0 to 100 m³/h",
        json.dumps({"time": "2024-03-01", "make": "A", "flwo": 4}): "no column for flow",
        json.dumps([reading(2), reading(3, flow=-1)]): "row 2: flow: outside",
        json.dumps(reading(0, flow=41)): "the store has a reading of this machine at this time with other values",
        json.dumps(reading(4, timestamp="2224-03-01")): "in the future",
    }
    mosquitto.publish(*telemetry("bad", 0))
    wait_for(lambda: service.readings("bad"))
    mosquitto.publish(
        *((topic, payload) for payload in bad),
        ("plant/bad/errors", json.dumps({"timestamp": "2024-03-01", "code": "no such code"})),
        *telemetry("bad", 5),
    )
    wait_for(lambda: len(bridge.dead_letters) == len(bad) + 1)
    letters = bridge.dead_letters[:-1]
    for letter, (payload, reason) in zip(letters, bad.items(), strict=True):
        assert letter["topic"] == topic
        assert reason in letter["reason"]
        assert letter.get("payload") == payload or letter["payload_base64"] == "//4="
        assert letter["time"].startswith("20")
    assert bridge.dead_letters[-1]["topic"] == "plant/bad/errors"
    wait_for(lambda: flows(service, "bad") == [40, 40.02, 40.05])
    assert bridge.stop() == 0
    again = make_bridge(mosquitto)  # everything was acknowledged
    again.up()
    time.sleep(0.5)
    assert again.stop() == 0
    assert "received 0 messages" in again.output


def test_nested_payloads_are_read_by_an_expression_and_rejected_with_their_topic_and_paths(
    mosquitto, service, make_bridge
):
    names = "from_items(metrics[].[name, value])"
    bridge = make_bridge(
        mosquitto,
        "--payload",
        f"merge({{timestamp: ts}}, {names})",
        "--payload",
        "errors:merge({timestamp: ts}, error)",
    )
    bridge.up()

    def metrics(number):
        values = {name: value for name, value in reading(number).items() if name != "timestamp"}
        metrics = [{"name": name, "value": value} for name, value in values.items()]
        return {"ts": f"2024-03-01T00:{number:02}:00Z", "metrics": metrics}

    bad = {
        json.dumps({"ts": "2024-03-01", "values": {"flow": 40}}): "from_items() needs array, and got null; the payload "
        "has ts, values.flow",
        json.dumps(metrics(7) | {"metrics": metrics(7)["metrics"][:1]}): "no column for flow",
        json.dumps(
            metrics(7) | {"metrics": [{"name": "flow", "value": 1000}, *metrics(7)["metrics"]]}
        ): "several values",
    }
    topic = "plant/nested/telemetry"
    mosquitto.publish(
        *((topic, json.dumps(metrics(number))) for number in range(3)),
        *((topic, payload) for payload in bad),
        ("plant/nested/errors", json.dumps({"ts": "2024-03-01T00:00:30Z", "error": {"code": "low flow"}})),
    )
    wait_for_count(service, "nested", 3)
    wait_for(lambda: service.events("nested") == [("errors", "2024-03-01T00:00:30+00:00", "low flow")])
    wait_for(lambda: len(bridge.dead_letters) == len(bad))
    for letter, (payload, reason) in zip(bridge.dead_letters, bad.items(), strict=True):
        assert (letter["topic"], letter["payload"]) == (topic, payload)
        assert "--payload merge(" in letter["reason"]
        assert reason in letter["reason"]
    assert bridge.output.count(f"topic {topic}: rejected: --payload merge(") == 1


def test_what_is_published_while_the_bridge_is_away_is_kept_when_it_is_back(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto)
    bridge.up()
    assert bridge.stop() == 0
    mosquitto.publish(*telemetry("away", *range(100)))
    bridge.up()
    wait_for_count(service, "away", 100)


class HeldAnswers(BaseHTTPRequestHandler):
    """Forwards requests to a service, whose answers never arrive."""

    service_url = ""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {"content-type": self.headers["content-type"]}
        assert httpx.post(self.service_url + self.path, content=body, headers=headers).is_success
        time.sleep(3600)


@pytest.fixture
def without_answers(service):
    """The address of the service, whose answers never arrive there."""
    handler = type("Handler", (HeldAnswers,), {"service_url": service.url, "log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.socket.close()  # not server_close, which would wait for the requests
    thread.join()


def test_a_bridge_that_is_killed_between_the_commit_and_the_answer_keeps_nothing_twice(
    mosquitto, service, make_bridge, without_answers
):
    bridge = make_bridge(mosquitto, url=without_answers)
    bridge.up()
    mosquitto.publish(*telemetry("committed", *range(50)))
    wait_for(lambda: service.readings("committed"))  # in the store, and not acknowledged
    bridge.stop(signal.SIGKILL)
    again = make_bridge(mosquitto)
    again.up()
    wait_for_count(service, "committed", 50)
    assert again.stop() == 0
    assert "received 50 messages" in again.output
    assert again.dead_letters == []


def without_time(machine_id, *numbers):
    payloads = ({name: value for name, value in reading(number).items() if name != "timestamp"} for number in numbers)
    return [(f"plant/{machine_id}/telemetry", json.dumps(payload)) for payload in payloads]


@pytest.mark.parametrize("restarted", [(), pytest.param(("broker",), marks=pytest.mark.long)])
def test_a_message_that_is_delivered_again_keeps_its_time_of_arrival(
    mosquitto, service, make_bridge, without_answers, restarted
):
    machine_id = "-".join(("arrival", *restarted))
    bridge = make_bridge(mosquitto, "--arrival-time", "--max-waiting", "20", url=without_answers)
    bridge.up()
    mosquitto.publish(*without_time(machine_id, 0, 1, 1, 2, 2))  # equal messages are readings of their own
    wait_for(lambda: service.readings(machine_id))  # in the store, and not acknowledged
    if restarted:
        mosquitto.stop()
        mosquitto.up()
        wait_for(lambda: bridge.output.count(": connected") == 2)
    bridge.stop(signal.SIGKILL)
    mosquitto.publish(*without_time(machine_id, 2, 3))
    again = make_bridge(mosquitto, "--arrival-time")
    again.up()
    wait_for(lambda: "received 7 messages" in again.output)
    assert again.stop() == 0
    assert sorted(flows(service, machine_id)) == [40, 40.01, 40.01, 40.02, 40.02, 40.02, 40.03]
    assert again.dead_letters == []


def test_a_retained_message_has_no_time_of_arrival(mosquitto, service, make_bridge):
    topic, timed = "plant/retained/telemetry", "plant/retained-with-time/telemetry"
    mosquitto.publish(*without_time("retained", 0), (timed, json.dumps(reading(0))), retain=True)
    bridge = make_bridge(mosquitto, "--arrival-time")
    bridge.up()
    wait_for(lambda: flows(service, "retained-with-time") == [40])
    mosquitto.publish(*without_time("retained", 1))
    wait_for(lambda: flows(service, "retained") == [40.01])
    (letter,) = bridge.dead_letters
    assert letter["topic"] == topic
    reason = "the broker retained the message, so its time is unknown: send the time in the payload"
    assert letter["reason"] == f"row 1: {reason}"


@pytest.mark.long
def test_a_bridge_that_is_killed_again_and_again_loses_nothing_and_keeps_nothing_twice(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto, "--max-waiting", "20")
    bridge.up()
    publishing = threading.Thread(target=mosquitto.publish, args=telemetry("killed", *range(1000)))
    publishing.start()
    for part in range(4):
        wait_for(lambda part=part: len(service.readings("killed")) > part * 150)
        bridge.stop(signal.SIGKILL)
        bridge.up()
    publishing.join()
    wait_for_count(service, "killed", 1000)
    assert bridge.dead_letters == []


def test_messages_wait_while_the_service_is_away(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto, "--max-waiting", "10")
    bridge.up()
    service.stop()
    try:
        mosquitto.publish(*telemetry("service", *range(40)))
        wait_for(lambda: bridge.output.count("the service cannot be reached") >= 2)
        assert "waiting 10" in bridge.output  # the other ones are at the broker
        assert "waiting 1" in bridge.output
    finally:
        service.ready()
    wait_for_count(service, "service", 40)
    assert bridge.dead_letters == []


@pytest.mark.long
def test_a_bridge_without_a_service_ends_at_once_and_its_messages_stay_at_the_broker(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto, url=f"http://127.0.0.1:{free_port()}")
    bridge.up()
    mosquitto.publish(*telemetry("later", *range(5)))
    wait_for(lambda: bridge.output.count("the service cannot be reached") >= 3)
    assert bridge.stop(seconds=5) == 0
    again = make_bridge(mosquitto)
    again.up()
    wait_for_count(service, "later", 5)


def test_a_broker_that_restarts_has_what_was_not_acknowledged(mosquitto, service, make_bridge):
    bridge = make_bridge(mosquitto)
    bridge.up()
    mosquitto.publish(*telemetry("broker", *range(20)))
    mosquitto.stop()
    wait_for(lambda: "the connection is lost" in bridge.output)
    mosquitto.up()
    wait_for(lambda: bridge.output.count(": connected") == 2)
    mosquitto.publish(*telemetry("broker", *range(20, 40)))
    wait_for_count(service, "broker", 40)
    assert bridge.dead_letters == []
    assert "lost the session" not in bridge.output


@pytest.mark.long
def test_a_broker_that_restarts_while_the_service_is_away_gets_its_acknowledgements_later(
    mosquitto, service, make_bridge, without_answers
):
    bridge = make_bridge(mosquitto, "--max-waiting", "5", url=without_answers)
    bridge.up()
    mosquitto.publish(*telemetry("both", *range(10)))
    wait_for(lambda: service.readings("both"))
    mosquitto.stop()
    mosquitto.up()
    wait_for(lambda: bridge.output.count(": connected") == 2)
    bridge.stop(signal.SIGKILL)
    again = make_bridge(mosquitto)
    again.up()
    wait_for_count(service, "both", 10)


@pytest.mark.long
def test_a_broker_that_forgets_sessions_is_reported(make_mosquitto, make_bridge):
    broker = make_mosquitto("allow_anonymous true", "persistence false")
    bridge = make_bridge(broker)
    bridge.up()
    broker.stop(signal.SIGKILL)
    broker.up()
    wait_for(lambda: "has lost the session" in bridge.output)


@pytest.mark.long
def test_a_broker_that_is_away_at_the_start_is_named_with_the_reason_and_tried_again(mosquitto, service, make_bridge):
    mosquitto.stop()
    bridge = make_bridge(mosquitto)
    bridge.start()
    wait_for(lambda: "cannot be reached: Connection refused; trying again" in bridge.output)
    mosquitto.up()
    wait_for(lambda: ": connected" in bridge.output)
    mosquitto.publish(*telemetry("late", 0))
    wait_for_count(service, "late", 1)


@pytest.mark.long
def test_a_password_signs_in_and_a_wrong_one_stops_the_bridge(make_mosquitto, service, make_bridge, tmp_path):
    auth = {"username": USER, "password": PASSWORD}
    broker = make_mosquitto("allow_anonymous false", f"password_file {password_file(tmp_path)}", auth=auth)
    bridge = make_bridge(broker, "--user", USER, PDM_MQTT_PASSWORD=PASSWORD)
    bridge.up()
    broker.publish(*telemetry("password", 0))
    wait_for_count(service, "password", 1)
    assert bridge.stop() == 0
    wrong = make_bridge(broker, "--user", USER, PDM_MQTT_PASSWORD="a wrong secret")
    wrong.start()
    assert wrong.wait() == 1
    assert "refuses the connection: Not authorized: check --user and PDM_MQTT_PASSWORD" in wrong.output
    assert PASSWORD not in bridge.output
    assert "a wrong secret" not in wrong.output
    nobody = make_bridge(broker)
    nobody.start()
    assert nobody.wait() == 1


@pytest.mark.long
def test_two_bridges_with_one_client_id_are_told_so(mosquitto, make_bridge):
    first, second = make_bridge(mosquitto), make_bridge(mosquitto)
    first.up()
    second.up()
    reason = "if this repeats, another client has the id predictive-maintenance-test_pump"
    wait_for(lambda: reason in first.output and reason in second.output)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with the certificate and the key of an authority, of a broker on 127.0.0.1 and of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    script = f"openssl req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority\n"
    for name in ("broker", "client"):
        extension = "-addext subjectAltName=IP:127.0.0.1"
        script += (
            f"openssl req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name} {extension}\n"
            f"openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2 "
            f"-out {name}.pem\n"
        )
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, capture_output=True)
    return folder


def test_tls_with_a_certificate_of_the_client(make_mosquitto, service, make_bridge, certificates):
    broker = make_mosquitto(
        "allow_anonymous true", f"cafile {certificates / 'ca.pem'}", f"certfile {certificates / 'broker.pem'}",
        f"keyfile {certificates / 'broker.key'}", "require_certificate true",
        tls={"ca_certs": str(certificates / "ca.pem"), "certfile": str(certificates / "client.pem"),
             "keyfile": str(certificates / "client.key")},
    )  # fmt: skip
    address = ("--broker", f"mqtts://127.0.0.1:{broker.port}")
    own = ("--client-certificate", str(certificates / "client.pem"), "--client-key", str(certificates / "client.key"))
    bridge = make_bridge(broker, *address, *own, "--ca-file", str(certificates / "ca.pem"))
    bridge.up()
    broker.publish(*telemetry("tls", 0))
    wait_for_count(service, "tls", 1)
    assert bridge.stop() == 0
    stranger = make_bridge(broker, *address, *own)
    stranger.start()
    assert stranger.wait() == 1
    assert "its certificate is refused: " in stranger.output
    assert "give the certificate of its authority as --ca-file" in stranger.output


def test_a_service_that_wants_a_key_stops_the_bridge(mosquitto, make_bridge):
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bridge = make_bridge(mosquitto, url=f"http://127.0.0.1:{server.server_address[1]}")
        bridge.up()
        mosquitto.publish(*telemetry("key", 0))
        assert bridge.wait() == 1
        server.shutdown()
    assert (
        "POST /readings answers 401: Unauthorized: set PDM_API_KEY to a key of the service with the role write"
        in bridge.output
    )


def test_the_bridge_records_its_settings_without_secrets_if_it_has_a_store(mosquitto, service, make_bridge, tmp_path):
    url = service.url.replace("http://", "http://me:word@")
    variables = {"PDM_STORE_URL": f"sqlite:///{service.store}", "PDM_API_KEY": "s3cret"}
    file = str(tmp_path / "dead-letters.jsonl")
    for seconds in ("5", "5", "6"):
        bridge = make_bridge(mosquitto, "--report-seconds", seconds, "--dead-letters", file, url=url, **variables)
        bridge.up()
        bridge.stop()
    with closing(Store.open(variables["PDM_STORE_URL"], timeout_seconds=5)) as store:
        entries = store.audit("test_pump", actions=("settings",), most=9)
    found = [one.detail for one in entries if one.subject == "mqtt predictive-maintenance-test_pump"]
    assert [detail["report_seconds"] for detail in found] == [6, 5]
    assert found[0]["topics"] == ["plant/{machine_id}/telemetry", "errors:plant/{machine_id}/errors"]
    assert (found[0]["url"], found[0]["api_key"]) == (service.url, "set")
    assert not any(word in str(found) for word in ("word", "s3cret"))


def test_a_bridge_whose_store_cannot_be_used_carries_readings_with_a_warning(mosquitto, service, make_bridge, tmp_path):
    bridge = make_bridge(mosquitto, PDM_STORE_URL=f"sqlite:///{tmp_path / 'none.db'}")
    bridge.up()
    mosquitto.publish(*telemetry("warned", 0))
    wait_for_count(service, "warned", 1)
    assert bridge.output.count("warning: the settings are not in the audit log: ") == 1

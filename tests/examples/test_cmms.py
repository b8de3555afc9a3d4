"""The example of a CMMS: who may send, what becomes of an alarm, and what the service gets back."""

import json
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from examples.cmms import Cmms, Service, WorkOrders
from predictive_maintenance.notification.webhook import SIGNATURE_HEADER, signature
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for

SECRET = "a-secret"
OPENED = {
    "event": "alarm.opened", "id": "pumps/1/7/opened", "model_name": "pumps", "model_version": "3", "machine_id": "P1",
    "opened": "2024-06-30T12:00:00Z", "closed": None, "closed_by": None, "failure_probability": 0.75,
    "failure_mode": "seal_failure", "failure_mode_probability": 0.5,
}  # fmt: skip
CLOSED = OPENED | {"event": "alarm.closed", "id": "pumps/1/7/closed", "closed": "2024-06-30T13:00:00Z"}
FOUND = {"verdict": "confirmed", "failure_mode": "seal_failure", "by": "Ana"}
REPORT = FOUND | {"machine_id": "P1", "alarm": "2024-06-30T12:00:00Z"}


class FeedbackHandler(BaseHTTPRequestHandler):
    """The service's route for feedback. It answers with `status`, and remembers what it accepted."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.reports.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"no such failure mode")

    def log_message(self, *arguments):
        pass


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), FeedbackHandler)
    server.status, server.reports = 200, []
    with running(server):
        yield server


@pytest.fixture
def cmms(service, tmp_path):
    orders = WorkOrders(str(tmp_path / "work-orders.db"))
    api = Service(f"http://127.0.0.1:{service.server_port}", None)
    with running(Cmms(("127.0.0.1", 0), SECRET, orders, api)) as server:
        yield server


@pytest.fixture
def client(cmms):
    with httpx.Client(base_url=f"http://127.0.0.1:{cmms.server_port}") as client:
        yield client


def receive(client, message, secret=SECRET, seconds=None):
    body = json.dumps(message).encode()
    header = signature(secret, body, int(time.time()) if seconds is None else seconds)
    return client.post("/alarms", content=body, headers={SIGNATURE_HEADER: header})


def orders(client):
    return [(one["machine"], one["task"], one["state"]) for one in client.get("/work-orders").json()]


def test_an_alarm_opens_a_work_order_once_and_its_end_closes_it(client):
    assert receive(client, OPENED).status_code == 200
    assert orders(client) == [("P1", "look for seal_failure", "open")]
    assert receive(client, CLOSED).status_code == 200
    assert receive(client, OPENED).status_code == 200
    assert orders(client) == [("P1", "look for seal_failure", "closed")]


def test_an_opening_that_comes_after_the_end_opens_nothing(client):
    receive(client, CLOSED)
    receive(client, OPENED)
    assert orders(client) == [("P1", "look for seal_failure", "closed")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret": "another"}, "does not fit"),
        ({"seconds": int(time.time()) - 4_000}, "clocks"),
        ({"seconds": int(time.time()) + 4_000}, "clocks"),
    ],
)
def test_a_message_of_another_sender_or_time_is_refused(client, changes, reason):
    answer = receive(client, OPENED, **changes)
    assert (answer.status_code, reason in answer.json()["reason"]) == (401, True)
    assert orders(client) == []


def test_a_body_that_was_changed_or_has_no_signature_is_refused(client):
    header = signature(SECRET, json.dumps(OPENED).encode(), int(time.time()))
    changed = json.dumps(OPENED | {"machine_id": "P2"}).encode()
    for headers in ({SIGNATURE_HEADER: header}, {SIGNATURE_HEADER: "t=1"}, {}):
        assert client.post("/alarms", content=changed, headers=headers).status_code == 401
    assert client.post("/alarms", content=bytes(70_000)).status_code == 413
    assert orders(client) == []


def test_what_a_technician_found_is_feedback_on_the_alarm(client, service):
    receive(client, OPENED)
    order = client.post("/work-orders/1/close", json=FOUND).json()
    assert (order["state"], order["is_reported"]) == ("closed", True)
    assert service.reports == [("/feedback", REPORT)]


def test_feedback_waits_while_the_service_is_away(client, service, cmms):
    receive(client, OPENED)
    service.status = 503
    order = client.post("/work-orders/1/close", json=FOUND).json()
    assert (order["state"], order["is_reported"]) == ("closed", False)
    service.status = 200
    cmms.report_all()
    cmms.report_all()
    assert service.reports == [("/feedback", REPORT)]
    assert client.get("/work-orders").json()[0]["is_reported"]


def test_a_work_order_stays_open_if_the_service_refuses_what_was_found(client, service):
    receive(client, OPENED)
    service.status = 422
    answer = client.post("/work-orders/1/close", json=FOUND)
    assert (answer.status_code, answer.json()) == (422, {"reason": "no such failure mode"})
    assert orders(client) == [("P1", "look for seal_failure", "open")]
    assert client.post("/work-orders/1/close", json={"by": "Ana"}).status_code == 400
    assert client.post("/work-orders/2/close", json=FOUND).status_code == 404


def test_the_program_ends_with_sigterm_also_as_process_1_of_a_container(tmp_path):
    port = free_port()
    command = [sys.executable, "examples/cmms.py", "--port", str(port), "--database", str(tmp_path / "orders.db")]
    process = Process(command, tmp_path / "cmms.log", clean_environment(PDM_WEBHOOK_SECRET=SECRET))
    process.start()
    try:
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/work-orders").status_code == 200)
        assert process.stop() == 0  # without a handler: -15
    finally:
        process.kill()

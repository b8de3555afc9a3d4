"""Alarms that open and close are sent at least once, in order, signed, and wait while their receiver is away."""

import asyncio
import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from click.testing import CliRunner
from sqlalchemy import text

from predictive_maintenance.cli.main import main
from predictive_maintenance.cli.notifying import _watch
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.errors import ConfigError, StoreError
from predictive_maintenance.notification.deliveries import MAX_ATTEMPTS, Sender
from predictive_maintenance.notification.webhook import NotSentError, Webhook
from predictive_maintenance.store.audit_log import SettingsInForce
from predictive_maintenance.store.migrations.versions import delivery_starts
from predictive_maintenance.store.rows import Alarm, DeliveryCounts, Reading
from predictive_maintenance.store.store import Store
from tests.fixtures.pumps import pump

HOUR = 3_600_000_000
NOON = 1_719_748_800_000_000  # 2024-06-30T12:00:00Z
SECRET = "a-secret"


class Receiver(ThreadingHTTPServer):
    """Another system. It answers with `status`, and remembers what it accepted."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.accepted, self.requests = 204, [], []
        self.retry_after, self.on_request = "", lambda message: None
        self.page = b"no such field"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/alarms"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((body, dict(self.headers)))
        self.server.on_request(json.loads(body))
        if self.server.status == 204:
            self.server.accepted.append(json.loads(body))
        self.send_response(self.server.status)
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        if self.server.status != 204:
            self.wfile.write(self.server.page)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


def alarm(store, machine, opened, closed=None):
    """Keep an alarm of a machine, or how it ended."""
    with store.writing() as transaction:
        (locked,) = transaction.machines("pumps", [machine]).values()
        if locked.latest is None:
            transaction.add([(locked, Reading(time=opened, received=1, sensors={"flow": 1.0}, score=None))])
        transaction.save_alarm(
            locked,
            Alarm(
                opened=opened, probability=0.75, version="3", mode="seal_failure", mode_probability=0.5, closed=closed,
                closed_by="failure" if closed else None,
            ),
        )  # fmt: skip


class Clock:
    """Seconds since 1970, which a test lets pass."""

    def __init__(self, now=1_000):
        self.now = now

    def __call__(self):
        return self.now


def send(store, receiver, now=1_000, url=None, clock=None, at_once=1):
    async def begin_and_send():
        async with httpx.AsyncClient() as client:
            sender = Sender(
                store=store, model="pumps", machine=pump(), webhook=Webhook(url or receiver.url, SECRET), client=client,
                at_once=at_once, clock=clock or Clock(now),
            )  # fmt: skip
            sender.begin()
            return dict(await sender.send_due())

    return asyncio.run(begin_and_send())


def test_the_name_of_a_model_may_have_letters_that_a_header_has_not(receiver):
    async def send_twice():
        async with httpx.AsyncClient() as client:
            for _ in range(2):
                await Webhook(receiver.url, SECRET).send({"id": "Kühlpumpe/P 1"}, "Kühlpumpe/P 1", client)

    asyncio.run(send_twice())
    assert [headers["Idempotency-Key"] for _, headers in receiver.requests] == ["K%C3%BChlpumpe/P 1"] * 2
    assert receiver.accepted == [{"id": "Kühlpumpe/P 1"}] * 2


def events(receiver):
    return [(one["machine_id"], one["event"]) for one in receiver.accepted]


def test_an_alarm_is_sent_when_it_opens_and_when_it_ends(store, receiver):
    alarm(store, "P1", NOON)
    assert send(store, receiver) == {"delivered": 1}
    assert send(store, receiver) == {}
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    assert send(store, receiver) == {"delivered": 1}
    opened, closed = receiver.accepted
    assert opened == {
        "event": "alarm.opened", "id": opened["id"], "model_name": "pumps", "model_version": "3", "machine_id": "P1",
        "opened": "2024-06-30T12:00:00Z", "closed": None, "closed_by": None, "failure_probability": 0.75,
        "failure_mode": "seal_failure", "failure_mode_probability": 0.5,
    }  # fmt: skip
    assert (closed["event"], closed["closed"], closed["closed_by"]) == (
        "alarm.closed",
        "2024-06-30T13:00:00Z",
        "failure",
    )
    assert opened["id"] != closed["id"]


def test_a_message_is_signed(store, receiver):
    alarm(store, "P1", NOON)
    send(store, receiver)
    ((body, headers),) = receiver.requests
    seconds, digest = (part.partition("=")[2] for part in headers["X-PDM-Signature"].split(","))
    assert hmac.compare_digest(
        digest, hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    )
    assert abs(int(seconds) - time.time()) < 60  # a receiver refuses what was signed long ago
    assert headers["Idempotency-Key"] == json.loads(body)["id"]


def test_messages_wait_while_the_receiver_is_away_and_keep_their_order_and_id(store, receiver):
    alarm(store, "P1", NOON)
    receiver.status = 503
    assert send(store, receiver, now=1_000) == {"waiting": 1}
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    assert send(store, receiver, now=1_005) == {}  # neither the end, nor the opening before its pause is over
    receiver.status = 204
    assert send(store, receiver, now=1_020) == {"delivered": 1}
    assert send(store, receiver, now=1_020) == {"delivered": 1}
    assert events(receiver) == [("P1", "alarm.opened"), ("P1", "alarm.closed")]
    first, second, _ = (headers["Idempotency-Key"] for _, headers in receiver.requests)
    assert first == second


def answer_by_machine(receiver, answers):
    """Let the receiver answer messages about each machine with a status, and maybe with a header Retry-After."""

    def choose(message):
        receiver.status, receiver.retry_after = answers[message["machine_id"]]

    receiver.on_request = choose


def test_a_message_waits_after_every_answer_that_may_change(store, receiver):
    answers = {f"P{status}": (status, "") for status in (301, 401, 403, 404, 405, 408, 410, 425, 429, 500, 502, 503)}
    for machine in answers:
        alarm(store, machine, NOON)
    answer_by_machine(receiver, answers)
    assert send(store, receiver) == {"waiting": len(answers)}
    answer_by_machine(receiver, dict.fromkeys(answers, (204, "")))
    assert send(store, receiver, now=1_020) == {"delivered": len(answers)}


def test_what_opened_first_is_sent_first_and_what_waits_in_the_order_in_which_it_is_due(store, receiver):
    for hour, machine in enumerate(("P3", "P1", "P2")):
        alarm(store, machine, NOON + hour * HOUR)
    answer_by_machine(receiver, {"P3": (503, "3600"), "P1": (503, "600"), "P2": (503, "60")})
    assert send(store, receiver) == {"waiting": 3}
    assert [json.loads(body)["machine_id"] for body, _ in receiver.requests] == ["P3", "P1", "P2"]
    answer_by_machine(receiver, dict.fromkeys(("P1", "P2", "P3"), (204, "")))
    assert send(store, receiver, now=10_000) == {"delivered": 3}
    assert [machine for machine, _ in events(receiver)] == ["P2", "P1", "P3"]


def test_a_message_that_is_refused_itself_is_given_up_at_once(store, receiver):
    answers = {f"P{status}": (status, "") for status in (400, 413, 422)}
    for machine in answers:
        alarm(store, machine, NOON)
    answer_by_machine(receiver, answers)
    assert send(store, receiver) == {"dead": len(answers)}


def test_a_receiver_says_when_it_wants_a_message_again(store, receiver):
    in_half_an_hour = format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True)
    seconds = {
        "120": (120, 150),
        in_half_an_hour: (1_200, 2_250),
        "0": (10, 13),  # not before the usual pause
        "31536000": (3_600, 4_500),  # nor after the longest one
        "soon": (10, 13),
    }
    machines = {f"P{number}": asked for number, asked in enumerate(seconds)}
    for machine in machines:
        alarm(store, machine, NOON)
    answer_by_machine(receiver, {machine: (429, asked) for machine, asked in machines.items()})
    assert send(store, receiver, now=1_000) == {"waiting": len(machines)}
    pauses = {machines[one.machine_id]: one.due - 1_000 for one in store.deliveries("pumps", "waiting", most=9)}
    assert pauses.keys() == seconds.keys()
    assert [asked for asked, (least, most) in seconds.items() if not least <= pauses[asked] <= most] == []


def next_due(store):
    with store.reading() as connection:
        return connection.execute(text("SELECT min(due) FROM pdm_deliveries")).scalar()


def test_pauses_grow_and_a_message_is_given_up_at_last(store, receiver):
    alarm(store, "P1", NOON)
    now, pauses = 1_000, []
    while send(store, receiver, now, url="http://127.0.0.1:9/") == {"waiting": 1}:
        begun = now
        now = next_due(store)
        pauses.append(now - begun)
    assert pauses[:8] == sorted(pauses[:8])
    assert max(pauses) <= 1.25 * 3_600
    assert 1.75 * 86_400 < sum(pauses) < 3 * 86_400
    (dead,) = store.deliveries("pumps", "dead", most=5)
    assert (dead.machine_id, dead.attempts) == ("P1", MAX_ATTEMPTS)
    assert dead.reason.startswith("http://127.0.0.1:9: ")
    assert "connection" in dead.reason.lower()
    assert send(store, receiver, now + 10**6) == {}


def test_a_message_that_is_refused_is_given_up_with_the_reason_and_can_be_repeated(store, receiver):
    alarm(store, "P1", NOON)
    alarm(store, "P2", NOON)
    receiver.status = 422
    assert send(store, receiver) == {"dead": 2}
    assert [one.reason for one in store.deliveries("pumps", "dead", most=5)] == ["answer 422: no such field"] * 2
    receiver.status = 204
    with store.writing() as transaction:
        assert transaction.repeat_dead_deliveries("another") == 0
        assert transaction.repeat_dead_deliveries("pumps") == 2
    assert send(store, receiver) == {"delivered": 2}
    assert store.deliveries("pumps", "dead", most=5) == []


def test_an_answer_of_any_bytes_is_a_reason_in_one_line(store, receiver):
    """PostgreSQL stores no NUL, which pages in UTF-16 have."""
    alarm(store, "P1", NOON)
    receiver.status, receiver.page = 422, b"<p>\r\n\tn\0o\x1b[2J \xff</p>\n" + b"-" * 1_000_000
    assert send(store, receiver) == {"dead": 1}
    (dead,) = store.deliveries("pumps", "dead", most=5)
    assert dead.reason.rstrip("-") == "answer 422: <p> n o [2J \ufffd</p> "
    assert len(dead.reason) < 250


def test_a_message_that_is_repeated_has_all_its_attempts_again(store, receiver, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.notification.deliveries.MAX_ATTEMPTS", 2)
    alarm(store, "P1", NOON)
    receiver.status = 503
    assert [send(store, receiver, now) for now in (1_000, 2_000)] == [{"waiting": 1}, {"dead": 1}]
    with store.writing() as transaction:
        transaction.repeat_dead_deliveries("pumps")
    assert [send(store, receiver, now) for now in (3_000, 4_000)] == [{"waiting": 1}, {"dead": 1}]


def test_at_the_first_start_only_open_alarms_are_sent(store, receiver):
    alarm(store, "P1", NOON)
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    alarm(store, "P2", NOON)
    assert send(store, receiver) == {"delivered": 1}
    assert events(receiver) == [("P2", "alarm.opened")]


def test_an_alarm_that_opens_and_closes_between_two_starts_is_sent(store, receiver, empty_store_url):
    assert send(store, receiver) == {}
    alarm(store, "P1", NOON)
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    other = Store.open(empty_store_url, timeout_seconds=5)
    assert [send(other, receiver), send(other, receiver)] == [{"delivered": 1}] * 2
    assert events(receiver) == [("P1", "alarm.opened"), ("P1", "alarm.closed")]
    ends = [(one["closed"], one["closed_by"]) for one in receiver.accepted]
    assert ends == [(None, None), ("2024-06-30T13:00:00Z", "failure")]
    other.close()


def test_what_is_delivered_of_one_model_does_not_begin_the_deliveries_of_another(store, receiver):
    alarm(store, "P1", NOON)
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    with store.writing() as transaction:
        transaction.begin_deliveries("another", 1_000)
    assert send(store, receiver) == {}


def test_deliveries_of_an_older_release_go_on(store):
    alarm(store, "P1", NOON)
    (seen,) = store.due_deliveries("pumps", now=1_000, most=5)
    with store.writing() as transaction:
        transaction.claim_delivery(seen, 1_000)
        transaction.connection.execute(text("DROP TABLE pdm_delivery_starts"))
        with Operations.context(MigrationContext.configure(transaction.connection)):
            delivery_starts.upgrade()
    alarm(store, "P2", NOON)
    alarm(store, "P2", NOON, closed=NOON + HOUR)
    with store.writing() as transaction:
        transaction.begin_deliveries("pumps", 1_000)
    assert [one.machine_id for one in store.due_deliveries("pumps", now=1_000, most=5)] == ["P2", "P1"]


def test_two_processes_do_not_send_the_same_message(store, receiver, empty_store_url):
    alarm(store, "P1", NOON)
    other = Store.open(empty_store_url, timeout_seconds=5)
    (seen,) = other.due_deliveries("pumps", now=1_000, most=5)
    assert send(store, receiver) == {"delivered": 1}
    with other.writing() as transaction:
        assert not transaction.claim_delivery(seen, 2_000)
    other.close()


def test_a_message_of_a_process_that_ended_is_sent_again(store, receiver):
    alarm(store, "P1", NOON)
    (seen,) = store.due_deliveries("pumps", now=1_000, most=5)
    with store.writing() as transaction:
        assert transaction.claim_delivery(seen, 1_120)
    assert send(store, receiver, now=1_119) == {}
    assert send(store, receiver, now=1_120) == {"delivered": 1}


def test_a_slow_receiver_gets_no_message_from_two_processes_at_once(store, receiver, empty_store_url):
    other, clock, due_meanwhile = Store.open(empty_store_url, timeout_seconds=5), Clock(), []
    for number in range(9):
        alarm(store, f"P{number}", NOON)

    def answer_slowly(message):
        clock.now += 25
        ahead = clock.now + 60  # the clock of the other one
        due = {one.machine_id for one in other.due_deliveries("pumps", now=ahead, most=100)}
        due_meanwhile.append(message["machine_id"] in due)

    receiver.on_request = answer_slowly
    assert send(store, receiver, clock=clock) == {"delivered": 9}
    assert due_meanwhile == [False] * 9
    other.close()


class UnderWay:
    """Counts the requests about each machine that a receiver works on at the same time. `work` is what it does meanwhile."""

    def __init__(self, work):
        self._work, self._lock, self._machines = work, threading.Lock(), []
        self.most = self.most_of_a_machine = 0

    def __call__(self, message):
        machine = message["machine_id"]
        with self._lock:
            self._machines.append(machine)
            self.most = max(self.most, len(self._machines))
            self.most_of_a_machine = max(self.most_of_a_machine, self._machines.count(machine))
        self._work(message)
        with self._lock:
            self._machines.remove(machine)


def test_messages_about_several_machines_are_under_way_at_once(store, receiver):
    for number in range(12):
        alarm(store, f"P{number}", NOON)
    met = threading.Barrier(4)
    receiver.on_request = UnderWay(lambda _: met.wait(20))
    assert send(store, receiver, at_once=4) == {"delivered": 12}
    assert receiver.on_request.most == 4
    assert len(receiver.accepted) == 12


def test_a_slow_answer_does_not_delay_messages_about_other_machines(store, receiver):
    for number in range(9):
        alarm(store, f"P{number}", NOON)
    others = threading.Event()

    def answer(message):
        if message["machine_id"] == "P0":
            assert others.wait(20)
        elif len(receiver.requests) == 9:
            others.set()

    receiver.on_request = answer
    assert send(store, receiver, at_once=2) == {"delivered": 9}
    assert receiver.accepted[-1]["machine_id"] == "P0"


def test_messages_about_a_machine_are_sent_one_after_another_in_the_order_of_its_alarms(store, receiver):
    alarm(store, "P1", NOON)
    send(store, receiver)
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    for hours in (2, 3, 4):
        alarm(store, "P1", NOON + hours * HOUR)
        alarm(store, "P1", NOON + hours * HOUR, closed=NOON + hours * HOUR + 1)
    receiver.on_request = UnderWay(lambda _: time.sleep(0.05))
    assert send(store, receiver, at_once=4) == {"delivered": 4}
    assert receiver.on_request.most_of_a_machine == 1
    assert [(one["event"], one["opened"][11:13]) for one in receiver.accepted[1:]] == [
        ("alarm.closed", "12"),
        ("alarm.opened", "14"),
        ("alarm.opened", "15"),
        ("alarm.opened", "16"),
    ]


def test_after_an_error_of_the_store_messages_under_way_are_ended_and_none_is_begun(store, receiver, monkeypatch):
    for number in range(9):
        alarm(store, f"P{number}", NOON)
    claim, claimed = Sender._claim, []

    def claim_first(sender, delivery):
        claimed.append(delivery)
        if len(claimed) > 1:
            raise StoreError("the store is away")
        return claim(sender, delivery)

    monkeypatch.setattr(Sender, "_claim", claim_first)
    receiver.on_request = lambda _: time.sleep(0.3)
    with pytest.raises(StoreError, match="the store is away"):
        send(store, receiver, at_once=4)
    assert len(claimed) <= 5  # one by each worker, and one by the worker that has sent its message
    assert len(receiver.accepted) == 1
    assert store.delivery_counts("pumps").waiting == 8


def test_a_pause_begins_with_the_end_of_an_attempt(store, receiver):
    clock = Clock()
    for number in range(9):
        alarm(store, f"P{number}", NOON)

    def answer_slowly(_):
        clock.now += 25

    receiver.status, receiver.on_request = 503, answer_slowly
    assert send(store, receiver, clock=clock) == {"waiting": 9}
    last = {one.machine_id for one in store.due_deliveries("pumps", now=clock.now + 9, most=100)}
    assert "P7" in last
    assert "P8" not in last


def test_a_process_that_was_overtaken_does_not_change_what_became_of_a_message(store):
    alarm(store, "P1", NOON)
    (slow,) = store.due_deliveries("pumps", now=1_000, most=5)
    with store.writing() as transaction:
        assert transaction.claim_delivery(slow, 1_100)
    (again,) = store.due_deliveries("pumps", now=1_100, most=5)
    with store.writing() as transaction:
        assert transaction.claim_delivery(again, 1_200)
        transaction.end_delivery(slow, "waiting", due=1_100, reason="no answer")
    assert store.due_deliveries("pumps", now=1_150, most=5) == []
    with store.writing() as transaction:
        transaction.end_delivery(again, "delivered")
        transaction.end_delivery(slow, "dead", reason="no answer")
    assert store.deliveries("pumps", "dead", most=5) == []


def test_an_attempt_ends_in_time_although_bytes_of_the_answer_come(monkeypatch):
    monkeypatch.setattr("predictive_maintenance.notification.webhook.TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle():
            connection, _ = server.accept()
            with connection, suppress(ConnectionError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.01)

        thread = threading.Thread(target=trickle)
        thread.start()

        async def send():
            async with httpx.AsyncClient() as client:
                await Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/", SECRET).send({}, "id", client)

        with pytest.raises(NotSentError, match=r"no answer within 0\.5 s") as caught:
            asyncio.run(send())
        assert caught.value.transient
        thread.join(10)


def test_what_waits_and_what_was_given_up_is_counted(store, receiver):
    alarm(store, "P1", NOON)
    assert store.delivery_counts("pumps") == DeliveryCounts(began=None, waiting=0, dead=0)
    receiver.status = 503
    send(store, receiver)
    alarm(store, "P1", NOON, closed=NOON + HOUR)
    assert store.delivery_counts("pumps") == DeliveryCounts(began=1_000, waiting=2, dead=0)
    receiver.status = 400
    send(store, receiver, now=1_020)
    alarm(store, "P2", NOON)
    assert store.delivery_counts("pumps") == DeliveryCounts(began=1_000, waiting=2, dead=1)
    receiver.status = 204
    send(store, receiver, now=1_020)
    assert store.delivery_counts("pumps") == DeliveryCounts(began=1_000, waiting=0, dead=1)
    assert store.delivery_counts("another").began is None


def test_what_is_removed_with_its_machine_leaves_nothing(store, receiver):
    alarm(store, "P1", NOON)
    receiver.status = 422
    send(store, receiver)
    with store.writing() as transaction:
        transaction.remove_received_before("pumps", 10)
    assert store.deliveries("pumps", "dead", most=5) == []
    with store.reading() as connection:  # a machine that comes later may get the same key
        for table in ("pdm_alarms", "pdm_deliveries"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


@pytest.mark.parametrize(
    ("url", "secret", "reason"),
    [
        (None, "s", "PDM_WEBHOOK_URL is not set"),
        ("ftp://cmms/alarms", "s", "PDM_WEBHOOK_URL is 'ftp://cmms':"),
        ("https:///alarms", "s", "PDM_WEBHOOK_URL is 'https://':"),
        ("https://cmms:port/alarms", "s", "PDM_WEBHOOK_URL is 'https://cmms:port':"),
        ("https://cmms:84430/alarms", "s", "PDM_WEBHOOK_URL is 'https://cmms:84430':"),
        ("https://cmms/alarms\n", "s", "PDM_WEBHOOK_URL is 'https://cmms':"),
        ("https://c mms/alarms", "s", "PDM_WEBHOOK_URL is 'https://c mms':"),
        ("cmms/alarms?key=1", "s", "PDM_WEBHOOK_URL is 'cmms':"),
        ("me:hidden-word@cmms/alarms", "s", "PDM_WEBHOOK_URL is 'cmms':"),
        ("https:me:hidden-word@cmms/alarms", "s", "PDM_WEBHOOK_URL is 'cmms':"),
        ("https://cmms/alarms", "", "PDM_WEBHOOK_SECRET is not set"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(url, secret, reason):
    with pytest.raises(ConfigError, match=reason):
        Webhook.checked(url, secret)


def test_the_command_sends_and_lists_what_was_given_up(tmp_path, receiver, monkeypatch):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = Store.open(url, timeout_seconds=5)
    for name, value in {
        "PDM_STORE_URL": url, "PDM_WEBHOOK_URL": receiver.url, "PDM_WEBHOOK_SECRET": SECRET,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    params = load_params()
    registry = params.registry.model_copy(update={"model_name": "pumps"})
    settings = params.model_copy(update={"machine": pump(), "registry": registry})
    monkeypatch.setattr("predictive_maintenance.cli.notifying.load_served_settings", lambda _: settings)

    def notify(*options):
        result = CliRunner().invoke(main, ["notify", *options])
        assert result.exit_code == 0, result.output
        return result.output

    alarm(store, "P1", NOON)
    receiver.status = 400
    assert "delivered 0, waiting 0, given up 1" in notify("--once")
    assert notify("--dead") == "P1: alarm of 2024-06-30T12:00:00Z opened; 1 attempts; answer 400: no such field\n"
    receiver.status = 204
    assert notify("--repeat-dead").endswith("1 message to send again\n")
    assert "delivered 1, waiting 0, given up 0" in notify("--once")
    store.close()


def test_the_command_goes_on_with_a_store_that_was_restored(tmp_path, receiver, monkeypatch):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("PDM_STORE_URL", url)
    settings = SimpleNamespace(machine=pump(), registry=SimpleNamespace(model_name="pumps"))
    for name, machine in (("backup.db", "P2"), ("store.db", "P1")):
        made = Store.open(f"sqlite:///{tmp_path / name}", timeout_seconds=5)
        alarm(made, machine, NOON)
        made.close()

    async def accepted(number):
        async with asyncio.timeout(60):
            while len(receiver.accepted) < number:
                await asyncio.sleep(0.01)

    async def watch():
        task = asyncio.create_task(
            _watch(settings, Webhook(receiver.url, SECRET), SettingsInForce("notify", "pumps", {}), 4, 0.02)
        )
        await accepted(1)
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "backup.db").rename(tmp_path / "store.db")
        await accepted(2)
        task.cancel()

    asyncio.run(watch())
    assert events(receiver) == [("P1", "alarm.opened"), ("P2", "alarm.opened")]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/services/T0/B0/XYZ?token=abc", "https://hooks.example"),
        ("http://me:secret@[::1]:9000/alarms", "http://[::1]:9000"),
    ],
)
def test_of_the_address_of_a_receiver_only_scheme_and_host_are_shown(url, shown):
    assert Webhook(url, SECRET).receiver == shown

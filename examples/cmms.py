"""A small system for work orders (CMMS) that receives alarms and reports back what was found. It needs Python alone.

    export PDM_WEBHOOK_SECRET=a-secret
    python examples/cmms.py --port 9000 --service http://127.0.0.1:8000

An alarm that opens makes a work order, and its end closes it. A technician who closes a work order says what was found, and the
service gets that as feedback on the alarm. Routes, all with JSON:

    POST /alarms                  messages of `predictive-maintenance notify`
    GET  /work-orders             the work orders, the newest first
    POST /work-orders/N/close     {"verdict": "confirmed", "failure_mode": "seal_failure", "by": "A. Smith"}

Only the first route checks who calls: keep the others to people whom you trust, as --host 127.0.0.1 does.
"""

import argparse
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

MOST_BYTES = 64 * 1024
MOST_SECONDS = 300
"""Between the time in a signature and now. A message that somebody recorded cannot be sent again later."""
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Answers of the service to feedback that is wrong, such as an unknown failure mode: the technician has to change it."""
_TIMEOUT_SECONDS = 10
_PAUSE_SECONDS = 5

_TABLES = """
CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS work_orders (
    number INTEGER PRIMARY KEY, machine TEXT NOT NULL, alarm TEXT NOT NULL, task TEXT NOT NULL, state TEXT NOT NULL,
    report TEXT, is_reported INTEGER NOT NULL DEFAULT 0, UNIQUE (machine, alarm)
);
"""


class RefusedError(Exception):
    """A request that cannot be fulfilled, with the status of its answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def check_signature(header: str, body: bytes, secret: str, now: float) -> None:
    """Raise RefusedError unless the header X-PDM-Signature was made for the body with the secret, not long ago."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    seconds, given = parts.get("t", ""), parts.get("v1", "")
    expected = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED, "X-PDM-Signature does not fit: compare PDM_WEBHOOK_SECRET of both sides"
        )
    if abs(now - int(seconds)) > MOST_SECONDS:
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED, "the time in X-PDM-Signature is not now: compare the clocks of both sides"
        )


class WorkOrders:
    """Work orders in an SQLite file, one for each alarm of a machine."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._transaction() as database:
            database.executescript(_TABLES)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Open or close the work order of an alarm. A message that was received before changes nothing."""
        closes = message["event"] == "alarm.closed"
        alarm = (message["machine_id"], json.dumps(message["opened"]))
        task = f"look for {message['failure_mode']}" if message["failure_mode"] else "inspect"
        with self._transaction() as database:
            if not database.execute("INSERT OR IGNORE INTO messages VALUES (?)", (message["id"],)).rowcount:
                return
            # Also for an end without opening: that may have been given up, and be sent again later.
            database.execute(
                "INSERT OR IGNORE INTO work_orders (machine, alarm, task, state) VALUES (?, ?, ?, 'open')",
                (*alarm, task),
            )
            if closes:
                database.execute("UPDATE work_orders SET state = 'closed' WHERE machine = ? AND alarm = ?", alarm)

    def newest_first(self) -> list[dict[str, Any]]:
        """All work orders."""
        with self._transaction() as database:
            return [_shown(row) for row in database.execute("SELECT * FROM work_orders ORDER BY number DESC")]

    def find(self, number: int) -> dict[str, Any]:
        """A work order. Raises RefusedError if there is none."""
        with self._transaction() as database:
            row = database.execute("SELECT * FROM work_orders WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no work order {number}")
        return _shown(row)

    def close(self, number: int, report: Mapping[str, Any], *, is_reported: bool) -> None:
        """Close a work order with the feedback on its alarm, which the service has or not."""
        with self._transaction() as database:
            database.execute(
                "UPDATE work_orders SET state = 'closed', report = ?, is_reported = ? WHERE number = ?",
                (json.dumps(report), is_reported, number),
            )

    def note_reported(self, report: Mapping[str, Any]) -> None:
        """Note that the service has this feedback, unless the technician has changed it meanwhile."""
        with self._transaction() as database:
            database.execute("UPDATE work_orders SET is_reported = 1 WHERE report = ?", (json.dumps(report),))

    def unreported(self) -> list[dict[str, Any]]:
        """Feedback that the service does not have yet."""
        with self._transaction() as database:
            rows = database.execute("SELECT report FROM work_orders WHERE report IS NOT NULL AND NOT is_reported")
            return [json.loads(row["report"]) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=_TIMEOUT_SECONDS)
        database.row_factory = sqlite3.Row
        try:
            with database:
                yield database
        finally:
            database.close()


class Service:
    """The service of predictive maintenance. A key with the role `write` may send feedback."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url.rstrip("/"), key

    def report(self, feedback: Mapping[str, Any]) -> None:
        """Send feedback. The service keeps the same one once. Raises OSError, of which HTTPError is one."""
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": self._key} if self._key else {})
        request = Request(f"{self._url}/feedback", json.dumps(feedback).encode(), headers)
        with urlopen(request, timeout=_TIMEOUT_SECONDS):
            pass


class Cmms(ThreadingHTTPServer):
    """The server. Feedback that could not be sent is sent again until the service has it."""

    def __init__(self, address: tuple[str, int], secret: str, orders: WorkOrders, service: Service) -> None:
        super().__init__(address, Handler)
        self.secret, self.orders, self.service = secret, orders, service

    def close(self, number: int, found: Mapping[str, Any]) -> dict[str, Any]:
        """Close a work order with what a technician found, and return it. Raises RefusedError, also if the service refuses it."""
        order = self.orders.find(number)
        report = {**found, "machine_id": order["machine"], "alarm": order["alarm"]}
        self.orders.close(number, report, is_reported=self._report(report))
        return self.orders.find(number)

    def report_all(self) -> None:
        """Send the feedback that the service does not have. Raises RefusedError if it refuses one."""
        for report in self.orders.unreported():
            if self._report(report):
                self.orders.note_reported(report)

    def keep_reporting(self) -> None:
        """Send feedback that waits, again and again."""
        while True:
            try:
                self.report_all()
            except RefusedError as error:
                print(f"the service refuses feedback: {error}", file=sys.stderr, flush=True)
            time.sleep(_PAUSE_SECONDS)

    def _report(self, report: Mapping[str, Any]) -> bool:
        """Whether the service has got feedback. Raises RefusedError if it says that the feedback is wrong."""
        try:
            self.service.report(report)
        except HTTPError as error:
            reason = error.read().decode()
            if error.code in _REFUSALS:
                raise RefusedError(HTTPStatus(error.code), reason) from None
            print(f"feedback waits: answer {error.code}: {reason}", file=sys.stderr, flush=True)
        except OSError as error:
            print(f"feedback waits: {error}", file=sys.stderr, flush=True)
        else:
            return True
        return False


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    server: Cmms
    timeout = _TIMEOUT_SECONDS

    def do_GET(self) -> None:
        if self.path == "/work-orders":
            self._answer(HTTPStatus.OK, self.server.orders.newest_first())
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"reason": "not a route"})

    def do_POST(self) -> None:
        try:
            self._post(self._body())
        except RefusedError as error:
            self._answer(error.status, {"reason": str(error)})

    def _post(self, body: bytes) -> None:
        match self.path.split("/"):
            case ["", "alarms"]:
                check_signature(self.headers.get("X-PDM-Signature", ""), body, self.server.secret, time.time())
                message = json.loads(body)
                if message["event"] in ("alarm.opened", "alarm.closed"):
                    self.server.orders.receive(message)
                self._answer(HTTPStatus.OK, {"received": message["id"]})
            case ["", "work-orders", number, "close"] if number.isdecimal():
                self._answer(HTTPStatus.OK, self.server.close(int(number), _found(body)))
            case _:
                raise RefusedError(HTTPStatus.NOT_FOUND, "not a route")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "send Content-Length")
        if int(length) > MOST_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MOST_BYTES} bytes")
        return self.rfile.read(int(length))

    def _answer(self, status: HTTPStatus, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Receive alarms until the process ends."""
    parser = argparse.ArgumentParser(description="Receive alarms, keep work orders, and report back what was found.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--database", default="work-orders.db", help="an SQLite file")
    parser.add_argument("--service", default="http://127.0.0.1:8000", help="the address of the service")
    options = parser.parse_args()
    if not (secret := os.environ.get("PDM_WEBHOOK_SECRET")):
        parser.error("set PDM_WEBHOOK_SECRET, as for `predictive-maintenance notify`")
    if not options.service.startswith(("http://", "https://")):
        parser.error(f"--service {options.service}: write http://HOST:8000")
    service = Service(options.service, os.environ.get("PDM_API_KEY"))
    with Cmms((options.host, options.port), secret, WorkOrders(options.database), service) as server:
        threading.Thread(target=server.keep_reporting, daemon=True).start()
        # Without a handler, process 1 of a container ignores SIGTERM.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        server.serve_forever()


def _found(body: bytes) -> dict[str, Any]:
    """What a technician found. Raises RefusedError."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {"verdict", "by"} <= found.keys():
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, 'send {"verdict": ..., "by": ...} with failure_mode, failed and comment'
        )
    return found


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        **dict(row),
        "alarm": json.loads(row["alarm"]),
        "report": json.loads(row["report"]) if row["report"] else None,
        "is_reported": bool(row["is_reported"]),
    }


if __name__ == "__main__":
    main()

"""The log has one JSON object per line, for events of the service and of its libraries."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

SCRIPT = """
import logging, structlog
from app import logs
logs.configure("info")
own, theirs = structlog.get_logger(), logging.getLogger("uvicorn.error")
own.info("request", status=200, path="/predict")
own.debug("not logged")
theirs.warning("port %s is taken", 8000)
logging.getLogger("mlflow").info("not logged")
try:
    1 / 0
except ZeroDivisionError as error:
    own.error("unexpected error", exc_info=error)
    theirs.exception("failed")
"""


@pytest.fixture(scope="module")
def lines():
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    return {(event := json.loads(line))["event"]: event for line in (ran.stdout + ran.stderr).splitlines()}


def test_each_event_from_the_level_upwards_is_a_line_with_its_level(lines):
    levels = {name: event["level"] for name, event in lines.items()}
    assert levels == {
        "request": "info", "port 8000 is taken": "warning", "unexpected error": "error", "failed": "error",
    }  # fmt: skip
    assert (lines["request"]["status"], lines["request"]["path"]) == (200, "/predict")


def test_each_line_has_a_time_in_utc(lines):
    for event in lines.values():
        assert event["timestamp"].endswith("Z")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(event["timestamp"])).total_seconds()) < 600


def test_a_traceback_is_part_of_its_line(lines):
    for name in ("unexpected error", "failed"):
        assert "ZeroDivisionError: division by zero" in lines[name]["exception"]

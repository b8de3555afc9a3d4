"""Answers of the API about machines in the store."""

from typing import Any

from predictive_maintenance.config.machine_file import load_machine
from predictive_maintenance.machine.machine import Machine
from tests.paths import REPOSITORY


def summary(machine_id: str, **more: Any) -> dict[str, Any]:
    """The latest state of a machine."""
    return {
        "machine_id": machine_id,
        "readings": 10,
        "time": "2024-05-01T12:00:00Z",
        "received": "2024-05-01T12:00:02Z",
        "failure_probability": 0.1,
        "predicted_failure": False,
        "model_version": "1",
    } | more


def stored(*machines: dict[str, Any], following: str | None = None) -> tuple[int, dict[str, Any]]:
    """A page of the list of machines."""
    return 200, {"model_name": "test", "machines": list(machines), "next": following}


def history(machine_id: str, shown: list[dict[str, Any]], **more: Any) -> tuple[int, dict[str, Any]]:
    """A machine with its latest readings, the newest first, of which the first one is its state. It has 1,234 unless stated."""
    latest = [
        {"received": "2024-05-01T12:00:02Z", "predicted_failure": False, "model_version": "1"} | reading
        for reading in shown
    ]
    first = {name: value for name, value in latest[0].items() if name != "values"}
    return 200, summary(machine_id, readings=1_234) | first | {"model_name": "test", "latest": latest} | more


def alarm(opened: Any, closed: Any = None, closed_by: str | None = None) -> dict[str, Any]:
    return {
        "opened": opened,
        "closed": closed,
        "closed_by": closed_by,
        "failure_probability": 0.8,
        "failure_mode": "bearing",
        "failure_mode_probability": 0.71,
        "model_version": "1",
    }


def problem(status: int, detail: str) -> dict[str, Any]:
    return {"title": "Problem", "status": status, "detail": detail, "request_id": "1"}


def turbofan() -> Machine:
    """A machine whose time is a counter."""
    return load_machine(REPOSITORY / "machines" / "turbofan" / "machine.yaml")

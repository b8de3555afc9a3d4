"""An alarm on its way: from the service by `notify` to the example of a CMMS, and back as feedback."""

import sys

import httpx
import pytest

from tests.app.test_kept_events import NAMED, hot
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for

from .conftest import write_version

pytestmark = pytest.mark.long

SECRET = "a-secret"


@pytest.fixture
def start(tmp_path, small_pump):
    """A function that starts Python with arguments; all processes are killed after the test. Alarms go to the port `cmms`."""
    started = []
    (tmp_path / "model").mkdir()
    settings = {
        "PDM_MODEL_DIR": str(write_version(small_pump.files, tmp_path / "model")),
        "PDM_MODEL_CACHE": str(tmp_path / "cache"),
        "PDM_STORE_URL": f"sqlite:///{tmp_path / 'store.db'}",
        "PDM_WEBHOOK_SECRET": SECRET,
    }

    def start(*arguments, **more):
        log = tmp_path / f"process-{len(started)}.log"
        started.append(Process([sys.executable, *arguments], log, clean_environment(**settings, **more)))
        started[-1].start()

    yield start
    for process in started:
        process.kill()
        print(process.log.read_text())


def test_an_alarm_becomes_a_work_order_and_what_was_found_becomes_feedback(start, tmp_path):
    service, cmms = free_port(), free_port()
    start("-m", "app", "--port", str(service))
    database = str(tmp_path / "work-orders.db")
    start("examples/cmms.py", "--port", str(cmms), "--database", database, "--service", f"http://127.0.0.1:{service}")
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{service}", timeout=60) as api,
        httpx.Client(base_url=f"http://127.0.0.1:{cmms}", timeout=60) as orders,
    ):
        wait_for(lambda: api.get("/ready").status_code == 200)
        for hour in range(3):
            for machine in ("P1", "P2"):
                api.post("/readings", json=hot(hour) | {"machine_id": machine}).raise_for_status()
        wait_for(lambda: orders.get("/work-orders").status_code == 200)
        url = f"http://127.0.0.1:{cmms}/alarms"
        start("-m", "predictive_maintenance", "notify", "--every", "0.2", PDM_WEBHOOK_URL=url)

        wait_for(lambda: len(orders.get("/work-orders").json()) == 2)
        found = {order["machine"]: order for order in orders.get("/work-orders").json()}
        assert {order["state"] for order in found.values()} == {"open"}

        report = {"verdict": "confirmed", "failure_mode": "no_mode", "by": "Ana"}
        close = f"/work-orders/{found['P1']['number']}/close"
        refused = orders.post(close, json=report)
        assert (refused.status_code, "no_mode" in refused.json()["reason"]) == (422, True)
        closed = orders.post(close, json=report | {"failure_mode": "seal_failure"}).json()
        assert (closed["state"], closed["is_reported"]) == ("closed", True)
        (feedback,) = api.get("/feedback").json()["feedback"]
        assert (feedback["machine_id"], feedback["alarm"], feedback["verdict"], feedback["by"]) == (
            "P1",
            found["P1"]["alarm"],
            "confirmed",
            "Ana",
        )

        failure = NAMED | {"machine_id": "P2", "timestamp": "2024-03-01T05:30:00Z", "type": "seal"}
        api.post("/events", json={"failures": [failure]}).raise_for_status()
        wait_for(lambda: {order["state"] for order in orders.get("/work-orders").json()} == {"closed"})
        wait_for(lambda: api.get("/deliveries").json()["waiting"] == 0)
        assert 'pdm_alarm_messages{state="dead"} 0.0' in api.get("/metrics").text

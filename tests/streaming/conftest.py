"""A plant of pumps: a running service with a store, and a bridge in its own process."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
from tests.fixtures.brokers import Mosquitto
from tests.fixtures.pumps import DESCRIPTION
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for
from tests.paths import PARAMS_FILE


@dataclass
class Service(Process):
    """The API with the model of the pumps. It keeps readings in an SQLite file."""

    url: str = ""
    store: Path = Path()

    def ready(self) -> None:
        """Start the API and wait until it serves the model."""
        self.start()
        wait_for(lambda: httpx.get(f"{self.url}/ready").status_code == 200)

    def readings(self, machine_id: str) -> list[tuple[str, float, dict[str, Any]]]:
        """The kept readings of a machine in the order of their times: time, probability, sensors."""
        rows = self._rows(
            "SELECT r.time, r.probability, r.sensors FROM pdm_readings r JOIN pdm_machines m ON r.machine = m.key "
            "WHERE m.machine_id = ? ORDER BY r.time",
            machine_id,
        )
        return [(_iso(time), probability, json.loads(sensors)) for time, probability, sensors in rows]

    def events(self, machine_id: str) -> list[tuple[str, str, str]]:
        """The kept events of a machine in the order of their times: table, time, type."""
        rows = self._rows(
            "SELECT e.source, e.time, e.type FROM pdm_events e JOIN pdm_machines m ON e.machine = m.key "
            "WHERE m.machine_id = ? ORDER BY e.time",
            machine_id,
        )
        return [(table, _iso(time), kind) for table, time, kind in rows]

    def _rows(self, statement: str, machine_id: str) -> list[Any]:
        if not self.store.exists():
            return []
        with sqlite3.connect(self.store, timeout=30) as connection:
            try:
                return connection.execute(statement, (machine_id,)).fetchall()
            except sqlite3.OperationalError:  # the first request has not made the tables yet
                return []


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the description of the pumps."""
    folder = tmp_path_factory.mktemp("plant")
    (folder / "machines" / "pump").mkdir(parents=True)
    (folder / "machines" / "pump" / "machine.yaml").write_text(DESCRIPTION)
    shutil.copy(PARAMS_FILE, folder)
    return folder


@pytest.fixture(scope="module")
def service(small_pump: Any, plant: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service for the tests of a file, which use machines of their own."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    model = folder / "model"
    model.mkdir()
    for name, content in small_pump.files.items():
        (model / name).write_bytes(content)
    version = ModelVersion(version="1", aliases=(), run_id="run", created=datetime(2026, 1, 1, tzinfo=UTC), tags={})
    (model / VERSION_FILE).write_text(version.to_json())
    environment = clean_environment(
        PDM_PROJECT_DIR=str(plant), PDM_MACHINE="pump", PDM_MODEL_DIR=str(model), PDM_MODEL_CACHE=str(folder / "cache"),
        PDM_STORE_URL=f"sqlite:///{folder / 'store.db'}", PDM_BATCH_DEADLINE_SECONDS="60",
    )  # fmt: skip
    command = [sys.executable, "-m", "app", "--port", str(port)]
    made = Service(
        command, folder / "service.log", environment, url=f"http://127.0.0.1:{port}", store=folder / "store.db"
    )
    made.ready()
    yield made
    made.kill()


@dataclass
class BridgeProcess(Process):
    """The command mqtt. `dead_letters` is the file of messages that cannot be used."""

    file: Path = Path()

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def dead_letters(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def up(self) -> None:
        """Start the bridge and wait until it has connected once more."""
        before = self.output.count(": connected") if self.log.exists() else 0
        self.start()
        wait_for(lambda: self.output.count(": connected") > before)

    def wait(self, seconds: float = 60) -> int:
        """The exit code of a bridge that ends by itself."""
        assert self.running is not None
        return self.running.wait(seconds)


@pytest.fixture
def make_bridge(plant: Path, service: Service, tmp_path: Path) -> Iterator[Callable[..., BridgeProcess]]:
    """Make a bridge from a broker to the service, with further options and variables of the environment."""
    made: list[BridgeProcess] = []

    def make(broker: Mosquitto, *options: str, url: str = service.url, **variables: str) -> BridgeProcess:
        file = tmp_path / f"dead-letters-{len(made)}.jsonl"
        arguments = {
            "--broker": f"mqtt://127.0.0.1:{broker.port}",
            "--url": url,
            "--dead-letters": str(file),
            "--arrivals": str(tmp_path / "arrivals.db"),
        }
        command = [
            *(sys.executable, "-m", "predictive_maintenance", "mqtt", "--machine", "pump", "--report-seconds", "0.2"),
            *(part for option, value in arguments.items() if option not in options for part in (option, value)),
            *("--topic", "plant/{machine_id}/telemetry", "--topic", "errors:plant/{machine_id}/errors", *options),
        ]
        environment = clean_environment(PDM_PROJECT_DIR=str(plant)) | variables
        made.append(BridgeProcess(command, tmp_path / f"bridge-{len(made)}.log", environment, file=file))
        return made[-1]

    yield make
    for bridge in made:
        bridge.kill()

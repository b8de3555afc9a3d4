"""The production version changes to one with another description of the machine, readable or not."""

import json

import pytest
from structlog.testing import capture_logs

from app.serving.model_cache import ModelCache
from app.serving.model_watcher import ModelWatcher
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.changed_machines import changed, with_sensor
from tests.fixtures.versions import with_machine

from .conftest import READING, wait_until

WITH_VIBRATION = with_sensor(MILLING, "vibration_mm_s", label="Vibration", unit="mm/s", range=[0, 40])


def promote(client, registry, version, files):
    """Put a version into production, and wait until the service serves it or refuses it."""
    registry.versions[version], registry.alias = files, version
    wait_until(lambda: client.get("/health").json()["production_version"] == version)
    wait_until(
        lambda: (
            client.get("/health").json()["serving_version"] == version
            or f"version {version} is refused" in (client.get("/model/status").json()["warning"] or "")
        )
    )


def problem_of(response):
    assert response.status_code == 422, response.text
    return response.json()


def test_a_promotion_that_adds_a_sensor_needs_no_deployment(make_client, registry, small):
    client = make_client()
    before = client.post("/predict", json=READING).json()
    assert problem_of(client.post("/predict", json=READING | {"vibration_mm_s": 3.0}))["errors"][0]["field"] == (
        "vibration_mm_s"
    )
    promote(client, registry, "2", with_machine(small.files, WITH_VIBRATION, vibration_mm_s=3.0))

    problem = problem_of(client.post("/predict", json=READING))
    assert problem["errors"] == [{"row": None, "field": "vibration_mm_s", "reason": "is missing"}]
    after = client.post("/predict", json=READING | {"vibration_mm_s": 3.0}).json()
    assert (before["model_version"], after["model_version"]) == ("1", "2")
    assert after["failure_probability"] == before["failure_probability"]
    assert problem_of(client.post("/predict", json=READING | {"vibration_mm_s": 41.0}))["errors"][0]["field"] == (
        "vibration_mm_s"
    )
    batch = problem_of(client.post("/predict/batch", json={"readings": [READING]}))
    assert "vibration_mm_s" in json.dumps(batch)
    body = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
    assert "vibration_mm_s" in body["content"]["application/json"]["schema"]["required"]

    registry.alias = "1"
    wait_until(lambda: client.get("/health").json()["serving_version"] == "1")
    assert client.post("/predict", json=READING).json() == before


def as_drill(description):
    description.update(name="drill")
    description["categories"]["bit"] = {"label": "Bit", "values": ["a", "b"]}
    description.pop("examples")


def test_a_version_of_another_machine_is_served_with_its_own_columns(make_client, registry, small):
    client = make_client()
    promote(client, registry, "2", with_machine(small.files, changed(MILLING, as_drill), bit="a"))
    assert client.get("/model").json()["machine"]["description"]["name"] == "drill"
    assert problem_of(client.post("/predict", json=READING))["errors"][0]["field"] == "bit"
    assert client.post("/predict", json=READING | {"bit": "b"}).status_code == 200


def narrow(machine):
    machine["description"]["sensors"]["torque_nm"]["range"] = [0, 1]
    machine["description"].pop("examples")


def relabel(machine):
    machine["description"]["label"]["column"] = "broken"


def without_features(machine):
    machine["description"].update(features={}, operating_limits=[])


DAMAGES = {
    "no machine": (lambda machine: machine.clear(), "machine.json is damaged: it is not the description of a machine"),
    "newer format": (
        lambda machine: machine.update(format=2),
        "machine.json has format 2, this program reads up to 1: update the program",
    ),
    "unknown section": (
        lambda machine: machine["description"].update(supply={"voltage": 24}),
        "machine.json is damaged: description.supply: Extra inputs are not permitted",
    ),
    "no features": (without_features, "scorer.json is damaged: features: 'power_w' is unknown to the"),
    "narrow range": (narrow, "golden.json: readings.torque_nm has"),
    "another label": (relabel, "reference.json is damaged: broken: Field required"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_version_whose_description_does_not_fit_is_refused_with_the_reason(registry, small, tmp_path, damage):
    change, reason = DAMAGES[damage]
    machine = json.loads(small.files["machine.json"])
    change(machine)
    watcher = ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60)
    assert watcher.poll()
    registry.versions["2"], registry.alias = small.files | {"machine.json": json.dumps(machine).encode()}, "2"
    assert not watcher.poll()
    assert watcher.model.version.version == "1"
    assert watcher.warning.startswith(f"version 2 is refused: {reason}")
    without = {name: content for name, content in small.files.items() if name != "machine.json"}
    registry.versions["3"], registry.alias = without, "3"
    assert not watcher.poll()
    assert watcher.warning.startswith("version 3 is refused: machine.json: No such file or directory")


def test_a_service_that_meets_a_version_of_a_newer_release_serves_on_with_the_old_one_and_says_why(
    make_client, registry, small
):
    client = make_client()
    before = client.post("/predict", json=READING).json()
    with capture_logs() as logs:
        promote(client, registry, "2", small.files | {"machine.json": b'{"format": 2}'})
    reason = "version 2 is refused: machine.json has format 2, this program reads up to 1: update the program"
    assert client.get("/model/status").json()["warning"] == reason
    assert reason in [log.get("reason") for log in logs]
    health = client.get("/health").json()
    assert (health["status"], health["serving_version"], health["production_version"]) == ("degraded", "1", "2")
    assert health["warning"].startswith("version 2 is refused")
    assert client.get("/ready").status_code == 200
    assert client.post("/predict", json=READING).json() == before

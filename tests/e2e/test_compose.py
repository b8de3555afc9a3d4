"""compose.yaml: a registry, an API, a dashboard, and a training run whose model both show."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.fixtures.servers import wait_for
from tests.paths import REPOSITORY

from .conftest import trusting
from .containers import NO_NAMES

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]
READING = {
    "product_type": "L", "air_temperature_k": 298.8, "process_temperature_k": 308.9, "rotational_speed_rpm": 1455,
    "torque_nm": 61.3, "tool_wear_min": 208,
}  # fmt: skip


@pytest.fixture
def compose(engine, steady_network):
    """Run a command of docker compose, or of podman-compose without docker. Containers and volumes are removed at the end."""
    if not engine.resolves_names():
        pytest.fail(NO_NAMES)
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        command = ["docker", "compose"]
    else:
        command = [str(Path(sys.executable).with_name("podman-compose"))]

    # A project of its own: the test must not touch the containers and volumes of a user.
    command += ["--project-name", "predictive-maintenance-test"]

    def run(*arguments):
        done = subprocess.run([*command, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    # Without its profile, `down` leaves a container, and those that it depends on.
    down = ("--profile", "proxy", "--profile", "train", "down", "--volumes")
    run(*down)  # what a killed test left
    yield run
    print(run("logs"))
    run(*down)


# What a browser session would run, in the container and with the settings of the dashboard.
SHOWN = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("dashboard/main.py", default_timeout=60).run()
print([message.value for kind in (page.success, page.warning, page.error) for message in kind])
"""


def test_the_api_the_proxy_and_the_dashboard_show_a_model_that_another_container_trained(
    compose, certificates, monkeypatch
):
    for path in (certificates, *certificates.iterdir()):
        os.chown(path, 1000, 1000)  # the user of the container
    monkeypatch.setenv("PDM_CERTIFICATES", str(certificates))
    compose("up", "--detach")
    wait_for(lambda: httpx.get("http://127.0.0.1:8501/_stcore/health").status_code == 200)
    with httpx.Client(base_url="http://127.0.0.1:8000") as api:
        wait_for(lambda: "no version is in production" in api.get("/ready").text)
        assert "No model is served" in compose("exec", "-T", "dashboard", "python", "-c", SHOWN)
        train = ["python", "/opt/pdm/flows/train_flow.py", "run", "--trials", "1"]
        compose("--profile", "train", "run", "--rm", "train", *train)
        wait_for(lambda: api.get("/ready").status_code == 200, seconds=120)
        assert api.post("/predict", json=READING).json()["model_version"] == "1"
    compose("--profile", "proxy", "up", "--detach")
    with httpx.Client(base_url="https://localhost:8443", verify=trusting(certificates)) as proxy:
        wait_for(lambda: proxy.get("/ready").status_code == 200)
        assert proxy.post("/predict", json=READING).json()["model_version"] == "1"
    assert "Version 1 is served" in compose("exec", "-T", "dashboard", "python", "-c", SHOWN)

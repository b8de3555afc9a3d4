"""The container images: their content, and that they run with restricted permissions."""

import io
import json
import threading
import time
import uuid

import httpx
import pandas as pd
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families

from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.tracking.lineage import git_commit
from tests.fixtures.servers import free_port, wait_for

from .containers import HARDENED, SERVE, TRAIN

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


@pytest.fixture
def served(images, mlflow_server, registered):
    """A container that serves version 1 with restricted permissions. Returns (name, URL)."""
    port = free_port()
    name = f"pdm-test-{uuid.uuid4().hex[:8]}"
    images.start(name, SERVE, options=HARDENED, PORT=str(port), MLFLOW_TRACKING_URI=mlflow_server.url)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: httpx.get(f"{url}/ready").status_code == 200)
        yield name, url
    finally:
        print(images("logs", name).stdout)
        images.stop_all()


def test_the_api_runs_without_privileges_on_a_read_only_file_system(images, served, small):
    name, url = served
    row = small.rows.test[list(MILLING.input_names)].head(1)
    answer = httpx.post(f"{url}/predict", json=row.to_dict("records")[0]).json()
    assert answer["failure_probability"] == small.scorer.probabilities(row)[0]
    assert answer["model_version"] == "1"
    assert images("exec", name, "id", "-u").stdout.strip() == "1000"
    assert images("exec", name, "touch", "/opt/pdm/written", check=False).returncode != 0


def test_a_container_is_healthy_only_if_its_port_answers(images, served):
    name, _ = served
    assert images("exec", name, "healthy").returncode == 0
    elsewhere = images("exec", "--env", f"PORT={free_port()}", name, "healthy", check=False)
    assert elsewhere.returncode != 0


def answered_batches(url):
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    counted = (sample for family in families if family.name == "pdm_http_requests" for sample in family.samples)
    return sum(
        sample.value for sample in counted
        if sample.name.endswith("_total") and sample.labels["route"] == "/predict/batch"
    )  # fmt: skip


def test_a_stopped_container_answers_the_running_request_and_ends_within_five_seconds(images, served, small):
    name, url = served
    rows = pd.concat([small.rows.test[list(MILLING.input_names)]] * 100, ignore_index=True).head(60_000)
    body, answers = rows.to_dict("list"), []
    content = json.dumps(body).encode()
    httpx.post(f"{url}/predict/batch", json=rows.head(1).to_dict("list")).raise_for_status()
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/predict/batch", content=content, timeout=30))
    )
    asking.start()
    time.sleep(0.15)
    assert answered_batches(url) == 1, "the batch was over before the container was stopped"
    began = time.monotonic()
    images("stop", "--time", "15", name)
    took_s = time.monotonic() - began
    asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["rows"] == len(rows)
    assert images("inspect", name, "--format", "{{.State.ExitCode}}").stdout.strip() == "0"
    assert took_s < 5


@pytest.mark.parametrize("image", [TRAIN, SERVE])
def test_an_image_contains_the_code_and_no_secrets_or_build_tools(images, image):
    kept = images.shell(image, "cd /opt/pdm && find . -maxdepth 1 | sort").split()
    code = {".", "./app", "./params.yaml", "./predictive_maintenance"}
    more = (
        {
            "./dashboard",
            "./deploy",
            "./docker",
            "./flows",
            "./machines",
            "./requirements.txt",
            "./requirements-serve.txt",
        }
        if image == TRAIN
        else set()
    )
    assert code <= set(kept) <= code | more
    secret = " -o ".join(f"-name '{name}'" for name in (".git", ".env", ".netrc", "*.db", ".aws", "id_rsa"))
    assert images.shell(image, f"find / -xdev \\( {secret} \\) -print 2> /dev/null || true") == ""
    assert images.shell(image, "command -v gcc cc make git curl || true") == ""


def test_the_metadata_and_history_of_an_image_contain_no_secret(images):
    words = ("PASSWORD", "TOKEN", "SECRET", "API_KEY", "ACCESS_KEY")
    for image in (TRAIN, SERVE):
        text = images("inspect", image).stdout + images("history", "--no-trunc", image).stdout
        assert not [word for word in words if word in text.upper()]


def test_the_serving_image_contains_no_training_library(images):
    script = "import importlib.util as u; print([m for m in ('sklearn', 'lightgbm', 'pandas', 'metaflow') if u.find_spec(m)])"
    assert images.shell(SERVE, f'python -c "{script}"').strip() == "[]"


def test_the_serving_image_is_less_than_half_the_size_of_the_training_image(images):
    train, serve = (int(images("inspect", image, "--format", "{{.Size}}").stdout) for image in (TRAIN, SERVE))
    print(f"serve {serve / 1e6:.0f} MB, train {train / 1e6:.0f} MB: {serve / train:.2f}")
    assert serve < train / 2


def test_the_serving_image_supports_every_table_format_and_explanations(images, served, small):
    _, url = served
    rows = small.rows.test[list(MILLING.input_names)].head(50)
    arrow = io.BytesIO()
    with pa.ipc.new_stream(arrow, pa.Schema.from_pandas(rows, preserve_index=False)) as stream:
        stream.write_table(pa.Table.from_pandas(rows, preserve_index=False))
    bodies = {
        "text/csv": rows.to_csv(index=False).encode(),
        "application/vnd.apache.parquet": rows.to_parquet(),
        "application/vnd.apache.arrow.stream": arrow.getvalue(),
    }
    for media_type, body in bodies.items():
        answer = httpx.post(
            f"{url}/predict/batch", content=body, headers={"content-type": media_type, "accept": media_type}
        )
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type), answer.text
    reading = rows.head(1).to_dict("records")[0]
    assert httpx.post(f"{url}/predict?explain=true", json=reading).json()["explanation"]["contributions"]


def test_an_image_is_labelled_with_its_commit(images):
    label = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
    for image in (TRAIN, SERVE):
        assert images("inspect", image, "--format", label).stdout.strip() == git_commit()


def test_the_training_image_registers_a_version_in_a_remote_registry(images, mlflow_server, registered):
    before = {version.version for version in registered.list_versions()}
    command = ["python", "/opt/pdm/flows/train_flow.py", "run", "--trials", "1"]
    name, options = f"pdm-train-{uuid.uuid4().hex[:8]}", ("--cap-drop", "ALL")
    images.start(name, TRAIN, *command, options=options, MLFLOW_TRACKING_URI=mlflow_server.url)
    assert images.wait(name) == 0, images("logs", name).stdout
    images.stop_all()
    (made,) = [version for version in registered.list_versions() if version.version not in before]
    assert made.tags["git_commit"] == git_commit()

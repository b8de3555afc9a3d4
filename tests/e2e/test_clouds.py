"""The images as SageMaker and Azure ML run them."""

import io
import json
import uuid

import httpx
import pandas as pd
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.scoring import Scorer
from tests.fixtures.servers import free_port, wait_for

from .containers import HARDENED, SERVE, TRAIN

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def train(images, root, frame):
    """Run a SageMaker training job on `frame`, with `root` as /opt/ml. Returns its exit code."""
    for folder in ("input/config", "input/data/rows", "model", "output"):
        (root / folder).mkdir(parents=True)
    for folder in (root, *root.rglob("*")):
        folder.chmod(0o777)  # SageMaker's permissions
    (root / "input/config/hyperparameters.json").write_text(json.dumps({"trials": "1"}))
    (root / "input/config/inputdataconfig.json").write_text(json.dumps({"rows": {"TrainingInputMode": "File"}}))
    frame.to_csv(root / "input/data/rows/rows.csv", index=False)
    name = images.start(f"pdm-job-{uuid.uuid4().hex[:8]}", TRAIN, "train", options=("--volume", f"{root}:/opt/ml"))
    code = images.wait(name)
    print(images("logs", name).stdout)
    return code


@pytest.fixture(scope="module")
def job(images, tmp_path_factory):
    root = tmp_path_factory.mktemp("job") / "ml"
    assert train(images, root, simulate(6000, 3)) == 0
    return root


@pytest.fixture(
    params=[("/opt/ml/model", {}), ("/var/azureml-app/1/models", {"AZUREML_MODEL_DIR": "/var/azureml-app/1"})],
    ids=["sagemaker", "azure"],
)
def endpoint(request, images, job):
    """The URL of the serving image, with the model where SageMaker or Azure ML puts it."""
    folder, environment = request.param
    port = free_port()
    options = (*HARDENED, "--volume", f"{job / 'model'}:{folder}:ro")
    name = images.start(
        f"pdm-endpoint-{uuid.uuid4().hex[:8]}", SERVE, "serve", options=options, PORT=str(port), **environment
    )
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: httpx.get(f"{url}/ping").status_code == 200)
    yield url
    print(images("logs", name).stdout)
    images.stop_all()


def test_an_endpoint_serves_the_model_of_a_job(job, endpoint):
    assert not (job / "output" / "failure").exists()
    rows = simulate(50, 9)[list(MILLING.input_names)]
    expected = Scorer.load(job / "model").probabilities(rows)
    response = httpx.post(
        f"{endpoint}/invocations",
        content=rows.to_csv(index=False, header=False),
        headers={"content-type": "text/csv", "X-Amzn-SageMaker-Inference-Id": "order-17"},
    )
    assert response.headers["X-Amzn-SageMaker-Inference-Id"] == "order-17"
    assert pd.read_csv(io.StringIO(response.text))["failure_probability"].tolist() == pytest.approx(expected, abs=1e-12)
    lines = "\n".join(json.dumps(record) for record in rows.to_dict("records"))
    response = httpx.post(f"{endpoint}/invocations", content=lines, headers={"content-type": "application/jsonlines"})
    assert [json.loads(line)["failure_probability"] for line in response.text.splitlines()] == expected.tolist()


def test_a_job_without_a_needed_column_fails_with_the_reason(images, tmp_path):
    root = tmp_path / "ml"
    assert train(images, root, simulate(6000, 3).drop(columns="torque_nm")) == 1
    assert "torque" in (root / "output" / "failure").read_text().lower()
    assert not list((root / "model").iterdir())

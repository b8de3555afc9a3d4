"""A SageMaker training job: how its configuration is read, what is refused, and which files it leaves."""

import json
import os
import signal
import subprocess
import sys

import pytest

from deploy.sagemaker.contract import Job, JobError, reason_of
from machines.milling.simulator import simulate
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
from tests.paths import REPOSITORY


@pytest.fixture
def lay_out(tmp_path):
    """Create the folders and files that SageMaker puts below /opt/ml. Returns their root, below `tmp_path`."""

    def make(hyperparameters=None, **channels):
        config = tmp_path / "ml" / "input" / "config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
        (config / "inputdataconfig.json").write_text(json.dumps({name: {} for name in channels}))
        for name, files in channels.items():
            folder = tmp_path / "ml" / "input" / "data" / name
            folder.mkdir(parents=True)
            for file, text in files.items():
                (folder / file).write_text(text)
        return tmp_path / "ml"

    return make


def rows(count=6000, seed=3, without=()):
    return simulate(count, seed).drop(columns=list(without)).to_csv(index=False)


def random_labels():
    """Rows whose labels are shuffled."""
    frame = simulate(6000, 11)
    frame["machine_failure"] = frame["machine_failure"].sample(frac=1, random_state=1).to_numpy()
    return frame.to_csv(index=False)


def test_channels_become_sources_and_joined_channels_come_last(lay_out):
    root = lay_out({"trials": "3"}, **{"join-labels": {"labels.csv": "x"}, "rows": {"b.csv": "x", "a.csv": "x"}})
    job = Job.read(root)
    assert job.options[0] == "--trials=3"
    data = root / "input" / "data"
    assert json.loads(job.options[1].removeprefix("--sources=")) == [
        f"{data}/rows/a.csv", f"{data}/rows/b.csv", f"join:{data}/join-labels/labels.csv",
    ]  # fmt: skip


def test_a_job_without_configuration_uses_the_settings_of_the_image(lay_out, tmp_path):
    assert Job.read(lay_out()) == Job((), None, "production")
    assert Job.read(tmp_path / "nothing at all") == Job((), None, "production")


def test_quoted_strings_are_unquoted_and_settings_of_the_sagemaker_sdk_are_ignored(lay_out):
    given = {"sources": '"simulator://?rows=100"', "promote": "false", "sagemaker_program": '"x.py"'}
    assert Job.read(lay_out(given)).options == ("--sources=simulator://?rows=100", "--promote=false")


def test_a_channel_named_params_replaces_the_settings(lay_out):
    root = lay_out(params={"mine.yaml": "x"})
    assert Job.read(root).params == root / "input" / "data" / "params" / "mine.yaml"


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "message"),
    [
        (
            {"trails": "3"},
            {},
            "hyperparameter 'trails' is not one of machine, trials, seed, sources, promote, tag, require; did you mean 'trials'?",
        ),
        ({"require": "champion"}, {}, "'require' must be one of production, candidate, not 'champion'"),
        ({"sources": "a.csv"}, {"rows": {"a.csv": "x"}}, "exclude each other"),
        ({}, {"rows": {}}, "channel 'rows': no files in"),
        ([1], {}, "hyperparameters.json: not a JSON object"),
    ],
)
def test_an_invalid_configuration_is_refused_with_the_reason(lay_out, hyperparameters, channels, message):
    root = lay_out(hyperparameters, **channels)
    with pytest.raises(JobError) as refused:
        Job.read(root)
    assert message in str(refused.value)


def test_the_reason_is_the_text_of_the_error_in_the_output():
    lines = [
        "2026-11-23 16:05:06.504 [17/start/1 (pid 589)] <flow TrainFlow step start> failed:\n",
        "2026-11-23 16:05:06.504 [17/start/1 (pid 589)]     The run stopped:\n",
        "2026-11-23 16:05:06.504 [17/start/1 (pid 589)]     rows.csv: 'Torque [Nm]' is missing\n",
        "2026-11-23 16:05:06.505 [17/start/1 (pid 589)]     after the fix: python flows/train_flow.py run\n",
        "2026-11-23 16:05:07.000 [17/start/1 (pid 589)] Task failed.\n",
        "2026-11-23 16:05:07.001 Workflow failed.\n",
        "    Step failure:\n",
    ]
    assert reason_of(lines) == "rows.csv: 'Torque [Nm]' is missing"


def test_without_an_error_text_the_reason_is_the_last_lines():
    assert reason_of(["MemoryError\n", "Workflow failed.\n"]) == "MemoryError"
    assert reason_of([]) == "the flow failed: see the job log"


def run(root, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "METAFLOW", "PDM_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.sagemaker.contract"], cwd=REPOSITORY, text=True,
        env=clean | {"PDM_SAGEMAKER_ROOT": str(root), "PDM_RETRY_MINUTES": "0"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.flow
@pytest.mark.long
def test_a_job_leaves_a_model_that_can_be_served_and_its_metrics(lay_out, small, quick_params):
    params = {"params.yaml": quick_params.read_text()}
    root = lay_out(params=params, rows={"a.csv": rows(), "b.csv": rows(2000, 5)})
    job = run(root)
    output, _ = job.communicate(timeout=500)
    assert job.returncode == 0, output
    assert "held_out_recall=0." in output
    assert not (root / "output" / "failure").exists()
    model = root / "model"
    assert ModelVersion.from_json((model / VERSION_FILE).read_text()).aliases == ("production",)
    assert len(Scorer.load(model).probabilities(small.rows.test)) == len(small.rows.test)
    assert json.loads((root / "output" / "data" / "metrics.json").read_text())["level"] == "production"


def failure_of(root):
    """The reason that a job leaves, which must leave no model."""
    job = run(root)
    output, _ = job.communicate(timeout=500)
    assert job.returncode == 1, output
    reason = (root / "output" / "failure").read_text()
    assert "Traceback" not in reason
    assert not list(root.glob("model/*"))
    return reason


@pytest.mark.long
@pytest.mark.flow
def test_a_job_on_unusable_data_leaves_the_reason_and_no_model(lay_out):
    assert "torque" in failure_of(lay_out(rows={"rows.csv": rows(without=["torque_nm"])}))


@pytest.mark.long
@pytest.mark.flow
def test_a_job_is_of_the_machine_that_it_names(lay_out):
    given = {"machine": "fleet", "tag": "incident:7"}
    assert "the table machines, errors" in failure_of(lay_out(given, rows={"rows.csv": rows()}))


@pytest.mark.flow
@pytest.mark.long
def test_a_job_whose_model_is_rejected_leaves_the_level_and_no_model(lay_out, quick_params):
    params = {"params.yaml": quick_params.read_text()}
    assert "the model reached the level rejected, but production is required" in failure_of(
        lay_out(params=params, rows={"rows.csv": random_labels()})
    )


@pytest.mark.flow
def test_a_stopped_job_stops_the_flow_and_leaves_the_reason(lay_out):
    root = lay_out({"trials": "50"}, rows={"rows.csv": rows()})
    job = run(root)
    for line in job.stdout:
        if "Task is starting" in line:
            break
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == 143
    assert (root / "output" / "failure").read_text() == "ended by SIGTERM"


@pytest.mark.flow
def test_a_missing_secret_ends_the_job_before_the_flow_starts(lay_out):
    root = lay_out(rows={"rows.csv": rows()})
    settings = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_MAX_ATTEMPTS": "1"}
    job = run(root, PDM_SECRETS="pdm/mlflow", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", **settings)
    output, _ = job.communicate(timeout=100)
    assert job.returncode == 1
    assert "Task is starting" not in output
    assert (root / "output" / "failure").read_text().startswith("PDM_SECRETS: pdm/mlflow: ")

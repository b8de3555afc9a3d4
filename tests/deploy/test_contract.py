"""A training job as SageMaker lays it out: what is read, what is refused, what is left behind."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from deploy.sagemaker.contract import Job, JobError, reason_of
from predictive_maintenance.ingestion.simulator import simulate
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
from tests.paths import REPOSITORY


@pytest.fixture
def lay_out(tmp_path):
    """Makes /opt/ml as SageMaker does, below a folder of the test's: its root."""

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


def spoiled():
    """Rows whose labels say nothing."""
    frame = simulate(6000, 11)
    frame["machine_failure"] = frame["machine_failure"].sample(frac=1, random_state=1).to_numpy()
    return frame.to_csv(index=False)


def test_channels_become_sources_and_what_is_joined_comes_last(lay_out):
    root = lay_out({"trials": "3"}, **{"join-labels": {"labels.csv": "x"}, "rows": {"b.csv": "x", "a.csv": "x"}})
    job = Job.read(root)
    assert job.options[0] == "--trials=3"
    data = root / "input" / "data"
    assert json.loads(job.options[1].removeprefix("--sources=")) == [
        f"{data}/rows/a.csv", f"{data}/rows/b.csv", f"join:{data}/join-labels/labels.csv",
    ]  # fmt: skip


def test_a_job_that_is_told_nothing_runs_on_the_settings_of_the_image(lay_out, tmp_path):
    assert Job.read(lay_out()) == Job((), None, "production")
    assert Job.read(tmp_path / "nothing at all") == Job((), None, "production")


def test_strings_in_quotation_marks_and_settings_of_the_sdk_are_understood(lay_out):
    given = {"sources": '"simulator://?rows=100"', "promote": "false", "sagemaker_program": '"x.py"'}
    assert Job.read(lay_out(given)).options == ("--sources=simulator://?rows=100", "--promote=false")


def test_a_channel_named_params_replaces_the_settings(lay_out):
    root = lay_out(params={"mine.yaml": "x"})
    assert Job.read(root).params == root / "input" / "data" / "params" / "mine.yaml"


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "told"),
    [
        (
            {"trails": "3"},
            {},
            "hyperparameter 'trails' is not one of trials, seed, sources, promote, require; did you mean 'trials'?",
        ),
        ({"require": "champion"}, {}, "'require' must be one of production, candidate, not 'champion'"),
        ({"sources": "a.csv"}, {"rows": {"a.csv": "x"}}, "exclude each other"),
        ({}, {"rows": {}}, "channel 'rows': no files in"),
        ([1], {}, "hyperparameters.json: not a JSON object"),
    ],
)
def test_what_makes_no_sense_is_named(lay_out, hyperparameters, channels, told):
    root = lay_out(hyperparameters, **channels)
    with pytest.raises(JobError) as refused:
        Job.read(root)
    assert told in str(refused.value)


def test_the_reason_is_the_errors_own_text():
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


def test_without_such_a_text_the_last_lines_are_the_reason():
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
def test_a_good_job_leaves_a_model_that_can_be_served(lay_out, small):
    root = lay_out({"trials": "1"}, rows={"a.csv": rows(), "b.csv": rows(2000, 5)})
    job = run(root)
    output, _ = job.communicate(timeout=500)
    assert job.returncode == 0, output
    assert "held_out_recall=0." in output
    assert not (root / "output" / "failure").exists()
    model = root / "model"
    assert ModelVersion.from_json((model / VERSION_FILE).read_text()).aliases == ("production",)
    assert len(Scorer.load(model).probabilities(small.rows.test)) == len(small.rows.test)
    assert json.loads((root / "output" / "data" / "metrics.json").read_text())["level"] == "production"


@pytest.mark.flow
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (rows(without=["torque_nm"]), "torque"),
        ("", "rows.csv"),
        (spoiled(), "the model reached the level rejected, but production"),
    ],
)
def test_a_bad_job_leaves_the_reason_and_no_model(lay_out, text, told):
    root = lay_out({"trials": "1"}, rows={"rows.csv": text})
    job = run(root)
    output, _ = job.communicate(timeout=500)
    assert job.returncode == 1, output
    reason = (root / "output" / "failure").read_text()
    assert told in reason
    assert "Traceback" not in reason
    assert not list(root.glob("model/*"))


@pytest.mark.flow
def test_a_job_that_is_stopped_passes_it_on_and_says_so(lay_out):
    root = lay_out({"trials": "50"}, rows={"rows.csv": rows()})
    job = run(root)
    for line in job.stdout:
        if "Task is starting" in line:
            break
    job.send_signal(signal.SIGTERM)
    began = time.monotonic()
    job.communicate(timeout=60)
    assert job.returncode == 143
    assert time.monotonic() - began < 60
    assert (root / "output" / "failure").read_text() == "ended by SIGTERM"


@pytest.mark.flow
def test_a_secret_that_is_not_there_ends_the_job_before_any_work(lay_out):
    root = lay_out(rows={"rows.csv": rows()})
    settings = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_MAX_ATTEMPTS": "1"}
    job = run(root, PDM_SECRETS="pdm/mlflow", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", **settings)
    output, _ = job.communicate(timeout=100)
    assert job.returncode == 1
    assert "Task is starting" not in output
    assert (root / "output" / "failure").read_text().startswith("PDM_SECRETS: pdm/mlflow: ")

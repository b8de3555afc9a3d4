"""Wrong settings for steps on AWS Batch are reported before the run starts, with how to fix them."""

import pytest

from machines.milling.simulator import simulate
from tests.paths import REPOSITORY

pytestmark = pytest.mark.flow

ACCOUNT = {
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://plant/metaflow",
    "METAFLOW_BATCH_JOB_QUEUE": "queue",
    "METAFLOW_BATCH_CONTAINER_IMAGE": "images.example/predictive-maintenance:train",
    "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": "arn:aws:iam::123456789012:role/pdm-job",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
}


def rejected(place, *arguments, without=(), **settings):
    """The output of a run that is rejected before its first task."""
    account = {name: value for name, value in ACCOUNT.items() if name not in without}
    code, output = place.run("run", *arguments, **account | settings)
    assert code != 0
    assert "Task is starting" not in output
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize(
    ("setting", "fix"),
    [
        ("METAFLOW_DEFAULT_DATASTORE", "set it, and METAFLOW_DATASTORE_SYSROOT_S3=s3://BUCKET/PREFIX"),
        ("METAFLOW_BATCH_JOB_QUEUE", "the job queue"),
        ("METAFLOW_BATCH_CONTAINER_IMAGE", "the image of `make image`, in a registry"),
        ("METAFLOW_ECS_S3_ACCESS_IAM_ROLE", "the IAM role of the jobs"),
    ],
)
def test_a_missing_setting_is_named_with_its_meaning(place, setting, fix):
    output = rejected(place, "--with", "batch", without=[setting])
    (line,) = [line for line in output.splitlines() if line.strip().startswith("- ")]
    assert setting in line
    assert fix in line


def test_a_local_registry_is_rejected(place):
    output = rejected(place, "--with", "batch", MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert "MLFLOW_TRACKING_URI: sqlite:///mlflow.db is a local registry" in output


def test_a_local_file_is_rejected_when_its_steps_are_remote(place):
    simulate(200, 1).to_csv(place.root / "rows.csv", index=False)
    output = rejected(place, "--with", "batch", "--sources", "rows.csv,simulator://?rows=10")
    assert "- rows.csv: is a local file: use a copy on S3" in output
    assert "PDM_REMOTE_STEPS=train,evaluate" in output
    assert "simulator" not in output


def test_a_store_that_jobs_cannot_read_is_rejected_and_its_password_is_not_shown(place):
    arguments = ("--with", "batch", "--sources", "store://")
    for settings in ({}, {"PDM_STORE_URL": "sqlite:////var/lib/store.db", "PDM_SECRETS": "pdm/store"}):
        output = rejected(place, *arguments, **settings)
        assert (
            "- PDM_STORE_URL: store:// is an SQLite file of this machine: keep the service's rows in PostgreSQL"
            in output
        )
    output = rejected(place, *arguments, PDM_STORE_URL="postgresql://pdm:hush-hush@store.example/pdm")
    assert "- PDM_STORE_URL: has a password, and is not passed to jobs" in output
    assert "hush-hush" not in output


def test_a_file_that_is_not_in_the_dvc_remote_is_rejected(place):
    simulate(200, 1).to_csv(place.root / "rows.csv", index=False)
    (place.root / "rows.csv.dvc").write_text("outs:\n- md5: 0123abcd\n  path: rows.csv\n")
    (place.root / ".dvc").mkdir()
    (place.root / ".dvc" / "config").write_text("[core]\nremote = s\n['remote \"s\"']\nurl = https://127.0.0.1:9/x\n")
    output = rejected(place, "--with", "batch", "--sources", "rows.csv")
    assert "- rows.csv: not in the DVC remote; run `dvc push` (https://127.0.0.1:9/x/files/md5/" in output


def test_a_password_that_is_not_passed_to_jobs_is_named_and_not_shown(place):
    output = rejected(place, "--with", "batch", MLFLOW_TRACKING_PASSWORD="hush-hush")
    assert "MLFLOW_TRACKING_PASSWORD: is not passed to jobs" in output
    assert "PDM_SECRETS" in output
    assert "hush-hush" not in output


def test_a_password_in_the_tracking_uri_is_rejected_and_not_shown(place):
    output = rejected(place, "--with", "batch", MLFLOW_TRACKING_URI="https://me:hush-hush@mlflow.example")
    assert "MLFLOW_TRACKING_URI: contains a password" in output
    assert "hush-hush" not in output


def test_decorators_that_would_replace_those_of_remote_steps_are_rejected(place):
    more = ("--with", 'environment:vars={"A": "b"}', "--with", 'secrets:sources=["mine"]')
    output = rejected(place, "--with", "batch", *more, PDM_SECRETS="pdm/mlflow")
    assert "- --with environment: not supported" in output
    assert "- --with secrets: cannot be combined with PDM_SECRETS" in output


def test_an_unknown_remote_step_lists_the_existing_steps(place):
    output = rejected(place, PDM_REMOTE_STEPS="trian")
    assert "PDM_REMOTE_STEPS: 'trian' is not a step of the flow: clean, end, evaluate, features" in output


def test_single_remote_steps_are_checked_too(place):
    output = rejected(place, without=["METAFLOW_BATCH_JOB_QUEUE"], PDM_REMOTE_STEPS="train")
    assert "steps on AWS Batch (train) cannot run with these settings:" in output
    assert "METAFLOW_BATCH_JOB_QUEUE" in output


def test_every_problem_is_reported_at_once(place):
    output = rejected(place, "--with", "batch", "--sources", "gone.csv", without=ACCOUNT)
    assert len([line for line in output.splitlines() if line.strip().startswith("- ")]) == 6


def test_read_only_commands_ignore_the_settings_of_remote_steps(place):
    code, output = place.run("show", PDM_REMOTE_STEPS="train")
    assert code == 0, output


def test_the_code_package_of_remote_steps_contains_the_data_files_of_the_package(place):
    code, output = place.run("package", "list")
    assert code == 0, output
    assert str(REPOSITORY / "predictive_maintenance" / "machine" / "milling.json") in output
    for name in ("machine.yaml", "oracle.py", "published_rules.py", "sample_fleet.csv", "simulator.py"):
        assert str(REPOSITORY / "machines" / "milling" / name) in output

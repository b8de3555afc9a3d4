"""Launches on rented machines that cannot work: each is told before there is a run, with its setting and the way out."""

import pytest

from predictive_maintenance.ingestion.simulator import simulate

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flow")]

ACCOUNT = {
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://plant/metaflow",
    "METAFLOW_BATCH_JOB_QUEUE": "queue",
    "METAFLOW_BATCH_CONTAINER_IMAGE": "images.example/predictive-maintenance:train",
    "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": "arn:aws:iam::123456789012:role/pdm-job",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
}


def refused(place, *arguments, without=(), **settings):
    """What a launch prints that is refused: there is no task, and nothing is kept."""
    account = {name: value for name, value in ACCOUNT.items() if name not in without}
    code, output = place.run("run", *arguments, **account | settings)
    assert code != 0
    assert "Task is starting" not in output
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize(
    ("setting", "way_out"),
    [
        ("METAFLOW_DEFAULT_DATASTORE", "set it, and METAFLOW_DATASTORE_SYSROOT_S3=s3://BUCKET/PREFIX"),
        ("METAFLOW_BATCH_JOB_QUEUE", "the queue that jobs go to"),
        ("METAFLOW_BATCH_CONTAINER_IMAGE", "the image of `make image`, in a registry"),
        ("METAFLOW_ECS_S3_ACCESS_IAM_ROLE", "the role that jobs run as"),
    ],
)
def test_a_missing_setting_is_named_with_what_it_is_for(place, setting, way_out):
    output = refused(place, "--with", "batch", without=[setting])
    (line,) = [line for line in output.splitlines() if line.strip().startswith("- ")]
    assert setting in line
    assert way_out in line


def test_a_registry_on_this_machine_is_refused(place):
    output = refused(place, "--with", "batch", MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert "MLFLOW_TRACKING_URI: sqlite:///mlflow.db is a registry on this machine" in output


def test_a_file_of_this_machine_is_refused_where_the_steps_that_read_it_go_away(place):
    simulate(200, 1).to_csv(place.root / "rows.csv", index=False)
    output = refused(place, "--with", "batch", "--sources", "rows.csv,simulator://?rows=10")
    assert "- rows.csv: is a file of this machine: name a copy on S3" in output
    assert "PDM_REMOTE_STEPS=train,evaluate" in output
    assert "simulator" not in output


def test_a_file_that_was_never_pushed_to_dvcs_remote_is_refused(place):
    simulate(200, 1).to_csv(place.root / "rows.csv", index=False)
    (place.root / "rows.csv.dvc").write_text("outs:\n- md5: 0123abcd\n  path: rows.csv\n")
    (place.root / ".dvc").mkdir()
    (place.root / ".dvc" / "config").write_text("[core]\nremote = s\n['remote \"s\"']\nurl = https://127.0.0.1:9/x\n")
    output = refused(place, "--with", "batch", "--sources", "rows.csv")
    assert "- rows.csv: not in the DVC remote; run `dvc push` (https://127.0.0.1:9/x/files/md5/" in output


def test_a_password_that_would_stay_behind_is_named_and_not_shown(place):
    output = refused(place, "--with", "batch", MLFLOW_TRACKING_PASSWORD="hush-hush")
    assert "MLFLOW_TRACKING_PASSWORD: stays on this machine" in output
    assert "PDM_SECRETS" in output
    assert "hush-hush" not in output


def test_a_password_in_the_registrys_address_is_refused_and_not_shown(place):
    output = refused(place, "--with", "batch", MLFLOW_TRACKING_URI="https://me:hush-hush@mlflow.example")
    assert "MLFLOW_TRACKING_URI: holds a password" in output
    assert "hush-hush" not in output


def test_decorators_that_would_displace_what_steps_are_told_are_refused(place):
    more = ("--with", 'environment:vars={"A": "b"}', "--with", 'secrets:sources=["mine"]')
    output = refused(place, "--with", "batch", *more, PDM_SECRETS="pdm/mlflow")
    assert "- --with environment: what remote steps are told is set here" in output
    assert "- --with secrets: excludes PDM_SECRETS" in output


def test_a_remote_step_that_is_none_is_named_with_those_there_are(place):
    output = refused(place, PDM_REMOTE_STEPS="trian")
    assert "PDM_REMOTE_STEPS: 'trian' is not a step of the flow: clean, end, evaluate, features" in output


def test_remote_steps_alone_are_checked_too(place):
    output = refused(place, without=["METAFLOW_BATCH_JOB_QUEUE"], PDM_REMOTE_STEPS="train")
    assert "steps on AWS Batch (train) cannot run like this:" in output
    assert "METAFLOW_BATCH_JOB_QUEUE" in output


def test_every_problem_is_told_at_once(place):
    output = refused(place, "--with", "batch", "--sources", "gone.csv", without=ACCOUNT)
    assert len([line for line in output.splitlines() if line.strip().startswith("- ")]) == 6


def test_commands_that_only_look_work_while_remote_steps_are_set(place):
    code, output = place.run("show", PDM_REMOTE_STEPS="train")
    assert code == 0, output

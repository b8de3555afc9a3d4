"""python -m deploy.sagemaker against moto; a class of this file answers the call that moto does not support."""

import json
import re

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from deploy.sagemaker import __main__ as command_line
from deploy.sagemaker.__main__ import main

ROLE = "arn:aws:iam::123456789012:role/pdm-sagemaker"
IMAGE = "123456789012.dkr.ecr.eu-central-1.example/predictive-maintenance:train"
TRAIN = ("train", "--image", IMAGE, "--role", ROLE, "--output", "s3://plant/models", "--poll-seconds", "0.01")
DEPLOY = ("deploy", "--image", IMAGE, "--role", ROLE, "--poll-seconds", "0.01")


@pytest.fixture
def sagemaker(aws_url, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "PDM_SECRETS", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return boto3.client("sagemaker")


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_train_submits_a_job_waits_for_it_and_prints_the_command_that_deploys_it(sagemaker):
    code, output = run(
        *TRAIN, "--channel", "rows=s3://plant/raw", "--set", "trials=3", "--spot", "--name", "first",
        "--tracking-uri", "https://mlflow.example/team", "--secrets", "pdm/mlflow",
    )  # fmt: skip
    assert code == 0, output
    assert "Completed" in output
    assert "next: python -m deploy.sagemaker deploy --job first" in output
    assert "https://eu-central-1.console.aws.amazon.com/sagemaker/home?region=eu-central-1#/jobs/first" in output
    job = sagemaker.describe_training_job(TrainingJobName="first")
    assert job["HyperParameters"] == {"trials": "3"}
    assert job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://plant/raw"
    assert job["EnableManagedSpotTraining"]
    assert job["StoppingCondition"]["MaxWaitTimeInSeconds"] >= job["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert run("status", "--job", "first")[1].startswith("first: Completed")


def test_a_dry_run_prints_the_requests_and_sends_none(sagemaker):
    before = len(sagemaker.list_training_jobs()["TrainingJobSummaries"])
    code, output = run(*TRAIN, "--dry-run", "--secrets", "pdm/mlflow", "--tracking-uri", "https://mlflow.example")
    assert code == 0, output
    request = json.loads(output)["create_training_job"]
    assert request["Environment"] == {"MLFLOW_TRACKING_URI": "https://mlflow.example", "PDM_SECRETS": "pdm/mlflow"}
    assert len(sagemaker.list_training_jobs()["TrainingJobSummaries"]) == before


def test_the_metric_definitions_match_the_output_of_a_job(sagemaker):
    definitions = json.loads(run(*TRAIN, "--dry-run")[1])["create_training_job"]["AlgorithmSpecification"][
        "MetricDefinitions"
    ]
    (recall,) = [found for found in definitions if found["Name"] == "held_out:recall"]
    assert re.search(recall["Regex"], "held_out_recall=0.791045;")[1] == "0.791045"


def test_an_endpoint_can_be_created_shown_and_deleted(sagemaker):
    code, output = run(*TRAIN, "--name", "for-an-endpoint")
    assert code == 0, output
    code, output = run(*DEPLOY, "--job", "for-an-endpoint", "--endpoint", "plant-1")
    assert code == 0, output
    assert "InService" in output
    config = sagemaker.describe_endpoint(EndpointName="plant-1")["EndpointConfigName"]
    model = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]
    trained = sagemaker.describe_training_job(TrainingJobName="for-an-endpoint")["ModelArtifacts"]["S3ModelArtifacts"]
    assert sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataUrl"] == trained
    assert run("status", "--endpoint", "plant-1")[1].startswith("plant-1: InService")

    code, output = run("delete", "--endpoint", "plant-1", "--dry-run")
    assert (code, "delete_model" in output) == (0, True)
    assert sagemaker.describe_endpoint(EndpointName="plant-1")["EndpointStatus"] == "InService"
    assert run("delete", "--endpoint", "plant-1", "--yes")[0] == 0
    with pytest.raises(ClientError):
        sagemaker.describe_endpoint(EndpointName="plant-1")
    assert model not in [found["ModelName"] for found in sagemaker.list_models()["Models"]]


class Updating:
    """SageMaker with update_endpoint, which moto lacks. The endpoint gets the new configuration or rolls back to the old one."""

    def __init__(self, real, rolls_back):
        self._real, self._rolls_back, self._config = real, rolls_back, None

    def __getattr__(self, name):
        return getattr(self._real, name)

    def update_endpoint(self, EndpointName, EndpointConfigName):  # noqa: N803  boto3's names
        self._config = None if self._rolls_back else EndpointConfigName

    def describe_endpoint(self, **given):
        found = self._real.describe_endpoint(**given)
        return {**found, "EndpointConfigName": self._config or found["EndpointConfigName"]}


@pytest.mark.parametrize("rolls_back", [False, True])
def test_an_existing_endpoint_is_updated_and_a_rollback_is_an_error(sagemaker, monkeypatch, rolls_back):
    name = f"plant-2-{rolls_back}"
    run(*DEPLOY, "--model-data", "s3://plant/model.tar.gz", "--endpoint", name)
    monkeypatch.setattr(command_line, "client", lambda: Updating(sagemaker, rolls_back))
    monkeypatch.setattr(command_line, "_named_by_time", lambda prefix: f"{prefix}-newer")
    code, output = run(*DEPLOY, "--model-data", "s3://plant/model.tar.gz", "--endpoint", name)
    assert (code, "the update was rolled back" in output) == (int(rolls_back), rolls_back)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train",), "Missing option '--image' (env var: 'PDM_SAGEMAKER_TRAIN_IMAGE')"),
        ((*TRAIN[:-4], "--output", "plant/models"), "'plant/models' does not have the form s3://BUCKET/PREFIX"),
        ((*TRAIN, "--channel", "rows"), "'rows' does not have the form NAME=VALUE"),
        (
            (*TRAIN, "--tracking-uri", "https://me:hush@mlflow.example"),
            "https://***:***@mlflow.example contains a password",
        ),
        ((*TRAIN, "--tracking-uri", "sqlite:///mlflow.db"), "a job cannot reach a local registry"),
        (DEPLOY, "name either --job or --model-data"),
        ((*DEPLOY, "--job", "nosuch"), "nosuch"),
        (("status", "--job", "nosuch"), "nosuch"),
        (("status", "--endpoint", "nosuch"), "nosuch"),
        (("delete", "--endpoint", "nosuch", "--yes"), "nosuch"),
    ],
)
def test_an_error_is_reported_without_a_traceback_or_a_secret(sagemaker, arguments, message):
    code, output = run(*arguments)
    assert code != 0
    assert message in output
    assert "Traceback" not in output
    assert "hush" not in output


def test_a_missing_region_is_reported_with_its_setting(sagemaker, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    code, output = run("status")
    assert code != 0
    assert "AWS_DEFAULT_REGION" in output


def test_a_missing_permission_is_reported_with_the_policy_that_grants_it(sagemaker, monkeypatch):
    class Denied:
        def describe_endpoint(self, **_):
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "DescribeEndpoint"
            )

    monkeypatch.setattr(command_line, "client", Denied)
    output = run("status")[1]
    assert (
        "sagemaker:DescribeEndpoint is not allowed: deploy/aws/sagemaker-submit-policy.json lists the required permissions"
        in output
    )

"""The files in deploy/: policies that allow no more than they say, YAML that Azure ML takes, settings that are settings."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.paths import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
POLICIES = sorted((DEPLOY / "aws").glob("*.json"))
FOR_ALL_ONLY = {
    "ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "sagemaker:ListEndpoints", "batch:DescribeJobs", "batch:ListJobs",
    "batch:DescribeJobDefinitions", "batch:DescribeJobQueues", "batch:DescribeComputeEnvironments",
}  # fmt: skip
"""Actions that AWS lets nobody restrict to a resource."""


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_policy_allows_no_action_and_no_resource_in_general(path):
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action], statement
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= FOR_ALL_ONLY, statement
        for resource in statement["Resource"]:
            assert resource == "*" or re.match(r"arn:aws:(s3:::BUCKET|[a-z0-9-]+:(REGION)?:ACCOUNT:)", resource), (
                resource
            )
        if "iam:PassRole" in statement["Action"]:
            assert "iam:PassedToService" in statement["Condition"]["StringEquals"]


def test_every_policy_is_explained():
    told = (DEPLOY / "aws" / "README.md").read_text()
    assert len(POLICIES) == 5
    assert [path.name for path in POLICIES if f"`{path.name}`" not in told] == []


def test_the_example_settings_are_those_that_a_launch_asks_for():
    example = (DEPLOY / "aws" / "metaflow.env.example").read_text()
    launch = (REPOSITORY / "flows" / "remote_steps.py").read_text()
    for name in set(re.findall(r"METAFLOW_[A-Z0-9_]+", launch)) | {"MLFLOW_TRACKING_URI", "PDM_SECRETS"}:
        assert re.search(rf"^{name}=", example, re.MULTILINE), name
    assert not re.search(r"^MLFLOW_TRACKING_(PASSWORD|TOKEN)=", example, re.MULTILINE)


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    """Runs the check of deploy/azureml with Azure's own SDK, in an environment of its own."""
    folder = tmp_path_factory.mktemp("azure")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]
    subprocess.run([*install, REPOSITORY / "requirements-azure.txt"], check=True)

    def check(where):
        command = [folder / "bin" / "python", DEPLOY / "azureml" / "check.py", where]
        return subprocess.run(command, capture_output=True, text=True)

    return check


@pytest.mark.environment
def test_azure_ml_takes_the_job_the_endpoint_and_the_deployment(azure, tmp_path):
    for name in ("deploy/azureml", "models"):
        (tmp_path / name).mkdir(parents=True)
    for path in (DEPLOY / "azureml").glob("*.yaml"):
        shutil.copy(path, tmp_path / "deploy" / "azureml")
    done = azure(tmp_path / "deploy" / "azureml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "job.yaml:", "Command", "endpoint.yaml:", "ManagedOnlineEndpoint", "deployment.yaml:", "ManagedOnlineDeployment",
    ]  # fmt: skip
    for name, key in (("job.yaml", "command"), ("deployment.yaml", "instance_count"), ("endpoint.yaml", "auth_mode")):
        path = tmp_path / "deploy" / "azureml" / name
        raw = yaml.safe_load(path.read_text())
        path.write_text(
            yaml.safe_dump({f"not_{found}" if found == key else found: value for found, value in raw.items()})
        )
    spoiled = azure(tmp_path / "deploy" / "azureml")
    assert spoiled.returncode == 1
    assert "job.yaml: " in spoiled.stderr


def test_the_routes_that_azure_ml_asks_are_routes_of_the_service():
    from app.factory import create_app
    from app.settings import Settings
    from predictive_maintenance.config.params_file import load_params

    document = create_app(Settings(), load_params()).openapi()
    raw = yaml.safe_load((DEPLOY / "azureml" / "deployment.yaml").read_text())
    routes = {route["path"] for route in raw["environment"]["inference_config"].values()}
    assert routes <= set(document["paths"])

"""The files in deploy/: IAM policies without wildcards, YAML that Azure ML accepts, and example settings that exist."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from app.factory import create_app
from app.settings import Settings
from predictive_maintenance.config.commands import PREFIX_VARIABLE
from predictive_maintenance.config.serving_params import load_serving_params
from tests.fixtures.environments import Environment
from tests.paths import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
POLICIES = sorted((DEPLOY / "aws").glob("*.json"))
FOR_ALL_ONLY = {
    "ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "sagemaker:ListEndpoints", "batch:DescribeJobs", "batch:ListJobs",
    "batch:DescribeJobDefinitions", "batch:DescribeJobQueues", "batch:DescribeComputeEnvironments",
}  # fmt: skip
"""Actions that AWS cannot restrict to a resource."""


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_policy_names_its_actions_and_resources_without_wildcards(path):
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


def test_every_policy_is_documented():
    text = (REPOSITORY / "docs" / "how-to" / "deploy-aws-batch.md").read_text()
    assert len(POLICIES) == 5
    assert [path.name for path in POLICIES if f"`{path.name}`" not in text] == []


def test_the_example_settings_are_complete_and_contain_no_secret():
    example = (DEPLOY / "aws" / "metaflow.env.example").read_text()
    launch = (REPOSITORY / "flows" / "remote_steps.py").read_text()
    for name in set(re.findall(r"METAFLOW_[A-Z0-9_]+", launch)) | {"MLFLOW_TRACKING_URI", "PDM_SECRETS"}:
        assert re.search(rf"^{name}=", example, re.MULTILINE), name
    assert not re.search(r"^MLFLOW_TRACKING_(PASSWORD|TOKEN)=", example, re.MULTILINE)


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    """Run the check of deploy/azureml with the Azure SDK, in a separate environment."""
    environment = Environment.create(tmp_path_factory.mktemp("azure") / "environment")
    environment.install("--requirement", REPOSITORY / "requirements-azure.txt")

    def check(where):
        command = [environment.python, DEPLOY / "azureml" / "check.py", where]
        return subprocess.run(command, capture_output=True, text=True)

    return check


@pytest.mark.environment
def test_azure_ml_accepts_the_job_the_endpoint_and_the_deployment(azure, tmp_path):
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
            yaml.safe_dump({f"not_{given}" if given == key else given: value for given, value in raw.items()})
        )
    damaged = azure(tmp_path / "deploy" / "azureml")
    assert damaged.returncode == 1
    assert "job.yaml: " in damaged.stderr


def test_the_routes_that_azure_ml_calls_are_routes_of_the_api():
    document = create_app(Settings(), load_serving_params()).openapi()
    raw = yaml.safe_load((DEPLOY / "azureml" / "deployment.yaml").read_text())
    routes = {route["path"] for route in raw["environment"]["inference_config"].values()}
    assert routes <= set(document["paths"])


def test_compose_passes_on_no_setting_as_an_empty_text():
    """An empty API key is an error, and a name without a value is passed on only if it is set."""
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    for service in services.values():
        for value in service.get("environment", {}).values():
            assert value is None or not re.search(r"\$\{\w+(:?-)?\}", str(value))
    assert services["api"]["environment"]["PDM_API_KEY"] is None
    assert services["api"]["environment"]["PDM_API_KEYS"] is None
    assert services["dashboard"]["environment"]["PDM_API_KEY"] is None


def test_the_containers_use_the_settings_and_descriptions_of_the_folder():
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    for name in ("api", "dashboard", "bridge", "monitor", "shadow", "train"):
        assert {"./params.yaml:/opt/pdm/params.yaml:ro", "./machines:/opt/pdm/machines:ro"} <= {
            *services[name]["volumes"]
        }
        assert services[name]["environment"]["PDM_MACHINE"] is None


def test_the_commands_that_containers_name_run_in_the_training_container():
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    for name in ("dashboard", "monitor", "shadow", "train"):
        assert services[name]["environment"][PREFIX_VARIABLE] == (
            "${PDM_COMMAND_PREFIX:-docker compose --profile train run --rm train}"
        )
    assert services["train"]["profiles"] == ["train"]
    assert services["train"]["working_dir"] == "/opt/pdm"  # for flows/train_flow.py


def test_the_monitor_can_train_in_its_read_only_container():
    monitor = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]["monitor"]
    assert monitor["read_only"]
    results, store = monitor["environment"]["METAFLOW_DATASTORE_SYSROOT_LOCAL"], monitor["environment"]["PDM_STORE_URL"]
    assert {f"runs:{results}", f"store:{store.removeprefix('sqlite:///').rpartition('/')[0]}"} <= {*monitor["volumes"]}

"""Submit training jobs and endpoints to SageMaker: python -m deploy.sagemaker --help"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from predictive_maintenance.config.uris import redact, scheme_of, written_out_secret
from predictive_maintenance.tracking.lineage import git_commit

from .aws import (
    client,
    console_url,
    detail,
    endpoint_exists,
    endpoint_state,
    model_of,
    one_line_errors,
    training_job,
    wait,
)
from .requests import Deployment, TrainingJob

_HELP: dict[str, Any] = {"context_settings": {"help_option_names": ["-h", "--help"], "show_default": True}}


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_role = click.option(
    "--role",
    envvar="PDM_SAGEMAKER_ROLE",
    show_envvar=True,
    required=True,
    help="ARN of the execution role of the SageMaker instances.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Print the requests as JSON without sending them.")
_endpoint = click.option("--endpoint", default="predictive-maintenance", help="Name of the endpoint.")
_waiting = _options(
    click.option("--wait/--no-wait", default=True, help="Wait for the end and show the progress."),
    click.option("--poll-seconds", default=15.0, type=click.FloatRange(0.01), help="Interval between status requests."),
)


@click.group(**_HELP)
def main() -> None:
    """Train on SageMaker, and create, inspect and delete endpoints.

    boto3 finds the account and the region: set AWS_PROFILE and AWS_DEFAULT_REGION. Build and push the images first,
    see docs/how-to/deploy-sagemaker.md.
    """


@main.command(**_HELP)
@click.option(
    "--image",
    envvar="PDM_SAGEMAKER_TRAIN_IMAGE",
    show_envvar=True,
    required=True,
    help="URI of the train image in ECR.",
)
@_role
@click.option(
    "--output", required=True, metavar="S3_URI", help="Destination of model.tar.gz, such as s3://BUCKET/models."
)
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="NAME=S3_URI",
    help="Input files. Repeat the option for several channels.",
)
@click.option(
    "--set",
    "hyperparameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A hyperparameter: machine, trials, seed, sources, promote, tag or require.",
)
@click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="The MLflow server. Without it, the job uses a temporary registry.",
)
@click.option(
    "--secrets",
    envvar="PDM_SECRETS",
    show_envvar=True,
    help="Names of secrets in AWS Secrets Manager that hold its credentials.",
)
@click.option("--instance-type", default="ml.m5.xlarge")
@click.option("--volume-gb", default=30, type=click.IntRange(1))
@click.option("--max-minutes", default=720, type=click.IntRange(1), help="Maximum run time of the job.")
@click.option("--spot", is_flag=True, help="Use managed spot instances: cheaper; an interrupted job starts again.")
@click.option("--name", help="Name of the job.  [default: pdm-train-TIME]")
@_waiting
@_dry_run
def train(**given: Any) -> None:
    """Run the flow as a training job."""
    job = TrainingJob(
        name=given["name"] or _named_by_time("pdm-train"),
        image=given["image"],
        role=given["role"],
        output=_s3("--output", given["output"]),
        channels=[(name, _s3(f"--channel {name}", uri)) for name, uri in _pairs("--channel", given["channels"])],
        hyperparameters=dict(_pairs("--set", given["hyperparameters"])),
        environment=_environment(given["tracking_uri"], given["secrets"]),
        instance_type=given["instance_type"],
        volume_gb=given["volume_gb"],
        max_minutes=given["max_minutes"],
        spot=given["spot"],
        commit=git_commit(),
    )
    if given["dry_run"]:
        _show(create_training_job=job.request())
        return
    sagemaker = client()
    with one_line_errors("sagemaker:CreateTrainingJob"):
        sagemaker.create_training_job(**job.request())
    click.echo(f"training job {job.name}: {console_url(sagemaker, f'jobs/{job.name}')}")
    if given["wait"]:
        done = wait(lambda: training_job(sagemaker, job.name), given["poll_seconds"], ("Completed",))
        for metric in done.get("FinalMetricDataList", []):
            click.echo(f"{metric['MetricName']} {metric['Value']:.3f}")
    click.echo(f"next: python -m deploy.sagemaker deploy --job {job.name}   (status --job {job.name})")


@main.command(**_HELP)
@click.option(
    "--image",
    envvar="PDM_SAGEMAKER_SERVE_IMAGE",
    show_envvar=True,
    required=True,
    help="URI of the serve image in ECR.",
)
@_role
@click.option("--job", help="The training job whose model is deployed.")
@click.option("--model-data", metavar="S3_URI", help="A model.tar.gz to deploy instead.")
@_endpoint
@click.option("--instance-type", default="ml.m5.large")
@click.option("--instances", default=1, type=click.IntRange(1))
@_waiting
@_dry_run
def deploy(**given: Any) -> None:
    """Create an endpoint for a trained model, or update the existing endpoint without interruption."""
    if (given["job"] is None) == (given["model_data"] is None):
        raise click.UsageError("name either --job or --model-data")
    sagemaker = None if given["dry_run"] and given["model_data"] else client()
    deployment = Deployment(
        endpoint=given["endpoint"],
        name=_named_by_time(given["endpoint"]),
        image=given["image"],
        role=given["role"],
        model_data=_s3("--model-data", given["model_data"] or model_of(sagemaker, given["job"])),
        instance_type=given["instance_type"],
        instances=given["instances"],
        commit=git_commit(),
    )
    there = sagemaker is not None and endpoint_exists(sagemaker, deployment.endpoint)
    last = {"update_endpoint": deployment.update()} if there else {"create_endpoint": deployment.create()}
    steps = {"create_model": deployment.model(), "create_endpoint_config": deployment.config(), **last}
    if given["dry_run"]:
        _show(**steps)
        return
    for call, request in steps.items():
        with one_line_errors(f"sagemaker:{''.join(word.title() for word in call.split('_'))}"):
            getattr(sagemaker, call)(**request)
    click.echo(f"endpoint {deployment.endpoint}: {console_url(sagemaker, f'endpoints/{deployment.endpoint}')}")
    if given["wait"]:
        done = wait(lambda: endpoint_state(sagemaker, deployment.endpoint), given["poll_seconds"], ("InService",))
        if done["EndpointConfigName"] != deployment.name:
            raise click.ClickException(
                f"the update was rolled back: {deployment.endpoint} still serves the previous model"
            )
    click.echo(
        "next: aws sagemaker-runtime invoke-endpoint --content-type text/csv "
        f"--endpoint-name {deployment.endpoint} --body fileb://readings.csv answer.csv"
    )


@main.command(**_HELP)
@click.option("--job", help="Show a training job instead of the endpoint.")
@_endpoint
def status(job: str | None, endpoint: str) -> None:
    """Show the state of a training job or of the endpoint."""
    sagemaker = client()
    found = training_job(sagemaker, job) if job else endpoint_state(sagemaker, endpoint)
    click.echo(f"{job or endpoint}: {found['state']}{detail(found)}")
    for metric in found.get("FinalMetricDataList", []):
        click.echo(f"{metric['MetricName']} {metric['Value']:.3f}")
    if data := found.get("ModelArtifacts", {}).get("S3ModelArtifacts"):
        click.echo(f"model: {data}")


@main.command(**_HELP)
@_endpoint
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_dry_run
def delete(endpoint: str, yes: bool, dry_run: bool) -> None:
    """Delete the endpoint, its configuration and its SageMaker model. The model files on S3 are kept."""
    sagemaker = client()
    config = endpoint_state(sagemaker, endpoint)["EndpointConfigName"]
    with one_line_errors("sagemaker:DescribeEndpointConfig"):
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    calls = [
        ("delete_endpoint", {"EndpointName": endpoint}),
        ("delete_endpoint_config", {"EndpointConfigName": config}),
        *(("delete_model", {"ModelName": variant["ModelName"]}) for variant in variants),
    ]
    if dry_run:
        for call, request in calls:
            _show(**{call: request})
        return
    if not yes:
        click.confirm(f"delete endpoint {endpoint}, configuration {config} and its SageMaker model?", abort=True)
    for call, request in calls:
        with one_line_errors(f"sagemaker:{''.join(word.title() for word in call.split('_'))}"):
            getattr(sagemaker, call)(**request)
    click.echo(f"deleted: {endpoint}")


def _environment(tracking_uri: str | None, secrets: str | None) -> dict[str, str]:
    """Environment variables of a job. Everyone who may describe the job can read them, so secrets are refused."""
    if tracking_uri and (secret := written_out_secret(tracking_uri)):
        raise click.ClickException(
            f"--tracking-uri {redact(tracking_uri)} contains {secret}: store it in AWS Secrets Manager "
            "and pass its name with --secrets"
        )
    if tracking_uri and scheme_of(tracking_uri) not in ("http", "https"):
        raise click.ClickException(
            f"--tracking-uri {redact(tracking_uri)}: use an http:// or https:// server; a job cannot reach a local registry"
        )
    given = {"MLFLOW_TRACKING_URI": tracking_uri, "PDM_SECRETS": secrets}
    return {name: value for name, value in given.items() if value}


def _pairs(option: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
    for value in values:
        if not re.fullmatch(r"[^=]+=.+", value, re.DOTALL):
            raise click.BadParameter(f"{value!r} does not have the form NAME=VALUE", param_hint=option)
    return [(value.partition("=")[0], value.partition("=")[2]) for value in values]


def _s3(option: str, uri: str) -> str:
    if not re.fullmatch(r"s3://[^/]+(/.*)?", uri):
        raise click.BadParameter(f"{uri!r} does not have the form s3://BUCKET/PREFIX", param_hint=option)
    return uri


def _named_by_time(prefix: str) -> str:
    return f"{prefix}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _show(**requests: dict[str, Any]) -> None:
    click.echo(json.dumps(requests, indent=2))


if __name__ == "__main__":
    main()

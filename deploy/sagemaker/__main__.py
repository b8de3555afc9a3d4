"""Submit trainings and endpoints to SageMaker: python -m deploy.sagemaker --help"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from predictive_maintenance.config.uris import redact, scheme_of, written_out_secret
from predictive_maintenance.tracking.lineage import git_commit

from .aws import client, console_url, detail, endpoint_exists, endpoint_state, model_of, told, training_job, wait
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
    help="ARN of the role that the machines have.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Print the requests as JSON and send none.")
_endpoint = click.option("--endpoint", default="predictive-maintenance", help="The endpoint's name.")
_waiting = _options(
    click.option("--wait/--no-wait", default=True, help="Stay until it is done, showing how far it is."),
    click.option("--poll-seconds", default=15.0, type=click.FloatRange(0.01), help="How often to look."),
)


@click.group(**_HELP)
def main() -> None:
    """Train on SageMaker, deploy what was trained, look at it, remove it.

    The account and the region are those of boto3: AWS_PROFILE, AWS_DEFAULT_REGION. Build and push the images first:
    deploy/aws/README.md.
    """


@main.command(**_HELP)
@click.option(
    "--image", envvar="PDM_SAGEMAKER_TRAIN_IMAGE", show_envvar=True, required=True, help="The train image, in ECR."
)
@_role
@click.option("--output", required=True, metavar="S3_URI", help="Where model.tar.gz goes, such as s3://BUCKET/models.")
@click.option(
    "--channel", "channels", multiple=True, metavar="NAME=S3_URI", help="Files to train on; several times for several."
)
@click.option(
    "--set", "hyperparameters", multiple=True, metavar="NAME=VALUE", help="trials, seed, sources, promote, require."
)
@click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="The MLflow server; without one the job's registry ends with it.",
)
@click.option(
    "--secrets",
    envvar="PDM_SECRETS",
    show_envvar=True,
    help="Secrets of AWS Secrets Manager with its credentials.",
)
@click.option("--instance-type", default="ml.m5.xlarge")
@click.option("--volume-gb", default=30, type=click.IntRange(1))
@click.option("--max-minutes", default=720, type=click.IntRange(1), help="The job is ended after that.")
@click.option(
    "--spot", is_flag=True, help="Spare machines: cheaper, and may be taken away, after which the job begins again."
)
@click.option("--name", help="The job's name; otherwise one with the time.")
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
    with told("sagemaker:CreateTrainingJob"):
        sagemaker.create_training_job(**job.request())
    click.echo(f"training job {job.name}: {console_url(sagemaker, f'jobs/{job.name}')}")
    if given["wait"]:
        done = wait(lambda: training_job(sagemaker, job.name), given["poll_seconds"], ("Completed",))
        for metric in done.get("FinalMetricDataList", []):
            click.echo(f"{metric['MetricName']} {metric['Value']:.3f}")
    click.echo(f"next: python -m deploy.sagemaker deploy --job {job.name}   (status --job {job.name})")


@main.command(**_HELP)
@click.option(
    "--image", envvar="PDM_SAGEMAKER_SERVE_IMAGE", show_envvar=True, required=True, help="The serve image, in ECR."
)
@_role
@click.option("--job", help="A training job whose model is deployed.")
@click.option("--model-data", metavar="S3_URI", help="Or a model.tar.gz.")
@_endpoint
@click.option("--instance-type", default="ml.m5.large")
@click.option("--instances", default=1, type=click.IntRange(1))
@_waiting
@_dry_run
def deploy(**given: Any) -> None:
    """Put a trained model behind an endpoint: a new one, or the one there is, without an interruption."""
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
        with told(f"sagemaker:{''.join(word.title() for word in call.split('_'))}"):
            getattr(sagemaker, call)(**request)
    click.echo(f"endpoint {deployment.endpoint}: {console_url(sagemaker, f'endpoints/{deployment.endpoint}')}")
    if given["wait"]:
        done = wait(lambda: endpoint_state(sagemaker, deployment.endpoint), given["poll_seconds"], ("InService",))
        if done["EndpointConfigName"] != deployment.name:
            raise click.ClickException(
                f"the update was rolled back: {deployment.endpoint} serves what it served before"
            )
    click.echo(
        "next: aws sagemaker-runtime invoke-endpoint --content-type text/csv "
        f"--endpoint-name {deployment.endpoint} --body fileb://readings.csv answer.csv"
    )


@main.command(**_HELP)
@click.option("--job", help="A training job instead of the endpoint.")
@_endpoint
def status(job: str | None, endpoint: str) -> None:
    """How a training job or the endpoint is."""
    sagemaker = client()
    found = training_job(sagemaker, job) if job else endpoint_state(sagemaker, endpoint)
    click.echo(f"{job or endpoint}: {found['state']}{detail(found)}")
    for metric in found.get("FinalMetricDataList", []):
        click.echo(f"{metric['MetricName']} {metric['Value']:.3f}")
    if data := found.get("ModelArtifacts", {}).get("S3ModelArtifacts"):
        click.echo(f"model: {data}")


@main.command(**_HELP)
@_endpoint
@click.option("--yes", is_flag=True, help="Do not ask.")
@_dry_run
def delete(endpoint: str, yes: bool, dry_run: bool) -> None:
    """Remove the endpoint, its configuration and its model; what was trained stays."""
    sagemaker = client()
    config = endpoint_state(sagemaker, endpoint)["EndpointConfigName"]
    with told("sagemaker:DescribeEndpointConfig"):
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
        click.confirm(f"remove endpoint {endpoint}, {config} and {len(variants)} model?", abort=True)
    for call, request in calls:
        with told(f"sagemaker:{''.join(word.title() for word in call.split('_'))}"):
            getattr(sagemaker, call)(**request)
    click.echo(f"removed: {endpoint}")


def _environment(tracking_uri: str | None, secrets: str | None) -> dict[str, str]:
    """What a job is told. Whoever may describe the job can read it."""
    if tracking_uri and (secret := written_out_secret(tracking_uri)):
        raise click.ClickException(
            f"{redact(tracking_uri)} holds {secret}: put it into a secret, and name that in --secrets"
        )
    if tracking_uri and scheme_of(tracking_uri) not in ("http", "https"):
        raise click.ClickException(f"--tracking-uri {redact(tracking_uri)}: a job reaches an http(s):// server only")
    given = {"MLFLOW_TRACKING_URI": tracking_uri, "PDM_SECRETS": secrets}
    return {name: value for name, value in given.items() if value}


def _pairs(option: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
    for value in values:
        if not re.fullmatch(r"[^=]+=.+", value, re.DOTALL):
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE", param_hint=option)
    return [(value.partition("=")[0], value.partition("=")[2]) for value in values]


def _s3(option: str, uri: str) -> str:
    if not re.fullmatch(r"s3://[^/]+(/.*)?", uri):
        raise click.BadParameter(f"{uri!r} is not of the form s3://BUCKET/PREFIX", param_hint=option)
    return uri


def _named_by_time(prefix: str) -> str:
    return f"{prefix}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _show(**requests: dict[str, Any]) -> None:
    click.echo(json.dumps(requests, indent=2))


if __name__ == "__main__":
    main()

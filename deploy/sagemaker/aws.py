"""SageMaker as it is asked here: its errors in one line, its states as they change."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

_POLICY = "deploy/aws/sagemaker-submit-policy.json has what is needed"


def client() -> Any:
    """Raises ClickException without a region."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("sagemaker")
    except BotoCoreError as error:
        raise click.ClickException(f"{error}: set AWS_DEFAULT_REGION, and AWS_PROFILE or keys") from None


@contextmanager
def told(action: str) -> Iterator[None]:
    """AWS's errors in one line, with what to do where that is known."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        denied = "AccessDenied" in details.get("Code", "")
        way_out = f" ({action} is not allowed: {_POLICY})" if denied else ""
        raise click.ClickException(f"{details.get('Message') or error}{way_out}") from None
    except BotoCoreError as error:
        raise click.ClickException(f"{action}: {error}") from None


def training_job(sagemaker: Any, name: str) -> dict[str, Any]:
    """A training job as SageMaker describes it, with its `state` and a `detail` of it."""
    with told("sagemaker:DescribeTrainingJob"):
        found = sagemaker.describe_training_job(TrainingJobName=name)
    return {**found, "state": found["TrainingJobStatus"], "detail": found.get("SecondaryStatus", "")}


def endpoint_state(sagemaker: Any, name: str) -> dict[str, Any]:
    """An endpoint as SageMaker describes it, with its `state` and a `detail` of it."""
    with told("sagemaker:DescribeEndpoint"):
        found = sagemaker.describe_endpoint(EndpointName=name)
    return {**found, "state": found["EndpointStatus"], "detail": found["EndpointConfigName"]}


def wait(look: Callable[[], dict[str, Any]], poll_seconds: float, good: tuple[str, ...]) -> dict[str, Any]:
    """What `look` finds at the end, each change of its state told. Raises ClickException for a bad end."""
    began, last = time.monotonic(), None
    while True:
        found = look()
        if (now := (found["state"], found["detail"])) != last:
            last = now
            click.echo(f"{time.monotonic() - began:6.0f} s  {found['state']}{detail(found)}")
        if found["state"] in good:
            return found
        if found["state"] in ("Failed", "Stopped", "OutOfService", "UpdateRollbackFailed"):
            raise click.ClickException(found.get("FailureReason") or f"it ended as {found['state']}")
        time.sleep(poll_seconds)


def detail(found: dict[str, Any]) -> str:
    """What is known beside the state, in brackets; '' for nothing."""
    parts = [part for part in (found["detail"], found.get("FailureReason")) if part and part != found["state"]]
    return f" ({'; '.join(parts)})" if parts else ""


def endpoint_exists(sagemaker: Any, name: str) -> bool:
    """Asked of a list: a missing one is no error there."""
    with told("sagemaker:ListEndpoints"):
        pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=name)
        return any(found["EndpointName"] == name for page in pages for found in page["Endpoints"])


def model_of(sagemaker: Any, job: str) -> str:
    """The S3 URI of a job's model. Raises ClickException for a job that made none."""
    found = training_job(sagemaker, job)
    if found["state"] != "Completed":
        raise click.ClickException(f"training job {job} is {found['state']}{detail(found)}: it has no model to deploy")
    return str(found["ModelArtifacts"]["S3ModelArtifacts"])


def console_url(sagemaker: Any, path: str) -> str:
    """Where a person looks at it in a browser."""
    region = sagemaker.meta.region_name
    return f"https://{region}.console.aws.amazon.com/sagemaker/home?region={region}#/{path}"

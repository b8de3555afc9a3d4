"""Calls to SageMaker, with one-line errors and progress output."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

_POLICY = "deploy/aws/sagemaker-submit-policy.json lists the required permissions"


def client() -> Any:
    """A SageMaker client. Raises ClickException if no region is set."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("sagemaker")
    except BotoCoreError as error:
        raise click.ClickException(f"{error}: set AWS_DEFAULT_REGION, and AWS_PROFILE or keys") from None


@contextmanager
def one_line_errors(action: str) -> Iterator[None]:
    """A block whose AWS errors become a ClickException in one line, with the missing permission if access is denied."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        denied = "AccessDenied" in details.get("Code", "")
        fix = f" ({action} is not allowed: {_POLICY})" if denied else ""
        raise click.ClickException(f"{details.get('Message') or error}{fix}") from None
    except BotoCoreError as error:
        raise click.ClickException(f"{action}: {error}") from None


def training_job(sagemaker: Any, name: str) -> dict[str, Any]:
    """The description of a training job, with the keys `state` and `detail` added."""
    with one_line_errors("sagemaker:DescribeTrainingJob"):
        found = sagemaker.describe_training_job(TrainingJobName=name)
    return {**found, "state": found["TrainingJobStatus"], "detail": found.get("SecondaryStatus", "")}


def endpoint_state(sagemaker: Any, name: str) -> dict[str, Any]:
    """The description of an endpoint, with the keys `state` and `detail` added."""
    with one_line_errors("sagemaker:DescribeEndpoint"):
        found = sagemaker.describe_endpoint(EndpointName=name)
    return {**found, "state": found["EndpointStatus"], "detail": found["EndpointConfigName"]}


def wait(describe: Callable[[], dict[str, Any]], poll_seconds: float, good: tuple[str, ...]) -> dict[str, Any]:
    """Call `describe` until a final state, print each state change, and return the last description.

    Raises ClickException if the final state is a failure.
    """
    began, last = time.monotonic(), None
    while True:
        found = describe()
        if (now := (found["state"], found["detail"])) != last:
            last = now
            click.echo(f"{time.monotonic() - began:6.0f} s  {found['state']}{detail(found)}")
        if found["state"] in good:
            return found
        if found["state"] in ("Failed", "Stopped", "OutOfService", "UpdateRollbackFailed"):
            raise click.ClickException(found.get("FailureReason") or f"the final state is {found['state']}")
        time.sleep(poll_seconds)


def detail(found: dict[str, Any]) -> str:
    """The detail and the failure reason in brackets, or an empty string."""
    parts = [part for part in (found["detail"], found.get("FailureReason")) if part and part != found["state"]]
    return f" ({'; '.join(parts)})" if parts else ""


def endpoint_exists(sagemaker: Any, name: str) -> bool:
    """Whether the endpoint exists. Listing raises no error for a missing endpoint, unlike describing it."""
    with one_line_errors("sagemaker:ListEndpoints"):
        pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=name)
        return any(found["EndpointName"] == name for page in pages for found in page["Endpoints"])


def model_of(sagemaker: Any, job: str) -> str:
    """The S3 URI of the model of a training job. Raises ClickException if the job has no model."""
    found = training_job(sagemaker, job)
    if found["state"] != "Completed":
        raise click.ClickException(
            f"training job {job} is {found['state']}{detail(found)}, so it has no model to deploy"
        )
    return str(found["ModelArtifacts"]["S3ModelArtifacts"])


def console_url(sagemaker: Any, path: str) -> str:
    """The address of a page in the AWS console."""
    region = sagemaker.meta.region_name
    return f"https://{region}.console.aws.amazon.com/sagemaker/home?region={region}#/{path}"

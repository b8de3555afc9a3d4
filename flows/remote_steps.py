"""Steps on rented machines: which go there, what they are told, and what is checked before anything starts.

`run --with batch` sends every step to AWS Batch; PDM_REMOTE_STEPS=train,evaluate sends those and leaves the others here.
Nothing about it is written into the flow.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from metaflow import FlowMutator
from metaflow._vendor import click  # the one that reads the command line: it knows which command this is
from metaflow.metaflow_config import BATCH_CONTAINER_IMAGE, BATCH_JOB_QUEUE, ECS_S3_ACCESS_IAM_ROLE

from metaflow_errors import RunStopped
from metaflow_setup import RETRY_MINUTES
from predictive_maintenance.config.params import Params, parse_params
from predictive_maintenance.config.uris import redact, scheme_of, written_out_secret
from predictive_maintenance.errors import PredictiveMaintenanceError, SourceError
from predictive_maintenance.ingestion.locations import remote_copies
from predictive_maintenance.tracking.connection import tracking_uri
from predictive_maintenance.tracking.lineage import git_commit

COPIES = "PDM_SOURCE_COPIES"
_MAX_COPIES_CHARACTERS = 4000  # AWS Batch takes 8 KiB for all that a job is told
_READS_SOURCES = ("start", "ingest")

# Whoever may look at a job can read these: nothing secret belongs here.
_TOLD = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    *("MLFLOW_TRACKING_URI", "PDM_REMOTE_STEPS", "PDM_SECRETS", "PDM_RETRY_MINUTES", "PDM_TRAIN_TIMEOUT_MINUTES"),
    COPIES,
)
_SECRET = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def source_copies() -> dict[str, Any]:
    """Where the local sources of the launching machine can be read from here, by URI; empty on that machine."""
    return dict(json.loads(os.environ.get(COPIES, "{}")))


class Cloud(FlowMutator):
    """Sends the steps of PDM_REMOTE_STEPS to AWS Batch, and gives all that go there what they need."""

    def mutate(self, mutable_flow: Any) -> None:
        """Called by Metaflow once the command line is read, by every command."""
        command = click.get_current_context()
        starts_a_run = command.info_name in ("run", "resume")
        if not starts_a_run and command.obj.flow_datastore.TYPE != "s3":
            return  # a command that looks at results on this machine
        steps = dict(mutable_flow.steps)
        for name in _listed("PDM_REMOTE_STEPS"):
            if name not in steps:
                raise RunStopped(f"PDM_REMOTE_STEPS: {name!r} is not a step of the flow: {', '.join(steps)}")
            if not steps[name].has_decorator("batch"):
                steps[name].add_decorator("batch")
        remote = {name: step for name, step in steps.items() if step.has_decorator("batch")}
        if not remote:
            return
        if starts_a_run:
            _prepare(command, remote, dict(mutable_flow.configs)["settings"])
        told = {name: os.environ[name] for name in _TOLD if os.environ.get(name)} | {"PDM_GIT_COMMIT": git_commit()}
        for step in remote.values():
            step.add_decorator("environment", deco_kwargs={"vars": told})
            if secrets := _listed("PDM_SECRETS"):
                sources = [{"type": "aws-secrets-manager", "id": secret} for secret in secrets]
                step.add_decorator("secrets", deco_kwargs={"sources": sources})
            if not step.has_decorator("retry"):  # a rented machine may be taken away in the middle of any step
                step.add_decorator("retry", deco_kwargs={"times": 2, "minutes_between_retries": RETRY_MINUTES})


def _prepare(command: Any, remote: Mapping[str, Any], settings: Any) -> None:
    """Check all that the remote steps need. Raises RunStopped with every problem, before there is a run."""
    datastore = command.obj.flow_datastore.TYPE
    problems = [*_missing_settings(datastore, remote), *_mlflow_problems(remote), *_clashes(remote)]
    if command.info_name == "run" and not {*_READS_SOURCES}.isdisjoint(remote):
        try:
            params = parse_params(settings.to_dict(), "settings").override(command.params.get("sources"))
        except PredictiveMaintenanceError as error:
            raise RunStopped(str(error)) from None
        problems += _local_sources(params)
    if problems:
        raise RunStopped("\n".join([f"steps on AWS Batch ({', '.join(remote)}) cannot run like this:", *problems]))


def _missing_settings(datastore: str, remote: Mapping[str, Any]) -> Iterator[str]:
    if datastore != "s3":
        yield (
            "- METAFLOW_DEFAULT_DATASTORE: is not s3, and a rented machine cannot reach the results of this one: "
            "set it, and METAFLOW_DATASTORE_SYSROOT_S3=s3://BUCKET/PREFIX"
        )
    needed = {
        "queue": ("METAFLOW_BATCH_JOB_QUEUE", BATCH_JOB_QUEUE, "the queue that jobs go to"),
        "image": ("METAFLOW_BATCH_CONTAINER_IMAGE", BATCH_CONTAINER_IMAGE, "the image of `make image`, in a registry"),
        "iam_role": ("METAFLOW_ECS_S3_ACCESS_IAM_ROLE", ECS_S3_ACCESS_IAM_ROLE, "the role that jobs run as"),
    }
    for attribute, (setting, value, meaning) in needed.items():
        given = all(spec[3].get(attribute) for step in remote.values() for spec in step.get_decorator_specs("batch"))
        if not value and not given:
            yield f"- {setting}: is not set: {meaning}"


def _mlflow_problems(remote: Mapping[str, Any]) -> Iterator[str]:
    uri = tracking_uri()
    if scheme_of(uri) not in ("http", "https"):
        yield f"- MLFLOW_TRACKING_URI: {redact(uri)} is a registry on this machine: set it to an MLflow server's address"
    elif secret := written_out_secret(uri):
        yield f"- MLFLOW_TRACKING_URI: holds {secret}, which whoever looks at a job could read: see PDM_SECRETS"
    brought = _listed("PDM_SECRETS") or all(step.has_decorator("secrets") for step in remote.values())
    if not brought and (names := [name for name in _SECRET if os.environ.get(name)]):
        yield (
            f"- {names[0]}: stays on this machine: put it into AWS Secrets Manager as a JSON object of environment "
            "variables, and the secret's name into PDM_SECRETS"
        )


def _clashes(remote: Mapping[str, Any]) -> Iterator[str]:
    """A step has one of each of these: with that of the command line, what is set here would be lost without a word."""
    if any(step.has_decorator("environment") for step in remote.values()):
        yield "- --with environment: what remote steps are told is set here: put what yours need into a secret, see PDM_SECRETS"
    if _listed("PDM_SECRETS") and any(step.has_decorator("secrets") for step in remote.values()):
        yield "- --with secrets: excludes PDM_SECRETS: name all of them in one of the two"


def _local_sources(params: Params) -> Iterator[str]:
    """The sources that only this machine can read; the others' copies in DVC's remote go into the environment."""
    copies = {}
    for source in params.data.sources:
        if scheme_of(source.uri) and not scheme_of(source.uri).startswith("sqlite"):
            continue
        try:
            found = () if scheme_of(source.uri) else remote_copies(source.uri)
        except SourceError as error:
            yield f"- {error}"
            continue
        if not found:
            yield (
                f"- {redact(source.uri)}: is a file of this machine: name a copy on S3 (s3://BUCKET/KEY), or `dvc add` and "
                "`dvc push` it, or leave the steps that read it here: PDM_REMOTE_STEPS=train,evaluate without --with batch"
            )
        copies[source.uri] = [copy.model_dump() for copy in found]
    text = json.dumps({uri: found for uri, found in copies.items() if found})
    if len(text) > _MAX_COPIES_CHARACTERS:
        yield f"- {len(text):,} characters of files under DVC are more than a job can be told: name fewer files"
    os.environ[COPIES] = text


def _listed(setting: str) -> list[str]:
    return [name.strip() for name in os.environ.get(setting, "").split(",") if name.strip()]

"""Run steps on AWS Batch: choose the steps, check their settings before the run starts, and pass these on.

`run --with batch` runs every step on AWS Batch. PDM_REMOTE_STEPS=train,evaluate runs only these steps there.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from metaflow import FlowMutator
from metaflow._vendor import click  # Metaflow's own copy: it has the context of the command line
from metaflow.metaflow_config import BATCH_CONTAINER_IMAGE, BATCH_JOB_QUEUE, ECS_S3_ACCESS_IAM_ROLE

from metaflow_errors import ARGUMENTS_VARIABLE, RunStopped, arguments_to_repeat
from metaflow_setup import RETRY_MINUTES
from predictive_maintenance.config.params import Params, parse_params
from predictive_maintenance.config.uris import redact, scheme_of, written_out_secret
from predictive_maintenance.errors import PredictiveMaintenanceError, SourceError
from predictive_maintenance.ingestion.locations import remote_copies
from predictive_maintenance.store.location import VARIABLE as STORE_VARIABLE
from predictive_maintenance.tracking.connection import tracking_uri
from predictive_maintenance.tracking.launcher import LAUNCHER_VARIABLE, Launcher
from predictive_maintenance.tracking.lineage import git_commit

COPIES = "PDM_SOURCE_COPIES"
_MAX_COPIES_CHARACTERS = 4000  # AWS Batch limits all overrides of a job to 8 KiB
_READS_SOURCES = ("start", "ingest")

# Everyone who can view a job can read these variables, so none of them may hold a secret.
_FORWARDED_VARIABLES = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AZURE_STORAGE_ACCOUNT_NAME"),
    *("MLFLOW_TRACKING_URI", "PDM_REMOTE_STEPS", "PDM_SECRETS", "PDM_RETRY_MINUTES", "PDM_TRAIN_TIMEOUT_MINUTES"),
    *("PDM_ENGINE", "PDM_DASK_WORKERS", "DASK_SCHEDULER_ADDRESS", "PDM_PARTS_FOLDER"),
    *("PDM_DOWNLOAD_TIMEOUT_MINUTES", COPIES, LAUNCHER_VARIABLE, ARGUMENTS_VARIABLE),
)
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_STORE_IT = "store it in AWS Secrets Manager as a JSON object of environment variables, and set PDM_SECRETS to the secret's name"


def source_copies() -> dict[str, Any]:
    """The copies in the DVC remote of the launching machine's local sources, by URI. Empty in a local step."""
    return dict(json.loads(os.environ.get(COPIES, "{}")))


class RemoteSteps(FlowMutator):
    """Adds the decorators of steps on AWS Batch: batch, environment, secrets and retry."""

    def mutate(self, mutable_flow: Any) -> None:
        """Called by Metaflow for every command after it has read the command line."""
        command = click.get_current_context()
        starts_a_run = command.info_name in ("run", "resume")
        if starts_a_run:
            os.environ[LAUNCHER_VARIABLE] = str(Launcher.this_process())
            # A resumed run has no options of `run`.
            os.environ[ARGUMENTS_VARIABLE] = arguments_to_repeat(sys.argv[1:]) if command.info_name == "run" else ""
        if not starts_a_run and command.obj.flow_datastore.TYPE != "s3":
            return  # a command that reads local results
        steps = dict(mutable_flow.steps)
        for name in _names_in("PDM_REMOTE_STEPS"):
            if name not in steps:
                raise RunStopped(f"PDM_REMOTE_STEPS: {name!r} is not a step of the flow: {', '.join(steps)}")
            if not steps[name].has_decorator("batch"):
                steps[name].add_decorator("batch")
        remote = {name: step for name, step in steps.items() if step.has_decorator("batch")}
        if not remote:
            return
        if starts_a_run:
            _check_remote_steps(command, remote, dict(mutable_flow.configs)["settings"])
        forwarded = {name: os.environ[name] for name in _FORWARDED_VARIABLES if os.environ.get(name)}
        if (store := os.environ.get(STORE_VARIABLE)) and not written_out_secret(store):
            forwarded[STORE_VARIABLE] = store
        for step in remote.values():
            step.add_decorator("environment", deco_kwargs={"vars": forwarded | {"PDM_GIT_COMMIT": git_commit()}})
            if secrets := _names_in("PDM_SECRETS"):
                sources = [{"type": "aws-secrets-manager", "id": secret} for secret in secrets]
                step.add_decorator("secrets", deco_kwargs={"sources": sources})
            if not step.has_decorator("retry"):  # a Spot instance can be interrupted during any step
                step.add_decorator("retry", deco_kwargs={"times": 2, "minutes_between_retries": RETRY_MINUTES})


def _check_remote_steps(command: Any, remote: Mapping[str, Any], settings: Any) -> None:
    """Check the settings of the remote steps before the run starts. Raises RunStopped with every problem."""
    datastore = command.obj.flow_datastore.TYPE
    problems = [*_missing_settings(datastore, remote), *_mlflow_problems(remote), *_clashes(remote)]
    if command.info_name == "run" and not {*_READS_SOURCES}.isdisjoint(remote):
        try:
            params = parse_params(settings.to_dict(), "settings").override(command.params.get("sources"))
        except PredictiveMaintenanceError as error:
            raise RunStopped(str(error)) from None
        problems += [*_local_sources(params), *_store_problems(params, remote)]
    if problems:
        raise RunStopped(
            "\n".join([f"steps on AWS Batch ({', '.join(remote)}) cannot run with these settings:", *problems])
        )


def _store_problems(params: Params, remote: Mapping[str, Any]) -> Iterator[str]:
    """Report a store that jobs cannot read, if the rows of the service are a source."""
    if not any(scheme_of(source.uri) == "store" for source in params.data.sources):
        return
    url = os.environ.get(STORE_VARIABLE, "")
    if scheme_of(url).startswith("sqlite") or not (url or _has_secrets(remote)):
        yield (
            f"- {STORE_VARIABLE}: store:// is an SQLite file of this machine: keep the service's rows in PostgreSQL, or run the "
            "steps that read them locally: PDM_REMOTE_STEPS=train,evaluate without --with batch"
        )
    elif written_out_secret(url) and not _has_secrets(remote):
        yield f"- {STORE_VARIABLE}: has a password, and is not passed to jobs: {_STORE_IT}"


def _has_secrets(remote: Mapping[str, Any]) -> bool:
    return bool(_names_in("PDM_SECRETS")) or all(step.has_decorator("secrets") for step in remote.values())


def _missing_settings(datastore: str, remote: Mapping[str, Any]) -> Iterator[str]:
    if datastore != "s3":
        yield (
            "- METAFLOW_DEFAULT_DATASTORE: must be s3, because jobs cannot read local results: "
            "set it, and METAFLOW_DATASTORE_SYSROOT_S3=s3://BUCKET/PREFIX"
        )
    needed = {
        "queue": ("METAFLOW_BATCH_JOB_QUEUE", BATCH_JOB_QUEUE, "the job queue"),
        "image": (
            "METAFLOW_BATCH_CONTAINER_IMAGE",
            BATCH_CONTAINER_IMAGE,
            "the image of `make image`, in a registry",
        ),
        "iam_role": ("METAFLOW_ECS_S3_ACCESS_IAM_ROLE", ECS_S3_ACCESS_IAM_ROLE, "the IAM role of the jobs"),
    }
    for attribute, (setting, value, meaning) in needed.items():
        given = all(spec[3].get(attribute) for step in remote.values() for spec in step.get_decorator_specs("batch"))
        if not value and not given:
            yield f"- {setting}: not set: {meaning}"


def _mlflow_problems(remote: Mapping[str, Any]) -> Iterator[str]:
    uri = tracking_uri()
    if scheme_of(uri) not in ("http", "https"):
        yield f"- MLFLOW_TRACKING_URI: {redact(uri)} is a local registry: set it to the URL of an MLflow server"
    elif secret := written_out_secret(uri):
        yield f"- MLFLOW_TRACKING_URI: contains {secret}, which everyone who can view a job could read: see PDM_SECRETS"
    names = [name for name in _SECRET_VARIABLES if os.environ.get(name)]
    if names and not _has_secrets(remote):
        yield f"- {names[0]}: is not passed to jobs: {_STORE_IT}"


def _clashes(remote: Mapping[str, Any]) -> Iterator[str]:
    """A step can have only one decorator of each kind, so those of the command line would replace the ones added here."""
    if any(step.has_decorator("environment") for step in remote.values()):
        yield "- --with environment: not supported: put your variables into a secret, see PDM_SECRETS"
    if _names_in("PDM_SECRETS") and any(step.has_decorator("secrets") for step in remote.values()):
        yield "- --with secrets: cannot be combined with PDM_SECRETS: name all secrets in one of them"


def _local_sources(params: Params) -> Iterator[str]:
    """Report the sources that only this machine can read. Their copies in the DVC remote go into the environment."""
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
                f"- {redact(source.uri)}: is a local file: use a copy on S3 (s3://BUCKET/KEY), or `dvc add` and `dvc push` it, "
                "or run the steps that read it locally: PDM_REMOTE_STEPS=train,evaluate without --with batch"
            )
        copies[source.uri] = [copy.model_dump() for copy in found]
    text = json.dumps({uri: found for uri, found in copies.items() if found})
    if len(text) > _MAX_COPIES_CHARACTERS:
        yield f"- the list of DVC files has {len(text):,} characters, more than a job can receive: use fewer files"
    os.environ[COPIES] = text


def _names_in(setting: str) -> list[str]:
    return [name.strip() for name in os.environ.get(setting, "").split(",") if name.strip()]

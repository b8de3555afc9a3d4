"""Does this machine reach all that training and promotion need? One finding a line, each with the way out.

It reads only; asked to write, it makes a run with an artifact and an object in the datastore, and removes them again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from ..config.params import Params
from ..config.project import project_dir
from ..config.uris import redact, scheme_of
from ..errors import PredictiveMaintenanceError, RegistryError, SourceError
from ..tracking.connection import Connection, connect, is_embedded, tracking_uri
from ..tracking.mlflow_errors import OLDEST_SERVER
from ..tracking.registry_reader import RegistryReader

if TYPE_CHECKING:
    from typing import Any

State = Literal["pass", "FAIL", "unset"]
_SECONDS = 10.0
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class Finding:
    """What was found of one thing. `unset` is what this machine goes without, which is no fault."""

    name: str
    state: State
    text: str


def examine(params: Params, write: bool = False) -> Iterator[Finding]:
    """Every finding, as it comes: a check that fails does not keep the others from being made."""
    yield _tracking()
    yield from _server_version()
    connection = yield from _registry(params)
    if connection and write:
        yield _checked("tracking, writing", lambda: _write_run(connection))
    yield _datastore(write)
    yield from _batch()
    yield _dvc()


def _checked(name: str, check: Callable[[], str]) -> Finding:
    """The text that `check` returns, or that of the error that it raises."""
    try:
        return Finding(name, "pass", check())
    except PredictiveMaintenanceError as error:
        return Finding(name, "FAIL", str(error))


def _tracking() -> Finding:
    uri = tracking_uri()
    if is_embedded(uri):
        return Finding("tracking", "pass", f"embedded, {uri}: MLFLOW_TRACKING_URI names a server that others share")
    if scheme_of(uri) not in ("http", "https"):
        text = f"MLFLOW_TRACKING_URI: {redact(uri)} is neither sqlite:///FILE nor http(s)://SERVER"
        return Finding("tracking", "FAIL", text)
    named = [name for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME") if os.environ.get(name)]
    account = (
        f"with {named[0]}" if named else "without an account: set MLFLOW_TRACKING_USERNAME and _PASSWORD if it asks"
    )
    return Finding("tracking", "pass", f"{redact(uri)}, {account}")


def _server_version() -> Iterator[Finding]:
    """The server's own word; a hosted one may keep it back, which hinders nothing."""
    uri = tracking_uri()
    if scheme_of(uri) not in ("http", "https"):
        return
    import httpx

    name, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    try:
        answer = httpx.get(f"{uri.rstrip('/')}/version", auth=(name, password) if name else None, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield Finding("server", "FAIL", f"{redact(uri)} does not answer: {error}: is MLFLOW_TRACKING_URI right?")
        return
    told = answer.text.strip() if answer.is_success and len(answer.text) < 30 else "does not tell its version"
    if (number := _VERSION.match(told)) and (int(number[1]), int(number[2])) < OLDEST_SERVER:
        yield Finding(
            "server", "FAIL", f"MLflow {told} has no aliases: {OLDEST_SERVER[0]}.{OLDEST_SERVER[1]} or newer is needed"
        )
        return
    yield Finding("server", "pass", f"MLflow {told}; this client is {version('mlflow')}")


def _registry(params: Params) -> Generator[Finding, None, Connection | None]:
    """The experiment is there or can be made, versions can be listed, and the champion's files come whole. The connection."""
    try:
        connection = connect(params.registry)
        versions = RegistryReader(connection)
        known, champion = versions.list_versions(), versions.production_version()
    except RegistryError as error:
        yield Finding("registry", "FAIL", str(error))
        return None
    yield Finding(
        "registry", "pass", f"{len(known)} version{'' if len(known) == 1 else 's'} of {params.registry.model_name}"
    )
    if champion is None:
        text = (
            "no version is in production: python flows/train_flow.py run, or python -m predictive_maintenance promote N"
        )
        yield Finding("model", "unset", text)
    else:

        def fetch() -> str:
            versions.load_scorer(champion.version)
            return (
                f"version {champion.version} is in production; its files are whole, its golden rows get their answers"
            )

        yield _checked("model", fetch)
    return connection


def _write_run(connection: Connection) -> str:
    """A run with an artifact, as a training makes them; removed again."""
    client, text = connection.client, uuid4().hex
    with connection.errors("writing a run"):
        run = client.create_run(connection.experiment_id, tags={"mlflow.runName": "doctor"})
        try:
            client.log_text(run.info.run_id, text, "doctor.txt")
            kept = client.download_artifacts(run.info.run_id, "doctor.txt")
            if Path(kept).read_text() != text:
                raise RegistryError("an artifact came back as another than was sent: what stands between damages it")
        finally:
            client.delete_run(run.info.run_id)
    return "a run and its artifact were written, read and removed"


def _datastore(write: bool) -> Finding:
    """Where Metaflow keeps the results of runs, by its own settings."""
    from metaflow.metaflow_config import DATASTORE_SYSROOT_LOCAL, DATASTORE_SYSROOT_S3, DEFAULT_DATASTORE

    if DEFAULT_DATASTORE != "s3":
        folder = Path(DATASTORE_SYSROOT_LOCAL or project_dir())
        if not os.access(folder, os.W_OK):
            return Finding("results", "FAIL", f"METAFLOW_DATASTORE_SYSROOT_LOCAL: {folder} cannot be written")
        return Finding("results", "pass", f"kept in {folder}")
    if not DATASTORE_SYSROOT_S3:
        return Finding("results", "FAIL", "METAFLOW_DATASTORE_SYSROOT_S3: is not set: s3://BUCKET/PREFIX")
    return _checked(
        "results", lambda: _reach_s3(DATASTORE_SYSROOT_S3, os.environ.get("METAFLOW_S3_ENDPOINT_URL"), write)
    )


def _reach_s3(url: str, endpoint_url: str | None, write: bool) -> str:
    """Raises SourceError where the place cannot be listed, or written to if that is asked."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    with _aws_errors(url):
        client = _client("s3", endpoint_url)
        client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        if not write:
            return f"{url} can be listed"
        key = f"{prefix.rstrip('/')}/doctor-{uuid4().hex}".lstrip("/")
        client.put_object(Bucket=bucket, Key=key, Body=b"")
        client.delete_object(Bucket=bucket, Key=key)
    return f"{url} can be listed and written"


def _batch() -> Iterator[Finding]:
    """Whether AWS Batch takes jobs of this account."""
    from metaflow.metaflow_config import BATCH_JOB_QUEUE

    if not BATCH_JOB_QUEUE:
        yield Finding("AWS Batch", "unset", "METAFLOW_BATCH_JOB_QUEUE names a queue: see deploy/aws")
        return

    def ask() -> str:
        with _aws_errors(f"queue {BATCH_JOB_QUEUE}"):
            found = _client("batch").describe_job_queues(jobQueues=[BATCH_JOB_QUEUE])["jobQueues"]
        if not found:
            raise SourceError(
                f"METAFLOW_BATCH_JOB_QUEUE: there is no queue {BATCH_JOB_QUEUE} in this account and region"
            )
        if (found[0]["state"], found[0]["status"]) != ("ENABLED", "VALID"):
            raise SourceError(f"queue {BATCH_JOB_QUEUE} is {found[0]['state']}, {found[0]['status']}: it takes no job")
        return f"queue {BATCH_JOB_QUEUE} takes jobs"

    yield _checked("AWS Batch", ask)


def _dvc() -> Finding:
    """Whether another machine could read what DVC tracks of this project's data."""
    from ..ingestion.dvc import default_remote, remote_name

    def ask() -> str:
        url, endpoint = default_remote(project_dir())
        if scheme_of(url) == "s3":
            return f"remote {_reach_s3(url, endpoint, write=False)}"
        return f"remote {redact(url)}"

    try:
        if remote_name(project_dir()) is None:
            text = "no default remote, data and models stay here: `dvc remote add --default NAME s3://BUCKET/PREFIX`"
            return Finding("DVC", "unset", text)
    except SourceError as error:
        return Finding("DVC", "FAIL", str(error))
    return _checked("DVC", ask)


@contextmanager
def _aws_errors(what: str) -> Iterator[None]:
    """A block whose errors of AWS become a SourceError about `what`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise SourceError(f"{what}: {error.response.get('Error', {}).get('Message') or error}") from None
    except (BotoCoreError, ValueError) as error:
        raise SourceError(f"{what}: {error} (credentials, region and AWS_ENDPOINT_URL as for boto3)") from None


def _client(service: str, endpoint_url: str | None = None) -> Any:
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2})
    return boto3.client(service, endpoint_url=endpoint_url, config=patience)

"""Check everything that training and promotion need on this machine.

The checks only read. With `write`, they also create a run with an artifact and an S3 object, and remove them again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from ..config.params import Params
from ..config.project import project_dir
from ..config.uris import redact, redact_text, scheme_of
from ..errors import PredictiveMaintenanceError, RegistryError, SourceError
from ..tracking.connection import Connection, connect, is_server, is_sqlite, not_an_address, tracking_uri
from ..tracking.mlflow_errors import OLDEST_SERVER
from ..tracking.registry_reader import RegistryReader
from .shared import count, promote_command, train_command

if TYPE_CHECKING:
    from typing import Any

    from ..config.sources import Source
    from ..machine.machine import Machine

State = Literal["pass", "FAIL", "unset"]
_TIMEOUT_SECONDS = 10.0
_MAX_VERSION_CHARACTERS = 30
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. `unset` means not configured, which is not a failure."""

    name: str
    state: State
    text: str


def check_setup(params: Params, write: bool = False) -> Iterator[CheckResult]:
    """Yield the result of each check. A failed check does not stop the others."""
    yield _tracking()
    yield from _server_version()
    connection = yield from _registry(params)
    if connection and write:
        yield _run_check("tracking, writing", lambda: _write_run(connection))
    yield _datastore(write)
    yield from _batch()
    yield _dvc()
    yield _store()
    yield _run_check("engine", _engine)
    for source in params.data.sources:
        yield _run_check("source", partial(_reach_source, source, params.machine))


def _run_check(name: str, check: Callable[[], str]) -> CheckResult:
    """Pass with the text that `check` returns, or fail with the text of the error that it raises."""
    try:
        return CheckResult(name, "pass", check())
    except PredictiveMaintenanceError as error:
        return CheckResult(name, "FAIL", str(error))


def _tracking() -> CheckResult:
    uri = tracking_uri()
    if is_sqlite(uri):
        return CheckResult("tracking", "pass", f"local registry {uri}; set MLFLOW_TRACKING_URI to share a server")
    if not is_server(uri):
        return CheckResult("tracking", "FAIL", not_an_address(uri))
    variables = [name for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME") if os.environ.get(name)]
    without = "without credentials: if the server needs them, set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return CheckResult("tracking", "pass", f"{redact(uri)}, {f'with {variables[0]}' if variables else without}")


def _server_version() -> Iterator[CheckResult]:
    """Check the version that the server reports. A hosted server may not report one, which is not a failure."""
    uri = tracking_uri()
    if not is_server(uri):
        return
    import httpx

    name, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    try:
        answer = httpx.get(
            f"{uri.rstrip('/')}/version", auth=(name, password) if name else None, timeout=_TIMEOUT_SECONDS
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = redact_text(str(error), uri)
        yield CheckResult("server", "FAIL", f"{redact(uri)} does not answer: {reason}: check MLFLOW_TRACKING_URI")
        return
    reported = answer.text.strip() if answer.is_success and len(answer.text) < _MAX_VERSION_CHARACTERS else ""
    if (number := _VERSION.match(reported)) and (int(number[1]), int(number[2])) < OLDEST_SERVER:
        oldest = ".".join(str(part) for part in OLDEST_SERVER)
        yield CheckResult("server", "FAIL", f"MLflow {reported} has no aliases: use {oldest} or newer")
        return
    text = f"MLflow {reported or 'of unknown version'}; this client is {version('mlflow')}"
    yield CheckResult("server", "pass", text)


def _registry(params: Params) -> Generator[CheckResult, None, Connection | None]:
    """Check the registry and the files of the champion. Returns the connection, or None if the registry failed."""
    try:
        connection = connect(params.registry)
        registry = RegistryReader(connection)
        versions, champion = registry.list_versions(), registry.production_version()
    except RegistryError as error:
        yield CheckResult("registry", "FAIL", str(error))
        return None
    yield CheckResult("registry", "pass", f"{count(len(versions), 'version')} of {params.registry.model_name}")
    if champion is None:
        promote = f", or {promote_command(versions[0])}" if versions else ""
        text = f"no version is in production: {train_command()}{promote}"
        yield CheckResult("model", "unset", text)
    else:
        yield _run_check("model", lambda: _load_champion(registry, champion.version))
    return connection


def _load_champion(registry: RegistryReader, version: str) -> str:
    registry.load_scorer(version)
    return f"version {version} is in production; its files are intact and its golden rows give the recorded results"


def _write_run(connection: Connection) -> str:
    """Write and read a run with an artifact, as training does, and delete it."""
    client, text = connection.client, uuid4().hex
    with connection.errors("writing a run"):
        run = client.create_run(connection.experiment_id, tags={"mlflow.runName": "doctor"})
        try:
            client.log_text(run.info.run_id, text, "doctor.txt")
            downloaded = client.download_artifacts(run.info.run_id, "doctor.txt")
            if Path(downloaded).read_text() != text:
                raise RegistryError("the downloaded artifact differs from the uploaded one: check the artifact store")
        finally:
            client.delete_run(run.info.run_id)
    return "a run and an artifact were written, read and deleted"


def _datastore(write: bool) -> CheckResult:
    """Check where Metaflow stores the results of runs."""
    from metaflow.metaflow_config import DATASTORE_SYSROOT_LOCAL, DATASTORE_SYSROOT_S3, DEFAULT_DATASTORE

    if DEFAULT_DATASTORE != "s3":
        folder = Path(DATASTORE_SYSROOT_LOCAL or project_dir())
        if not os.access(folder, os.W_OK):
            return CheckResult("results", "FAIL", f"METAFLOW_DATASTORE_SYSROOT_LOCAL: no permission to write {folder}")
        return CheckResult("results", "pass", f"stored in {folder}")
    if not DATASTORE_SYSROOT_S3:
        return CheckResult("results", "FAIL", "METAFLOW_DATASTORE_SYSROOT_S3: not set: set it to s3://BUCKET/PREFIX")
    return _run_check(
        "results", lambda: _reach_s3(DATASTORE_SYSROOT_S3, os.environ.get("METAFLOW_S3_ENDPOINT_URL"), write)
    )


def _reach_s3(url: str, endpoint_url: str | None, write: bool) -> str:
    """List `url`, and with `write` also write an object. Raises SourceError if that fails."""
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


def _batch() -> Iterator[CheckResult]:
    """Check that the job queue of AWS Batch accepts jobs."""
    from metaflow.metaflow_config import BATCH_JOB_QUEUE

    if not BATCH_JOB_QUEUE:
        yield CheckResult("AWS Batch", "unset", "not configured: set METAFLOW_BATCH_JOB_QUEUE, see deploy/aws")
        return

    def check() -> str:
        with _aws_errors(f"queue {BATCH_JOB_QUEUE}"):
            found = _client("batch").describe_job_queues(jobQueues=[BATCH_JOB_QUEUE])["jobQueues"]
        if not found:
            raise SourceError(
                f"METAFLOW_BATCH_JOB_QUEUE: the queue {BATCH_JOB_QUEUE} does not exist in this account and region"
            )
        if (found[0]["state"], found[0]["status"]) != ("ENABLED", "VALID"):
            state = f"{found[0]['state']}, {found[0]['status']}"
            raise SourceError(f"queue {BATCH_JOB_QUEUE} does not accept jobs: it is {state}")
        return f"queue {BATCH_JOB_QUEUE} accepts jobs"

    yield _run_check("AWS Batch", check)


def _dvc() -> CheckResult:
    """Check that other machines can read the data that DVC tracks in this project."""
    from ..ingestion.dvc import default_remote, remote_name

    def check() -> str:
        url, endpoint = default_remote(project_dir())
        if scheme_of(url) == "s3":
            return f"remote {_reach_s3(url, endpoint, write=False)}"
        return f"remote {redact(url)}"

    try:
        if remote_name(project_dir()) is None:
            text = "no default remote: to share data and models, `dvc remote add --default NAME s3://BUCKET/PREFIX`"
            return CheckResult("DVC", "unset", text)
    except SourceError as error:
        return CheckResult("DVC", "FAIL", str(error))
    return _run_check("DVC", check)


def _store() -> CheckResult:
    """Check the store of readings that the service uses, without changing it."""
    from ..store.inspection import describe_store
    from ..store.location import store_url

    try:
        url = store_url()
        if (text := describe_store(url)) is None:
            return CheckResult("store", "unset", f"no readings are kept yet: POST /readings creates {redact(url)}")
    except PredictiveMaintenanceError as error:
        return CheckResult("store", "FAIL", str(error))
    return CheckResult("store", "pass", text)


def _engine() -> str:
    """The engine that works on the files of a data set. A cluster is reached; no worker is started."""
    from ..engine.engine import open_engine
    from ..engine.settings import DASK, SCHEDULER_VARIABLE, check_engine_settings, engine_name

    check_engine_settings()
    if engine_name() == DASK and not os.environ.get(SCHEDULER_VARIABLE):
        return f"Dask {version('distributed')} on the cores of this machine; set {SCHEDULER_VARIABLE} to use a cluster"
    with open_engine() as engine:
        return engine.description


def _reach_source(source: Source, machine: Machine) -> str:
    """Check that `source` of readings of `machine` can be read, and say where its credentials come from."""
    from ..ingestion.locations import check
    from ..ingestion.remote_stores import store_kind

    check(source, machine)
    kind, text = store_kind(source.uri), f"{redact(source.uri)} can be read"
    if kind is None or kind.is_web:
        return text
    return f"{text}, with {kind.configured_credentials() or 'the credentials that its library found'}"


@contextmanager
def _aws_errors(what: str) -> Iterator[None]:
    """Convert errors of AWS inside the block to a SourceError about `what`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise SourceError(f"{what}: {error.response.get('Error', {}).get('Message') or error}") from None
    except (BotoCoreError, ValueError) as error:
        raise SourceError(
            f"{what}: {error} (check the AWS credentials, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL)"
        ) from None


def _client(service: str, endpoint_url: str | None = None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS, retries={"total_max_attempts": 2})
    return boto3.client(service, endpoint_url=endpoint_url, config=config)

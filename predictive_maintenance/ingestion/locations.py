"""Check and fetch sources by their URI: local files, DVC, S3, HTTP, databases and the simulator."""

import glob
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from ..config.sources import RemoteCopy, Source
from ..config.uris import expand, redact, redact_text, scheme_of
from ..errors import SourceError
from ..machine.table_format import TableFormat
from .databases import check_database, read_database
from .dvc import dvc_file_of, dvc_md5, md5_of, remote_copy
from .simulator import parse_simulator_uri, simulate
from .table_reader import TableFile

_CHUNK_BYTES = 2**20
_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class FetchedTable:
    """A fetched file or table and its lineage.

    `name` contains no secret. `bytes` is None for a table, `dvc_md5` for a file that DVC does not track.
    """

    name: str
    table: TableFile | pa.Table
    sha256: str
    bytes: int | None
    dvc_md5: str | None = None


def check(source: Source, written: TableFormat | None = None) -> None:
    """Raise SourceError with the reason unless `source` can be reached. Reads as little as possible.

    `written` is the format of its files, as far as it cannot be told from them.
    """
    with _redacted_errors(source.uri):
        _check(source, written)


def _check(source: Source, written: TableFormat | None) -> None:
    if source.copies:
        for copy in source.copies:
            _check_copy(copy)
        return
    uri = source.uri
    resolved = expand(uri)
    scheme = scheme_of(resolved)
    if scheme == "simulator":
        parse_simulator_uri(resolved)
    elif scheme == "s3":
        _check_s3(uri, resolved)
    elif scheme in ("http", "https"):
        with _download_errors(uri), _http_stream(resolved):
            pass
    elif scheme:
        check_database(uri, resolved)
    else:
        for path in _paths(resolved):
            TableFile.open(path, str(path), written=written)


@contextmanager
def fetch(source: Source, written: TableFormat | None = None) -> Iterator[Iterator[FetchedTable]]:
    """Fetch the files or tables of `source`, one after the other. Downloads are deleted at the end of the block.

    `written` is the format of its files, as far as it cannot be told from them.
    """
    with tempfile.TemporaryDirectory(prefix="pdm-ingest-") as folder:
        if source.copies:
            yield (_fetch_copy(copy, Path(folder, "download"), written) for copy in source.copies)
        else:
            yield _fetch_uri(source.uri, Path(folder), written)


def _check_copy(copy: RemoteCopy) -> None:
    try:
        if scheme_of(copy.url) == "s3":
            _check_s3(copy.url, copy.url, copy.endpoint_url)
        else:
            with _download_errors(copy.url), _http_stream(copy.url):
                pass
    except SourceError as error:
        text = f"{copy.path}: not in the DVC remote; run `dvc push` ({error})"
        raise SourceError(text, transient=error.transient) from None


def _fetch_copy(copy: RemoteCopy, target: Path, written: TableFormat | None) -> FetchedTable:
    with _download_errors(copy.url), target.open("wb") as file:
        if scheme_of(copy.url) == "s3":
            _download_s3(copy.url, copy.url, file, copy.endpoint_url)
        else:
            _download_http(copy.url, file)
    if (found := md5_of(target)) != copy.md5:
        raise SourceError(f"{copy.path}: the file in the DVC remote is damaged: {copy.url} has the md5 {found}")
    return _fetched_file(target, copy.path, written, copy.dvc_md5)


def _fetch_uri(uri: str, folder: Path, written: TableFormat | None) -> Iterator[FetchedTable]:
    with _redacted_errors(uri):
        yield from _fetch_resolved(uri, expand(uri), folder, written)


def _fetch_resolved(uri: str, resolved: str, folder: Path, written: TableFormat | None) -> Iterator[FetchedTable]:
    scheme, name = scheme_of(resolved), redact(uri)
    if scheme == "simulator":
        yield _fetched_table(name, pa.Table.from_pandas(simulate(*parse_simulator_uri(resolved))))
    elif scheme in ("s3", "http", "https"):
        target = folder / "download"
        with _download_errors(uri), target.open("wb") as file:
            _download_s3(uri, resolved, file) if scheme == "s3" else _download_http(resolved, file)
        yield _fetched_file(target, name, written)
    elif scheme:
        yield _fetched_table(name, read_database(uri, resolved))
    else:
        for path in _paths(resolved):
            yield _fetched_file(path, redact_text(str(path), uri), written, dvc_md5(path))


def remote_copies(uri: str) -> tuple[RemoteCopy, ...]:
    """Find the copies in the DVC remote of the local files that `uri` names, and check that they exist.

    Empty if DVC does not track all of the files. Raises SourceError for a copy that other machines cannot read.
    """
    path = Path(expand(uri)).expanduser()
    with _redacted_errors(uri):
        paths = [path] if dvc_file_of(path).is_file() else _paths(expand(uri))
        found = tuple(copy for path in paths if (copy := remote_copy(path)))
        found = tuple(copy.model_copy(update={"path": redact_text(copy.path, uri)}) for copy in found)
        for copy in found:
            _check_copy(copy)
    return found if len(found) == len(paths) else ()


def _paths(text: str) -> list[Path]:
    try:
        return _matching_paths(text)
    except (OSError, RuntimeError) as error:  # name too long, no permission, or ~ of an unknown user
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{text}: cannot be read: {reason}") from None


def _matching_paths(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; name its files, for example {path / '*.csv'}")
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207  Path.glob rejects absolute patterns
    matches = sorted(Path(match) for match in found if Path(match).is_file())
    if not matches:
        problem = "no file matches" if glob.has_magic(text) else "no such file"
        tracked = dvc_file_of(path).is_file()
        hint = f"; DVC tracks it: run `dvc pull {path}`" if tracked else f" (in {Path.cwd()})"
        raise SourceError(f"{path}: {problem}{hint}")
    return matches


@contextmanager
def _redacted_errors(uri: str) -> Iterator[None]:
    """Remove from a SourceError in the block what `uri` must not show: parts of a secret, and the values of its ${NAME}."""
    try:
        yield
    except SourceError as error:
        raise SourceError(redact_text(str(error), uri), transient=error.transient) from None


@contextmanager
def _download_errors(uri: str) -> Iterator[None]:
    """Raise the errors of boto3 and httpx as SourceError that names the source."""
    import httpx
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from s3transfer.exceptions import RetriesExceededError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "404" and not _bucket_exists(uri):
            code = "NoSuchBucket"
        reason = {"404": "no such object", "NoSuchBucket": "no such bucket", "403": "access denied"}.get(
            code, str(error)
        )
        transient = _is_transient(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        raise SourceError(f"{redact(uri)}: {reason}", transient=transient) from None
    except (BotoCoreError, Boto3Error, RetriesExceededError) as error:
        text = f"{redact(uri)}: {error} (check the AWS credentials and AWS_ENDPOINT_URL)"
        raise SourceError(text, transient=True) from None
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        text = f"{redact(uri)}: the server returned HTTP {status}"
        raise SourceError(text, transient=_is_transient(status)) from None
    except (httpx.InvalidURL, ValueError):  # their texts can contain a part of a password
        raise SourceError(
            f"{redact(uri)}: not a valid URL: the port must be a number, and special characters must be percent-encoded"
        ) from None
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.DecodingError) as error:
        text = f"{redact(uri)}: the response is incomplete or invalid: {error}"
        raise SourceError(text, transient=True) from None
    except httpx.HTTPError as error:
        raise SourceError(f"{redact(uri)}: cannot be reached: {error}", transient=True) from None
    except OSError as error:
        text = f"{redact(uri)}: cannot be downloaded: {error.strerror or error}"
        raise SourceError(text, transient=True) from None


def _is_transient(status: int) -> bool:
    """Whether a server that returned this HTTP status can answer the same request later."""
    return status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500


def _s3(uri: str, endpoint_url: str | None = None) -> Any:
    import boto3

    try:
        return boto3.client("s3", endpoint_url=endpoint_url)
    except ValueError as error:
        raise SourceError(
            f"{redact(uri)}: cannot create an S3 client: {error} (AWS_ENDPOINT_URL must begin with http:// or https://)"
        ) from None


def _check_s3(uri: str, resolved: str, endpoint_url: str | None = None) -> None:
    bucket, key = _bucket_and_key(uri, resolved)
    with _download_errors(uri):
        _s3(uri, endpoint_url).head_object(Bucket=bucket, Key=key)


def _bucket_exists(uri: str) -> bool:
    """Whether the bucket of `uri` exists. True if that cannot be determined."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _s3(uri).head_bucket(Bucket=_bucket_and_key(uri, expand(uri))[0])
    except ClientError as error:
        return error.response.get("Error", {}).get("Code") != "404"
    except BotoCoreError:
        return True
    return True


def _bucket_and_key(uri: str, resolved: str) -> tuple[str, str]:
    bucket, _, key = resolved.partition("://")[2].partition("/")
    if not bucket or not key.strip("/"):
        raise SourceError(f"{redact(uri)}: not of the form s3://bucket/key")
    return bucket, key.lstrip("/")


def _download_s3(uri: str, resolved: str, file: BinaryIO, endpoint_url: str | None = None) -> None:
    bucket, key = _bucket_and_key(uri, resolved)
    _s3(uri, endpoint_url).download_fileobj(bucket, key, file)


@contextmanager
def _http_stream(url: str) -> Iterator[Any]:
    import httpx

    transport = httpx.HTTPTransport(retries=2)
    with (
        httpx.Client(transport=transport, follow_redirects=True, timeout=_TIMEOUT_S) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        yield response


def _download_http(url: str, file: BinaryIO) -> None:
    with _http_stream(url) as response:
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            file.write(chunk)


def _fetched_file(path: Path, name: str, written: TableFormat | None, md5: str | None = None) -> FetchedTable:
    table = TableFile.open(path, name, written=written)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return FetchedTable(name=name, table=table, sha256=digest.hexdigest(), bytes=path.stat().st_size, dvc_md5=md5)


def _fetched_table(name: str, table: pa.Table) -> FetchedTable:
    """A table with the hash of its Arrow stream. Without metadata, so that equal rows have equal hashes."""
    digest = hashlib.sha256()
    table = table.replace_schema_metadata(None).combine_chunks()

    class _Hash:
        closed = False

        def write(self, data: bytes) -> int:
            digest.update(data)
            return len(data)

        def flush(self) -> None: ...

        def close(self) -> None: ...

    with pa.ipc.new_stream(pa.PythonFile(_Hash(), mode="w"), table.schema) as stream:
        stream.write_table(table)
    return FetchedTable(name=name, table=table, sha256=digest.hexdigest(), bytes=None)

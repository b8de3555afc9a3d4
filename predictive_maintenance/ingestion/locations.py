"""Where rows come from: each kind of URI, checked before a run and brought to a local file or table."""

import glob
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from ..config.sources import RemoteCopy, Source
from ..config.uris import expand, redact, scheme_of
from ..errors import SourceError
from .databases import check_database, read_database
from .dvc import dvc_md5, md5_of, pointer_of, remote_copy
from .simulator import parse_simulator_uri, simulate
from .table_reader import TableFile

_CHUNK_BYTES = 2**20
_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class FetchedTable:
    """One file or table that has arrived: what to read, and what identifies it.

    `name` carries no secret. `bytes` is None for what is not a file. `dvc_md5` is None for what DVC does not track.
    """

    name: str
    table: TableFile | pa.Table
    sha256: str
    bytes: int | None
    dvc_md5: str | None = None


def check(source: Source) -> None:
    """That `source` can be reached, reading as little as possible. Raises SourceError with the reason and the way out."""
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
        with _errors_named(uri), _http_stream(resolved):
            pass
    elif scheme:
        check_database(uri, resolved)
    else:
        for path in _paths(resolved):
            TableFile.open(path, str(path))


@contextmanager
def fetch(source: Source) -> Iterator[Iterator[FetchedTable]]:
    """The files or tables behind `source`, one after another; a download is kept until the block ends."""
    with tempfile.TemporaryDirectory(prefix="pdm-ingest-") as folder:
        if source.copies:
            yield (_arrived_copy(copy, Path(folder, "download")) for copy in source.copies)
        else:
            yield _arrivals(source.uri, expand(source.uri), Path(folder))


def _check_copy(copy: RemoteCopy) -> None:
    try:
        if scheme_of(copy.url) == "s3":
            _check_s3(copy.url, copy.url, copy.endpoint_url)
        else:
            with _errors_named(copy.url), _http_stream(copy.url):
                pass
    except SourceError as error:
        raise SourceError(f"{copy.path}: not in DVC's remote: `dvc push` it ({error})") from None


def _arrived_copy(copy: RemoteCopy, target: Path) -> FetchedTable:
    with _errors_named(copy.url), target.open("wb") as file:
        if scheme_of(copy.url) == "s3":
            _download_s3(copy.url, copy.url, file, copy.endpoint_url)
        else:
            _download_http(copy.url, file)
    if (found := md5_of(target)) != copy.md5:
        raise SourceError(f"{copy.path}: DVC's remote holds other bytes than it should: md5 {found} at {copy.url}")
    return _arrived_file(target, copy.path, copy.dvc_md5)


def _arrivals(uri: str, resolved: str, folder: Path) -> Iterator[FetchedTable]:
    scheme, name = scheme_of(resolved), redact(uri)
    if scheme == "simulator":
        yield _arrived_table(name, pa.Table.from_pandas(simulate(*parse_simulator_uri(resolved))))
    elif scheme in ("s3", "http", "https"):
        target = folder / "download"
        with _errors_named(uri), target.open("wb") as file:
            _download_s3(uri, resolved, file) if scheme == "s3" else _download_http(resolved, file)
        yield _arrived_file(target, name)
    elif scheme:
        yield _arrived_table(name, read_database(uri, resolved))
    else:
        for path in _paths(resolved):
            yield _arrived_file(path, str(path), dvc_md5(path))


def remote_copies(uri: str) -> tuple[RemoteCopy, ...]:
    """Where DVC's remote holds the local files that `uri` names, each of them checked to be there.

    Empty where DVC does not track one of them. Raises SourceError for one that cannot be read from another machine.
    """
    path = Path(expand(uri)).expanduser()
    paths = [path] if pointer_of(path).is_file() else _paths(expand(uri))
    found = tuple(copy for path in paths if (copy := remote_copy(path)))
    for copy in found:
        _check_copy(copy)
    return found if len(found) == len(paths) else ()


def _paths(text: str) -> list[Path]:
    try:
        return _matching_paths(text)
    except (OSError, RuntimeError) as error:  # too long a name, no permission, the home of a user who is not there
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{text}: cannot be looked for: {reason}") from None


def _matching_paths(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise SourceError(f"{path}: a folder: name its files, such as {path / '*.csv'}")
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
    matches = sorted(Path(match) for match in found if Path(match).is_file())
    if not matches:
        kind = "no file matches" if glob.has_magic(text) else "no such file"
        tracked = pointer_of(path).is_file()
        way_out = f": DVC tracks it: run `dvc pull {path}`" if tracked else f" (from {Path.cwd()})"
        raise SourceError(f"{path}: {kind}{way_out}")
    return matches


@contextmanager
def _errors_named(uri: str) -> Iterator[None]:
    """Turns the errors of boto3 and httpx into a SourceError that names the source."""
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
        raise SourceError(f"{redact(uri)}: {reason}") from None
    except (BotoCoreError, Boto3Error, RetriesExceededError) as error:
        raise SourceError(f"{redact(uri)}: {error} (credentials and AWS_ENDPOINT_URL as for boto3)") from None
    except httpx.HTTPStatusError as error:
        raise SourceError(f"{redact(uri)}: the server answered {error.response.status_code}") from None
    except (httpx.InvalidURL, UnicodeError):  # their texts may quote a piece of a password
        raise SourceError(
            f"{redact(uri)}: not a valid URL: is its port a number, and what is special in it percent-encoded?"
        ) from None
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.DecodingError) as error:
        raise SourceError(f"{redact(uri)}: the answer broke off or makes no sense: {error}") from None
    except httpx.HTTPError as error:
        raise SourceError(f"{redact(uri)}: cannot be reached: {error}") from None
    except OSError as error:
        raise SourceError(f"{redact(uri)}: cannot be downloaded: {error.strerror or error}") from None


def _s3(uri: str, endpoint_url: str | None = None) -> Any:
    import boto3

    try:
        return boto3.client("s3", endpoint_url=endpoint_url)
    except ValueError as error:
        raise SourceError(
            f"{redact(uri)}: no S3 client: {error} (AWS_ENDPOINT_URL begins with http:// or https://)"
        ) from None


def _check_s3(uri: str, resolved: str, endpoint_url: str | None = None) -> None:
    bucket, key = _bucket_and_key(uri, resolved)
    with _errors_named(uri):
        _s3(uri, endpoint_url).head_object(Bucket=bucket, Key=key)


def _bucket_exists(uri: str) -> bool:
    """Whether there is a bucket where there is no object; true when nobody knows."""
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


def _arrived_file(path: Path, name: str, md5: str | None = None) -> FetchedTable:
    table = TableFile.open(path, name)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return FetchedTable(name=name, table=table, sha256=digest.hexdigest(), bytes=path.stat().st_size, dvc_md5=md5)


def _arrived_table(name: str, table: pa.Table) -> FetchedTable:
    """The hash of a table that is no file is that of its Arrow stream without metadata: the same rows, the same hash."""
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

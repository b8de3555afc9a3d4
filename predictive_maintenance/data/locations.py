"""Where rows come from: each kind of URI, checked before a run and brought to a local file or table."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode, urlsplit

import pyarrow as pa
import yaml

from ..errors import SourceError
from .reading import TableFile
from .simulator import parse_simulator_uri, simulate

_CHUNK_BYTES = 2**20
_SQL_ROWS = 100_000
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Arrival:
    """One file or table that has arrived: what to read, and what identifies it.

    `name` carries no secret. `bytes` is None for what is not a file. `dvc_md5` is None for what DVC does not track.
    """

    name: str
    table: TableFile | pa.Table
    sha256: str
    bytes: int | None
    dvc_md5: str | None = None


def redact(uri: str) -> str:
    """`uri` without what must not reach a log or a tag: its password, and the values of a URL's query."""
    # By hand: the standard library's parts do not go back together for sqlite:////path, and refuse some passwords.
    scheme, found, rest = uri.partition("://")
    if not found or scheme == "simulator":
        return uri
    place, _, query = rest.partition("?")
    server, slash, path = place.partition("/")
    user, at, host = server.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = [(key, value if key in ("table", "query") else "***") for key, value in parse_qsl(query)]
    options = "?" + urlencode(shown, safe="*") if shown else ""
    return f"{scheme}://{name}{':***' if colon else ''}{at}{host}{slash}{path}{options}"


def check_no_password(uri: str) -> None:
    """Raises SourceError for a password written out in `uri`: a run keeps its settings where many may read them."""
    server = uri.partition("://")[2].partition("?")[0].partition("/")[0]
    password = server.rpartition("@")[0].partition(":")[2]
    if password and not re.fullmatch(r"\$\{\w+\}", password):
        raise SourceError(
            f"{redact(uri)}: holds a password, which would be kept with the run: put it into the environment and write "
            "${NAME} in its place"
        )


def check(uri: str) -> None:
    """That `uri` can be reached, reading as little as possible. Raises SourceError with the reason and the way out."""
    resolved = _expand(uri)
    scheme = _scheme(resolved)
    if scheme == "simulator":
        parse_simulator_uri(resolved)
    elif scheme == "s3":
        with _errors_named(uri):
            bucket, key = _bucket_and_key(resolved)
            _s3().head_object(Bucket=bucket, Key=key)
    elif scheme in ("http", "https"):
        with _errors_named(uri), _http_stream(resolved):
            pass
    elif scheme:
        _check_sql(uri, resolved)
    else:
        for path in _paths(resolved):
            TableFile.open(path, str(path))


@contextmanager
def fetch(uri: str) -> Iterator[Iterator[Arrival]]:
    """The files or tables behind `uri`, one after another; a download is kept until the block ends."""
    resolved = _expand(uri)
    with tempfile.TemporaryDirectory(prefix="pdm-ingest-") as folder:
        yield _arrivals(uri, resolved, Path(folder))


def _arrivals(uri: str, resolved: str, folder: Path) -> Iterator[Arrival]:
    scheme, name = _scheme(resolved), redact(uri)
    if scheme == "simulator":
        yield _arrived_table(name, pa.Table.from_pandas(simulate(*parse_simulator_uri(resolved))))
    elif scheme in ("s3", "http", "https"):
        target = folder / "download"
        with _errors_named(uri), target.open("wb") as file:
            _download_s3(resolved, file) if scheme == "s3" else _download_http(resolved, file)
        yield _arrived_file(target, name)
    elif scheme:
        yield _arrived_table(name, _read_sql(uri, resolved))
    else:
        for path in _paths(resolved):
            yield _arrived_file(path, str(path), dvc_md5(path))


def dvc_md5(path: Path) -> str | None:
    """The md5 under which DVC tracks `path` itself or a folder that holds it, from the `.dvc` file beside it."""
    path = path.absolute()
    for tracked in (path, *path.parents):
        pointer = tracked.parent / f"{tracked.name}.dvc"
        if tracked.name and pointer.is_file():
            try:
                return str(yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]["md5"])
            except (yaml.YAMLError, OSError, LookupError, TypeError):
                raise SourceError(f"{pointer}: not a file that DVC wrote: mend or remove it") from None
        if (tracked / ".dvc").is_dir():
            return None
    return None


def _scheme(uri: str) -> str:
    """The URI's scheme: '' for a local path, also one on a Windows drive."""
    scheme, found, _ = uri.partition("://")
    return scheme.lower() if found else ""


def _expand(uri: str) -> str:
    """`uri` with ${NAME} taken from the environment. Raises SourceError for a name that is not set."""

    def value(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise SourceError(f"{redact(uri)}: the environment variable {match[1]} is not set")
        return found

    return re.sub(r"\$\{(\w+)\}", value, uri)


def _paths(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise SourceError(f"{path}: a folder: name its files, such as {path / '*.csv'}")
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
    matches = sorted(Path(match) for match in found if Path(match).is_file())
    if not matches:
        kind = "no file matches" if glob.has_magic(text) else "no such file"
        pointer = path.with_name(path.name + ".dvc")
        way_out = f": DVC tracks it: run `dvc pull {path}`" if pointer.is_file() else f" (from {Path.cwd()})"
        raise SourceError(f"{path}: {kind}{way_out}")
    return matches


@contextmanager
def _errors_named(uri: str) -> Iterator[None]:
    """Turns the errors of boto3 and httpx into a SourceError that names the source."""
    import httpx
    from botocore.exceptions import BotoCoreError, ClientError

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
    except BotoCoreError as error:
        raise SourceError(f"{redact(uri)}: {error} (credentials and AWS_ENDPOINT_URL as for boto3)") from None
    except httpx.HTTPStatusError as error:
        raise SourceError(f"{redact(uri)}: the server answered {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"{redact(uri)}: cannot be reached: {error}") from None
    except OSError as error:
        raise SourceError(f"{redact(uri)}: cannot be downloaded: {error.strerror or error}") from None


def _s3() -> Any:
    import boto3

    return boto3.client("s3")


def _bucket_exists(uri: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        _s3().head_bucket(Bucket=_bucket_and_key(_expand(uri))[0])
    except ClientError as error:
        return error.response.get("Error", {}).get("Code") != "404"
    return True


def _bucket_and_key(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    if not parts.netloc or not parts.path.strip("/"):
        raise SourceError(f"{uri}: not of the form s3://bucket/key")
    return parts.netloc, parts.path.lstrip("/")


def _download_s3(uri: str, file: BinaryIO) -> None:
    bucket, key = _bucket_and_key(uri)
    _s3().download_fileobj(bucket, key, file)


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


def _arrived_file(path: Path, name: str, md5: str | None = None) -> Arrival:
    table = TableFile.open(path, name)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return Arrival(name, table, digest.hexdigest(), path.stat().st_size, md5)


def _arrived_table(name: str, table: pa.Table) -> Arrival:
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
    return Arrival(name, table, digest.hexdigest(), None)


def _sql_statement(uri: str, resolved: str) -> tuple[str, Any]:
    """(the database's URL, the statement) of a SQLAlchemy URL with ?table= or ?query=."""
    import sqlalchemy

    base, _, query = resolved.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    ours = {key: value for key, value in options if key in ("table", "query")}
    if len(ours) != 1:
        raise SourceError(f"{redact(uri)}: a database needs either ?table=NAME or ?query=SELECT...")
    theirs = urlencode([(key, value) for key, value in options if key not in ours])
    if "query" in ours:
        statement: Any = sqlalchemy.text(ours["query"])
    else:
        schema, _, table = ours["table"].rpartition(".")
        statement = sqlalchemy.select(sqlalchemy.text("*")).select_from(sqlalchemy.table(table, schema=schema or None))
    return f"{base}?{theirs}" if theirs else base, statement


def _with_database(uri: str, resolved: str, action: Callable[[Any, Any], Any]) -> Any:
    """`action(connection, statement)`, its database errors as a SourceError that names the source."""
    import sqlalchemy
    from pandas.errors import DatabaseError
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        sqlalchemy.make_url(resolved.partition("?")[0]).get_dialect()
        url, statement = _sql_statement(uri, resolved)
        database = sqlalchemy.make_url(url)
        if database.get_backend_name() == "sqlite" and not Path(database.database or "").is_file():
            # SQLite would make an empty database of a mistyped name.
            raise SourceError(f"{redact(uri)}: no such file: {database.database}")
        engine = sqlalchemy.create_engine(database)
    except (ArgumentError, NoSuchModuleError):
        known = "a path, s3://, https://, simulator://, or a SQLAlchemy URL with ?table= or ?query="
        raise SourceError(f"{redact(uri)}: not a source that is known: {known}") from None
    except ImportError as error:
        raise SourceError(f"{redact(uri)}: the database's driver is not installed: pip install {error.name}") from None
    try:
        with engine.connect() as connection:
            return action(connection.execution_options(stream_results=True), statement)
    except (SQLAlchemyError, DatabaseError) as error:
        reason = getattr(error.__cause__, "orig", None) or getattr(error, "orig", None) or error
        raise SourceError(f"{redact(uri)}: {str(reason).splitlines()[0]}") from None
    finally:
        engine.dispose()


def _check_sql(uri: str, resolved: str) -> None:
    _with_database(uri, resolved, lambda connection, statement: connection.execute(statement).fetchone())


def _read_sql(uri: str, resolved: str) -> pa.Table:
    import pandas as pd

    def read(connection: Any, statement: Any) -> pa.Table:
        chunks = [
            pa.Table.from_pandas(_without_mixed_columns(chunk), preserve_index=False)
            for chunk in pd.read_sql(statement, connection, chunksize=_SQL_ROWS)
        ]
        return pa.concat_tables(chunks, promote_options="permissive")

    table: pa.Table = _with_database(uri, resolved, read)
    if table.num_rows == 0:
        raise SourceError(f"{redact(uri)}: the query gives no rows")
    return table


def _without_mixed_columns(chunk: Any) -> Any:
    """A database may hold text among numbers; such a column is read as text, so that its bad cells can be told."""
    mixed = [name for name in chunk if chunk[name].dtype == object]
    return chunk.assign(**{name: chunk[name].map(str, na_action="ignore").astype("str") for name in mixed})

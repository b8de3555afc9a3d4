"""Read a table or a query from a database, given as a SQLAlchemy URL with ?table= or ?query=.

Not `pandas.read_sql`, which raises an error where a column changes its type between chunks or contains bytes, and rounds
decimals. Not ADBC, which needs a driver of its own for each database. Measured in docs/adr/0009-read-databases.md.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pyarrow as pa
import pyarrow.compute as pc

from ..config.uris import redact
from ..errors import SourceError

_CHUNK_ROWS = 100_000
_COLUMN_TYPES = ({int, float}, {bool}, {Decimal}, {str}, {date}, {datetime})
"""Python types that a column may combine. Any other column is read as text."""


def check_database(uri: str, resolved: str) -> None:
    """Run the query and read at most one row. Raises SourceError if that fails.

    `resolved` is `uri` with its secrets. No error shows it.
    """

    def read_one(connection: Any, statement: Any) -> None:
        result = connection.execute(statement)
        _column_names(uri, result)
        result.fetchone()

    _with_connection(uri, resolved, read_one)


def read_database(uri: str, resolved: str, most_rows: int | None = None) -> pa.Table:
    """Read all rows, in chunks. Raises SourceError that names the source, also if there are no rows or more than `most_rows`."""

    def read_all(connection: Any, statement: Any) -> pa.Table:
        result = connection.execute(statement)
        names = _column_names(uri, result)
        chunks, count = [], 0
        for rows in result.partitions(_CHUNK_ROWS):
            count += len(rows)
            if most_rows is not None and count > most_rows:
                raise SourceError(_too_many_rows(uri, most_rows))
            chunks.append([_column(values) for values in zip(*rows, strict=True)])
        if not chunks:
            raise SourceError(f"{redact(uri)}: the query returns no rows")
        return pa.table([_concatenated(column) for column in zip(*chunks, strict=True)], names=names)

    table: pa.Table = _with_connection(uri, resolved, read_all)
    return table


def _too_many_rows(uri: str, most_rows: int) -> str:
    return (
        f"{redact(uri)}: more than {most_rows:,} rows, which are read whole, and into one part if there is no other source: "
        "bring fewer rows, such as one reading per minute, write them to Parquet files, which are read in pieces and divided, or "
        "increase data.rows_per_part in params.yaml, on which this limit depends, if the memory allows it"
    )


def _with_connection(uri: str, resolved: str, action: Callable[[Any, Any], Any]) -> Any:
    """Return `action(connection, statement)`. Raises database errors as SourceError that names the source."""
    from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

    engine, statement = _engine_and_statement(uri, resolved)
    try:
        with _connect(uri, engine) as connection:
            return action(connection.execution_options(stream_results=True), statement)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        transient = isinstance(error, InterfaceError | OperationalError)  # the types of a lost connection, among others
        raise SourceError(f"{redact(uri)}: {reason.splitlines()[0]}", transient=transient) from None
    finally:
        engine.dispose()


def _engine_and_statement(uri: str, resolved: str) -> tuple[Any, Any]:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        sqlalchemy.make_url(resolved.partition("?")[0]).get_dialect()
        url, statement = _url_and_statement(uri, resolved)
        database = sqlalchemy.make_url(url)
        if database.get_backend_name() == "sqlite" and not Path(database.database or "").is_file():
            # SQLite would create an empty database.
            raise SourceError(f"{redact(uri)}: no such file: {database.database}")
        with _option_errors(uri):
            return sqlalchemy.create_engine(database), statement
    except (ArgumentError, NoSuchModuleError):
        supported = "a path, s3://, abfs://, gs://, https://, simulator://, store://, or a SQLAlchemy URL with ?table= or ?query="
        raise SourceError(f"{redact(uri)}: unsupported source; expected {supported}") from None
    except ValueError:
        raise SourceError(
            f"{redact(uri)}: not a valid URL: the port must be a number, and special characters in the password must be "
            "percent-encoded"
        ) from None
    except ImportError as error:
        raise SourceError(f"{redact(uri)}: the database driver is not installed: pip install {error.name}") from None


def _connect(uri: str, engine: Any) -> Any:
    with _option_errors(uri):
        return engine.connect()


@contextmanager
def _option_errors(uri: str) -> Iterator[None]:
    """Raise SourceError for a URL option that the driver ignores or rejects. It names the option, not its value."""
    from sqlalchemy.exc import SAWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)
            yield
    except (SAWarning, TypeError) as error:
        raise SourceError(f"{redact(uri)}: the driver does not support an option: {error}") from None
    except ValueError:
        raise SourceError(f"{redact(uri)}: an option has a value of the wrong type") from None


def _url_and_statement(uri: str, resolved: str) -> tuple[str, Any]:
    """Split the URL into the database's URL and the statement of ?table= or ?query=."""
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


def _column_names(uri: str, result: Any) -> list[str]:
    names = list(result.keys())
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(
            f"{redact(uri)}: more than one column is named {', '.join(duplicates)}: rename them in the query with AS"
        )
    return names


def _column(values: Sequence[Any]) -> pa.Array:
    """The values of one column. As text if they have several types, so that a bad cell reaches validation."""
    types = set(map(type, values)) - {type(None)}
    if any(types <= combined for combined in _COLUMN_TYPES):
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, OverflowError):  # integers that a float64 or int64 does not represent exactly
            pass
    return pa.array(map(_text, values), pa.string())


def _text(value: Any) -> str | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", errors="backslashreplace")
    return None if value is None else str(value)


def _concatenated(chunks: Sequence[pa.Array]) -> pa.ChunkedArray:
    """The chunks of one column in their common type, or as text if there is none."""
    try:
        tables = [pa.table({"column": chunk}) for chunk in chunks]
        return pa.concat_tables(tables, promote_options="permissive").column("column")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.chunked_array([pc.cast(chunk, pa.string()) for chunk in chunks])

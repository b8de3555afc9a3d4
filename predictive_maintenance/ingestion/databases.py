"""Rows of a database, named by a SQLAlchemy URL with ?table= or ?query=."""

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

_ROWS_AT_A_TIME = 100_000
_KINDS = ({int, float}, {bool}, {Decimal}, {str}, {date}, {datetime})
"""What the values of one column may be together without being read as text."""


def check_database(uri: str, resolved: str) -> None:
    """That the table or query gives an answer. `resolved` is `uri` with its secrets, which no error may show."""

    def look(connection: Any, statement: Any) -> None:
        result = connection.execute(statement)
        _column_names(uri, result)
        result.fetchone()

    _with_database(uri, resolved, look)


def read_database(uri: str, resolved: str) -> pa.Table:
    """All rows. Raises SourceError that names the source, also where there are none."""

    def read(connection: Any, statement: Any) -> pa.Table:
        result = connection.execute(statement)
        names = _column_names(uri, result)
        chunks = [
            [_column(values) for values in zip(*rows, strict=True)] for rows in result.partitions(_ROWS_AT_A_TIME)
        ]
        if not chunks:
            raise SourceError(f"{redact(uri)}: the query gives no rows")
        return pa.table([_joined(column) for column in zip(*chunks, strict=True)], names=names)

    table: pa.Table = _with_database(uri, resolved, read)
    return table


def _with_database(uri: str, resolved: str, action: Callable[[Any, Any], Any]) -> Any:
    """`action(connection, statement)`, its database errors as a SourceError that names the source."""
    from sqlalchemy.exc import SQLAlchemyError

    engine, statement = _engine_and_statement(uri, resolved)
    try:
        with _connected(uri, engine) as connection:
            return action(connection.execution_options(stream_results=True), statement)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        raise SourceError(f"{redact(uri)}: {reason.splitlines()[0]}") from None
    finally:
        engine.dispose()


def _engine_and_statement(uri: str, resolved: str) -> tuple[Any, Any]:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        sqlalchemy.make_url(resolved.partition("?")[0]).get_dialect()
        url, statement = _sql_statement(uri, resolved)
        database = sqlalchemy.make_url(url)
        if database.get_backend_name() == "sqlite" and not Path(database.database or "").is_file():
            # SQLite would make an empty database of a mistyped name.
            raise SourceError(f"{redact(uri)}: no such file: {database.database}")
        with _options_named(uri):
            return sqlalchemy.create_engine(database), statement
    except (ArgumentError, NoSuchModuleError):
        known = "a path, s3://, https://, simulator://, or a SQLAlchemy URL with ?table= or ?query="
        raise SourceError(f"{redact(uri)}: not a source that is known: {known}") from None
    except ValueError:
        raise SourceError(
            f"{redact(uri)}: not a valid URL: is its port a number, and what is special in its password percent-encoded?"
        ) from None
    except ImportError as error:
        raise SourceError(f"{redact(uri)}: the database's driver is not installed: pip install {error.name}") from None


def _connected(uri: str, engine: Any) -> Any:
    with _options_named(uri):
        return engine.connect()


@contextmanager
def _options_named(uri: str) -> Iterator[None]:
    """Makes an error of what a driver ignores, or stumbles over, among the options behind the question mark."""
    from sqlalchemy.exc import SAWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)
            yield
    except (SAWarning, TypeError) as error:  # name the option, not its value
        raise SourceError(f"{redact(uri)}: an option that the driver does not take: {error}") from None
    except ValueError:
        raise SourceError(f"{redact(uri)}: an option has a value of the wrong kind") from None


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


def _column_names(uri: str, result: Any) -> list[str]:
    names = list(result.keys())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{redact(uri)}: more than one column is named {', '.join(twice)}: tell them apart with AS")
    return names


def _column(values: Sequence[Any]) -> pa.Array:
    """The values of one column. Text where they are of several kinds, so that the bad ones among them can be told."""
    kinds = set(map(type, values)) - {type(None)}
    if any(kinds <= together for together in _KINDS):
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, OverflowError):  # numbers too large to be exact
            pass
    return pa.array(map(_text, values), pa.string())


def _text(value: Any) -> str | None:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", errors="backslashreplace")
    return None if value is None else str(value)


def _joined(chunks: Sequence[pa.Array]) -> pa.ChunkedArray:
    """One column from its chunks: text in all of them where they have no type in common."""
    try:
        tables = [pa.table({"column": chunk}) for chunk in chunks]
        return pa.concat_tables(tables, promote_options="permissive").column("column")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.chunked_array([pc.cast(chunk, pa.string()) for chunk in chunks])

"""Rows of a database, named by a SQLAlchemy URL with ?table= or ?query=."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pyarrow as pa

from ..errors import SourceError
from ..uris import redact

_ROWS_AT_A_TIME = 100_000


def check_database(uri: str, resolved: str) -> None:
    """That the table or query gives an answer. `resolved` is `uri` with its secrets, which no error may show."""
    _with_database(uri, resolved, lambda connection, statement: connection.execute(statement).fetchone())


def read_database(uri: str, resolved: str) -> pa.Table:
    """All rows. Raises SourceError that names the source, also where there are none."""
    import pandas as pd

    def read(connection: Any, statement: Any) -> pa.Table:
        chunks = [
            pa.Table.from_pandas(_without_mixed_columns(chunk), preserve_index=False)
            for chunk in pd.read_sql(statement, connection, chunksize=_ROWS_AT_A_TIME)
        ]
        return pa.concat_tables(chunks, promote_options="permissive")

    table: pa.Table = _with_database(uri, resolved, read)
    if table.num_rows == 0:
        raise SourceError(f"{redact(uri)}: the query gives no rows")
    return table


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


def _without_mixed_columns(chunk: Any) -> Any:
    """A database may hold text among numbers; such a column is read as text, so that its bad cells can be told."""
    mixed = [name for name in chunk if chunk[name].dtype == object]
    return chunk.assign(**{name: chunk[name].map(str, na_action="ignore").astype("str") for name in mixed})

"""Read the files of readings that a draft is made from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ..errors import SourceError
from ..ingestion.csv_reader import MalformedRow
from ..ingestion.table_reader import TableFile
from ..machine.header_matching import header_key
from ..machine.table_format import TableFormat
from .column_profile import ColumnProfile, profile

MAX_HEADER = 300
MAX_CELLS = 20_000_000
"""The number of cells after which reading stops: enough for ranges, and about 1 GB of memory."""


@dataclass(frozen=True, kw_only=True)
class ReadingsTable:
    """The rows of all files under each other. Columns of two files are the same if their headers match.

    `headers` are those of each file, as it has them. `unusable` maps the headers of columns that cannot be read to the
    reason. `malformed` counts the rows with a wrong number of cells.
    """

    names: tuple[str, ...]
    headers: tuple[tuple[str, ...], ...]
    columns: tuple[ColumnProfile, ...]
    unusable: dict[str, str]
    rows: int
    malformed: int
    is_complete: bool
    written: TableFormat | None = None


@dataclass
class _File:
    table: pa.Table
    decimal: str
    by_key: dict[str, str]
    malformed: list[MalformedRow] = field(default_factory=list)
    is_complete: bool = True


def read_tables(paths: Sequence[Path], written: TableFormat | None = None) -> ReadingsTable:
    """Read the files. `written` has the parts of their format that cannot be detected.

    Raises SourceError that names the file if one cannot be read, or has no header or no rows.
    """
    opened = [TableFile.open(path, written=written) for path in paths]
    unusable: dict[str, str] = {}
    files: list[_File] = []
    cells = 0
    for table in opened:
        files.append(_read(table, unusable, MAX_CELLS - cells))
        cells += files[-1].table.num_rows * files[-1].table.num_columns
    headers = {key: header for file in reversed(files) for key, header in file.by_key.items()}
    order = dict.fromkeys(key for file in files for key in file.by_key)
    columns = []
    for key in order:
        parts = [(_cells(file, key), file.decimal) for file in files]
        try:
            columns.append(profile(headers[key], parts))
        except SourceError as error:
            unusable[headers[key]] = str(error)
    return ReadingsTable(
        names=tuple(table.name for table in opened),
        headers=tuple(tuple(table.headers) for table in opened),
        columns=tuple(columns),
        unusable=unusable,
        rows=sum(file.table.num_rows for file in files),
        malformed=sum(len(file.malformed) for file in files),
        is_complete=all(file.is_complete for file in files),
        written=written,
    )


def _read(table: TableFile, unusable: dict[str, str], max_cells: int) -> _File:
    headers = table.headers
    _check_header(table.name, headers)
    repeated = Counter(map(header_key, headers))
    by_key: dict[str, str] = {}
    for position, header in enumerate(headers, 1):
        key = header_key(header)
        if not header.strip():
            unusable[f"column {position}"] = "it has no header"
        elif not key:
            unusable[header] = "its header has no letter a to z and no digit: rename it"
        elif len(header) > MAX_HEADER:
            unusable[header[:60]] = f"its header is longer than {MAX_HEADER} characters: shorten it"
        elif repeated[key] > 1:
            unusable[header] = "the file has this header more than once: rename or remove one"
        else:
            by_key[key] = header
    if not by_key:
        raise SourceError(
            f"{table.name}: no column can be used: {'; '.join(f'{h!r}: {why}' for h, why in unusable.items())}"
        )
    names = list(by_key.values())
    file = _File(pa.table({}), table.dialect.decimal if table.dialect else ".", by_key)
    batches, rows = [], 0
    for batch in table.batches(file.malformed, names):
        batches.append(batch)
        rows += batch.num_rows
        if rows * len(names) > max_cells:
            file.is_complete = False
            break
    if not rows:
        raise SourceError(f"{table.name}: no rows")
    file.table = pa.Table.from_batches(batches)
    return file


def _check_header(name: str, headers: Sequence[str]) -> None:
    named = [header for header in headers if header.strip()]
    if named and all(map(_is_number, named)):
        raise SourceError(
            f"{name}: the first line has only numbers ({', '.join(headers[:4])}...), so the file has no header: give "
            "the names of its columns with --columns"
        )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _cells(file: _File, key: str) -> pa.ChunkedArray:
    """The cells of a column; all are missing if the file does not have it."""
    if key in file.by_key:
        return file.table.column(file.by_key[key])
    return pa.chunked_array([pa.nulls(file.table.num_rows, pa.string())])

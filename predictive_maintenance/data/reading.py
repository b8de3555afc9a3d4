"""One table file, CSV or Parquet, as record batches, without deciding anything about its values.

A CSV's cells stay text, so that what is written back is what was read, and a bad cell is still there to be shown.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..errors import SourceError

BATCH_BYTES = 2 * 2**20
BATCH_ROWS = 65_536
SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_BYTES = 64 * 1024
_PARQUET_MAGIC, _GZIP_MAGIC = b"PAR1", b"\x1f\x8b"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written. A Parquet file has none."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"


@dataclass(frozen=True)
class MalformedRow:
    """A row of a CSV that does not have the header's number of cells. `row` counts from 1 below the header."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True)
class TableFile:
    """A CSV (plain or gzip) or Parquet file, recognised by its content. `name` is what errors call it."""

    path: Path
    name: str
    dialect: Dialect | None

    @classmethod
    def open(cls, path: Path, name: str | None = None) -> TableFile:
        """Raises SourceError when the file is missing, empty, or neither CSV nor Parquet."""
        name = name or str(path)
        try:
            with path.open("rb") as file:
                start = file.read(4)
            if start == _PARQUET_MAGIC:
                return cls(path, name, None)
            with _open_text(path) as file:
                sample = file.read(_SAMPLE_BYTES)
        except FileNotFoundError:
            raise SourceError(f"{name}: no such file") from None
        except (OSError, EOFError) as error:
            raise SourceError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not sample.strip():
            raise SourceError(f"{name}: the file is empty")
        return cls(path, name, _sniff(sample, name))

    @property
    def headers(self) -> list[str]:
        if self.dialect is None:
            return list(self._parquet().schema_arrow.names)
        with self._csv(self.dialect) as reader:
            return list(reader.schema.names)

    def batches(self, malformed: list[MalformedRow] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, some MiB at a time. Raises SourceError that names the file where it cannot be parsed.

        A CSV row with too many or too few cells goes to the list `malformed`; without a list it is an error.
        """
        try:
            if self.dialect is None:
                yield from self._parquet().iter_batches(BATCH_ROWS)
            else:
                with self._csv(self.dialect, malformed) as reader:
                    yield from reader
        except (pa.ArrowInvalid, OSError, EOFError) as error:
            raise SourceError(f"{self.name}: cannot be read: {error}") from None

    def _parquet(self) -> pa.parquet.ParquetFile:
        try:
            return pa.parquet.ParquetFile(self.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{self.name}: not a readable Parquet file: {error}") from None

    @contextmanager
    def _csv(
        self, dialect: Dialect, malformed: list[MalformedRow] | None = None
    ) -> Iterator[pa.csv.CSVStreamingReader]:
        """All columns as text: the reader would otherwise guess types from the first block alone."""
        names = self._header(dialect)

        def set_aside(row: pa.csv.InvalidRow) -> str:
            if malformed is None:
                return "error"
            reason = f"{row.actual_columns} cells where the header has {row.expected_columns}"
            malformed.append(MalformedRow(row.number - 1, row.text, reason))
            return "skip"

        with _open_text(self.path) as file:
            recoded: Any = file if dialect.encoding == "utf-8" else codecs.EncodedFile(file, "utf-8", dialect.encoding)
            try:
                reader = pa.csv.open_csv(
                    recoded,
                    read_options=pa.csv.ReadOptions(
                        column_names=names, skip_rows=1, block_size=BATCH_BYTES, use_threads=False
                    ),
                    parse_options=pa.csv.ParseOptions(delimiter=dialect.separator, invalid_row_handler=set_aside),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
                    ),
                )
            except pa.ArrowInvalid as error:
                reason = "it has a header but no rows" if "Empty CSV" in str(error) else str(error)
                raise SourceError(f"{self.name}: {reason}") from None
            with reader:
                yield reader

    def _header(self, dialect: Dialect) -> list[str]:
        """The cells of the first line; a column without a name is named by its place."""
        with _open_text(self.path) as file:
            header = file.readline()
        names = pa.csv.read_csv(
            pa.py_buffer(header.decode(dialect.encoding).lstrip("\ufeff").encode()),
            parse_options=pa.csv.ParseOptions(delimiter=dialect.separator),
        ).column_names
        return [name if name.strip() else f"unnamed_{position}" for position, name in enumerate(names, start=1)]


def _open_text(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked when it is gzip, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def _sniff(sample: bytes, name: str) -> Dialect:
    """The dialect of a CSV from its first bytes."""
    if sample.startswith(_UTF16_MARKS):
        raise SourceError(f"{name}: the text is UTF-16: save it as UTF-8")
    if b"\0" in sample:
        raise SourceError(f"{name}: neither CSV nor Parquet (it holds zero bytes)")
    try:
        # A sample may end within a character.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(sample)
        encoding = "utf-8"
    except UnicodeDecodeError:
        # Spreadsheets still write the degree sign of a header in Windows' code page; the numbers are ASCII.
        text, encoding = sample.decode("cp1252", errors="replace"), "cp1252"
    header, _, rest = text.partition("\n")
    separator = max(SEPARATORS, key=header.count)
    if header.count(separator) == 0:
        raise SourceError(f"{name}: no separator in its first line ({header.strip()[:80]!r}): is it a CSV file?")
    cells = [cell.strip().strip('"') for line in rest.splitlines()[:100] for cell in line.split(separator)]
    commas = sum(_is_decimal(cell, ",") for cell in cells)
    points = sum(_is_decimal(cell, ".") for cell in cells)
    return Dialect(separator, "," if separator != "," and commas > points else ".", encoding)


def _is_decimal(cell: str, mark: str) -> bool:
    whole, found, fraction = cell.partition(mark)
    return bool(found) and whole.lstrip("+-").isdecimal() and fraction.isdecimal()

"""One table file, CSV or Parquet, as record batches, without deciding anything about its values.

A CSV's cells stay text, so that what is written back is what was read, and a bad cell is still there to be shown.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..errors import SourceError

BATCH_BYTES = 2 * 2**20
BATCH_ROWS = 65_536
SEPARATORS = (",", ";", "\t", "|")
_UNREADABLE = (pa.ArrowInvalid, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)
_SAMPLE_BYTES = 64 * 1024
PARQUET_MAGIC, _GZIP_MAGIC = b"PAR1", b"\x1f\x8b"
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
    def open(cls, path: Path, name: str | None = None) -> Self:
        """Raises SourceError when the file is missing, empty, or neither CSV nor Parquet."""
        name = name or str(path)
        try:
            with path.open("rb") as file:
                start = file.read(4)
            if start == PARQUET_MAGIC:
                return cls(path, name, None)
            with _open_text(path) as file:
                sample = file.read(_SAMPLE_BYTES)
        except FileNotFoundError:
            raise SourceError(f"{name}: no such file") from None
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not sample.strip():
            raise SourceError(f"{name}: the file is empty")
        return cls(path, name, _sniff(sample, name))

    @property
    def headers(self) -> list[str]:
        if self.dialect is None:
            return list(self._parquet().schema_arrow.names)
        try:
            return self._header(self.dialect)[0]
        except _UNREADABLE as error:
            raise SourceError(f"{self.name}: cannot be read: {error}") from None

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
        except _UNREADABLE as error:
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
        names, header_lines = self._header(dialect)

        def set_aside(row: pa.csv.InvalidRow) -> str:
            if malformed is None:
                return "error"
            reason = f"{row.actual_columns} cells where the header has {row.expected_columns}"
            malformed.append(MalformedRow(row.number - header_lines, row.text, reason))
            return "skip"

        with _open_text(self.path) as file:
            recoded: Any = file if dialect.encoding == "utf-8" else codecs.EncodedFile(file, "utf-8", dialect.encoding)
            try:
                reader = pa.csv.open_csv(
                    recoded,
                    read_options=pa.csv.ReadOptions(
                        column_names=names, skip_rows=header_lines, block_size=BATCH_BYTES, use_threads=False
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

    def _header(self, dialect: Dialect) -> tuple[list[str], int]:
        """The header's cells, and the lines that it takes: a quoted cell may hold a line break."""
        encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
        with _open_text(self.path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
            reader = csv.reader(text, delimiter=dialect.separator)
            return next(reader), reader.line_num


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

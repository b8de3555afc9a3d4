"""Read a CSV or Parquet file as record batches, without changing its values.

The cells of a CSV stay text: they are written back as they were read, and an invalid cell can be reported.
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
    """The format of a CSV file."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"


@dataclass(frozen=True)
class MalformedRow:
    """A CSV row with more or fewer cells than the header. `row` is its number, 1 for the first row after the header."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True)
class TableFile:
    """A CSV (plain or gzip) or Parquet file, recognised by its content. Errors call it `name`.

    `dialect` is None for a Parquet file.
    """

    path: Path
    name: str
    dialect: Dialect | None

    @classmethod
    def open(cls, path: Path, name: str | None = None) -> Self:
        """Recognise the file's format. Raises SourceError if it is missing, empty, or neither CSV nor Parquet."""
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
        """Read the rows, a few MiB at a time. Raises SourceError that names the file if it cannot be parsed.

        A CSV row with too many or too few cells is added to the list `malformed`. Without a list it is an error.
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
        """Read all columns as text: pyarrow would infer their types from the first block only."""
        names, header_lines = self._header(dialect)

        def handle_invalid_row(row: pa.csv.InvalidRow) -> str:
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
                    parse_options=pa.csv.ParseOptions(
                        delimiter=dialect.separator, invalid_row_handler=handle_invalid_row
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
                    ),
                )
            except pa.ArrowInvalid as error:
                reason = "the file has a header but no rows" if "Empty CSV" in str(error) else str(error)
                raise SourceError(f"{self.name}: {reason}") from None
            with reader:
                yield reader

    def _header(self, dialect: Dialect) -> tuple[list[str], int]:
        """The header's cells and its number of lines: a quoted cell can contain a line break."""
        encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
        with _open_text(self.path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
            reader = csv.reader(text, delimiter=dialect.separator)
            return next(reader), reader.line_num


def _open_text(path: Path) -> IO[bytes]:
    """Open the file's bytes, decompressed if the content is gzip."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    return cast(IO[bytes], gzip.open(path, "rb")) if compressed else path.open("rb")


def _sniff(sample: bytes, name: str) -> Dialect:
    """Detect the dialect of a CSV file from its first bytes."""
    if sample.startswith(_UTF16_MARKS):
        raise SourceError(f"{name}: the encoding is UTF-16; save the file as UTF-8")
    if b"\0" in sample:
        raise SourceError(f"{name}: neither CSV nor Parquet: it contains zero bytes")
    try:
        # Incremental, because the sample can end within a character.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(sample)
        encoding = "utf-8"
    except UnicodeDecodeError:
        # Some spreadsheets write the degree sign of a header in Windows code page 1252.
        text, encoding = sample.decode("cp1252", errors="replace"), "cp1252"
    header, _, rest = text.partition("\n")
    separator = max(SEPARATORS, key=header.count)
    if header.count(separator) == 0:
        raise SourceError(f"{name}: not a CSV file: no separator in its first line ({header.strip()[:80]!r})")
    cells = [cell.strip().strip('"') for line in rest.splitlines()[:100] for cell in line.split(separator)]
    commas = sum(_is_decimal(cell, ",") for cell in cells)
    points = sum(_is_decimal(cell, ".") for cell in cells)
    return Dialect(separator, "," if separator != "," and commas > points else ".", encoding)


def _is_decimal(cell: str, mark: str) -> bool:
    whole, found, fraction = cell.partition(mark)
    return bool(found) and whole.lstrip("+-").isdecimal() and fraction.isdecimal()

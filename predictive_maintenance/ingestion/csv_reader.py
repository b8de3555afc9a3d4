"""Read a CSV file, plain or gzip, as record batches of text.

The cells stay text: they are written back as they were read, and an invalid cell can be reported.
"""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from ..errors import SourceError, TableLimitError
from ..machine.table_format import SEPARATORS, TableFormat
from .table_limits import TableLimits
from .whitespace import TabSeparated

_BATCH_BYTES = 2 * 2**20
_SAMPLE_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Dialect:
    """The format of a CSV file. A file without a header has the headers `columns`.

    With `is_spaced`, cells are separated by any number of spaces, which are read as one `separator`.
    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    is_spaced: bool = False


@dataclass(frozen=True)
class MalformedRow:
    """A CSV row with more or fewer cells than the header.

    `row` is its number, 1 for the first row after the header. A `text` longer than a cell may be is cut.
    """

    row: int
    text: str
    reason: str


@dataclass(frozen=True)
class CsvFile:
    """A CSV file. Errors call it `name`."""

    path: Path
    name: str
    dialect: Dialect
    limits: TableLimits

    def header(self) -> tuple[list[str], int]:
        """Return the header's cells and its number of lines: a quoted cell can contain a line break."""
        with self._text() as text:
            reader = csv.reader(self._header_lines(text), delimiter=self.dialect.separator)
            cells = next(reader)
        self.limits.check_columns(len(cells), self.name)
        if not self.dialect.columns:
            return cells, reader.line_num
        if len(cells) != len(self.dialect.columns):
            raise SourceError(
                f"{self.name}: the first row has {len(cells)} cells, but format.columns of the machine's description has "
                f"{len(self.dialect.columns)} names: correct the names"
            )
        return list(self.dialect.columns), 0

    def batches(self, columns: Sequence[str] | None, malformed: list[MalformedRow] | None) -> Iterator[pa.RecordBatch]:
        """Read the rows under the headers `columns`, by default all. See TableFile.batches."""
        names, header_lines = self.header()
        rows = _MalformedRows(malformed, header_lines, self.limits)
        try:
            # All columns are read as text: pyarrow would infer their types from the first block only.
            reader = pa.csv.open_csv(
                self._open(),
                read_options=pa.csv.ReadOptions(
                    column_names=names, skip_rows=header_lines, block_size=_BATCH_BYTES, use_threads=False,
                    encoding=self.dialect.encoding,
                ),
                parse_options=pa.csv.ParseOptions(delimiter=self.dialect.separator, invalid_row_handler=rows.handle),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(names if columns is None else columns, pa.string()),
                    include_columns=columns, strings_can_be_null=False, check_utf8=True,
                ),
            )  # fmt: skip
            with reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise self._error(str(error), rows) from None

    def line_numbers(self, rows: Collection[int]) -> dict[int, int]:
        """The line in the file at which each of `rows` starts, by row: 1 is the first one after the header.

        Empty lines are not rows, and a quoted cell can contain a line break. Reads the file up to the last of `rows`.
        """
        found: dict[int, int] = {}
        with self._text() as text, suppress(csv.Error):  # lines are an addition: the rows after such a line have none
            reader = csv.reader(text, delimiter=self.dialect.separator)
            if not self.dialect.columns:
                next(reader)
            row, before = 0, reader.line_num
            while len(found) < len(rows) and (cells := next(reader, None)) is not None:
                row += bool(cells)
                if cells and row in rows:
                    found[row] = before + 1
                before = reader.line_num
        return found

    def _text(self) -> io.TextIOWrapper:
        encoding = "utf-8-sig" if self.dialect.encoding == "utf-8" else self.dialect.encoding
        return io.TextIOWrapper(self._open_separated(), encoding, newline="")

    def _error(self, text: str, rows: "_MalformedRows") -> SourceError:
        if rows.refused is not None:
            return TableLimitError(
                f"{self.name}: row {rows.refused.row}: {rows.refused.reason}; it is malformed row number "
                f"{self.limits.malformed_rows + 1:,}, more than the maximum of {self.limits.malformed_rows:,}; "
                "check the separator and the quotes",
                "malformed_rows",
            )
        if "Empty CSV" in text:
            return SourceError(f"{self.name}: the file has a header but no rows")
        if "straddling object" in text:
            return TableLimitError(
                f"{self.name}: a row is longer than {_BATCH_BYTES:,} bytes; check that every quoted cell is closed",
                "cell_bytes",
            )
        return SourceError(f"{self.name}: cannot be read: {text}")

    def _header_lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        size = separators = 0
        while line := text.readline(self.limits.header_bytes + 1 - size):
            size += len(line)
            self.limits.check_header_bytes(size, self.name)
            # Counted before the cells are made, which take more memory than the text.
            separators += line.count(self.dialect.separator)
            self.limits.check_columns(separators, self.name)
            yield line

    def _open(self) -> pa.NativeFile:
        """Open the text. A limited table is unpacked in chunks first: pyarrow reads ahead without a limit."""
        if self.limits.table_bytes is None:
            return self._open_separated()
        unpacked = bytearray()
        with self._open_separated() as file:
            while chunk := file.read(_BATCH_BYTES):
                unpacked += chunk
                self.limits.check_table_bytes(len(unpacked), self.name)
        return pa.BufferReader(unpacked)

    def _open_separated(self) -> pa.NativeFile:
        """Open the decompressed text with one separator between two cells."""
        file = open_bytes(self.path)
        return pa.PythonFile(TabSeparated(file), "r") if self.dialect.is_spaced else file


class _MalformedRows:
    """Adds malformed rows to a list up to the limit. `refused` is the first one beyond it."""

    def __init__(self, rows: list[MalformedRow] | None, header_lines: int, limits: TableLimits) -> None:
        self._rows, self._header_lines, self._limits = rows, header_lines, limits
        self.refused: MalformedRow | None = None

    def handle(self, row: pa.csv.InvalidRow) -> str:
        if self._rows is None:
            return "error"
        reason = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        malformed = MalformedRow(row.number - self._header_lines, row.text[: self._limits.cell_bytes], reason)
        if len(self._rows) >= self._limits.malformed_rows:
            self.refused = malformed
            return "error"
        self._rows.append(malformed)
        return "skip"


def open_bytes(path: Path) -> pa.NativeFile:
    """Open the file's bytes, decompressed if the content is gzip."""
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return pa.input_stream(str(path), compression="gzip" if compressed else None)


def sniff(path: Path, name: str, written: TableFormat | None = None) -> Dialect:
    """Detect the dialect of a CSV file from its first bytes, as far as `written` does not say it.

    Raises SourceError if it is not CSV.
    """
    with open_bytes(path) as file:
        sample = file.read(_SAMPLE_BYTES)
    if not sample.strip():
        raise SourceError(f"{name}: the file is empty")
    if sample.startswith(_UTF16_MARKS):
        raise SourceError(f"{name}: the encoding is UTF-16; save the file as UTF-8")
    if b"\0" in sample:
        raise SourceError(f"{name}: neither CSV nor Parquet: it contains zero bytes")
    try:
        # Incremental, because the sample can end within a character, unless it is the whole file.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(sample, final=len(sample) < _SAMPLE_BYTES)
        encoding = "utf-8"
    except UnicodeDecodeError:
        # Some spreadsheets write the degree sign of a header in Windows code page 1252.
        text, encoding = sample.decode("cp1252", errors="replace"), "cp1252"
    header, _, rest = text.partition("\n")
    is_spaced = written is not None and written.separator == "whitespace"
    separator = _separator(header, name, written)
    split = None if is_spaced else separator
    cells = [cell.strip().strip('"') for line in rest.splitlines()[:100] for cell in line.split(split)]
    commas = sum(_is_decimal(cell, ",") for cell in cells)
    points = sum(_is_decimal(cell, ".") for cell in cells)
    decimal = "," if separator != "," and commas > points else "."
    return Dialect(separator, decimal, encoding, written.columns if written else (), is_spaced)


def _separator(header: str, name: str, written: TableFormat | None) -> str:
    if written and written.separator:
        return SEPARATORS.get(written.separator, "\t")
    separator = max(SEPARATORS.values(), key=header.count)
    if header.count(separator) == 0:
        line = header.strip()
        hint = "; if spaces separate its cells, the machine's description has to say format: {separator: whitespace}"
        raise SourceError(
            f"{name}: not a CSV file: no separator in its first line ({line[:80]!r}){hint if ' ' in line else ''}"
        )
    return separator


def _is_decimal(cell: str, mark: str) -> bool:
    whole, found, fraction = cell.partition(mark)
    return bool(found) and whole.lstrip("+-").isdecimal() and fraction.isdecimal()

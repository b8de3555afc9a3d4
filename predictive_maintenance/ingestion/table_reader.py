"""Read a CSV or Parquet file as record batches, without changing its values and within limits."""

import csv
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from ..errors import SourceError
from ..machine.table_format import TableFormat
from .csv_reader import CsvFile, Dialect, MalformedRow, sniff
from .parquet_reader import PARQUET_MAGIC, ParquetFile
from .table_limits import TableLimits, enforce

_UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)
_OWN_FILE = TableLimits()


@dataclass(frozen=True)
class TableFile:
    """A CSV (plain or gzip) or Parquet file, recognised by its content. Errors call it `name`.

    `dialect` is None for a Parquet file.
    """

    path: Path
    name: str
    dialect: Dialect | None
    limits: TableLimits = _OWN_FILE

    @classmethod
    def open(
        cls, path: Path, name: str | None = None, limits: TableLimits = _OWN_FILE, written: TableFormat | None = None
    ) -> Self:
        """Recognise the file's format, as far as `written` does not say it.

        Raises SourceError if the file is missing, empty, or neither CSV nor Parquet.
        """
        name = name or str(path)
        try:
            with path.open("rb") as file:
                start = file.read(4)
            return cls(path, name, None if start == PARQUET_MAGIC else sniff(path, name, written), limits)
        except FileNotFoundError:
            raise SourceError(f"{name}: no such file") from None
        except _UNREADABLE as error:
            raise SourceError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None

    @property
    def headers(self) -> list[str]:
        return list(self.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """The headers and types. All columns of a CSV file are text."""
        try:
            if self.dialect is None:
                return self._parquet().schema
            return pa.schema([(header, pa.string()) for header in self._csv(self.dialect).header()[0]])
        except _UNREADABLE as error:
            raise SourceError(f"{self.name}: cannot be read: {error}") from None

    def batches(
        self, malformed: list[MalformedRow] | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Read the rows under the headers `columns`, by default all, a few MiB at a time.

        A CSV row with too many or too few cells is added to the list `malformed`. Without a list it is an error.
        Raises SourceError that names the file if it cannot be parsed, TableLimitError if it exceeds `limits`.
        """
        try:
            if self.dialect is None:
                yield from self._parquet().batches(columns)
            else:
                batches = self._csv(self.dialect).batches(columns, malformed)
                yield from enforce(batches, self.limits, self.name, () if malformed is None else malformed)
        except _UNREADABLE as error:
            raise SourceError(f"{self.name}: cannot be read: {error}") from None

    def line_numbers(self, rows: Collection[int]) -> dict[int, int]:
        """The line of a CSV file at which each of `rows` starts, by row, 1 after the header. Empty for a Parquet file."""
        return self._csv(self.dialect).line_numbers(rows) if self.dialect else {}

    def _parquet(self) -> ParquetFile:
        return ParquetFile.open(self.path, self.name, self.limits)

    def _csv(self, dialect: Dialect) -> CsvFile:
        return CsvFile(self.path, self.name, dialect, self.limits)

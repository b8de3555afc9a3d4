"""Write a table in batches: Parquet (.parquet) or CSV, compressed if the name ends in .gz. No incomplete file is left."""

import errno
import gzip
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..errors import SourceError
from .csv_reader import Dialect


def is_parquet(output: Path) -> bool:
    return output.suffix.lower() == ".parquet"


@contextmanager
def writer(output: Path, dialect: Dialect) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Give a function that writes batches to a temporary file, which is renamed to `output` at the end of the block.

    Raises SourceError if the file cannot be written, or a column's type cannot be written as CSV.
    """
    partial = output.with_name(f".{output.name}.partial")
    try:
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))  # before the batches are computed
        try:
            with _ParquetFile(partial) if is_parquet(output) else _CsvFile(output, partial, dialect) as file:
                yield file.write
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(f"{output}: cannot be written: {error.strerror or error}") from None


class _ParquetFile(ExitStack):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._writer: pa.parquet.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = self.enter_context(pa.parquet.ParquetWriter(self._path, batch.schema))
        self._writer.write_batch(batch)


class _CsvFile(ExitStack):
    def __init__(self, output: Path, partial: Path, dialect: Dialect) -> None:
        super().__init__()
        self._output = output
        self._separator = dialect.separator
        compressed = output.suffix.lower() == ".gz"
        target: Any = gzip.open(partial, "wb", compresslevel=4) if compressed else partial.open("wb")  # noqa: SIM115  closed by the stack
        self._stream = self.enter_context(target)
        self._header = True

    def write(self, batch: pa.RecordBatch) -> None:
        """Quote only if a cell requires it: pyarrow's "needed" quotes every text, also that of a number."""
        try:
            content = self._render(batch, "none")
        except pa.ArrowInvalid:
            content = self._render_quoted(batch)
        self._stream.write(content)
        self._header = False

    def _render_quoted(self, batch: pa.RecordBatch) -> memoryview:
        try:
            return self._render(batch, "needed")
        except pa.ArrowInvalid as error:
            unsupported = [
                f"{field.name!r} ({field.type})"
                for number, field in enumerate(batch.schema)
                if not self._can_render(batch.select([number]))
            ]
            raise SourceError(
                f"{self._output}: CSV cannot contain column {', '.join(unsupported)}: {error}: write a .parquet file instead"
            ) from None

    def _can_render(self, batch: pa.RecordBatch) -> bool:
        try:
            self._render(batch, "needed")
        except pa.ArrowInvalid:
            return False
        return True

    def _render(self, batch: pa.RecordBatch, quoting: str) -> memoryview:
        buffer = io.BytesIO()
        options = pa.csv.WriteOptions(
            include_header=self._header, delimiter=self._separator, quoting_style=quoting, quoting_header=quoting
        )
        pa.csv.write_csv(batch, buffer, options)
        return buffer.getbuffer()

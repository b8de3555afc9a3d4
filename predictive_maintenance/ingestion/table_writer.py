"""A table written in batches: CSV (gzip with .gz) or Parquet, by its name, there only when it is complete."""

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
from .table_reader import Dialect


def is_parquet(output: Path) -> bool:
    return output.suffix.lower() == ".parquet"


@contextmanager
def writer(output: Path, dialect: Dialect) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """A function that writes batches to a file beside `output`, which takes its name when all is written.

    Raises SourceError where the file cannot be written, or where a column cannot be in a CSV.
    """
    partial = output.with_name(f".{output.name}.partial")
    try:
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))  # before the work, not after it
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
        packed = output.suffix.lower() == ".gz"
        target: Any = gzip.open(partial, "wb", compresslevel=4) if packed else partial.open("wb")  # noqa: SIM115  the stack's
        self._stream = self.enter_context(target)
        self._header = True

    def write(self, batch: pa.RecordBatch) -> None:
        """Quotes only where a cell needs them: the text of numbers would otherwise be quoted, too."""
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
            refused = [
                f"{field.name!r} ({field.type})"
                for number, field in enumerate(batch.schema)
                if not self._can_render(batch.select([number]))
            ]
            raise SourceError(
                f"{self._output}: a CSV cannot hold column {', '.join(refused)}: {error}: write .parquet instead"
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

"""Read a Parquet file as record batches, after a check of what its pages unpack to."""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet

from ..errors import SourceError, TableLimitError
from .parquet_pages import DELTA_BYTE_ARRAY, InvalidPageError, Page, read_pages
from .table_limits import TableLimits, enforce, is_text

PARQUET_MAGIC = b"PAR1"
_BATCH_ROWS = 65_536
_BATCH_BYTES = 16 * 2**20
_MAX_PAGES = 10_000
_FOOTER_END = struct.Struct("<I4s")


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file. Errors call it `name`."""

    path: Path
    name: str
    limits: TableLimits
    metadata: pa.parquet.FileMetaData
    schema: pa.Schema

    @classmethod
    def open(cls, path: Path, name: str, limits: TableLimits) -> Self:
        """Read the footer. Raises SourceError if it is invalid, TableLimitError if it exceeds `limits`."""
        limits.check_header_bytes(_footer_bytes(path), name, "Parquet footer")
        try:
            file = pa.parquet.ParquetFile(path)
            metadata, schema = file.metadata, file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{name}: not a readable Parquet file: {error}") from None
        limits.check_columns(metadata.num_columns, name)
        limits.check_rows(metadata.num_rows, name)
        return cls(path, name, limits, metadata, schema)

    def batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Read the rows of `columns`, by default all. See TableFile.batches."""
        leaves = [leaf for leaf in range(self.metadata.num_columns) if self._is_read(leaf, columns)]
        # A dictionary stays one until its cells are checked: it can decode to a million times its size.
        dictionaries = [path for leaf in leaves if (path := self._path(leaf)) in self._text_headers]
        file = pa.parquet.ParquetFile(self.path, metadata=self.metadata, read_dictionary=dictionaries, pre_buffer=False)
        batches = file.iter_batches(self._batch_rows(leaves), columns=columns)
        for batch in enforce(map(self._validate, batches), self.limits, self.name):
            yield self._decode(batch if columns is None else batch.select(columns))

    @cached_property
    def _text_headers(self) -> set[str]:
        return {field.name for field in self.schema if is_text(field.type)}

    def _path(self, leaf: int) -> str:
        path: str = self.metadata.schema.column(leaf).path
        return path

    def _is_read(self, leaf: int, columns: Sequence[str] | None) -> bool:
        """Whether pyarrow reads a leaf column for `columns`: it selects by the path of nested columns."""
        path = self._path(leaf)
        return columns is None or any(path == column or path.startswith(f"{column}.") for column in columns)

    def _batch_rows(self, leaves: Sequence[int]) -> int:
        """Check what the pages of `leaves` unpack to. Return the rows that are read at once."""
        if self.limits.table_bytes is None:
            return _BATCH_ROWS
        unpacked_bytes, rows = 0, min(_BATCH_ROWS, _BATCH_BYTES // self._fixed_cells_bytes(leaves))
        for page in self._pages(leaves):
            unpacked_bytes += page.unpacked_bytes
            self.limits.check_table_bytes(unpacked_bytes, self.name)
            if page.encoding == DELTA_BYTE_ARRAY:  # each cell can be as long as the page
                rows = min(rows, max(1, _BATCH_BYTES // (page.unpacked_bytes + 1)))
        return rows

    def _fixed_cells_bytes(self, leaves: Sequence[int]) -> int:
        """Return the bytes of a row's cells of fixed length, at least 1."""
        names = {self._path(leaf) for leaf in leaves}
        fixed = [field for field in self.schema if field.name in names and pa.types.is_fixed_size_binary(field.type)]
        for field in fixed:
            self.limits.check_cell_bytes(field.type.byte_width, f"{self.name}: column {field.name[:80]!r}")
        return 1 + sum(field.type.byte_width for field in fixed)

    def _pages(self, leaves: Sequence[int]) -> Iterator[Page]:
        count = 0
        with self.path.open("rb") as file:
            for chunk in self._chunks(leaves):
                start = chunk.data_page_offset
                if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
                    start = chunk.dictionary_page_offset
                try:
                    for page in read_pages(file, start, chunk.total_compressed_size, chunk.num_values):
                        count += 1
                        if count > _MAX_PAGES:
                            raise TableLimitError(
                                f"{self.name}: more than {_MAX_PAGES:,} pages; write larger pages", "pages"
                            )
                        yield page
                except InvalidPageError as error:
                    raise SourceError(f"{self.name}: column {chunk.path_in_schema!r}: {error}") from None

    def _chunks(self, leaves: Sequence[int]) -> Iterator[Any]:
        for number in range(self.metadata.num_row_groups):
            group = self.metadata.row_group(number)
            if group.num_columns != self.metadata.num_columns:
                raise SourceError(
                    f"{self.name}: row group {number} has {group.num_columns} columns, not {self.metadata.num_columns}"
                )
            for leaf in leaves:
                yield group.column(leaf)

    def _validate(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        # An index beyond its dictionary would crash the process.
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                column.validate(full=True)
        return batch

    def _decode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the types of the file's schema."""
        fields = [self.schema.field(name) for name in batch.schema.names]
        columns = [
            column.cast(field.type) if column.type != field.type else column
            for column, field in zip(batch.columns, fields, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, self.schema.metadata))


def _footer_bytes(path: Path) -> int:
    """Return the length of the footer, 0 if the file does not end with one."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _FOOTER_END.size))
        end = file.read()
    length, magic = _FOOTER_END.unpack(end) if len(end) == _FOOTER_END.size else (0, b"")
    return length if magic == PARQUET_MAGIC and length < size else 0

"""Read a Parquet file as record batches, after a check of what its pages unpack to."""

import os
import struct
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet

from ..errors import SourceError, TableLimitError
from .parquet_pages import DELTA_BYTE_ARRAY, PLAIN_OR_DICTIONARY, Chunk, Page, read_chunks, read_pages
from .table_limits import TableLimits, enforce, is_text
from .thrift_reader import InvalidThriftError

PARQUET_MAGIC = b"PAR1"
_BATCH_ROWS = 65_536
_BATCH_BYTES = 32 * 2**20
_REPEATED_CELL_BYTES = 4
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
        dictionaries = {leaf for leaf in leaves if self._is_read_as_dictionary(leaf)}
        file = pa.parquet.ParquetFile(
            self.path, metadata=self.metadata, read_dictionary=[*map(self._path, dictionaries)], pre_buffer=False
        )
        batches = file.iter_batches(self._batch_rows(leaves, dictionaries), columns=columns)
        schema = self.schema if columns is None else pa.schema([self.schema.field(column) for column in columns])
        for batch in enforce(map(_validate_dictionaries, batches), self.limits, self.name):
            selected = batch if columns is None else batch.select(columns)
            cells = [column.cast(field.type) for column, field in zip(selected.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(cells, schema=schema)

    def _path(self, leaf: int) -> str:
        path: str = self.metadata.schema.column(leaf).path
        return path

    def _is_read(self, leaf: int, columns: Sequence[str] | None) -> bool:
        """Whether pyarrow reads a leaf column for `columns`: it selects by the path of nested columns."""
        path = self._path(leaf)
        return columns is None or any(path == column or path.startswith(f"{column}.") for column in columns)

    def _is_text(self, leaf: int) -> bool:
        return any(field.name == self._path(leaf) and is_text(field.type) for field in self.schema)

    def _is_read_as_dictionary(self, leaf: int) -> bool:
        """Whether to read a leaf column as a dictionary: pyarrow can read its encodings, and its cells may repeat.

        Where the metadata is false, reading fails.
        """
        chunks = self._chunks(leaf)
        if not self._is_text(leaf) or not all(chunk.encodings <= PLAIN_OR_DICTIONARY for chunk in chunks):
            return False
        # A dictionary of a column of many different cells takes longer to read.
        unpacked_bytes, cells = sum(chunk.unpacked_bytes for chunk in chunks), sum(chunk.values for chunk in chunks)
        return self.limits.table_bytes is not None or unpacked_bytes < _REPEATED_CELL_BYTES * cells

    def _batch_rows(self, leaves: Sequence[int], dictionaries: Container[int]) -> int:
        """Check what the pages of `leaves` unpack to. Return the number of rows to read at once."""
        if self.limits.table_bytes is None:
            return _BATCH_ROWS
        unpacked_bytes = pages = 0
        rows = min(_BATCH_ROWS, _BATCH_BYTES // self._fixed_cells_bytes(leaves))
        for leaf in leaves:
            can_repeat = self._is_text(leaf) and leaf not in dictionaries
            for page in self._pages(leaf):
                pages += 1
                if pages > _MAX_PAGES:
                    raise TableLimitError(f"{self.name}: more than {_MAX_PAGES:,} pages; write larger pages", "pages")
                unpacked_bytes += page.unpacked_bytes
                self.limits.check_table_bytes(unpacked_bytes, self.name)
                if can_repeat and (page.is_dictionary or page.encoding == DELTA_BYTE_ARRAY):
                    # Each cell can repeat the whole page.
                    rows = min(rows, _BATCH_BYTES // (page.unpacked_bytes + 1))
        return max(1, rows)

    def _fixed_cells_bytes(self, leaves: Sequence[int]) -> int:
        """Return the bytes of a row's cells of fixed length, at least 1."""
        names = {self._path(leaf) for leaf in leaves}
        fixed = [field for field in self.schema if field.name in names and pa.types.is_fixed_size_binary(field.type)]
        for field in fixed:
            self.limits.check_cell_bytes(field.type.byte_width, f"{self.name}: column {field.name[:80]!r}")
        return 1 + sum(field.type.byte_width for field in fixed)

    def _pages(self, leaf: int) -> Iterator[Page]:
        with self.path.open("rb") as file:
            for chunk in self._chunks(leaf):
                try:
                    yield from read_pages(file, chunk)
                except InvalidThriftError as error:
                    raise SourceError(f"{self.name}: column {self._path(leaf)!r}: {error}") from None

    def _chunks(self, leaf: int) -> list[Chunk]:
        return [group[leaf] for group in self._row_groups]

    @cached_property
    def _row_groups(self) -> list[list[Chunk]]:
        try:
            groups = read_chunks(self.metadata)
        except InvalidThriftError as error:
            raise SourceError(f"{self.name}: not a readable Parquet file: {error}") from None
        for number, group in enumerate(groups):
            if len(group) != self.metadata.num_columns:
                raise SourceError(
                    f"{self.name}: row group {number} has {len(group)} columns, not {self.metadata.num_columns}"
                )
        return groups


def _validate_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    # An index beyond its dictionary would crash the process.
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            column.validate(full=True)
    return batch


def _footer_bytes(path: Path) -> int:
    """Return the length of the footer, 0 if the file does not end with one."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _FOOTER_END.size))
        end = file.read()
    length, magic = _FOOTER_END.unpack(end) if len(end) == _FOOTER_END.size else (0, b"")
    return length if magic == PARQUET_MAGIC and length < size else 0

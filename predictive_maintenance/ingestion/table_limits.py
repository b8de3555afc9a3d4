"""Limits of a table, enforced while it is read: a small file can unpack to gigabytes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import TableLimitError

_MAX_BATCH_TEXT_BYTES = 32 * 2**20
_TEXT = (
    pa.types.is_string, pa.types.is_large_string,
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TableLimits:
    """The largest table that is read. The defaults are for the user's own files, which may be larger than memory.

    `header_bytes` bounds the header of a CSV file, the footer of a Parquet file and the schema of an Arrow stream.
    `malformed_rows` bounds the CSV rows with a wrong number of cells. `table_bytes` bounds what the file unpacks to:
    decompressed CSV text, the pages of Parquet columns that are read, Arrow buffers. None means no limit.
    """

    header_bytes: int = 16 * 2**20
    columns: int = 100_000
    cell_bytes: int = 2**20
    malformed_rows: int = 1_000_000
    rows: int | None = None
    table_bytes: int | None = None

    def check_columns(self, count: int, name: str) -> None:
        if count > self.columns:
            raise TableLimitError(
                f"{name}: more than {self.columns:,} columns; check the separator, or keep only the needed columns",
                "columns",
            )

    def check_header_bytes(self, size: int, name: str, part: str = "header") -> None:
        if size > self.header_bytes:
            raise TableLimitError(
                f"{name}: the {part} is larger than {self.header_bytes:,} bytes; keep only the needed columns",
                "header_bytes",
            )

    def check_cell_bytes(self, size: int, where: str) -> None:
        if size > self.cell_bytes:
            raise TableLimitError(
                f"{where}: a cell has {size:,} bytes, more than the maximum of {self.cell_bytes:,}; check the quotes, or "
                "shorten the cell",
                "cell_bytes",
            )

    def check_rows(self, count: int, name: str) -> None:
        if self.rows is not None and count > self.rows:
            raise TableLimitError(f"{name}: more than {self.rows:,} rows", "rows")

    def check_table_bytes(self, size: int, name: str) -> None:
        if self.table_bytes is not None and size > self.table_bytes:
            raise TableLimitError(f"{name}: unpacks to more than {self.table_bytes:,} bytes", "table_bytes")


class NumberedRow(Protocol):
    """A row that is not in the batches. `row` is its number in the file, from 1."""

    @property
    def row(self) -> int: ...


def enforce(
    batches: Iterable[pa.RecordBatch], limits: TableLimits, name: str, skipped: Sequence[NumberedRow] = ()
) -> Iterator[pa.RecordBatch]:
    """Yield `batches` of the table `name`. Raises TableLimitError at the first cell, row or byte beyond `limits`.

    A batch whose dictionaries would decode to much text is split. `skipped` are the rows of the file that are not in
    `batches`, as far as they are read.
    """
    rows = text_bytes = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        limits.check_rows(rows + batch.num_rows + len(skipped), name)
        text_columns = list(_text_columns(batch))
        for header, column in text_columns:
            if (longest := _longest_cell_bytes(column)) > limits.cell_bytes:
                row = _row_in_file(rows + _position_of(column, limits.cell_bytes), skipped)
                limits.check_cell_bytes(longest, f"{name}: row {row}, column {header[:80]!r}")
        if limits.table_bytes is not None:
            text_bytes += sum(_text_bytes(column) for _, column in text_columns)
            limits.check_table_bytes(text_bytes, name)
        yield from _split(batch)
        rows += batch.num_rows


def is_text(data_type: pa.DataType) -> bool:
    """Whether the cells are text or bytes."""
    return any(test(data_type) for test in _TEXT)


def _text_columns(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    for header, column in zip(batch.schema.names, batch.columns, strict=True):
        if is_text(column.type) or (pa.types.is_dictionary(column.type) and is_text(column.type.value_type)):
            yield header, column


def _longest_cell_bytes(column: pa.Array) -> int:
    return int(_lengths(column.dictionary if pa.types.is_dictionary(column.type) else column).max(initial=0))


def _position_of(column: pa.Array, cell_bytes: int) -> int:
    """Return the position of the first cell that is longer; 0 if only an unused value of the dictionary is."""
    return int(np.argmax(_cell_lengths(column) > cell_bytes))


def _text_bytes(column: pa.Array) -> int:
    return int(_cell_lengths(column).sum(dtype=np.int64))


def _cell_lengths(column: pa.Array) -> npt.NDArray[np.integer]:
    if not pa.types.is_dictionary(column.type):
        return _lengths(column)
    valid, lengths = column.is_valid().to_numpy(zero_copy_only=False), np.zeros(len(column), np.int64)
    lengths[valid] = _lengths(column.dictionary)[column.indices.drop_null().to_numpy()]
    return lengths


def _lengths(cells: pa.Array) -> npt.NDArray[np.integer]:
    """Return the bytes of each of (n,) cells, 0 or more for null. pyarrow's function takes ten times as long."""
    if pa.types.is_fixed_size_binary(cells.type):
        return np.full(len(cells), cells.type.byte_width)
    large = pa.types.is_large_string(cells.type) or pa.types.is_large_binary(cells.type)
    offsets = np.frombuffer(cells.buffers()[1] or b"", np.int64 if large else np.int32)
    return np.diff(offsets[cells.offset : cells.offset + len(cells) + 1])


def _split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    dictionaries = [column for column in batch.columns if pa.types.is_dictionary(column.type)]
    text = [column for column in dictionaries if is_text(column.type.value_type)]
    if batch.num_rows < 2 or sum(map(_text_bytes, text)) <= _MAX_BATCH_TEXT_BYTES:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _split(batch.slice(0, half))
    yield from _split(batch.slice(half))


def _row_in_file(position: int, skipped: Sequence[NumberedRow]) -> int:
    row = position + 1
    for other in skipped:
        row += other.row <= row
    return row

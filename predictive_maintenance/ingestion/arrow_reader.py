"""Read an Arrow stream or file (IPC, Feather) as record batches, after a check of what its buffers unpack to.

The Arrow reader allocates what a compressed buffer states as its length, and as many fields as a schema lists. Both are in
the messages' FlatBuffers: https://github.com/apache/arrow/tree/main/format
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
from flatbuffers.number_types import BoolFlags, Int64Flags, UOffsetTFlags
from flatbuffers.table import Table

from ..errors import SourceError, TableLimitError
from .table_limits import TableLimits, enforce

MAGIC = b"ARROW1"
_FILE_START_BYTES = 8
_MAX_MESSAGES = 10_000
_NOT_COMPRESSED = -1
_BUFFER_STRUCT_BYTES = 16
# Numbers of fields of the tables Message, Schema, Field, DictionaryBatch and RecordBatch.
_HEADER, _FIELDS, _CHILDREN, _DATA, _IS_DELTA, _BUFFERS, _COMPRESSION = 2, 1, 5, 1, 2, 2, 3


@dataclass(frozen=True)
class ArrowStream:
    """An Arrow stream in memory. Errors call it `name`."""

    content: pa.Buffer
    name: str
    limits: TableLimits
    schema: pa.Schema

    @classmethod
    def open(cls, content: bytes, name: str, limits: TableLimits) -> Self:
        """Check the messages of a stream or file, and read the schema. Raises SourceError or an Arrow error."""
        stream = pa.py_buffer(content)
        if content.startswith(MAGIC):
            # A file contains a stream and a footer, which lists the stream's messages once more.
            if not content.endswith(MAGIC):
                raise SourceError(f"{name}: the Arrow file is incomplete")
            stream = stream.slice(_FILE_START_BYTES)
        _check_messages(stream, name, limits)
        with pa.ipc.open_stream(stream) as reader:
            return cls(stream, name, limits, reader.schema)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows under the headers `columns`. Raises TableLimitError if they exceed the limits."""
        options = pa.ipc.IpcReadOptions(
            included_fields=[self.schema.names.index(column) for column in columns], use_threads=False
        )
        with pa.ipc.open_stream(self.content, options=options) as reader:
            for batch in enforce(map(_validate, reader), self.limits, self.name):
                yield batch.select(columns)


def _validate(batch: pa.RecordBatch) -> pa.RecordBatch:
    # A buffer with wrong lengths would crash the process later.
    batch.validate(full=True)
    return batch


def _check_messages(stream: pa.Buffer, name: str, limits: TableLimits) -> None:
    unpacked_bytes = dictionary_bytes = messages = 0
    reader = pa.ipc.MessageReader.open_stream(stream)
    while (message := _next_message(reader)) is not None:
        messages += 1
        if messages > _MAX_MESSAGES:
            raise TableLimitError(
                f"{name}: more than {_MAX_MESSAGES:,} Arrow batches; write larger batches", "messages"
            )
        if message.type == "schema":
            limits.check_header_bytes(message.metadata.size, name, "Arrow schema")
            _check_fields(_header(message), name, limits)
        elif message.type == "record batch":
            unpacked_bytes += _unpacked_bytes(_header(message), message.body)
        elif message.type == "dictionary":
            dictionary = _header(message)
            dictionary_bytes += _unpacked_bytes(_child(dictionary, _DATA), message.body)
            # The reader appends a delta to a copy of the dictionary.
            is_delta = dictionary.GetSlot(_slot(_IS_DELTA), False, BoolFlags)
            unpacked_bytes += dictionary_bytes if is_delta else 0
        limits.check_table_bytes(unpacked_bytes + dictionary_bytes, name)


def _next_message(reader: pa.ipc.MessageReader) -> Any:
    try:
        return reader.read_next_message()
    except StopIteration:
        return None


def _check_fields(schema: Table, name: str, limits: TableLimits) -> None:
    """Count the fields with their children. A schema can list the same field many times."""
    count, waiting = 0, list(_children(schema, _FIELDS))
    while waiting:
        count += 1
        limits.check_columns(count + len(waiting) - 1, name)
        waiting += _children(waiting.pop(), _CHILDREN)


def _unpacked_bytes(batch: Table, body: pa.Buffer) -> int:
    """Return the size of a batch's buffers. A compressed buffer starts with the length that it unpacks to."""
    if not batch.Offset(_slot(_COMPRESSION)):
        return body.size
    view, total = memoryview(body), 0
    for start in _vector(batch, _BUFFERS, _BUFFER_STRUCT_BYTES):
        offset, size = batch.Get(Int64Flags, start), batch.Get(Int64Flags, start + Int64Flags.bytewidth)
        if size >= Int64Flags.bytewidth and 0 <= offset <= len(view) - Int64Flags.bytewidth:
            (stated,) = struct.unpack_from("<q", view, offset)
            size = size if stated == _NOT_COMPRESSED else stated
        total += max(0, size)
    return total


def _header(message: Any) -> Table:
    data = memoryview(message.metadata)
    return _child(Table(data, *struct.unpack_from("<I", data)), _HEADER)


def _slot(field: int) -> int:
    return 4 + 2 * field


def _child(table: Table, field: int) -> Table:
    if not (offset := table.Offset(_slot(field))):
        raise pa.ArrowInvalid("an Arrow message has no content")
    return Table(table.Bytes, table.Indirect(table.Pos + offset))


def _children(table: Table, field: int) -> Iterator[Table]:
    for start in _vector(table, field, UOffsetTFlags.bytewidth):
        yield Table(table.Bytes, table.Indirect(start))


def _vector(table: Table, field: int, item_bytes: int) -> Iterator[int]:
    """Yield the position of each item of the vector in `field`."""
    if offset := table.Offset(_slot(field)):
        start = table.Vector(offset)
        yield from range(start, start + table.VectorLen(offset) * item_bytes, item_bytes)

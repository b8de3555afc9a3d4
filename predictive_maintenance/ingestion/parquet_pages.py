"""Column chunks and page headers of a Parquet file, read without unpacking pages.

pyarrow does not expose page headers. A file's metadata also states what a column unpacks to, but the Parquet reader
allocates what each page's header states. pyarrow's objects for column chunks abort the process if a chunk's metadata is
invalid. https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet

from .thrift_reader import I32, I64, LIST, STRUCT, CompactReader, Fields, InvalidThriftError

PLAIN_OR_DICTIONARY = {0, 2, 3, 4, 8}
"""Encodings of pages of plain values, dictionaries and levels."""
DELTA_BYTE_ARRAY = 7
"""The encoding of text as a prefix of the value before and a suffix: a page can decode to many times its size."""

_MAX_HEADER_BYTES = 64 * 1024
_MAGIC_BYTES = 4
# Fields as (id, type): of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_ROW_GROUPS, _COLUMNS, _META_DATA = (4, LIST), (1, LIST), (3, STRUCT)
_ENCODINGS, _CHUNK_VALUES, _CHUNK_UNPACKED_BYTES, _CHUNK_BYTES = (2, LIST), (5, I64), (6, I64), (7, I64)
_DATA_OFFSET, _DICTIONARY_OFFSET = (9, I64), (11, I64)
# Fields of PageHeader, and the structs of the two types of data pages, as (field, encoding's field).
_TYPE, _UNPACKED_BYTES, _PACKED_BYTES = (1, I32), (2, I32), (3, I32)
_DATA_HEADERS = {0: ((5, STRUCT), (2, I32)), 3: ((8, STRUCT), (4, I32))}
_DICTIONARY_PAGE = 2
_VALUES = (1, I32)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The pages of a column in a row group: position and size in the file in bytes, number of values, encodings.

    `unpacked_bytes` is what the metadata states, which need not be true.
    """

    start: int
    size: int
    unpacked_bytes: int
    values: int
    encodings: frozenset[int]


@dataclass(frozen=True)
class Page:
    """A page: the bytes that it unpacks to, whether it is a dictionary, the number of its data values, their encoding."""

    unpacked_bytes: int
    is_dictionary: bool
    values: int
    encoding: int | None


def read_chunks(metadata: pa.parquet.FileMetaData) -> list[list[Chunk]]:
    """Return the chunks of each row group. Raises InvalidThriftError if the metadata is incomplete."""
    sink = pa.BufferOutputStream()
    # What pyarrow has read, written again: this reader cannot understand it differently.
    metadata.write_metadata_file(sink)
    fields = CompactReader(sink.getvalue().to_pybytes()[_MAGIC_BYTES:]).read_struct()
    return [
        [_chunk(column.get(_META_DATA, {})) for column in group.get(_COLUMNS, [])]
        for group in fields.get(_ROW_GROUPS, [])
    ]


def _chunk(fields: Fields) -> Chunk:
    try:
        start, dictionary = fields[_DATA_OFFSET], fields.get(_DICTIONARY_OFFSET, 0)
        # The same rule as in the Parquet reader.
        start = dictionary if 0 < dictionary < start else start
        return Chunk(
            start=start,
            size=fields[_CHUNK_BYTES],
            unpacked_bytes=fields[_CHUNK_UNPACKED_BYTES],
            values=fields[_CHUNK_VALUES],
            encodings=frozenset(fields[_ENCODINGS]),
        )
    except KeyError:
        raise InvalidThriftError("a column chunk has no metadata") from None


def read_pages(file: BinaryIO, chunk: Chunk) -> Iterator[Page]:
    """Yield the pages of a chunk until they have all of its values, as the Parquet reader does.

    Raises InvalidThriftError if a page header is invalid.
    """
    position, end, seen = chunk.start, chunk.start + chunk.size, 0
    while seen < chunk.values and 0 <= position < end:
        file.seek(position)
        reader = CompactReader(file.read(min(_MAX_HEADER_BYTES, end - position)))
        header = reader.read_struct()
        unpacked, packed = header.get(_UNPACKED_BYTES, -1), header.get(_PACKED_BYTES, -1)
        if min(unpacked, packed) < 0:
            raise InvalidThriftError("a page header has no valid size")
        page = Page(unpacked, header.get(_TYPE) == _DICTIONARY_PAGE, *_values_and_encoding(header))
        position += reader.position + packed
        seen += page.values
        yield page


def _values_and_encoding(header: Fields) -> tuple[int, int | None]:
    if (found := _DATA_HEADERS.get(header.get(_TYPE, -1))) is None:
        return 0, None
    struct, encoding = found
    data = header.get(struct, {})
    return max(0, data.get(_VALUES, 0)), data.get(encoding)

"""Headers of Parquet pages, read without unpacking the pages. pyarrow does not expose them.

The file's metadata also states what a column unpacks to, but the Parquet reader allocates what each page's header
states. A page header is a struct in Thrift's compact protocol:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

DELTA_BYTE_ARRAY = 7
"""The encoding of text as a prefix of the value before and a suffix: a page can decode to many times its size."""

_MAX_HEADER_BYTES = 64 * 1024
_MAX_DEPTH = 8
# Types of Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
# Fields of PageHeader as (id, type), and the structs of the two types of data pages, as (field, encoding's field).
_TYPE, _UNPACKED_BYTES, _PACKED_BYTES = (1, _I32), (2, _I32), (3, _I32)
_DATA_HEADERS = {0: ((5, _STRUCT), (2, _I32)), 3: ((8, _STRUCT), (4, _I32))}
_DICTIONARY_PAGE = 2
_VALUES = (1, _I32)

Fields = dict[tuple[int, int], Any]


class InvalidPageError(ValueError):
    """A page header is invalid."""


@dataclass(frozen=True)
class Page:
    """A page: the bytes that it unpacks to, whether it is a dictionary, the number of its data values, their encoding."""

    unpacked_bytes: int
    is_dictionary: bool
    values: int
    encoding: int | None


def read_pages(file: BinaryIO, start: int, size: int, values: int) -> Iterator[Page]:
    """Yield the pages of a column chunk of `size` bytes at `start`, until they have `values` values, as Parquet readers do.

    Raises InvalidPageError if a page header is invalid.
    """
    position, end, seen = start, start + size, 0
    while seen < values and position < end:
        file.seek(position)
        reader = _CompactReader(file.read(min(_MAX_HEADER_BYTES, end - position)))
        header = reader.read_struct()
        unpacked, packed = header.get(_UNPACKED_BYTES, -1), header.get(_PACKED_BYTES, -1)
        if min(unpacked, packed) < 0:
            raise InvalidPageError("a page header has no valid size")
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


class _CompactReader:
    """Reads a struct of Thrift's compact protocol: integers and structs. Other values are skipped.

    Where the protocol leaves room, it reads what Thrift's C++ library reads, which the Parquet reader uses.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.position = data, 0

    def read_struct(self, depth: int = 0) -> Fields:
        fields: Fields = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 0x0F
            number = number + delta if delta else _as_int16(_zigzag(self._varint()))
            if (number, kind) in fields:
                raise InvalidPageError(f"a page header has field {number} twice")
            fields[number, kind] = None if kind in (_TRUE, _FALSE) else self._read_value(kind, depth + 1)
        return fields

    def _read_value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise InvalidPageError("a page header is nested too deeply")
        if kind in (_TRUE, _FALSE, _BYTE):  # in a list, a boolean is a byte
            self._skip(1)
        elif kind in (_I16, _I32, _I64):
            # Larger than 32 bits is cut.
            return _zigzag(self._varint() & 0xFFFF_FFFF if kind == _I32 else self._varint())
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind in (_LIST, _SET):
            head = self._byte()
            self._skip_values(self._varint() if head >> 4 == 15 else head >> 4, (head & 0x0F,), depth)
        elif kind == _MAP:
            if size := self._varint():
                kinds = self._byte()
                self._skip_values(size, (kinds >> 4, kinds & 0x0F), depth)
        elif kind == _STRUCT:
            return self.read_struct(depth)
        else:
            raise InvalidPageError(f"a page header has a field of unknown type {kind}")
        return None

    def _skip_values(self, count: int, kinds: tuple[int, ...], depth: int) -> None:
        for _ in range(count):
            for kind in kinds:
                self._read_value(kind, depth + 1)

    def _skip(self, size: int) -> None:
        self.position += size
        if self.position > len(self._data):
            raise InvalidPageError("a page header is incomplete")

    def _byte(self) -> int:
        self._skip(1)
        return self._data[self.position - 1]

    def _varint(self) -> int:
        result = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
        raise InvalidPageError("a page header has an integer of more than 64 bits")


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _as_int16(value: int) -> int:
    return (value + 2**15) % 2**16 - 2**15

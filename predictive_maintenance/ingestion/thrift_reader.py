"""Reader for structs in Thrift's compact protocol, which Parquet uses for its metadata.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from typing import Any

_TRUE, _FALSE, _BYTE, _I16, I32, I64, _DOUBLE, _BINARY, LIST, _SET, _MAP, STRUCT = range(1, 13)
_MAX_DEPTH = 16

Fields = dict[tuple[int, int], Any]


class InvalidThriftError(ValueError):
    """A Thrift struct is invalid."""


class CompactReader:
    """Reads structs as {(field id, type): value}, with integers, structs and lists of them. Other values are skipped.

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
                raise InvalidThriftError(f"a Thrift struct has field {number} twice")
            fields[number, kind] = None if kind in (_TRUE, _FALSE) else self._read_value(kind, depth + 1)
        return fields

    def _read_value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise InvalidThriftError("a Thrift struct is nested too deeply")
        if kind in (_TRUE, _FALSE, _BYTE):  # in a list, a boolean is a byte
            self._skip(1)
        elif kind in (_I16, I32, I64):
            # Larger than 32 bits is cut.
            return _zigzag(self._varint() & 0xFFFF_FFFF if kind == I32 else self._varint())
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind in (LIST, _SET):
            head = self._byte()
            size = self._varint() if head >> 4 == 15 else head >> 4
            return [self._read_value(head & 0x0F, depth + 1) for _ in range(size)]
        elif kind == _MAP:
            if size := self._varint():
                kinds = self._byte()
                for _ in range(size):
                    self._read_value(kinds >> 4, depth + 1)
                    self._read_value(kinds & 0x0F, depth + 1)
        elif kind == STRUCT:
            return self.read_struct(depth)
        else:
            raise InvalidThriftError(f"a Thrift struct has a field of unknown type {kind}")
        return None

    def _skip(self, size: int) -> None:
        self.position += size
        if self.position > len(self._data):
            raise InvalidThriftError("a Thrift struct is incomplete")

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
        raise InvalidThriftError("a Thrift struct has an integer of more than 64 bits")


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _as_int16(value: int) -> int:
    return (value + 2**15) % 2**16 - 2**15

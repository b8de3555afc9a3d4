"""Read space-separated text as tab-separated text."""

import io
import re
from typing import BinaryIO

_CHUNK_BYTES = 2**20
_SPACES = re.compile(rb"[ \t]+")


class TabSeparated(io.RawIOBase):
    """The bytes of a file with a tab in place of each run of spaces and tabs, without those at the ends of lines."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self._ready, self._rest = file, b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        while not self._ready and (chunk := self._file.read(_CHUNK_BYTES)):
            # A line is converted when it is complete.
            complete, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
            self._ready = _converted(complete + newline)
        if not self._ready and self._rest:
            self._ready, self._rest = _converted(self._rest), b""
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def _converted(lines: bytes) -> bytes:
    return b"\n".join(_SPACES.sub(b"\t", line.strip()) for line in lines.split(b"\n"))

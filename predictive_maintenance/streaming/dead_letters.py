"""Messages that cannot be used, kept in a file."""

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import DataError
from .source import Message


@dataclass(frozen=True)
class DeadLetters:
    """A file of JSON lines, each with the time of arrival, topic, reason and payload of a message.

    `payload` is text; a payload that is not UTF-8 is in `payload_base64`.
    """

    path: Path

    def check(self) -> None:
        """Raise DataError if the file cannot be written."""
        self.write([])

    def write(self, rejected: Iterable[tuple[Message, str]]) -> None:
        """Append messages with the reason of each, and wait until they are on the disk. Raises DataError."""
        text = "".join(_line(message, reason) for message, reason in rejected)
        try:
            with self.path.open("a", encoding="utf-8") as file:  # opened each time, so that it can be rotated
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(
                f"{self.path}: messages that cannot be used cannot be kept: {error.strerror}: choose another --dead-letters"
            ) from None


def _line(message: Message, reason: str) -> str:
    time = datetime.fromtimestamp(message.received, UTC).isoformat()
    try:
        payload = {"payload": message.payload.decode()}
    except UnicodeDecodeError:
        payload = {"payload_base64": base64.b64encode(message.payload).decode()}
    return json.dumps({"time": time, "topic": message.topic, "reason": reason} | payload) + "\n"

"""When messages arrived first, kept in a file: a message that is delivered again keeps its time, and is the same reading."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from .source import Message

_TABLE = """CREATE TABLE IF NOT EXISTS arrivals (
    session TEXT, identity INTEGER, digest BLOB NOT NULL, received REAL NOT NULL, PRIMARY KEY (session, identity)
) WITHOUT ROWID"""
_FIND = "SELECT received FROM arrivals WHERE session = ? AND identity = ? AND digest = ?"
_PUT = "INSERT OR REPLACE INTO arrivals VALUES (?, ?, ?, ?)"


@dataclass(frozen=True)
class Arrivals:
    """An SQLite file of arrivals by the identities of messages in a session.

    An identity is used again after an acknowledgement, by a delivery that is not marked as repeated: so an arrival is kept until
    then, and the file has one for each identity at most. It is on the disk before a message goes on to the service.
    """

    path: Path
    session: str

    def check(self) -> None:
        """Raise DataError if the file cannot be used."""
        with self._transaction():
            pass

    def first(self, messages: Sequence[Message]) -> list[Message]:
        """The messages, with the first arrival of those that are delivered again. Raises DataError."""
        with self._transaction() as database:
            return [self._first(message, database) for message in messages]

    def _first(self, message: Message, database: sqlite3.Connection) -> Message:
        if message.identity is None:
            return message
        key = (self.session, message.identity, _digest(message))
        if message.is_repeated and (known := database.execute(_FIND, key).fetchone()):
            return replace(message, received=known[0])
        database.execute(_PUT, (*key, message.received))
        return message

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path)) as database, database:
                database.execute(_TABLE)
                yield database
        except sqlite3.Error as error:
            raise DataError(
                f"{self.path}: times of arrival cannot be kept: {error}: choose another --arrivals"
            ) from None


def _digest(message: Message) -> bytes:
    topic = message.topic.encode()
    return hashlib.sha256(len(topic).to_bytes(4) + topic + message.payload).digest()

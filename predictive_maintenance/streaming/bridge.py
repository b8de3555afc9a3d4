"""Carry messages from a source to the service: each is acknowledged when it is kept, or in the file of dead letters."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from ..config.sources import READINGS
from ..errors import PredictiveMaintenanceError
from ..machine.names import MACHINE_ID
from ..printable import printable
from .arrivals import Arrivals
from .dead_letters import DeadLetters
from .payloads import SHOWN_REASONS, MessageReader
from .service import KeepingService, StoppedError
from .source import Message, MessageSource

_MOST_MESSAGES = 500
_MOST_BYTES = 4 * 2**20
_LISTEN_SECONDS = 1.0
_SHOWN_CHARACTERS = 500
"""Of a name and a reason in a report, which have what publishers send. The dead letter has all of them."""
_MOST_REPORTED = 1_000
"""Machines and topics of which a rejected message is reported, so that their names cannot fill the memory."""


@dataclass(kw_only=True)
class Counts:
    """What became of the messages: `readings` and `events` are rows that the service has, also those it had before."""

    received: int = 0
    repeated: int = 0
    readings: int = 0
    events: int = 0
    rejected: int = 0

    def add(self, table: str, rows: int) -> None:
        if table == READINGS:
            self.readings += rows
        else:
            self.events += rows


class _Row(NamedTuple):
    """A row of a message: the position of the message, the number of the row in it, and its values."""

    message: int
    number: int
    values: dict[str, Any]


@dataclass
class _Faults:
    """What of a message cannot be used: how many rows, and why, by the number of the row; 0 if the message has no rows."""

    rows: int = 0
    reasons: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = sorted(self.reasons.items())[:SHOWN_REASONS]
        texts = [f"row {number}: {reason}" if number else reason for number, reason in shown]
        more = self.rows - len(shown)
        return "; ".join([*texts, *([f"and {more} further rows"] if more > 0 else [])])


@dataclass(kw_only=True)
class Bridge:
    """Carries the messages of `source`, some at a time, in the order of their arrival.

    `arrivals` are for readings and events without a time of their own: None if each has one.
    `report` is called with a line about the first row of a machine that the service refuses, and about the first row of a topic
    that cannot be read.
    """

    source: MessageSource
    reader: MessageReader
    service: KeepingService
    dead_letters: DeadLetters
    report: Callable[[str], None]
    arrivals: Arrivals | None = None
    counts: Counts = field(default_factory=Counts)
    in_hand: Sequence[Message] = ()
    reported: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        """How many messages are in memory without an answer."""
        return len(self.in_hand) + self.source.waiting

    def run(self, stopping: threading.Event, on_progress: Callable[[], None]) -> None:
        """Carry messages until `stopping` is set. Those without an answer then stay at the source.

        `on_progress` is called about once a second while the service answers, or more often. Raises SourceError, ServiceError
        and DataError if a person has to act.
        """
        self.dead_letters.check()
        if self.arrivals:
            self.arrivals.check()
        self.source.start()
        try:
            while not stopping.is_set():
                self.in_hand = self.source.receive(_MOST_MESSAGES, _LISTEN_SECONDS)
                while self.in_hand and not stopping.is_set():
                    part = _first_part(self.in_hand)
                    self._carry(part)
                    self.in_hand = self.in_hand[len(part) :]
                    on_progress()
                on_progress()
        except StoppedError:
            pass
        finally:
            self.source.close()

    def _carry(self, messages: Sequence[Message]) -> None:
        """Keep the rows of messages, write those with a row at fault to the dead letters, then acknowledge all."""
        self.counts.received += len(messages)
        self.counts.repeated += sum(message.is_repeated for message in messages)
        rows, faults = self._read(self.arrivals.first(messages) if self.arrivals else messages)
        for table in sorted(rows, key=lambda name: name == READINGS):  # a reading is scored with the events before it
            answers = self.service.keep(table, [row.values for row in rows[table]])
            for row, reason in zip(rows[table], answers, strict=True):
                if reason:
                    faults[row.message].rows += 1
                    faults[row.message].reasons[row.number] = reason
                    self._report(str(row.values.get(MACHINE_ID)), reason)
            self.counts.add(table, answers.count(None))
        if faults:
            self.dead_letters.write((messages[place], str(own)) for place, own in sorted(faults.items()))
        self.counts.rejected += len(faults)
        self.source.acknowledge(messages)

    def _report(self, name: str, reason: str) -> None:
        """Report why a message of a machine or a topic is rejected, once for each."""
        name = name[:_SHOWN_CHARACTERS]
        if name not in self.reported and len(self.reported) < _MOST_REPORTED:
            self.reported.add(name)
            text = printable(f"{name}: rejected: {reason[:_SHOWN_CHARACTERS]}")
            self.report(f"{text}; the message and further ones are in {self.dead_letters.path}")

    def _read(self, messages: Sequence[Message]) -> tuple[dict[str, list[_Row]], defaultdict[int, _Faults]]:
        """The rows of messages by table, and by position of the message, what cannot be read."""
        rows: dict[str, list[_Row]] = {}
        faults = defaultdict[int, _Faults](_Faults)
        for place, message in enumerate(messages):
            try:
                found = self.reader.read(message)
            except PredictiveMaintenanceError as error:
                faults[place] = _Faults(1, {0: str(error)})
            else:
                rows.setdefault(found.table, []).extend(_Row(place, *row) for row in found.rows.items())
                if found.unreadable:
                    faults[place] = _Faults(found.unreadable, found.reasons)
            if place in faults:
                self._report(f"topic {message.topic}", next(iter(faults[place].reasons.values())))
        return rows, faults


def _first_part(messages: Sequence[Message]) -> Sequence[Message]:
    """The first messages, as many as have _MOST_BYTES together, and one at least: rows take many times the memory."""
    sizes = accumulate(len(message.payload) for message in messages)
    return messages[: max(1, sum(size <= _MOST_BYTES for size in sizes))]

"""Read what the store had of a machine at an earlier time: late readings and events are left out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from . import statements
from .lookback import Lookback
from .rows import Event, Sensors, decode
from .store import Store


@dataclass(frozen=True)
class KnownReading:
    """The inputs of a reading that have a value, and when it arrived, in seconds since 1970."""

    sensors: Sensors
    received: int


class KnownPast:
    """Reads the past of machines of a registered model, over one connection."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection, self._dialect, self._model = connection, connection.dialect.name, model

    def machine(self, machine_id: str) -> int | None:
        """The key of a machine; None if the store does not have it."""
        names = {"model": self._model, "machine_id": machine_id}
        row = self._connection.execute(statements.MACHINE, names).one_or_none()
        key: int | None = None if row is None else row.key
        return key

    def window(
        self, machine: int, lookback: Lookback, *, first: int, beginning: int, last: int, known: int
    ) -> dict[int, KnownReading]:
        """The readings up to `last` that the windows of readings from `first` on need, if they had arrived by `known`.

        By time, in its order. Times are keys, `known` is in seconds since 1970; the windows of `first` begin at `beginning`.
        """
        statement = statements.window(self._dialect, bool(lookback.length), lookback.readings, as_known=True)
        places = {"machine": machine, "first": first, "beginning": beginning, "last": last, "known": known}
        rows = self._connection.execute(statement, places).all()
        sensors = decode([row.sensors for row in rows])
        return {row.time: KnownReading(values, row.received) for row, values in zip(rows, sensors, strict=True)}

    def events(self, machine: int, tables: Sequence[str], *, beginning: int, last: int, known: int) -> list[Event]:
        """The events up to `last` that had arrived by `known`: all since `beginning`, and the last of each type before it."""
        places = {"machines": [machine], "sources": list(tables), "beginning": beginning, "last": last, "known": known}
        return [
            Event(row.source, row.time, row.type)
            for statement in statements.KNOWN_EVENTS
            for row in self._connection.execute(statement, places)
        ]

    def has_event_of(self, machine: int, *, after: int, known: int) -> bool:
        """Whether an event of the machine arrived after a time, up to `known`, both in seconds since 1970."""
        places = {"machine": machine, "after": after, "known": known}
        return self._connection.execute(statements.ARRIVED_EVENT, places).first() is not None


@contextmanager
def known_past(store: Store, model: str) -> Iterator[KnownPast]:
    """The past of machines of a registered model, during the block. Raises StoreError."""
    with store.reading() as connection:
        yield KnownPast(connection, model)

"""Keep readings, and read what the windows of a reading need."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Select

from ..config.uris import redact
from ..errors import StoreError
from . import statements
from .database_errors import as_store_errors
from .engine import Synchronous, make_engine, writing
from .location import database_file, parse_store_url
from .lookback import Lookback
from .migrating import check_tables, ensure_tables
from .predictions import LoggedBlock, PredictedReadings, Predictions
from .rows import (
    FIRST_ARRIVAL,
    MOST_SKEW,
    Action,
    Actor,
    Alarm,
    AlarmChange,
    AlarmReport,
    Arrival,
    AuditEntry,
    Delivery,
    DeliveryCounts,
    DeliveryState,
    Event,
    Feedback,
    Incident,
    IncidentEnd,
    InputCount,
    Kind,
    LockedMachine,
    MachineState,
    Reading,
    Score,
    Sensors,
    StoredAuditEntry,
    StoredFeedback,
    Subject,
    Verdict,
    decode,
    score_of,
    score_row,
)
from .times import FIRST_KEY, LAST_KEY

_SETTINGS: tuple[Action, ...] = ("settings",)
_GONE_SECONDS = 5
_EXPIRED_AT_A_TIME = 5_000
_READINGS_AT_A_TIME = 10_000
_BLOCKS_AT_A_TIME = 20
"""Of the log that are read together: at most some 20 MB."""

P = TypeVar("P", bound=PredictedReadings)


class Store:
    """A store that is open. Thread-safe."""

    def __init__(self, engine: Engine, url: str, file: Path | None) -> None:
        self._engine, self._url, self._shown, self._file = engine, url, redact(url), file
        self._identity = file and _identity(file)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        timeout_seconds: float,
        create: bool = True,
        upgrade: bool = True,
        synchronous: Synchronous = "full",
    ) -> Self:
        """Open the store at `url`. A new one gets its tables, an older one its new tables.

        Without `create`, an SQLite file that does not exist is an error; without `upgrade`, an older store is. Raises StoreError,
        and ConfigError for an address that can never be one.
        """
        file, engine = database_file(parse_store_url(url)), make_engine(url, timeout_seconds, synchronous)
        if file is not None:
            _check_file(file, create)
        try:
            with as_store_errors(redact(url), url):
                (ensure_tables if upgrade else check_tables)(engine, redact(url))
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, url, file)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator["Transaction"]:
        """A transaction that is committed at the end of the block, or undone by an error. Raises StoreError."""
        with self._connected() as connection, writing(connection).begin():
            yield Transaction(connection)
        self._check_identity()  # nothing is acknowledged that went into a file without name

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for the modules of this package that only read. Raises StoreError."""
        return self._reading()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._connected() as connection, connection.begin():
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        self._check_identity()
        with as_store_errors(self._shown, self._url):
            try:
                connection = self._engine.connect()
            except OSError:
                self._engine.dispose()  # the other idle connections are as old as the one that did not answer
                raise
            with connection:
                yield connection

    def machines(self, model: str, *, after: str = "", most: int) -> list[MachineState]:
        """The state of the first `most` machines of a registered model whose ids follow `after`."""
        with self._reading() as connection:
            rows = connection.execute(statements.MACHINES, {"model": model, "after": after, "most": most}).all()
            return _states(connection, rows)

    def machine(
        self, model: str, machine_id: str, *, before: int = LAST_KEY, most: int
    ) -> tuple[MachineState, list[Reading]] | None:
        """A machine with its latest `most` readings before a time, the newest first; None if there is none."""
        with self._reading() as connection:
            row = connection.execute(statements.MACHINE, {"model": model, "machine_id": machine_id}).one_or_none()
            if row is None or row.time is None:
                return None
            found = connection.execute(
                statements.LATEST_READINGS, {"machine": row.key, "before": before, "most": most}
            ).all()
            (state,) = _states(connection, [row])
        sensors = decode([one.sensors for one in found])
        return state, [
            Reading(time=one.time, received=one.received, sensors=values, score=score_of(one))
            for one, values in zip(found, sensors, strict=True)
        ]

    def alarms(
        self, model: str, *, only_open: bool, before: int = LAST_KEY, after: str = "", most: int
    ) -> list[tuple[str, Alarm]]:
        """The latest `most` alarms of a registered model with their machines: the newest first, then by machine.

        They opened before a time or, at this time, are of machines whose ids follow `after`.
        """
        statement = statements.ONLY_OPEN_ALARMS if only_open else statements.ALARMS
        with self._reading() as connection:
            limits = {"model": model, "before": before, "after": after, "most": most}
            rows = connection.execute(statement, limits)
            return [(row.machine_id, _alarm(row, row.verdict)) for row in rows]

    def past(self, model: str, machine_id: str, *, beginning: int, most: int) -> tuple[list[Alarm], list[Event]]:
        """The latest `most` alarms of a machine, and its latest `most` events since `beginning`, the newest first."""
        with self._reading() as connection:
            row = connection.execute(statements.MACHINE, {"model": model, "machine_id": machine_id}).one_or_none()
            if row is None:
                return [], []
            limits = {"machine": row.key, "beginning": beginning, "most": most}
            alarms = connection.execute(statements.ALARMS_OF_MACHINE, limits).all()
            events = connection.execute(statements.LATEST_EVENTS, limits).all()
        return [_alarm(one, one.verdict) for one in alarms], [Event(one.source, one.time, one.type) for one in events]

    def predictions(self, model: str, *, since: int = 0, until: int = LAST_KEY) -> Iterator[tuple[str, Predictions]]:
        """The logged predictions of a registered model with their versions, in blocks, the oldest first.

        They are of blocks that began in the interval [since, until), in microseconds since 1970. Each page of blocks is a
        transaction of its own: what is written or removed meanwhile may be missing.
        """
        for row in self._blocks(model, since, until):
            yield row.version, Predictions.from_json(row.content)

    def predictions_of(
        self, model: str, version: str | None = None, *, since: int = 0, until: int = LAST_KEY, kind: type[P]
    ) -> Iterator[P]:
        """As `predictions`, of one version or of all. `kind` says what of a block is read."""
        for row in self._blocks(model, since, until):
            if version in (None, row.version):
                yield kind.from_json(row.content)

    def _blocks(self, model: str, since: int, until: int) -> Iterator[Any]:
        place = {"model": model, "until": until, "began": since, "writer": -1, "number": -1}
        while True:
            with self._reading() as connection:
                rows = connection.execute(statements.BLOCKS, {**place, "most": _BLOCKS_AT_A_TIME}).all()
            yield from rows
            if len(rows) < _BLOCKS_AT_A_TIME:
                return
            place |= {"began": rows[-1].began, "writer": rows[-1].writer, "number": rows[-1].number}

    def scored_readings(
        self, model: str, version: str, *, since: int, until: int
    ) -> Iterator[list[tuple[str, int, Sensors, Score]]]:
        """The readings that a version scored at their arrival in [since, until), in seconds since 1970, by time of arrival.

        Each list is a page: machine, time as a key, inputs and score of at most some thousand readings, read in a transaction of
        its own.
        """
        place = {"received": since, "machine": -1, "time": FIRST_KEY}
        limits = {"version": version, "until": until, "most": _READINGS_AT_A_TIME}
        with self._reading() as connection:
            names = {row.key: row.machine_id for row in connection.execute(statements.MACHINE_NAMES, {"model": model})}
        while True:
            with self._reading() as connection:
                rows = connection.execute(statements.SCORED_READINGS, limits | place).all()
            if own := [row for row in rows if row.machine in names]:
                sensors = decode([row.sensors for row in own])
                yield [
                    (names[row.machine], row.time, values, Score(row.probability, row.alarm, row.version))
                    for row, values in zip(own, sensors, strict=True)
                ]
            if len(rows) < _READINGS_AT_A_TIME:
                return
            place = {name: getattr(rows[-1], name) for name in place}

    def readings(self, model: str) -> Iterator[list[tuple[str, int, Sensors]]]:
        """All readings of a registered model, by machine and time.

        Each list is a page: machine, time as a key, inputs of at most some thousand readings, read in a transaction of its own.
        """
        place = {"machine": 0, "time": FIRST_KEY}
        with self._reading() as connection:
            names = {row.key: row.machine_id for row in connection.execute(statements.MACHINE_NAMES, {"model": model})}
        while True:
            with self._reading() as connection:
                rows = connection.execute(statements.READINGS, {**place, "most": _READINGS_AT_A_TIME}).all()
            if own := [row for row in rows if row.machine in names]:
                sensors = decode([row.sensors for row in own])
                yield [(names[row.machine], row.time, values) for row, values in zip(own, sensors, strict=True)]
            if len(rows) < _READINGS_AT_A_TIME:
                return
            place = {"machine": rows[-1].machine, "time": rows[-1].time}

    def number_of_readings(self, model: str) -> int:
        """The number of readings of a registered model."""
        with self._reading() as connection:
            return int(connection.execute(statements.NUMBER_OF_READINGS, {"model": model}).scalar_one())

    def events(self, model: str, table: str | None = None) -> list[tuple[str, Event]]:
        """All events of a registered model, or those of one table, with their machines."""
        statement = statements.EVENTS if table is None else statements.EVENTS_OF_TABLE
        with self._reading() as connection:
            rows = connection.execute(statement, {"model": model} | ({} if table is None else {"source": table}))
            return [(row.machine_id, Event(row.source, row.time, row.type)) for row in rows]

    def feedback(
        self, model: str, *, only_current: bool, before: int = LAST_KEY, most: int = LAST_KEY
    ) -> list[StoredFeedback]:
        """The latest `most` reports about a registered model whose keys precede `before`, the newest first."""
        statement = statements.CURRENT_FEEDBACK if only_current else statements.FEEDBACK
        with self._reading() as connection:
            rows = connection.execute(statement, {"model": model, "before": before, "most": most}).all()
        return [
            StoredFeedback(key=row.key, received=row.received, is_current=bool(row.is_current), **_report(row))
            for row in rows
        ]

    def reports(self, model: str, kind: Kind, names: Sequence[str]) -> dict[Subject, StoredFeedback]:
        """The newest report about each subject of a kind with one of these names, of which there are at most some thousand."""
        with self._reading() as connection:
            rows = connection.execute(
                statements.REPORTS_OF_NAMES, {"model": model, "kind": kind, "names": list(names)}
            ).all()
        found = (StoredFeedback(key=row.key, received=row.received, is_current=True, **_report(row)) for row in rows)
        return {report.subject: report for report in found}

    def has_reports(self, model: str, kind: Kind) -> bool:
        """Whether there is any report about subjects of a kind."""
        with self._reading() as connection:
            return connection.execute(statements.HAS_REPORT, {"model": model, "kind": kind}).first() is not None

    def alarm_reports(self, model: str) -> list[AlarmReport]:
        """The newest report about each alarm of a registered model."""
        with self._reading() as connection:
            rows = connection.execute(statements.REPORTS_OF_ALARMS, {"model": model}).all()
        return [
            AlarmReport(
                machine_id=row.name, opened=row.place, closed=row.closed, verdict=row.verdict, mode=row.mode, failed=row.failed
            )
            for row in rows
        ]  # fmt: skip

    def inputs(self, model: str, *, since: int, until: int) -> list[InputCount]:
        """Accepted and rejected readings of the intervals that began in [since, until), in seconds since 1970.

        There are some thousand in a month, however many readings there were. Processes have one each.
        """
        with self._reading() as connection:
            rows = connection.execute(statements.INPUTS, {"model": model, "since": since, "until": until}).all()
        return [
            InputCount(began=row.began, accepted=row.accepted, rejected=row.rejected, fields=json.loads(row.fields))
            for row in rows
        ]

    def inputs_before(self, model: str, until: int) -> tuple[int, int]:
        """The number of readings that were accepted and rejected before a time in seconds since 1970."""
        with self._reading() as connection:
            row = connection.execute(statements.INPUT_SUMS, {"model": model, "until": until}).one()
        return int(row.accepted), int(row.rejected)

    def production_check(self, model: str) -> tuple[int, str] | None:
        """When monitoring last checked a registered model, in seconds since 1970, and the result as JSON."""
        with self._reading() as connection:
            row = connection.execute(statements.PRODUCTION_CHECK, {"model": model}).one_or_none()
        return None if row is None else (row.checked, row.content)

    def due_deliveries(self, model: str, *, now: int, most: int) -> list[Delivery]:
        """Alarms of a registered model that opened or closed and were not sent yet, or are to be sent again by `now`."""
        limits = {"model": model, "most": most}
        with self._reading() as connection:
            opened = [_delivery(row, "opened") for row in connection.execute(statements.OPENED_ALARMS, limits)]
            closed = [_delivery(row, "closed") for row in connection.execute(statements.CLOSED_ALARMS, limits)]
            again = connection.execute(statements.DELIVERIES, {**limits, "state": "waiting", "now": now})
            return [*opened, *closed, *map(_known_delivery, again)]

    def deliveries(self, model: str, state: DeliveryState, *, most: int) -> list[Delivery]:
        """Alarms of a registered model that were tried to be sent, with what became of it, in the order in which they are due."""
        limits = {"model": model, "most": most, "state": state, "now": LAST_KEY}
        with self._reading() as connection:
            return [_known_delivery(row) for row in connection.execute(statements.DELIVERIES, limits)]

    def delivery_counts(self, model: str) -> DeliveryCounts:
        """How many messages about alarms of a registered model wait or were given up."""
        names = {"model": model}
        with self._reading() as connection:
            began = connection.execute(statements.DELIVERY_START, names).scalar()
            if began is None:
                return DeliveryCounts(began=None, waiting=0, dead=0)
            found = {row.state: row.messages for row in connection.execute(statements.COUNT_DELIVERIES, names)}
            untried = sum(connection.execute(each, names).scalar_one() for each in statements.COUNT_UNTRIED)
        return DeliveryCounts(began=began, waiting=found.get("waiting", 0) + untried, dead=found.get("dead", 0))

    def open_incident(self, model: str) -> Incident | None:
        """The open incident of a registered model."""
        with self._reading() as connection:
            row = connection.execute(statements.OPEN_INCIDENT, {"model": model}).one_or_none()
            return None if row is None else _incident(row)

    def incident(self, key: int) -> Incident:
        """The incident with a key."""
        with self._reading() as connection:
            return _incident(connection.execute(statements.INCIDENT, {"incident": key}).one())

    def incidents(self, model: str, *, most: int) -> list[Incident]:
        """The newest `most` incidents of a registered model: the open one, and then the newest first."""
        with self._reading() as connection:
            return [_incident(row) for row in connection.execute(statements.INCIDENTS, {"model": model, "most": most})]

    def audit(
        self, model: str, *, actions: Collection[Action] = (), before: int = LAST_KEY, most: int
    ) -> list[StoredAuditEntry]:
        """The latest `most` entries of the audit log whose keys precede `before`, the newest first. All actions by default."""
        with self._reading() as connection:
            return _audit(connection, model, actions, before, most)

    def settings_in_force(self, model: str, component: str) -> Mapping[str, Any] | None:
        """The latest settings of a component, such as the service, in the audit log; None without any."""
        with self._reading() as connection:
            newest = _audit(connection, model, _SETTINGS, LAST_KEY, 1, component)
        return newest[0].detail if newest else None

    def _check_identity(self) -> None:
        """Raise StoreError if the SQLite file was removed or replaced: what is written to the open one would be lost."""
        if self._file is None or (found := _identity(self._file)) == self._identity:
            return
        state = "was replaced" if found else "is gone"
        raise StoreError(f"{self._shown}: the file of the store {state}", _GONE_SECONDS, replaced=True)


class Transaction:
    """Changes of a store that come into effect together."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._dialect = connection, connection.dialect.name

    @property
    def connection(self) -> Connection:
        """Its connection, for the modules of this package."""
        return self._connection

    def machines(self, model: str, machine_ids: Collection[str]) -> dict[str, LockedMachine]:
        """Machines by id. Those that were never seen are created."""
        names = {"model": model, "machine_ids": sorted(machine_ids)}
        while True:
            rows = self._connection.execute(statements.LOCK_MACHINES, names).all()
            found = {row.machine_id: LockedMachine(row.key, row.time) for row in rows}
            if not (missing := [name for name in names["machine_ids"] if name not in found]):
                return found
            new = [{"model": model, "machine_id": name} for name in missing]
            self._connection.execute(statements.insert_machine(self._dialect), new)

    def window(
        self, machine: LockedMachine, lookback: Lookback, *, first: int, beginning: int, last: int
    ) -> dict[int, Sensors]:
        """The readings up to `last`, in their order, that the windows of readings from `first` on need, and `last` itself.

        `beginning` is where the windows of `first` begin.
        """
        statement = statements.window(self._dialect, bool(lookback.length), lookback.readings)
        places = {"machine": machine.key, "first": first, "beginning": beginning, "last": last}
        rows = self._connection.execute(statement, places).all()
        return dict(zip((row[0] for row in rows), decode([row[1] for row in rows]), strict=True))

    def add(self, readings: Sequence[tuple[LockedMachine, Reading]]) -> None:
        """Add readings of machines at times at which these have none."""
        rows = [{"machine": machine.key, **reading.row} for machine, reading in readings]
        self._connection.execute(statements.INSERT_READING, rows)
        of_machines: dict[LockedMachine, list[Reading]] = {}
        for machine, reading in readings:
            of_machines.setdefault(machine, []).append(reading)
        late, latest = [], []
        for machine, added in of_machines.items():
            newest = max(added, key=lambda reading: reading.time)
            change: dict[str, Any] = {"machine": machine.key, "added": len(added)}
            if machine.latest is not None and newest.time < machine.latest:
                late.append(change | {"arrived": newest.received})
                continue
            state = {"time": newest.time, "received": newest.received, **score_row(newest.score)}
            latest.append(change | {f"new_{name}": value for name, value in state.items()})
        for statement, changes in ((statements.ADD_LATE, late), (statements.SET_LATEST, latest)):
            if changes:
                self._connection.execute(statement, changes)

    def add_events(self, events: Mapping[LockedMachine, Collection[Event]], received: int) -> None:
        """Add events of machines. Those that these have are not added again."""
        rows = [
            {"machine": machine.key, "source": one.table, "time": one.time, "type": one.type, "received": received}
            for machine, happened in events.items()
            for one in happened
        ]
        if rows:
            self._connection.execute(statements.insert_event(self._dialect), rows)

    def events(
        self, machines: Collection[LockedMachine], tables: Collection[str], *, beginning: int, last: int
    ) -> dict[int, list[Event]]:
        """Events of machines, by key, up to `last`: all since `beginning`, and the last one of each type before it."""
        places = {
            "machines": [machine.key for machine in machines], "sources": list(tables), "beginning": beginning, "last": last
        }  # fmt: skip
        found: dict[int, list[Event]] = {machine.key: [] for machine in machines}
        for statement in (statements.LAST_EVENTS, statements.RECENT_EVENTS):
            for row in self._connection.execute(statement, places):
                found[row.machine].append(Event(row.source, row.time, row.type))
        return found

    def decisions(self, machine: LockedMachine, *, after: int, before: int, most: int) -> list[bool]:
        """The latest `most` decisions about a machine between two times, the oldest first."""
        places = {"machine": machine.key, "after": after, "before": before, "most": most}
        rows = self._connection.execute(statements.LATEST_DECISIONS, places).all()
        return [row.alarm for row in reversed(rows)]

    def open_alarms(self, machines: Collection[LockedMachine]) -> dict[int, Alarm]:
        """The open alarm of each machine that has one, by key."""
        rows = self._connection.execute(statements.OPEN_ALARMS, {"machines": [machine.key for machine in machines]})
        return {row.machine: _alarm(row) for row in rows}

    def had_alarm(self, machine: LockedMachine, time: int) -> bool:
        """Whether an alarm that is closed now was open at a time, as a key."""
        place = {"machine": machine.key, "time": time}
        return self._connection.execute(statements.CLOSED_ALARM_AT, place).first() is not None

    def save_alarm(self, machine: LockedMachine, alarm: Alarm) -> None:
        """Add an open alarm, or close one."""
        if alarm.closed is None:
            score = {"probability": alarm.probability, "version": alarm.version}
            score |= {"mode": alarm.mode, "mode_probability": alarm.mode_probability}
            row = {"machine": machine.key, "opened": alarm.opened, "closed": None, "closed_by": None, **score}
            self._connection.execute(statements.insert_alarm(self._dialect), row)
        else:
            changes = {"closed_at": alarm.closed, "by": alarm.closed_by}
            self._connection.execute(
                statements.CLOSE_ALARM, {"of_machine": machine.key, "opened_at": alarm.opened, **changes}
            )

    def alarm(self, model: str, machine_id: str, opened: int) -> tuple[Alarm, int | None] | None:
        """An alarm and the time of the latest reading of its machine; None if there is no such alarm."""
        names = {"model": model, "machine_id": machine_id, "opened": opened}
        row = self._connection.execute(statements.ALARM, names).one_or_none()
        return None if row is None else (_alarm(row), row.latest)

    def begin_deliveries(self, model: str, now: int) -> None:
        """Note that alarms of a registered model are delivered from now on. The first time, leave out those that are closed.

        `now` is in seconds since 1970.
        """
        start = statements.insert_delivery_start(self._dialect)
        if self._connection.execute(start, {"model": model, "started": now}).rowcount == 1:
            for statement in statements.SKIP_CLOSED_ALARMS:
                self._connection.execute(statement, {"model": model})

    def claim_delivery(self, delivery: Delivery, until: int) -> bool:
        """Whether this process may send it now. Until a time in seconds since 1970, no other one may."""
        if not delivery.attempts:
            row = {"machine": delivery.machine, "opened": delivery.alarm.opened, "what": delivery.what}
            new = row | {"state": "waiting", "attempts": 1, "due": until, "reason": ""}
            if self._connection.execute(statements.insert_delivery(self._dialect), new).rowcount == 1:
                return True
        claim = {**_place(delivery), "attempts_before": delivery.attempts, "until": until}
        return self._connection.execute(statements.CLAIM_DELIVERY, claim).rowcount == 1

    def end_delivery(self, delivery: Delivery, state: DeliveryState, *, due: int = 0, reason: str = "") -> None:
        """Note what became of a delivery, unless another process has claimed it since. A waiting one is sent again at `due`."""
        row = {**_place(delivery), "attempt": delivery.attempts + 1, "new_state": state, "next": due, "because": reason}
        self._connection.execute(statements.END_DELIVERY, row)

    def repeat_dead_deliveries(self, model: str) -> int:
        """Let what could not be sent be sent again; return their number."""
        return self._connection.execute(statements.REPEAT_DEAD, {"of_model": model}).rowcount

    def open_incident(self, model: str, version: str, reasons: Sequence[str], opened: int) -> bool:
        """Open an incident of a model, unless one is open; return whether it was opened now."""
        row = {"model": model, "version": version, "opened": opened, "reasons": json.dumps(list(reasons))}
        return self._connection.execute(statements.insert_incident(self._dialect), row).rowcount == 1

    def close_incident(self, incident: Incident, by: IncidentEnd, closed: int) -> bool:
        """Close an open incident; return whether it was closed now."""
        row = {"incident": incident.key, "at": closed, "by": by}
        return self._connection.execute(statements.CLOSE_INCIDENT, row).rowcount == 1

    def claim_training(self, incident: Incident, now: int, cool_down: int) -> bool:
        """Note that a training starts for an incident; return whether it may.

        It may not if one has started for it, or of the model in the `cool_down` seconds before. A clock that was wrong does not
        block it: later times than by MOST_SKEW do not count.
        """
        self._lock(statements.LOCK_TRAININGS)
        row = {"incident": incident.key, "at": now, "after": now - cool_down, "latest": now + MOST_SKEW}
        return self._connection.execute(statements.CLAIM_TRAINING, row).rowcount == 1

    def release_training(self, incident: Incident) -> None:
        """Forget that a training was started for an incident, and a scheduled one altogether: each attempt would be one more."""
        is_scheduled = incident.closed_by == "schedule"
        statement = statements.DELETE_INCIDENT if is_scheduled else statements.RELEASE_TRAINING
        self._connection.execute(statement, {"incident": incident.key})

    def end_training(self, incident: Incident, result: str, now: int) -> None:
        """Note how the training for an incident ended."""
        self._connection.execute(statements.END_TRAINING, {"incident": incident.key, "result": result, "at": now})

    def end_lost_trainings(self, model: str, started_before: int, result: str, now: int) -> None:
        """Note a result for the trainings of a model that started before a time and have none."""
        row = {"of_model": model, "before": started_before, "result": result, "at": now}
        self._connection.execute(statements.END_LOST_TRAININGS, row)

    def latest_training(self, model: str, now: int) -> int:
        """When the latest training of a model was started, 0 without one. Until the end of the transaction, no other one is.

        Later times than by MOST_SKEW do not count.
        """
        self._lock(statements.LOCK_TRAININGS)
        times = {"model": model, "latest": now + MOST_SKEW}
        return self._connection.execute(statements.LATEST_TRAINING, times).scalar() or 0

    def add_scheduled_training(self, model: str, version: str, reason: str, now: int) -> Incident:
        """Note that a training that is due starts now, as an incident that is closed, and return it."""
        times = {"opened": now, "closed": now, "closed_by": "schedule", "trained": now}
        row = {"model": model, "version": version, "reasons": json.dumps([reason]), **times}
        return _incident(self._connection.execute(statements.INSERT_SCHEDULED_TRAINING, row).one())

    def _lock(self, statement: Select[Any]) -> None:
        if self._dialect == "postgresql":  # SQLite has one lock for all, which the transaction has taken
            self._connection.execute(statement)

    def newest_feedback(self, model: str, subject: Subject) -> Feedback | None:
        """The newest report about a subject."""
        row = self._connection.execute(statements.NEWEST_FEEDBACK, {"model": model, **vars(subject)}).one_or_none()
        return None if row is None else Feedback(**_report(row))

    def add_feedback(self, model: str, feedback: Feedback, received: int) -> None:
        """Add a report. Earlier ones about its subject stay."""
        row = {**vars(feedback), **vars(feedback.subject), "model": model, "received": received}
        del row["subject"]
        self._connection.execute(statements.INSERT_FEEDBACK, row)

    def acknowledge_alarm(self, model: str, machine_id: str, opened: int, by: str, at: int) -> bool:
        """Note who has seen an alarm, at a time in seconds since 1970; return False if somebody had acknowledged it before."""
        row = {"of_model": model, "of_machine": machine_id, "opened_at": opened, "by": by, "at": at}
        return self._connection.execute(statements.ACKNOWLEDGE_ALARM, row).rowcount == 1

    def add_audit(self, model: str, entries: Sequence[AuditEntry]) -> None:
        """Add entries to the audit log."""
        rows = [
            {
                "model": model, "at": one.at, "action": one.action, "actor": one.actor.key, "person": one.actor.person,
                "subject": one.subject, "detail": json.dumps(one.detail),
            }
            for one in entries
        ]  # fmt: skip
        if rows:
            self._connection.execute(statements.INSERT_AUDIT, rows)

    def newest_audit(
        self, model: str, actions: Collection[Action], most: int, *, subject: str | None = None
    ) -> list[StoredAuditEntry]:
        """The newest `most` entries of some actions, and of one subject if it is given, the newest first.

        Until the end of the transaction, no other one gets them: an entry that depends on them is added once.
        """
        self._lock(statements.LOCK_AUDIT)
        return _audit(self._connection, model, actions, LAST_KEY, most, subject)

    def remove_audit_before(self, model: str, at: int) -> bool:
        """Remove some entries of a model's audit log from before a time in seconds; return whether there may be more."""
        limits = {"of_model": model, "before": at, "most": _EXPIRED_AT_A_TIME}
        return self._connection.execute(statements.DELETE_AUDIT, limits).rowcount >= _EXPIRED_AT_A_TIME

    def log(self, model: str, writer: int, blocks: Sequence[LoggedBlock]) -> None:
        """Add blocks to the log of predictions of a registered model. Those that it has are not added again."""
        rows = [
            {
                "began": one.block.began, "writer": writer, "number": one.number, "model": model, "version": one.version,
                "predictions": one.block.rows, "alarms": one.block.alarms, "content": one.block.content.decode(),
            }
            for one in blocks
        ]  # fmt: skip
        self._connection.execute(statements.insert_block(self._dialect), rows)

    def save_inputs(self, model: str, writer: int, counts: Sequence[InputCount]) -> None:
        """Save what a process accepted and rejected in some intervals, in place of what it had saved of them."""
        rows = [
            {**vars(one), "writer": writer, "model": model, "fields": json.dumps(dict(one.fields))} for one in counts
        ]
        self._connection.execute(statements.save_inputs(self._dialect), rows)

    def save_production_check(self, model: str, checked: int, content: str) -> None:
        """Save what monitoring found at a model, in place of what it had found before."""
        row = {"model": model, "checked": checked, "content": content}
        self._connection.execute(statements.save_production_check(self._dialect), row)

    def remove_predictions_before(self, model: str, began: int) -> bool:
        """Remove some blocks of a model's log that began before a time in microseconds; return whether there may be more.

        Counts of accepted and rejected readings are removed with them.
        """
        self._connection.execute(statements.DELETE_INPUTS, {"of_model": model, "before": began // 10**6})
        limits = {"of_model": model, "before": began, "most": _EXPIRED_AT_A_TIME}
        return self._connection.execute(statements.DELETE_BLOCKS, limits).rowcount >= _EXPIRED_AT_A_TIME

    def remove_received_before(self, model: str, received: int, after: Arrival = FIRST_ARRIVAL) -> tuple[Arrival, bool]:
        """Remove some readings and all events of a model that were received before a time in seconds.

        Readings, also of other models, are looked through in the order of their arrival. Returns the last one that was, after
        which the next call goes on, and whether there may be more. The last event of each type stays while its machine has
        readings. A machine without readings is removed, too.
        """
        self._lock(statements.LOCK_REMOVAL)
        limits = {"before": received, "most": _EXPIRED_AT_A_TIME, **after._asdict()}
        found = self._connection.execute(statements.EXPIRED_READINGS, limits).all()
        last = Arrival(found[-1].received, found[-1].machine, found[-1].time) if found else after
        if expired := [row for row in found if row.model == model]:
            counts = Counter(row.machine for row in expired)
            keys = list(counts)
            self._connection.execute(statements.LOCK_MACHINES_BY_KEY, {"keys": keys})
            self._connection.execute(
                statements.UNCOUNT_READINGS, [{"of_machine": key, "removed": count} for key, count in counts.items()]
            )
            until = {f"last_{name}": value for name, value in last._asdict().items()}
            self._connection.execute(statements.DELETE_READINGS, {"keys": keys, **after._asdict(), **until})
        self._connection.execute(statements.DELETE_EVENTS, {"model": model, "before": received})
        if expired:
            self._connection.execute(statements.DELETE_EMPTY_MACHINES, {"of_model": model})
            self._connection.execute(statements.DELETE_ALARMS)
            self._connection.execute(statements.DELETE_DELIVERIES)
        return last, len(found) == _EXPIRED_AT_A_TIME


def _delivery(row: Any, what: AlarmChange) -> Delivery:
    return Delivery(machine=row.machine, machine_id=row.machine_id, what=what, alarm=_alarm(row))


def _known_delivery(row: Any) -> Delivery:
    known = {"state": row.state, "attempts": row.attempts, "due": row.due, "reason": row.reason}
    return replace(_delivery(row, row.what), **known)


def _place(delivery: Delivery) -> dict[str, Any]:
    return {"of_machine": delivery.machine, "opened_at": delivery.alarm.opened, "change": delivery.what}


def _audit(
    connection: Connection,
    model: str,
    actions: Collection[Action],
    before: int,
    most: int,
    subject: str | None = None,
) -> list[StoredAuditEntry]:
    limits = {"model": model, "before": before, "most": most}
    statement = statements.AUDIT_OF_ACTION if actions else statements.AUDIT
    if subject is not None:
        statement, limits = statement.where(statements.OF_SUBJECT), limits | {"subject": subject}
    each = [limits | {"action": action} for action in set(actions)] or [limits]
    found = [row for one in each for row in connection.execute(statement, one)]
    return [
        StoredAuditEntry(
            key=row.key,
            at=row.at,
            action=row.action,
            actor=Actor(row.actor, row.person),
            subject=row.subject,
            detail=json.loads(row.detail),
        )
        for row in sorted(found, key=lambda row: row.key, reverse=True)[:most]
    ]


def _incident(row: Any) -> Incident:
    return Incident(
        key=row.key,
        version=row.version,
        opened=row.opened,
        reasons=tuple(json.loads(row.reasons)),
        closed=row.closed,
        closed_by=row.closed_by,
        trained=row.trained,
        training_ended=row.training_ended,
        training_result=row.training_result,
    )


def _states(connection: Connection, rows: Sequence[Any]) -> list[MachineState]:
    """The states of machines, with their open alarms."""
    found = connection.execute(statements.OPEN_ALARMS, {"machines": [row.key for row in rows]}).all() if rows else []
    alarms = {one.machine: _alarm(one) for one in found}
    return [
        MachineState(
            machine_id=row.machine_id,
            readings=row.readings,
            time=row.time,
            received=row.received,
            score=score_of(row),
            alarm=alarms.get(row.key),
            late_since=row.late_since,
            late_received=row.late_received,
        )
        for row in rows
    ]


def _alarm(row: Any, verdict: Verdict | None = None) -> Alarm:
    return Alarm(
        opened=row.opened,
        closed=row.closed,
        closed_by=row.closed_by,
        probability=row.probability,
        version=row.version,
        mode=row.mode,
        mode_probability=row.mode_probability,
        verdict=verdict,
        acknowledged=row.acknowledged,
        acknowledged_by=row.acknowledged_by,
    )


def _report(row: Any) -> dict[str, Any]:
    """The fields of feedback in a row."""
    fields = {name: getattr(row, name) for name in ("verdict", "mode", "failed", "comment", "author")}
    return {"subject": Subject(row.kind, row.name, row.place), **fields}


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_file(file: Path, create: bool) -> None:
    """Raise StoreError if an SQLite file can neither be opened nor created."""
    if not file.parent.is_dir():
        raise StoreError(f"{file.parent}: the folder of the store does not exist: create it, or change PDM_STORE_URL")
    if not create and not file.exists():
        raise StoreError(
            f"{file}: the file of the store is gone: restore it, or restart the service to begin without history",
            _GONE_SECONDS,
        )

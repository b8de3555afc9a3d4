"""Keep what a comparison of a candidate with the version in production has counted, each block of the log once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from .predictions import Predictions
from .rows import SUMS, WHOLE_COUNTS, Comparison, ComparisonState, DecisionCounts, Labelled
from .schema import comparison_days, comparison_machines, comparison_places, comparisons, predictions
from .store import P, Store, Transaction
from .times import FIRST_KEY, LAST_KEY

MOST_MACHINES = 10_000
"""Of one comparison that are counted by machine. Later ones count in the sums only."""

_KEPT = 20
"""Comparisons of a registered model; older ones are removed."""

MOST_DAYS = 400
"""Of a comparison that are read: automatic promotion needs a year at most."""

FEW_CLUSTERS = 20
"""With fewer, the days of each make several parts."""
_PARTS = 16

_NAMES_AT_A_TIME = 20
"""Blocks whose readings are read together: at most some 20 MB."""

_COLUMNS = (*WHOLE_COUNTS, *SUMS)


def _totals(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    """The sums of all counts. PostgreSQL would make decimal numbers of whole ones."""
    whole = [cast(func.sum(rows.c[name]), BigInteger).label(name) for name in WHOLE_COUNTS]
    return [*whole, *(func.sum(rows.c[name]).label(name) for name in SUMS)]


_DIFFERENT = comparison_machines.c.only_production + comparison_machines.c.only_candidate

_COMPARISON = select(comparisons).where(
    comparisons.c.model == bindparam("model"),
    comparisons.c.version == bindparam("version"),
    comparisons.c.candidate == bindparam("candidate"),
)
_COMPARISONS = (
    select(comparisons)
    .where(comparisons.c.model == bindparam("model"))
    .order_by(case((comparisons.c.state == "ended", 1), else_=0), comparisons.c.key.desc())
    .limit(bindparam("most"))
)
_END_OTHERS = (
    update(comparisons)
    .where(
        comparisons.c.model == bindparam("of_model"),
        comparisons.c.state != "ended",
        comparisons.c.key != bindparam("kept"),
    )
    .values(state="ended", reason=bindparam("because"))
)
_SET_STATE = (
    update(comparisons)
    .where(comparisons.c.key == bindparam("comparison"), comparisons.c.state != "ended")
    .values({name: bindparam(f"new_{name}") for name in ("state", "reason", "attempts", "due")})
)
_BEGIN_AGAIN = (
    update(comparisons)
    .where(comparisons.c.key == bindparam("comparison"))
    .values(state="comparing", reason="", attempts=0, due=0)
)
_SET_CHECK = (
    update(comparisons)
    .where(comparisons.c.key == bindparam("comparison"))
    .values(checked=bindparam("at"), promotion=bindparam("waits_for"))
)
_SET_CURRENCY = (
    update(comparisons).where(comparisons.c.key == bindparam("comparison")).values(currency=bindparam("of_costs"))
)
_SET_LABELLED = (
    update(comparisons).where(comparisons.c.key == bindparam("comparison")).values(labelled=bindparam("found"))
)
_LEFT_OUT = select(comparisons.c.left_out).where(comparisons.c.key == bindparam("comparison"))
_SET_LEFT_OUT = (
    update(comparisons).where(comparisons.c.key == bindparam("comparison")).values(left_out=bindparam("counted"))
)

_writers = select(func.min(predictions.c.writer).label("writer")).cte("writers", recursive=True)
_writers = _writers.union_all(
    select(
        select(func.min(predictions.c.writer))
        .where(predictions.c.writer > _writers.c.writer)
        .correlate(_writers)
        .scalar_subquery()
    ).where(_writers.c.writer.is_not(None))
)
_latest_began = (
    select(predictions.c.began)
    .where(predictions.c.writer == _writers.c.writer)
    .order_by(predictions.c.number.desc())
    .limit(1)
    .correlate(_writers)
    .scalar_subquery()
)
_PLACES = (
    select(_writers.c.writer, comparison_places.c.number)
    .outerjoin(
        comparison_places,
        (comparison_places.c.writer == _writers.c.writer) & (comparison_places.c.comparison == bindparam("comparison")),
    )
    .where(_writers.c.writer.is_not(None), _latest_began >= bindparam("since"))
)
"""The processes whose newest block began since a time, each found by one step in an index, and what is counted of them."""
_NEW_BLOCKS = (
    select(predictions)
    .where(
        predictions.c.writer == bindparam("writer"),
        predictions.c.number > bindparam("number"),
        predictions.c.began >= bindparam("since"),
        predictions.c.model == bindparam("model"),
    )
    .order_by(predictions.c.number)
    .limit(bindparam("most"))
)
_NEWEST_BLOCKS = (
    select(predictions.c.began, predictions.c.writer, predictions.c.number, predictions.c.content)
    .where(
        predictions.c.model == bindparam("model"),
        predictions.c.version == bindparam("version"),
        predictions.c.began >= bindparam("since"),
        tuple_(predictions.c.began, predictions.c.writer, predictions.c.number)
        < tuple_(bindparam("began"), bindparam("writer"), bindparam("number")),
    )
    .order_by(predictions.c.began.desc(), predictions.c.writer.desc(), predictions.c.number.desc())
    .limit(bindparam("most"))
)
_ADVANCE = (
    update(comparison_places)
    .where(
        comparison_places.c.comparison == bindparam("of_comparison"),
        comparison_places.c.writer == bindparam("of_writer"),
        comparison_places.c.number == bindparam("before"),
    )
    .values(number=bindparam("now"))
)
_DELETE_PLACES = delete(comparison_places).where(
    comparison_places.c.comparison == bindparam("comparison"),
    ~select(predictions.c.writer).where(predictions.c.writer == comparison_places.c.writer).exists(),
)
_OF_COMPARISON = comparison_machines.c.comparison == bindparam("comparison")
_COUNT_MACHINES = select(func.count()).where(_OF_COMPARISON)
_KNOWN_MACHINES = select(comparison_machines.c.machine_id).where(_OF_COMPARISON)
_IN_COMPARISON = comparison_days.c.comparison == bindparam("comparison")
_sums = [comparison_days.c[name] for name in _COLUMNS]
_clusters = (
    select(
        comparison_days.c.cluster,
        func.sum(comparison_days.c.both + comparison_days.c.only_production + comparison_days.c.only_candidate).label(
            "alarms"
        ),
    )
    .where(_IN_COMPARISON)
    .group_by(comparison_days.c.cluster)
    .cte("clusters")
)
_number = select(func.count()).select_from(_clusters).correlate(None)
_are_few = _number.scalar_subquery() < FEW_CLUSTERS
_few_have_alarms = _number.where(_clusters.c.alarms > 0).scalar_subquery() < FEW_CLUSTERS
_in_parts = or_(_are_few, and_(_few_have_alarms, _clusters.c.alarms > 0))
_rows = (
    select(case((_in_parts, comparison_days.c.day % _PARTS), else_=0).label("part"), comparison_days.c.cluster, *_sums)
    .join(_clusters, _clusters.c.cluster == comparison_days.c.cluster)
    .where(_IN_COMPARISON)
    .subquery()
)
_PARTS_OF_CLUSTERS = select(_rows.c.part, _rows.c.cluster, *_totals(_rows)).group_by(_rows.c.part, _rows.c.cluster)
_LATEST_DAYS = (
    select(comparison_days.c.day, *_totals(comparison_days))
    .where(_IN_COMPARISON)
    .group_by(comparison_days.c.day)
    .order_by(comparison_days.c.day.desc())
    .limit(bindparam("most"))
)
_MACHINES = (
    select(comparison_machines)
    .where(comparison_machines.c.comparison == bindparam("comparison"))
    .order_by(_DIFFERENT.desc(), comparison_machines.c.difference.desc(), comparison_machines.c.machine_id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, kw_only=True)
class NewBlock:
    """A block of the log that a comparison has not counted: the process that wrote it, its number there, its version."""

    writer: int
    number: int
    version: str
    content: str

    def predictions(self) -> Predictions:
        """The predictions in it."""
        return Predictions.from_json(self.content)


@dataclass(frozen=True)
class BlockContent(Generic[P]):
    """A block of the log, or a part of it: the process that wrote it, its number there."""

    writer: int
    number: int
    content: P


@dataclass(frozen=True)
class Place:
    """How far a comparison has counted the blocks of a process; None before the first one."""

    writer: int
    number: int | None


def find(store: Store, model: str, *, most: int) -> list[Comparison]:
    """The latest `most` comparisons of a registered model: the current comparison, then the newest. Raises StoreError."""
    with store.reading() as connection:
        return [_comparison(row) for row in connection.execute(_COMPARISONS, {"model": model, "most": most})]


def begin(transaction: Transaction, model: str, version: str, candidate: str, *, started: int, now: int) -> Comparison:
    """The comparison of two versions: the one that there is, which goes on, or a new one. All others end."""
    connection, names = transaction.connection, {"model": model, "version": version, "candidate": candidate}
    new = {
        "started": started, "checked": now, "state": "comparing", "reason": "", "attempts": 0, "due": 0, "promotion": "",
        "currency": "", "left_out": "{}",
    }  # fmt: skip
    connection.execute(_insert(connection, comparisons).on_conflict_do_nothing(), names | new)
    found = _comparison(connection.execute(_COMPARISON, names).one())
    if found.state == "ended":
        connection.execute(_BEGIN_AGAIN, {"comparison": found.key})
    end_others(transaction, model, kept=found.key, because=f"version {candidate} is compared with version {version}")
    _remove_old(connection, model)
    return found


def end_others(transaction: Transaction, model: str, *, kept: int = -1, because: str) -> int:
    """End the comparisons of a registered model but `kept`; return their number."""
    ended = transaction.connection.execute(_END_OTHERS, {"of_model": model, "kept": kept, "because": because})
    return ended.rowcount


def set_state(
    transaction: Transaction,
    comparison: Comparison,
    state: ComparisonState,
    reason: str,
    *,
    attempts: int = 0,
    due: int = 0,
) -> None:
    """Note the state of a comparison, unless it has ended, maybe by another process."""
    row = {"comparison": comparison.key, "new_state": state, "new_reason": reason}
    transaction.connection.execute(_SET_STATE, row | {"new_attempts": attempts, "new_due": due})


def set_currency(transaction: Transaction, comparison: Comparison, currency: str) -> None:
    """Note the currency of the costs."""
    transaction.connection.execute(_SET_CURRENCY, {"comparison": comparison.key, "of_costs": currency})


def note_check(transaction: Transaction, comparison: Comparison, now: int, promotion: str) -> None:
    """Note that all predictions up to now are counted, and what the automatic promotion waits for."""
    transaction.connection.execute(_SET_CHECK, {"comparison": comparison.key, "at": now, "waits_for": promotion})
    transaction.connection.execute(_DELETE_PLACES, {"comparison": comparison.key})


def set_labelled(transaction: Transaction, comparison: Comparison, labelled: Labelled | None) -> None:
    """Replace what feedback says about both versions."""
    found = None if labelled is None else msgspec.json.encode(labelled).decode()
    transaction.connection.execute(_SET_LABELLED, {"comparison": comparison.key, "found": found})


def places(store: Store, comparison: Comparison) -> list[Place]:
    """The processes that have written to the log since the comparison started. Raises StoreError."""
    limits = {"comparison": comparison.key, "since": comparison.started * 10**6}
    with store.reading() as connection:
        return [Place(row.writer, row.number) for row in connection.execute(_PLACES, limits)]


def new_blocks(store: Store, model: str, comparison: Comparison, place: Place, *, most: int) -> list[NewBlock]:
    """The next `most` blocks of a process, in the order in which it wrote them. Raises StoreError.

    A process writes its blocks one after the other, so that none appears later behind the last one that is counted.
    """
    number = FIRST_KEY if place.number is None else place.number
    limits = {
        "model": model,
        "writer": place.writer,
        "number": number,
        "since": comparison.started * 10**6,
        "most": most,
    }
    with store.reading() as connection:
        rows = connection.execute(_NEW_BLOCKS, limits).all()
    return [NewBlock(writer=row.writer, number=row.number, version=row.version, content=row.content) for row in rows]


def newest_blocks(
    store: Store, model: str, comparison: Comparison, kind: type[P], *, until: int = LAST_KEY
) -> Iterator[Iterator[BlockContent[P]]]:
    """The blocks of the version in production that began before a time in microseconds, the newest first, in pages.

    `kind` says what of a block is read. Raises StoreError.
    """
    limits = {
        "model": model,
        "version": comparison.version,
        "since": comparison.started * 10**6,
        "most": _NAMES_AT_A_TIME,
    }
    place = {"began": until, "writer": FIRST_KEY, "number": FIRST_KEY}
    while True:
        with store.reading() as connection:
            rows = connection.execute(_NEWEST_BLOCKS, limits | place).all()
        yield (BlockContent(row.writer, row.number, kind.from_json(row.content)) for row in rows)
        if len(rows) < _NAMES_AT_A_TIME:
            return
        place = {name: getattr(rows[-1], name) for name in place}


def add(
    transaction: Transaction, comparison: Comparison, place: Place, upto: int, *,
    days: Mapping[tuple[int, int], DecisionCounts], machines: Mapping[str, DecisionCounts], left_out: Mapping[str, int],
) -> bool:  # fmt: skip
    """Add the counts of the blocks of a process up to the number `upto`, by day and cluster, and by machine.

    Return False, and add nothing, if another process has counted blocks of `place` since.
    """
    connection, key = transaction.connection, comparison.key
    if not _advance(connection, key, place, upto):
        return False
    # In one order everywhere, so that two processes do not wait for each other.
    _add_counts(connection, comparison_days, [
        {"comparison": key, "day": day, "cluster": cluster} | vars(counts)
        for (day, cluster), counts in sorted(days.items())
    ])  # fmt: skip
    counted = _countable(connection, key, [name for name in machines if "\0" not in name])  # PostgreSQL keeps no NUL
    _add_counts(connection, comparison_machines, [
        {"comparison": key, "machine_id": name} | vars(machines[name]) for name in sorted(counted)
    ])  # fmt: skip
    if left_out:
        _add_left_out(connection, key, left_out)
    return True


def counts_by_part(store: Store, comparison: Comparison) -> dict[tuple[int, int], DecisionCounts]:
    """The counts of a comparison by part and cluster: at most some hundred, however many days there are. Raises StoreError.

    A cluster has one part, or several ones of some days each if fewer than FEW_CLUSTERS have readings, or readings with alarms.
    """
    with store.reading() as connection:
        rows = connection.execute(_PARTS_OF_CLUSTERS, {"comparison": comparison.key})
        return {(row.part, row.cluster): _counts(row) for row in rows}


def counts_by_day(store: Store, comparison: Comparison) -> dict[int, DecisionCounts]:
    """The counts of the latest MOST_DAYS days with readings, since 1970, in UTC, the newest first. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(_LATEST_DAYS, {"comparison": comparison.key, "most": MOST_DAYS})
        return {row.day: _counts(row) for row in rows}


def counts_by_machine(store: Store, comparison: Comparison, *, most: int) -> list[tuple[str, DecisionCounts]]:
    """The counts of the `most` machines with the most different decisions, in this order. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(_MACHINES, {"comparison": comparison.key, "most": most})
        return [(row.machine_id, _counts(row)) for row in rows]


def _remove_old(connection: Connection, model: str) -> None:
    keys = [row.key for row in connection.execute(_COMPARISONS, {"model": model, "most": LAST_KEY}).all()][_KEPT:]
    for table in (comparison_places, comparison_days, comparison_machines, comparisons) if keys else ():
        column = table.c.key if table is comparisons else table.c.comparison
        connection.execute(delete(table).where(column.in_(keys)))


def _advance(connection: Connection, key: int, place: Place, upto: int) -> bool:
    if place.number is None:
        new = {"comparison": key, "writer": place.writer, "number": upto}
        statement = _insert(connection, comparison_places).on_conflict_do_nothing()
        return bool(connection.execute(statement, new).rowcount == 1)
    change = {"of_comparison": key, "of_writer": place.writer, "before": place.number, "now": upto}
    return bool(connection.execute(_ADVANCE, change).rowcount == 1)


def _add_counts(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    added = _insert(connection, table)
    sums = {name: table.c[name] + added.excluded[name] for name in _COLUMNS}
    connection.execute(added.on_conflict_do_update(index_elements=[*table.primary_key.columns], set_=sums), list(rows))


def _countable(connection: Connection, key: int, names: list[str]) -> list[str]:
    """The machines that may be counted by machine."""
    if connection.execute(_COUNT_MACHINES, {"comparison": key}).scalar_one() + len(names) <= MOST_MACHINES:
        return names
    # All of them, which are few: a statement cannot have a parameter for each machine of a large fleet.
    known = {row.machine_id for row in connection.execute(_KNOWN_MACHINES, {"comparison": key})}
    new = [name for name in names if name not in known]
    return [*(name for name in names if name in known), *new[: max(MOST_MACHINES - len(known), 0)]]


def _add_left_out(connection: Connection, key: int, left_out: Mapping[str, int]) -> None:
    found = connection.execute(_LEFT_OUT.with_for_update(), {"comparison": key}).scalar_one()
    counted: dict[str, int] = msgspec.json.decode(found)
    for reason, number in left_out.items():
        counted[reason] = counted.get(reason, 0) + number
    row = {"comparison": key, "counted": msgspec.json.encode(counted).decode()}
    connection.execute(_SET_LEFT_OUT, row)


def _insert(connection: Connection, table: Table) -> Any:
    """Both databases know ON CONFLICT, but each by a construct of its own."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def _counts(row: Any) -> DecisionCounts:
    return DecisionCounts(**{name: getattr(row, name) for name in _COLUMNS})


def _comparison(row: Any) -> Comparison:
    same = (
        "key",
        "version",
        "candidate",
        "started",
        "checked",
        "state",
        "reason",
        "attempts",
        "due",
        "promotion",
        "currency",
    )
    return Comparison(
        **{name: getattr(row, name) for name in same},
        left_out=msgspec.json.decode(row.left_out),
        labelled=None if row.labelled is None else msgspec.json.decode(row.labelled, type=Labelled),
    )

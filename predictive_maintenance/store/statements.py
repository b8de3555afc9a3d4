"""The statements of the store. Each is built once, so that SQLAlchemy compiles it once."""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from .schema import (
    alarms,
    audit,
    deliveries,
    delivery_starts,
    events,
    feedback,
    incidents,
    inputs,
    machines,
    predictions,
    production_checks,
    readings,
)
from .times import FIRST_KEY

INSERT_READING = insert(readings)

LOCK_MACHINES = (
    select(machines.c.key, machines.c.machine_id, machines.c.time)
    .where(machines.c.model == bindparam("model"), machines.c.machine_id.in_(bindparam("machine_ids", expanding=True)))
    .order_by(machines.c.machine_id)  # in one order everywhere, so that two processes do not wait for each other
    .with_for_update()
)
"""SQLite has one lock for all, which the transaction has taken."""
LOCK_MACHINES_BY_KEY = (
    select(machines.c.key)
    .where(machines.c.key.in_(bindparam("keys", expanding=True)))
    .order_by(machines.c.machine_id)  # as LOCK_MACHINES
    .with_for_update()
)

_ADD_READINGS = (
    update(machines)
    .where(machines.c.key == bindparam("machine"))
    .values(readings=machines.c.readings + bindparam("added"))
)
ADD_LATE = _ADD_READINGS.values(
    late_since=func.coalesce(machines.c.late_since, bindparam("arrived", type_=BigInteger)),
    late_received=bindparam("arrived", type_=BigInteger),
)
SET_LATEST = _ADD_READINGS.values(
    {name: bindparam(f"new_{name}") for name in ("time", "received", "probability", "alarm", "version")}
    | {"late_since": null(), "late_received": null()}
)

MACHINES = (
    select(machines)
    .where(machines.c.model == bindparam("model"), machines.c.machine_id > bindparam("after"), machines.c.readings > 0)
    .order_by(machines.c.machine_id)
    .limit(bindparam("most"))
)
MACHINE = select(machines).where(
    machines.c.model == bindparam("model"), machines.c.machine_id == bindparam("machine_id")
)
LATEST_READINGS = (
    select(readings)
    .where(readings.c.machine == bindparam("machine"), readings.c.time < bindparam("before"))
    .order_by(readings.c.time.desc())
    .limit(bindparam("most"))
)

LOCK_REMOVAL = select(func.pg_advisory_xact_lock(0x70646D72656D6F76 >> 1))
"""As LOCK_TRAININGS, for what expires: two processes would subtract the same readings twice."""
_arrival = tuple_(readings.c.received, readings.c.machine, readings.c.time)
EXPIRED_READINGS = (
    select(readings.c.received, readings.c.machine, readings.c.time, machines.c.model)
    .outerjoin(machines, machines.c.key == readings.c.machine)
    .where(
        readings.c.received < bindparam("before"),
        _arrival > tuple_(bindparam("received"), bindparam("machine"), bindparam("time")),
    )
    .order_by(readings.c.received, readings.c.machine, readings.c.time)
    .limit(bindparam("most"))
)
"""Of all models, in pages. An outer join, because SQLite would begin an inner one with the machines, and read all readings."""
DELETE_READINGS = delete(readings).where(
    readings.c.machine.in_(bindparam("keys", expanding=True)),
    readings.c.received.between(bindparam("received"), bindparam("last_received")),
    _arrival > tuple_(bindparam("received"), bindparam("machine"), bindparam("time")),
    _arrival <= tuple_(bindparam("last_received"), bindparam("last_machine"), bindparam("last_time")),
)
"""Of some machines, between two arrivals: one statement, because each one takes a round trip to the database."""
_later = events.alias()
DELETE_EVENTS = delete(events).where(
    events.c.received < bindparam("before"),
    select(machines.c.key).where(machines.c.key == events.c.machine, machines.c.model == bindparam("model")).exists(),
    or_(
        select(_later.c.machine)
        .where(
            _later.c.machine == events.c.machine,
            _later.c.source == events.c.source,
            _later.c.type == events.c.type,
            _later.c.time > events.c.time,
        )
        .exists(),
        select(machines.c.key).where(machines.c.key == events.c.machine, machines.c.readings == 0).exists(),
    ),
)
"""The last event of each type stays with the readings of its machine: the time since then is a feature, however long it is."""
UNCOUNT_READINGS = (
    update(machines)
    .where(machines.c.key == bindparam("of_machine"))
    .values(readings=machines.c.readings - bindparam("removed"))
)
DELETE_EMPTY_MACHINES = delete(machines).where(
    machines.c.model == bindparam("of_model"),
    machines.c.readings == 0,
    ~select(events.c.machine).where(events.c.machine == machines.c.key).exists(),
)
"""A machine that has events and no reading yet stays."""
DELETE_ALARMS = delete(alarms).where(~select(machines.c.key).where(machines.c.key == alarms.c.machine).exists())

_EXPIRED_BLOCKS = (
    select(predictions.c.began)
    .where(predictions.c.model == bindparam("of_model"), predictions.c.began < bindparam("before"))
    .order_by(predictions.c.began)
    .limit(bindparam("most"))
    .subquery()
)
DELETE_BLOCKS = delete(predictions).where(
    predictions.c.model == bindparam("of_model"),
    predictions.c.began <= select(func.max(_EXPIRED_BLOCKS.c.began)).scalar_subquery(),
)

_after = tuple_(predictions.c.began, predictions.c.writer, predictions.c.number)
BLOCKS = (
    select(predictions)
    .where(
        predictions.c.model == bindparam("model"),
        predictions.c.began < bindparam("until"),
        _after > tuple_(bindparam("began"), bindparam("writer"), bindparam("number")),
    )
    .order_by(predictions.c.began, predictions.c.writer, predictions.c.number)
    .limit(bindparam("most"))
)

MACHINE_NAMES = select(machines.c.key, machines.c.machine_id).where(machines.c.model == bindparam("model"))
SCORED_READINGS = (
    select(readings)
    .where(
        readings.c.version == bindparam("version"),
        readings.c.received < bindparam("until"),
        _arrival > tuple_(bindparam("received"), bindparam("machine"), bindparam("time")),
    )
    .order_by(readings.c.received, readings.c.machine, readings.c.time)
    .limit(bindparam("most"))
)
"""Without the machines: SQLite would begin with them, and read and sort all readings for each page."""

READINGS = (
    select(readings.c.machine, readings.c.time, readings.c.sensors)
    .where(tuple_(readings.c.machine, readings.c.time) > tuple_(bindparam("machine"), bindparam("time")))
    .order_by(readings.c.machine, readings.c.time)
    .limit(bindparam("most"))
)
"""All readings of all models, in pages. Without the machines, as SCORED_READINGS."""
NUMBER_OF_READINGS = select(func.coalesce(func.sum(machines.c.readings), 0)).where(
    machines.c.model == bindparam("model")
)
EVENTS = (
    select(machines.c.machine_id, events)
    .join(machines, machines.c.key == events.c.machine)
    .where(machines.c.model == bindparam("model"))
    .order_by(events.c.machine, events.c.source, events.c.time, events.c.type)
)
EVENTS_OF_TABLE = EVENTS.where(events.c.source == bindparam("source"))

INPUTS = (
    select(inputs)
    .where(
        inputs.c.model == bindparam("model"), inputs.c.began >= bindparam("since"), inputs.c.began < bindparam("until")
    )
    .order_by(inputs.c.began, inputs.c.writer)
)
INPUT_SUMS = select(
    func.coalesce(func.sum(inputs.c.accepted), 0).label("accepted"),
    func.coalesce(func.sum(inputs.c.rejected), 0).label("rejected"),
).where(inputs.c.model == bindparam("model"), inputs.c.began < bindparam("until"))
DELETE_INPUTS = delete(inputs).where(inputs.c.model == bindparam("of_model"), inputs.c.began < bindparam("before"))
PRODUCTION_CHECK = select(production_checks).where(production_checks.c.model == bindparam("model"))

INCIDENTS = (
    select(incidents)
    .where(incidents.c.model == bindparam("model"))
    .order_by(incidents.c.closed.is_not(None), incidents.c.key.desc())
    .limit(bindparam("most"))
)
OPEN_INCIDENT = select(incidents).where(incidents.c.model == bindparam("model"), incidents.c.closed.is_(None))
INCIDENT = select(incidents).where(incidents.c.key == bindparam("incident"))
INSERT_SCHEDULED_TRAINING = insert(incidents).returning(incidents)
CLOSE_INCIDENT = (
    update(incidents)
    .where(incidents.c.key == bindparam("incident"), incidents.c.closed.is_(None))
    .values(closed=bindparam("at"), closed_by=bindparam("by"))
)
_trained = incidents.alias()
LATEST_TRAINING = select(func.max(incidents.c.trained)).where(
    incidents.c.model == bindparam("model"), incidents.c.trained <= bindparam("latest")
)
LOCK_TRAININGS = select(func.pg_advisory_xact_lock(0x70646D747261696E >> 1))
"""On PostgreSQL: until the end of the transaction, no other one notes a training. Any number that other programs do not use."""
RELEASE_TRAINING = (
    update(incidents)
    .where(incidents.c.key == bindparam("incident"))
    .values(trained=None, training_ended=None, training_result=None)
)
"""Also without the result that another monitor has noted meanwhile: that there is no known one."""
DELETE_INCIDENT = delete(incidents).where(incidents.c.key == bindparam("incident"))
END_TRAINING = (
    update(incidents)
    .where(incidents.c.key == bindparam("incident"))
    .values(training_ended=bindparam("at"), training_result=bindparam("result"))
)
END_LOST_TRAININGS = (
    update(incidents)
    .where(
        incidents.c.model == bindparam("of_model"),
        incidents.c.trained < bindparam("before"),
        incidents.c.training_result.is_(None),
    )
    .values(training_ended=bindparam("at"), training_result=bindparam("result"))
)
CLAIM_TRAINING = (
    update(incidents)
    .where(
        incidents.c.key == bindparam("incident"),
        incidents.c.trained.is_(None),
        ~select(_trained.c.key)
        .where(
            _trained.c.model == incidents.c.model,
            _trained.c.trained > bindparam("after"),
            _trained.c.trained <= bindparam("latest"),
        )
        .exists(),
    )
    .values(trained=bindparam("at"))
)

INSERT_FEEDBACK = insert(feedback)
NEWEST_FEEDBACK = (
    select(feedback)
    .where(
        feedback.c.model == bindparam("model"),
        feedback.c.kind == bindparam("kind"),
        feedback.c.name == bindparam("name"),
        feedback.c.place == bindparam("place"),
    )
    .order_by(feedback.c.key.desc())
    .limit(1)
)
_newer = feedback.alias()
_is_current = ~(
    select(_newer.c.key)
    .where(
        _newer.c.model == feedback.c.model,
        _newer.c.kind == feedback.c.kind,
        _newer.c.name == feedback.c.name,
        _newer.c.place == feedback.c.place,
        _newer.c.key > feedback.c.key,
    )
    .exists()
)
FEEDBACK = (
    select(feedback, _is_current.label("is_current"))
    .where(feedback.c.model == bindparam("model"), feedback.c.key < bindparam("before"))
    .order_by(feedback.c.key.desc())
    .limit(bindparam("most"))
)
CURRENT_FEEDBACK = FEEDBACK.where(_is_current)
REPORTS_OF_NAMES = select(feedback).where(
    feedback.c.model == bindparam("model"),
    feedback.c.kind == bindparam("kind"),
    feedback.c.name.in_(bindparam("names", expanding=True)),
    _is_current,
)
HAS_REPORT = (
    select(feedback.c.key).where(feedback.c.model == bindparam("model"), feedback.c.kind == bindparam("kind")).limit(1)
)
REPORTS_OF_ALARMS = (
    select(feedback, alarms.c.closed)
    .outerjoin(machines, and_(machines.c.model == feedback.c.model, machines.c.machine_id == feedback.c.name))
    .outerjoin(alarms, and_(alarms.c.machine == machines.c.key, alarms.c.opened == feedback.c.place))
    .where(feedback.c.model == bindparam("model"), feedback.c.kind == "alarm", _is_current)
    .order_by(feedback.c.key)
)
ALARM = (
    select(alarms, machines.c.time.label("latest"))
    .join(machines, machines.c.key == alarms.c.machine)
    .where(
        machines.c.model == bindparam("model"),
        machines.c.machine_id == bindparam("machine_id"),
        alarms.c.opened == bindparam("opened"),
    )
)

ACKNOWLEDGE_ALARM = (
    update(alarms)
    .where(
        alarms.c.machine
        == select(machines.c.key)
        .where(machines.c.model == bindparam("of_model"), machines.c.machine_id == bindparam("of_machine"))
        .scalar_subquery(),
        alarms.c.opened == bindparam("opened_at"),
        alarms.c.acknowledged.is_(None),
    )
    .values(acknowledged=bindparam("at"), acknowledged_by=bindparam("by"))
)

INSERT_AUDIT = insert(audit)
LOCK_AUDIT = select(func.pg_advisory_xact_lock(0x70646D6175646974 >> 1))
"""As LOCK_TRAININGS, for entries that are added if the newest ones are not equal."""
AUDIT = (
    select(audit)
    .where(audit.c.model == bindparam("model"), audit.c.key < bindparam("before"))
    .order_by(audit.c.key.desc())
    .limit(bindparam("most"))
)
AUDIT_OF_ACTION = AUDIT.where(audit.c.action == bindparam("action"))
"""Of one action: with several ones, databases sort all their entries, or read all newer ones, for each page."""
OF_SUBJECT = audit.c.subject == bindparam("subject")
DELETE_AUDIT = delete(audit).where(
    audit.c.key.in_(
        select(audit.c.key)
        .where(audit.c.model == bindparam("of_model"), audit.c.at < bindparam("before"))
        .order_by(audit.c.at)
        .limit(bindparam("most"))
    )
)

_OF_MACHINES: Any = bindparam("machines", expanding=True)
RECENT_EVENTS = (
    select(events)
    .where(
        events.c.machine.in_(_OF_MACHINES),
        events.c.source.in_(bindparam("sources", expanding=True)),
        events.c.time >= bindparam("beginning"),
        events.c.time <= bindparam("last"),
    )
    .order_by(events.c.machine, events.c.source, events.c.time)
)
LAST_EVENTS = (
    select(events.c.machine, events.c.source, events.c.type, func.max(events.c.time).label("time"))
    .where(
        events.c.machine.in_(_OF_MACHINES),
        events.c.source.in_(bindparam("sources", expanding=True)),
        events.c.time < bindparam("beginning"),
    )
    .group_by(events.c.machine, events.c.source, events.c.type)
)
"""The last event of each type before a time."""
_had_arrived = events.c.received <= bindparam("known")
KNOWN_EVENTS = LAST_EVENTS.where(_had_arrived), RECENT_EVENTS.where(_had_arrived)
"""LAST_EVENTS and RECENT_EVENTS as they were at a time in seconds since 1970."""
ARRIVED_EVENT = (
    select(events.c.machine)
    .where(
        events.c.machine == bindparam("machine"),
        events.c.received > bindparam("after"),
        events.c.received <= bindparam("known"),
    )
    .limit(1)
)
LATEST_EVENTS = (
    select(events)
    .where(events.c.machine == bindparam("machine"), events.c.time >= bindparam("beginning"))
    .order_by(events.c.time.desc())
    .limit(bindparam("most"))
)

LATEST_DECISIONS = (
    select(readings.c.alarm)
    .where(
        readings.c.machine == bindparam("machine"),
        readings.c.time < bindparam("before"),
        readings.c.time > bindparam("after"),
        readings.c.alarm.is_not(None),
    )
    .order_by(readings.c.time.desc())
    .limit(bindparam("most"))
)
OPEN_ALARMS = select(alarms).where(alarms.c.machine.in_(_OF_MACHINES), alarms.c.closed.is_(None))
CLOSED_ALARM_AT = select(alarms.c.opened).where(
    alarms.c.machine == bindparam("machine"), alarms.c.opened <= bindparam("time"), alarms.c.closed > bindparam("time")
)
_verdict = (
    select(feedback.c.verdict)
    .where(
        feedback.c.model == machines.c.model,
        feedback.c.kind == "alarm",
        feedback.c.name == machines.c.machine_id,
        feedback.c.place == alarms.c.opened,
    )
    .order_by(feedback.c.key.desc())
    .limit(1)
    .correlate(machines, alarms)
    .scalar_subquery()
    .label("verdict")
)
"""Of the newest feedback on an alarm."""
ALARMS_OF_MACHINE = (
    select(alarms, _verdict)
    .join(machines, machines.c.key == alarms.c.machine)
    .where(alarms.c.machine == bindparam("machine"))
    .order_by(alarms.c.opened.desc())
    .limit(bindparam("most"))
)
ALARMS = (
    select(alarms, machines.c.machine_id, _verdict)
    .join(machines, machines.c.key == alarms.c.machine)
    .where(
        machines.c.model == bindparam("model"),
        or_(
            alarms.c.opened < bindparam("before"),
            and_(alarms.c.opened == bindparam("before"), machines.c.machine_id > bindparam("after")),
        ),
    )
    .order_by(alarms.c.opened.desc(), machines.c.machine_id)
    .limit(bindparam("most"))
)
ONLY_OPEN_ALARMS = ALARMS.where(alarms.c.closed.is_(None))
_OF_ALARM = and_(deliveries.c.machine == alarms.c.machine, deliveries.c.opened == alarms.c.opened)


def _sent(what: str) -> Any:
    """Whether the opening or the end of an alarm has a delivery, whatever became of it."""
    return select(deliveries.c.machine).where(_OF_ALARM, deliveries.c.what == what).exists()


_alarms_of_model = (
    select(alarms, machines.c.machine_id)
    .join(machines, machines.c.key == alarms.c.machine)
    .where(machines.c.model == bindparam("model"))
)
_in_order = (alarms.c.opened, machines.c.machine_id)
OPENED_ALARMS = _alarms_of_model.where(~_sent("opened")).order_by(*_in_order).limit(bindparam("most"))
CLOSED_ALARMS = (
    _alarms_of_model.where(
        alarms.c.closed.is_not(None),
        ~_sent("closed"),
        select(deliveries.c.machine)
        .where(_OF_ALARM, deliveries.c.what == "opened", deliveries.c.state != "waiting")
        .exists(),
    )
    .order_by(*_in_order)
    .limit(bindparam("most"))
)
"""Alarms whose end was not sent yet, although their opening was, or was given up."""
_with_delivery = (
    select(
        alarms,
        machines.c.machine_id,
        *(deliveries.c[name] for name in ("what", "state", "attempts", "due", "reason")),
    )
    .join_from(alarms, deliveries, _OF_ALARM)
    .join(machines, machines.c.key == alarms.c.machine)
)
DELIVERIES = (
    _with_delivery.where(
        machines.c.model == bindparam("model"),
        deliveries.c.state == bindparam("state"),
        deliveries.c.due <= bindparam("now"),
    )
    .order_by(deliveries.c.due, *_in_order)
    .limit(bindparam("most"))
)
DELIVERY_START = select(delivery_starts.c.started).where(delivery_starts.c.model == bindparam("model"))
COUNT_DELIVERIES = (
    select(deliveries.c.state, func.count().label("messages"))
    .join(machines, machines.c.key == deliveries.c.machine)
    .where(machines.c.model == bindparam("model"), deliveries.c.state.in_(("waiting", "dead")))
    .group_by(deliveries.c.state)
)
COUNT_UNTRIED = tuple(
    select(func.count())
    .select_from(alarms)
    .join(machines, machines.c.key == alarms.c.machine)
    .where(machines.c.model == bindparam("model"), ~_sent(what), *conditions)
    for what, conditions in (("opened", ()), ("closed", (alarms.c.closed.is_not(None),)))
)
"""Openings, and ends, of alarms that were not sent yet."""
SKIP_CLOSED_ALARMS = tuple(
    insert(deliveries).from_select(
        list(deliveries.c.keys()),
        select(
            alarms.c.machine, alarms.c.opened, literal(what), literal("skipped"), literal(0), literal(0), literal("")
        )
        .join(machines, machines.c.key == alarms.c.machine)
        .where(machines.c.model == bindparam("model"), alarms.c.closed.is_not(None)),
    )
    for what in ("opened", "closed")
)
_THIS_DELIVERY = and_(
    deliveries.c.machine == bindparam("of_machine"),
    deliveries.c.opened == bindparam("opened_at"),
    deliveries.c.what == bindparam("change"),
)
CLAIM_DELIVERY = (
    update(deliveries)
    .where(_THIS_DELIVERY, deliveries.c.state == "waiting", deliveries.c.attempts == bindparam("attempts_before"))
    .values(attempts=deliveries.c.attempts + 1, due=bindparam("until"))
)
END_DELIVERY = (
    update(deliveries)
    .where(_THIS_DELIVERY, deliveries.c.state == "waiting", deliveries.c.attempts == bindparam("attempt"))
    .values(state=bindparam("new_state"), due=bindparam("next"), reason=bindparam("because"))
)
REPEAT_DEAD = (
    update(deliveries)
    .where(
        deliveries.c.state == "dead",
        select(machines.c.key)
        .where(machines.c.key == deliveries.c.machine, machines.c.model == bindparam("of_model"))
        .exists(),
    )
    .values(state="waiting", attempts=0, due=0)
)
DELETE_DELIVERIES = delete(deliveries).where(
    ~select(machines.c.key).where(machines.c.key == deliveries.c.machine).exists()
)

CLOSE_ALARM = (
    update(alarms)
    .where(alarms.c.machine == bindparam("of_machine"), alarms.c.opened == bindparam("opened_at"))
    .values(closed=bindparam("closed_at"), closed_by=bindparam("by"))
)


@cache
def insert_machine(dialect: str) -> Any:
    """Add a machine, unless another process has. Both databases know this statement, but each by a construct of its own."""
    added: Any = (postgresql if dialect == "postgresql" else sqlite).insert(machines)
    return added.values(readings=0).on_conflict_do_nothing()


@cache
def insert_event(dialect: str) -> Any:
    """Add an event, unless it is known."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(events).on_conflict_do_nothing()


@cache
def insert_delivery(dialect: str) -> Any:
    """Add a delivery, unless another process has."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(deliveries).on_conflict_do_nothing()


@cache
def insert_delivery_start(dialect: str) -> Any:
    """Note that deliveries of a model begin, unless they have begun before."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(delivery_starts).on_conflict_do_nothing()


@cache
def insert_incident(dialect: str) -> Any:
    """Open an incident, unless one of the model is open."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(incidents).on_conflict_do_nothing()


@cache
def insert_alarm(dialect: str) -> Any:
    """Add an alarm, unless the same reading opened one."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(alarms).on_conflict_do_nothing()


@cache
def insert_block(dialect: str) -> Any:
    """Add a block of predictions, unless it was added by an attempt whose answer was lost."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(predictions).on_conflict_do_nothing()


@cache
def save_inputs(dialect: str) -> Any:
    """Add the counts of an interval, or replace those that the same process has written."""
    added: Any = (postgresql if dialect == "postgresql" else sqlite).insert(inputs)
    changes = {name: added.excluded[name] for name in ("accepted", "rejected", "fields")}
    return added.on_conflict_do_update(index_elements=["began", "writer"], set_=changes)


@cache
def save_production_check(dialect: str) -> Any:
    """Add the latest check of a model, or replace an earlier one."""
    added: Any = (postgresql if dialect == "postgresql" else sqlite).insert(production_checks)
    changes = {name: added.excluded[name] for name in ("checked", "content")}
    return added.on_conflict_do_update(index_elements=["model"], set_=changes)


@cache
def window(dialect: str, by_length: bool, readings_before: int, *, as_known: bool = False) -> Select[Any]:
    """Readings up to `last`, from the earliest that the windows of a reading at `first` need.

    Those are the readings after `beginning` and the one before them, which shows that the windows are complete, and the
    `readings_before` that precede `first`. With `as_known`, there are only those that had arrived by `known`.
    """
    own: ColumnElement[bool] = readings.c.machine == bindparam("machine")
    if as_known:
        own = and_(own, readings.c.received <= bindparam("known"))
    lower: list[ColumnElement[Any]] = []
    if by_length:
        lower.append(_latest_time(own, readings.c.time <= bindparam("beginning"), 0))
    if readings_before:
        lower.append(_latest_time(own, readings.c.time < bindparam("first"), readings_before - 1))
    if not lower:
        lower.append(bindparam("first", type_=BigInteger))
    least = func.least if dialect == "postgresql" else func.min
    earliest = lower[0] if len(lower) == 1 else least(*lower)
    return (
        select(readings.c.time, readings.c.sensors, readings.c.received)
        .where(own, readings.c.time >= earliest, readings.c.time <= bindparam("last"))
        .order_by(readings.c.time)
    )


def _latest_time(own: ColumnElement[bool], condition: ColumnElement[bool], skipped: int) -> ColumnElement[Any]:
    """The latest time that meets the condition, after `skipped` later ones; before all times if there is none."""
    found = select(readings.c.time).where(own, condition).order_by(readings.c.time.desc()).limit(1).offset(skipped)
    return func.coalesce(found.scalar_subquery(), literal(FIRST_KEY, BigInteger))

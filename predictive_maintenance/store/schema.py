"""The tables of the store.

A time is an integer: microseconds since 1970 in UTC, or what `times` makes of a counter. `received` is in seconds since 1970.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from .rows import SUMS, WHOLE_COUNTS

VERSION_TABLE = "pdm_store_version"
"""It has the revision of the tables. Not Alembic's usual name: the database may be MLflow's, too."""
REVISION = "0014"
"""The newest revision in `migrations`."""

metadata = MetaData()

# The order of texts must not depend on the language of a database: pages of machines continue behind a name.
_NAME = Text().with_variant(Text(collation="C"), "postgresql")

machines = Table(
    "pdm_machines",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("model", _NAME, nullable=False),
    Column("machine_id", _NAME, nullable=False),
    Column("readings", BigInteger, nullable=False),
    Column("time", BigInteger),
    Column("received", BigInteger),
    Column("probability", Double),
    Column("alarm", Boolean),
    Column("version", Text),
    Column("late_since", BigInteger),
    Column("late_received", BigInteger),
    UniqueConstraint("model", "machine_id", name="pdm_machines_name"),
)
"""Each machine of a registered model, the number of its readings, and the latest one with its score.

`late_since` and `late_received` are as in `rows.MachineState`.
"""

readings = Table(
    "pdm_readings",
    metadata,
    Column("machine", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("received", BigInteger, nullable=False),
    Column("probability", Double),
    Column("alarm", Boolean),
    Column("version", Text),
    Column("sensors", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Readings with the score at their arrival. `sensors` is a JSON object of the inputs that have a value."""
Index("pdm_readings_received", readings.c.received)

events = Table(
    "pdm_events",
    metadata,
    Column("machine", BigInteger, primary_key=True, autoincrement=False),
    Column("source", _NAME, primary_key=True),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("type", _NAME, primary_key=True),
    Column("received", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Events of machines, by the table of the description that they belong to."""

alarms = Table(
    "pdm_alarms",
    metadata,
    Column("machine", BigInteger, primary_key=True, autoincrement=False),
    Column("opened", BigInteger, primary_key=True, autoincrement=False),
    Column("closed", BigInteger),
    Column("closed_by", Text),
    Column("probability", Double, nullable=False),
    Column("version", Text, nullable=False),
    Column("mode", Text),
    Column("mode_probability", Double),
    Column("acknowledged", BigInteger),
    Column("acknowledged_by", Text),
    sqlite_with_rowid=False,
)
"""Alarms of machines by the time of the reading that opened them. `closed_by` is decisions or failure; at most one is open.

`mode` is the likeliest failure mode at its opening, with its probability if the machine fails. `acknowledged` is in seconds
since 1970.
"""
Index("pdm_alarms_opened", alarms.c.opened)
Index("pdm_events_received", events.c.received)

predictions = Table(
    "pdm_predictions",
    metadata,
    Column("began", BigInteger, primary_key=True, autoincrement=False),
    Column("writer", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("model", _NAME, nullable=False),
    Column("version", Text, nullable=False),
    Column("predictions", BigInteger, nullable=False),
    Column("alarms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
)
"""The log of predictions, in blocks: those that a version made within some seconds, or for a part of a batch.

`content` is a `predictions.Predictions` in JSON, `predictions` the number of them. `began` is in microseconds since 1970;
`writer` is a random number of the process, `number` that of the block in it: a block that is written again is the same row.
The table is not clustered by its key in SQLite, as others are: to compare keys, SQLite would read the whole content.
"""
Index("pdm_predictions_writer", predictions.c.writer, predictions.c.number)
Index("pdm_predictions_model", predictions.c.model, predictions.c.began)

feedback = Table(
    "pdm_feedback",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("model", _NAME, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("mode", Text),
    Column("failed", BigInteger),
    Column("comment", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
)
"""What people found out, in the order of its arrival; the newest report about a subject counts.

`kind`, `name` and `place` are the subject: alarm, its machine and the time of its opening; reading, its id and 0; request, its id
and the row of a reading in it. `failed` is the time of the failure of a confirmed alarm.
"""
Index("pdm_feedback_subject", feedback.c.model, feedback.c.kind, feedback.c.name, feedback.c.place, feedback.c.key)

incidents = Table(
    "pdm_incidents",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("model", _NAME, nullable=False),
    Column("version", Text, nullable=False),
    Column("opened", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("closed_by", Text),
    Column("reasons", Text, nullable=False),
    Column("trained", BigInteger),
    Column("training_ended", BigInteger),
    Column("training_result", Text),
)
"""Lasting differences between production and the training of a version. Times are in seconds since 1970.

`reasons` is a JSON list of texts, `trained` when a training was started for the incident. `training_result` says how it ended.
At most one incident of a model is open.
"""
_is_open = text("closed IS NULL")
Index("pdm_incidents_open", incidents.c.model, unique=True, sqlite_where=_is_open, postgresql_where=_is_open)

deliveries = Table(
    "pdm_deliveries",
    metadata,
    Column("machine", BigInteger, primary_key=True, autoincrement=False),
    Column("opened", BigInteger, primary_key=True, autoincrement=False),
    Column("what", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What of an alarm was sent to another system: `what` is opened or closed. A change without a row here was not sent yet.

`state` is waiting, delivered, dead (given up, for `reason`) or skipped (closed before deliveries began). A waiting one is sent
at `due`, in seconds since 1970.
"""
Index("pdm_deliveries_state", deliveries.c.state, deliveries.c.due)

delivery_starts = Table(
    "pdm_delivery_starts",
    metadata,
    Column("model", _NAME, primary_key=True),
    Column("started", BigInteger, nullable=False),
)
"""When the first process began to deliver the alarms of a model, in seconds since 1970; 0 if an older release did."""

audit = Table(
    "pdm_audit",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("model", _NAME, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("person", Text),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
"""Who did what, in the order of its arrival; rows are added, and removed when they expire. `at` is in seconds since 1970.

`actor` is the name of an API key, or who moved production; `person` whom the key spoke for. `detail` is a JSON object.
"""
Index("pdm_audit_model", audit.c.model, audit.c.at)
Index("pdm_audit_page", audit.c.model, audit.c.key)
Index("pdm_audit_action", audit.c.model, audit.c.action, audit.c.key)

comparisons = Table(
    "pdm_comparisons",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("model", _NAME, nullable=False),
    Column("version", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("checked", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("promotion", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("left_out", Text, nullable=False),
    Column("labelled", Text),
    UniqueConstraint("model", "version", "candidate", name="pdm_comparisons_versions"),
)
"""A version in production beside a candidate that scores the same readings. Times are in seconds since 1970.

Predictions since `started` count. `state` is that of `rows.Comparison`, with `reason`; a broken candidate was loaded `attempts`
times in vain, and is loaded again at `due`. `promotion` says what the automatic promotion waits for. `left_out` is a JSON object:
predictions that were not compared, by reason. `labelled` is a `rows.Labelled` in JSON.
"""

comparison_places = Table(
    "pdm_comparison_places",
    metadata,
    Column("comparison", BigInteger, primary_key=True, autoincrement=False),
    Column("writer", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The number of the last block of the log, for each process that writes it, that a comparison has counted."""


def _counts() -> list[Column[Any]]:
    """The columns of `rows.DecisionCounts`."""
    whole = [Column(name, BigInteger, nullable=False) for name in WHOLE_COUNTS]
    return whole + [Column(name, Double, nullable=False) for name in SUMS]


comparison_days = Table(
    "pdm_comparison_days",
    metadata,
    Column("comparison", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("cluster", Integer, primary_key=True, autoincrement=False),
    *_counts(),
    sqlite_with_rowid=False,
)
"""The counts of a comparison by day (since 1970, in UTC) and cluster: readings that resemble each other are in one of 256."""

comparison_machines = Table(
    "pdm_comparison_machines",
    metadata,
    Column("comparison", BigInteger, primary_key=True, autoincrement=False),
    Column("machine_id", _NAME, primary_key=True),
    *_counts(),
    sqlite_with_rowid=False,
)
"""The counts of a comparison by machine."""

inputs = Table(
    "pdm_inputs",
    metadata,
    Column("began", BigInteger, primary_key=True, autoincrement=False),
    Column("writer", BigInteger, primary_key=True, autoincrement=False),
    Column("model", _NAME, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),
)
"""How many readings a process of the service accepted and rejected in an interval that began then, in seconds since 1970.

`writer` is as in the log of predictions. `fields` is a JSON object: how often each field was invalid.
"""

production_checks = Table(
    "pdm_production_checks",
    metadata,
    Column("model", _NAME, primary_key=True),
    Column("checked", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
)
"""The result of the latest check of each model by monitoring, as JSON. `checked` is in seconds since 1970."""

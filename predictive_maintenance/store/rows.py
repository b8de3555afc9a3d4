"""What the store keeps and returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

Sensors = Mapping[str, float | str]
"""The inputs of a reading that have a value, by name: numbers of sensors, texts of categories."""


@dataclass(frozen=True)
class Score:
    """What a model version said about a reading at its arrival. Only an alarm keeps the likeliest failure mode."""

    probability: float
    alarm: bool
    version: str
    mode: str | None = None
    mode_probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A reading of a machine. `time` is a key of `times`, `received` in seconds since 1970; without score it has no value."""

    time: int
    received: int
    sensors: Sensors
    score: Score | None

    @property
    def row(self) -> dict[str, Any]:
        """The columns of the table, but the machine."""
        return {"time": self.time, "received": self.received, "sensors": encode(self.sensors), **score_row(self.score)}


class Arrival(NamedTuple):
    """The place of a reading in the order of arrival: the time in seconds since 1970, then the machine's key and the time's."""

    received: int
    machine: int
    time: int


FIRST_ARRIVAL = Arrival(-1, -1, 0)
"""Before all readings."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a machine: the table of the description that it belongs to, its time as a key, its type."""

    table: str
    time: int
    type: str


ClosedBy = Literal["decisions", "failure"]
Verdict = Literal["confirmed", "false", "partly", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm of a machine, with the score of the reading that opened it. Times are keys; `closed` is None while it is open.

    `mode` is the likeliest failure mode then, and `mode_probability` its probability if the machine fails. `verdict` is
    that of the newest feedback, where it is read. `acknowledged` is in seconds since 1970.
    """

    opened: int
    probability: float
    version: str
    mode: str | None = None
    mode_probability: float | None = None
    closed: int | None = None
    closed_by: ClosedBy | None = None
    verdict: Verdict | None = None
    acknowledged: int | None = None
    acknowledged_by: str | None = None


Kind = Literal["alarm", "reading", "request"]


@dataclass(frozen=True)
class Subject:
    """What feedback is about: an alarm (its machine, the key of its opening), a reading (its id, 0), a row of a request."""

    kind: Kind
    name: str
    place: int = 0


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What somebody found out about a subject. `failed` is the key of the time of a failure."""

    subject: Subject
    verdict: Verdict
    mode: str | None
    failed: int | None
    comment: str
    author: str


@dataclass(frozen=True, kw_only=True)
class StoredFeedback(Feedback):
    """Feedback in the order of its `key`; the newest one about its subject is current. `received` in seconds since 1970."""

    key: int
    received: int
    is_current: bool


@dataclass(frozen=True)
class Actor:
    """Who does something: the name of an API key, and the person that its client speaks for."""

    key: str
    person: str | None = None

    @property
    def shown(self) -> str:
        """The person or, without one, the key."""
        return self.person or self.key


Action = Literal[
    "acknowledgement", "feedback", "events", "promotion", "blocked_promotion", "rollback", "settings", "refusal"
]


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """What somebody did to `subject`, at a time in seconds since 1970. `detail` holds plain values."""

    at: int
    action: Action
    actor: Actor
    subject: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StoredAuditEntry(AuditEntry):
    """An entry of the audit log, in the order of its `key`."""

    key: int


AlarmChange = Literal["opened", "closed"]
DeliveryState = Literal["waiting", "delivered", "dead"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """That an alarm of a machine opened or closed, on its way to another system, after so many attempts.

    `machine` is the key of the machine. `reason` is why the last attempt failed. While it waits, it is sent again at `due`, in
    seconds since 1970.
    """

    machine: int
    machine_id: str
    what: AlarmChange
    alarm: Alarm
    state: DeliveryState = "waiting"
    attempts: int = 0
    due: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliveryCounts:
    """How many messages about alarms wait, also those that were not tried yet, and how many were given up.

    `began` is when deliveries began, in seconds since 1970: 0 in an older release, None if they never did. Then nothing waits.
    """

    began: int | None
    waiting: int
    dead: int


IncidentEnd = Literal["resolved", "another version", "schedule"]

MOST_SKEW = 86_400
"""Seconds by which the clock of another process may be ahead. A training that is said to be later was noted by a wrong clock."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Lasting differences between production and the training of `version`. Times are in seconds since 1970.

    `reasons` are sentences. It is open while `closed` is None. `trained` is when a training was started for it, and
    `training_result` says how that ended. A scheduled training is an incident that its schedule closes when it opens.
    """

    key: int
    version: str
    opened: int
    reasons: tuple[str, ...]
    closed: int | None = None
    closed_by: IncidentEnd | None = None
    trained: int | None = None
    training_ended: int | None = None
    training_result: str | None = None


WHOLE_COUNTS = ("predictions", "both", "only_production", "only_candidate")
SUMS = (
    "difference",
    "costs_production",
    "costs_production_by_candidate",
    "costs_candidate_by_production",
    "costs_candidate",
)


@dataclass(frozen=True, kw_only=True)
class DecisionCounts:
    """Sums over predictions of two versions for the same readings.

    `both` is the number of readings for which both decide for an alarm, `only_production` and `only_candidate` those with
    different decisions. `difference` is the sum of the absolute differences of the probabilities. The others are the expected
    costs of the decisions of one version: by its own probabilities, or by those of the other one.
    """

    predictions: int = 0
    both: int = 0
    only_production: int = 0
    only_candidate: int = 0
    difference: float = 0.0
    costs_production: float = 0.0
    costs_production_by_candidate: float = 0.0
    costs_candidate_by_production: float = 0.0
    costs_candidate: float = 0.0

    def __add__(self, other: "DecisionCounts") -> "DecisionCounts":
        return DecisionCounts(**{name: getattr(self, name) + getattr(other, name) for name in (*WHOLE_COUNTS, *SUMS)})

    @property
    def different(self) -> int:
        """Readings with different decisions."""
        return self.only_production + self.only_candidate

    @property
    def same(self) -> int:
        """Readings with the same decision."""
        return self.predictions - self.different

    @property
    def alarms(self) -> int:
        """Readings for which at least one version decides for an alarm."""
        return self.both + self.different


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Wrong decisions of a version about readings whose outcome is known, and what they cost.

    `low` and `high` are the ends of the 95 % interval of the costs; None if it is not judged.
    """

    missed_failures: int
    false_alarms: int
    costs: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Saving:
    """By how much the errors of a candidate cost less than those of production, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Compared readings whose outcome is known from a source, and the errors of both versions.

    `failures` are the readings before a failure. `saving` is None if it is not judged, for `reason`. With confirmed alarms, only
    readings with an alarm of production have a known outcome.
    """

    readings: int
    failures: int
    production: Errors
    candidate: Errors
    source: Literal["feedback", "failures", "confirmed alarms"] = "feedback"
    saving: Saving | None = None
    reason: str = ""


ComparisonState = Literal["comparing", "not comparable", "broken", "ended"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A candidate that scores what `version` scores in production. Times are in seconds since 1970.

    `reason` is why it is not comparable, broken or ended. `left_out` are predictions that were not compared, by reason.
    `promotion` is what the automatic promotion waits for. `labelled` is None without any outcome.
    """

    key: int
    version: str
    candidate: str
    started: int
    checked: int
    state: ComparisonState
    reason: str
    attempts: int
    due: int
    promotion: str
    currency: str
    left_out: Mapping[str, int]
    labelled: Labelled | None


@dataclass(frozen=True, kw_only=True)
class InputCount:
    """Readings that were accepted and rejected in an interval that began at `began`, in seconds since 1970.

    `fields` is how often each field was invalid.
    """

    began: int
    accepted: int
    rejected: int
    fields: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class AlarmReport:
    """The newest feedback on an alarm. Times are keys: `closed` is None for an alarm that is open, or no longer in the store."""

    machine_id: str
    opened: int
    closed: int | None
    verdict: Verdict
    mode: str | None
    failed: int | None


@dataclass(frozen=True, kw_only=True)
class MachineState:
    """A machine, the number of its readings, the latest of them, and its open alarm.

    If all readings that arrived since then were older than the latest one, `late_since` and `late_received` are when the first
    and the last of them arrived, in seconds since 1970: the clock or the counter of the machine may have gone back.
    """

    machine_id: str
    readings: int
    time: int
    received: int
    score: Score | None
    alarm: Alarm | None = None
    late_since: int | None = None
    late_received: int | None = None

    @property
    def arrived(self) -> int:
        """When a reading of the machine arrived last, late ones too, in seconds since 1970."""
        return self.received if self.late_received is None else self.late_received


@dataclass(frozen=True)
class LockedMachine:
    """A machine that no other transaction changes. `latest` is the time of its latest reading; None without readings."""

    key: int
    latest: int | None


def score_row(score: Score | None) -> dict[str, Any]:
    """The columns of a score."""
    if score is None:
        return {"probability": None, "alarm": None, "version": None}
    return {"probability": score.probability, "alarm": score.alarm, "version": score.version}


def score_of(row: Any) -> Score | None:
    """The score in a row."""
    return None if row.probability is None else Score(row.probability, row.alarm, row.version)


def encode(sensors: Sensors) -> str:
    """Sensors as JSON, in which a number keeps all its digits."""
    return msgspec.json.encode(sensors).decode()


def decode(texts: list[str]) -> list[dict[str, float | str]]:
    """The sensors of several readings. Decoding them together takes half of the time."""
    return _decoder.decode(f"[{','.join(texts)}]")


_decoder = msgspec.json.Decoder(list[dict[str, float | str]])

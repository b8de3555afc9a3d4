"""What the service's Prometheus counters say of its traffic: of what was observed, and nothing beyond."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from dashboard.api_client import ApiError

_SCORING = ("/predict", "/predict/batch", "/predict/what-if", "/invocations")

Buckets = tuple[tuple[float, float], ...]
"""(upper bound in seconds, answers up to it), rising."""


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The counters at one time (seconds of a steady clock), since the service started.

    `refused` were the caller's mistakes (4xx), `failed` the service's (5xx).
    """

    at: float
    answers: float = 0
    refused: float = 0
    failed: float = 0
    readings: float = 0
    alarms: float = 0
    rejected: Mapping[str, float] | None = None
    buckets: Buckets = ()


@dataclass(frozen=True)
class Traffic:
    """Between two looks, `seconds` apart.

    `typical_seconds` and `slow_seconds`: half, and 95 %, of the answers took at most so long, as the histogram's bounds
    tell; None without answers, and infinite beyond its last bound.
    """

    seconds: float
    answers: int
    typical_seconds: float | None
    slow_seconds: float | None


def read_counters(text: str, at: float) -> Counters:
    """From Prometheus text: answers to questions about readings, not those to who looks after the service.

    Raises ApiError where that is something else.
    """
    try:
        return _counters(text, at)
    except (ValueError, KeyError) as error:
        raise ApiError(f"/metrics of the service cannot be read: {error}") from None


def _counters(text: str, at: float) -> Counters:
    sums = {"answers": 0.0, "refused": 0.0, "failed": 0.0, "readings": 0.0, "alarms": 0.0}
    rejected: dict[str, float] = {}
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels, value = sample.labels, sample.value
            if sample.name == "pdm_http_requests_total" and labels["route"] in _SCORING:
                sums["answers"] += value
                sums["refused"] += value * labels["status"].startswith("4")
                sums["failed"] += value * labels["status"].startswith("5")
            elif sample.name == "pdm_http_request_seconds_bucket" and labels["route"] in _SCORING:
                bound = float(labels["le"])
                buckets[bound] = buckets.get(bound, 0) + value
            elif sample.name == "pdm_readings_total":
                sums["readings"] += value
                sums["alarms"] += value * (labels["decision"] == "failure")
            elif sample.name == "pdm_readings_rejected_total":
                rejected[labels["field"]] = rejected.get(labels["field"], 0) + value
    return Counters(at=at, **sums, rejected=rejected, buckets=tuple(sorted(buckets.items())))


def between(first: Counters, last: Counters) -> Traffic:
    """What happened from `first` to `last`, of the same start of the service."""
    before = dict(first.buckets)
    taken = [(bound, count - before.get(bound, 0)) for bound, count in last.buckets]
    return Traffic(
        last.at - first.at,
        round(last.answers - first.answers),
        _bound_of(taken, 0.5),
        _bound_of(taken, 0.95),
    )


def is_restart(first: Counters, last: Counters) -> bool:
    """Whether the service began to count anew in between."""
    return last.answers < first.answers or last.readings < first.readings


def _bound_of(taken: list[tuple[float, float]], share: float) -> float | None:
    total = taken[-1][1] if taken else 0
    return next((bound for bound, count in taken if count >= share * total), None) if total else None

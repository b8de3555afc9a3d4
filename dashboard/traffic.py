"""Request counts and latencies, computed from the API's Prometheus metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from dashboard.api_client import ApiError

_SCORING_ROUTES = ("/predict", "/predict/batch", "/predict/what-if", "/readings", "/invocations")

Buckets = tuple[tuple[float, float], ...]
"""Cumulative histogram: (upper bound in seconds, requests up to it), in ascending order."""


@dataclass(frozen=True, kw_only=True)
class LogCounters:
    """Predictions that were written to the log since the service started, that wait, and that are lost."""

    written: float = 0
    waiting: float = 0
    lost: float = 0


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Counters of the scoring routes since the service started, read at `at` (seconds of a monotonic clock).

    `client_errors` are 4xx responses, `server_errors` 5xx responses. `log` is None if predictions are not logged.
    """

    at: float
    requests: float = 0
    client_errors: float = 0
    server_errors: float = 0
    readings: float = 0
    alarms: float = 0
    rejected_by_field: Mapping[str, float] | None = None
    buckets: Buckets = ()
    log: LogCounters | None = None


@dataclass(frozen=True)
class Traffic:
    """Requests within `seconds`.

    `median_seconds` and `p95_seconds` are upper bounds of latency quantiles, as precise as the histogram's buckets. They are
    None without requests, and infinite above the last finite bucket.
    """

    seconds: float
    requests: int
    median_seconds: float | None
    p95_seconds: float | None


def parse_counters(text: str, at: float) -> Counters:
    """Parse the Prometheus text format. Only the scoring routes count. Raises ApiError for any other text."""
    try:
        return _parse_counters(text, at)
    except (ValueError, KeyError) as error:
        raise ApiError(f"the response of /metrics is not valid: {error}") from None


def _parse_counters(text: str, at: float) -> Counters:
    sums = {"requests": 0.0, "client_errors": 0.0, "server_errors": 0.0, "readings": 0.0, "alarms": 0.0}
    rejected: dict[str, float] = {}
    buckets: dict[float, float] = {}
    log = {"written": 0.0, "waiting": 0.0}
    lost: dict[str, float] = {}  # a service without log has none
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels, value = sample.labels, sample.value
            if sample.name == "pdm_http_requests_total" and labels["route"] in _SCORING_ROUTES:
                sums["requests"] += value
                sums["client_errors"] += value * labels["status"].startswith("4")
                sums["server_errors"] += value * labels["status"].startswith("5")
            elif sample.name == "pdm_http_request_seconds_bucket" and labels["route"] in _SCORING_ROUTES:
                bound = float(labels["le"])
                buckets[bound] = buckets.get(bound, 0) + value
            elif sample.name == "pdm_readings_total":
                sums["readings"] += value
                sums["alarms"] += value * (labels["decision"] == "failure")
            elif sample.name == "pdm_readings_rejected_total":
                rejected[labels["field"]] = rejected.get(labels["field"], 0) + value
            elif sample.name == "pdm_predictions_logged_total":
                log["written"] += value
            elif sample.name == "pdm_predictions_waiting":
                log["waiting"] += value
            elif sample.name == "pdm_predictions_not_logged_total":
                lost[labels["reason"]] = lost.get(labels["reason"], 0) + value
    return Counters(
        at=at,
        **sums,
        rejected_by_field=rejected,
        buckets=tuple(sorted(buckets.items())),
        log=LogCounters(**log, lost=sum(lost.values())) if lost else None,
    )


def traffic_between(first: Counters, last: Counters) -> Traffic:
    """Return the traffic between two sets of counters. Requires that the service did not restart in between."""
    before = dict(first.buckets)
    buckets = [(bound, count - before.get(bound, 0)) for bound, count in last.buckets]
    return Traffic(
        last.at - first.at,
        round(last.requests - first.requests),
        _quantile_bound(buckets, 0.5),
        _quantile_bound(buckets, 0.95),
    )


def is_restart(first: Counters, last: Counters) -> bool:
    """Return whether the service restarted in between: its counters then start at zero again."""
    return last.requests < first.requests or last.readings < first.readings


def _quantile_bound(buckets: list[tuple[float, float]], quantile: float) -> float | None:
    total = buckets[-1][1] if buckets else 0
    return next((bound for bound, count in buckets if count >= quantile * total), None) if total else None

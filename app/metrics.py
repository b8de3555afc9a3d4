"""Prometheus metrics. With several workers, PROMETHEUS_MULTIPROC_DIR is the folder that adds up their values."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from predictive_maintenance.errors import ConfigError

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import DeliveryCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_DECISIONS = ("healthy", "failure")
_PROBABILITIES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


NotLogged = Literal["queue full", "large batch", "shutdown", "error"]
NOT_LOGGED: tuple[NotLogged, ...] = get_args(NotLogged)
NOT_AUDITED = ("queue full", "error", "shutdown")

_FILES = ("counter", "histogram", "gauge_liveall", "gauge_livesum")
_FILE_BYTES = 2**20
"""Space for some thousand time series of a worker in each of its files."""


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            _reserve_files(Path(folder))
        registry = CollectorRegistry()
        self._registry = registry
        self._serving: tuple[str, str] | None = None
        self._readings: dict[tuple[str, bool], Counter] = {}
        self.requests = Counter(
            "pdm_http_requests", "HTTP requests answered.", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "pdm_http_request_seconds",
            "Seconds to answer an HTTP request.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.readings = Counter(
            "pdm_readings",
            "Readings scored, by model version and decision.",
            ["version", "decision"],
            registry=registry,
        )
        self.probability = Histogram(
            "pdm_failure_probability",
            "Failure probabilities of the scored readings.",
            buckets=_PROBABILITIES,
            registry=registry,
        )
        self.rejected = Counter(
            "pdm_readings_rejected", "Readings rejected, by invalid field.", ["field"], registry=registry
        )
        self.kept = Counter(
            "pdm_readings_kept",
            "Readings sent to the store, by what became of them: new, late, repeated, refused.",
            ["outcome"],
            registry=registry,
        )
        self.logged = Counter(
            "pdm_predictions_logged", "Predictions that were written to the log in the store.", registry=registry
        )
        self.not_logged = Counter(
            "pdm_predictions_not_logged",
            "Predictions that are not in the log, by reason: queue full, large batch, shutdown, error.",
            ["reason"],
            registry=registry,
        )
        self.log_waiting = Gauge(
            "pdm_predictions_waiting",
            "Predictions that wait to be written to the log.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.audit_errors = Counter(
            "pdm_audit_errors", "Errors while the audit log was written, by their type.", ["error"], registry=registry
        )
        self.audit_lost = Counter(
            "pdm_audit_entries_lost",
            "Entries that are not in the audit log, by reason: queue full, error, shutdown.",
            ["reason"],
            registry=registry,
        )
        self.model_events = Counter(
            "pdm_model_events",
            "Events of the model watcher: loaded, restored, refused, unreachable.",
            ["event"],
            registry=registry,
        )
        self.serving = Gauge(
            "pdm_model_serving",
            "1 for the served version, 0 for versions served before.",
            ["version", "algorithm"],
            registry=registry,
            multiprocess_mode="liveall",
        )

    def count_reading(self, version: str, probability: float, failure: bool) -> None:
        """Count one scored reading."""
        if (readings := self._readings.get((version, failure))) is None:
            # Cached: finding a labelled metric takes longer than incrementing it.
            readings = self._readings[version, failure] = self.readings.labels(version, _DECISIONS[failure])
        readings.inc()
        self.probability.observe(probability)

    def count_batch(self, version: str, probabilities: npt.NDArray[np.float64], failures: int) -> None:
        """Count the scored readings of a batch."""
        self.readings.labels(version, _DECISIONS[True]).inc(failures)
        self.readings.labels(version, _DECISIONS[False]).inc(len(probabilities) - failures)
        # By bucket: calling `observe` for each reading would take a tenth of the batch's time.
        indices = np.searchsorted(_PROBABILITIES, probabilities, side="left")
        for bucket, count in zip(
            self.probability._buckets, np.bincount(indices, minlength=len(_PROBABILITIES) + 1), strict=True
        ):
            bucket.inc(int(count))
        self.probability._sum.inc(float(probabilities.sum()))

    def count_rejected(self, errors: Mapping[str, int]) -> None:
        """Add the number of errors by field. Clients must not create series: unknown names share one label."""
        for field, count in errors.items():
            self.rejected.labels(field).inc(count)

    def count_kept(self, outcomes: Mapping[str, int]) -> None:
        """Add the number of readings for the store by outcome."""
        for outcome, count in outcomes.items():
            self.kept.labels(outcome).inc(count)

    def prepare_log(self) -> None:
        """Show the counters of the log of predictions, which a service without log does not have."""
        for reason in NOT_LOGGED:
            self.not_logged.labels(reason)

    def count_not_logged(self, reason: NotLogged, predictions: int) -> None:
        """Add a number of predictions that are not in the log."""
        self.not_logged.labels(reason).inc(predictions)

    def prepare_audit(self) -> None:
        """Show the counters of the audit log, which a service without one does not have."""
        for reason in NOT_AUDITED:
            self.audit_lost.labels(reason)

    def count_event(self, event: str, serving: tuple[str, str] | None) -> None:
        """Count an event of the model watcher. `serving` is (version, algorithm) of the served model."""
        self.model_events.labels(event).inc()
        if serving != self._serving:
            if self._serving:
                self.serving.labels(*self._serving).set(0)
            if serving:
                self.serving.labels(*serving).set(1)
            self._serving = serving

    def render(self, last_success: float | None, stored: "StoreMetrics | None") -> bytes:
        """Return all metrics as text. `last_success` is the last successful poll, in seconds since the epoch.

        `stored` comes from the store, which all workers share; None if it is not known.
        """
        metrics = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            metrics = CollectorRegistry()
            MultiProcessCollector(metrics)  # type: ignore[no-untyped-call]
        current = CollectorRegistry()
        current.register(_PollAge(lambda: last_success))
        if stored and stored.deliveries.began is not None:
            current.register(_AlarmMessages(stored.deliveries))
        if stored and stored.check:
            current.register(_CheckResults(stored.check))
        return generate_latest(metrics) + generate_latest(current)


class LatestCheck(msgspec.Struct, frozen=True):
    """When `monitor --watch` checked production last, in seconds since the epoch, and what it found."""

    checked: int
    silent_machines: int
    open_incidents: int


@dataclass(frozen=True)
class StoreMetrics:
    """The messages about alarms that were not delivered, and the latest check of `monitor --watch`, if there is one."""

    deliveries: "DeliveryCounts"
    check: LatestCheck | None


class _PollAge(Collector):
    def __init__(self, last_success: Callable[[], float | None]) -> None:
        self._last_success = last_success

    def collect(self) -> Iterator[GaugeMetricFamily]:
        last = self._last_success()
        age = float("inf") if last is None else time.time() - last
        yield GaugeMetricFamily(
            "pdm_registry_look_up_age_seconds", "Seconds since the registry last answered.", value=age
        )


class _AlarmMessages(Collector):
    def __init__(self, deliveries: "DeliveryCounts") -> None:
        self._deliveries = deliveries

    def collect(self) -> Iterator[GaugeMetricFamily]:
        messages = GaugeMetricFamily(
            "pdm_alarm_messages",
            "Messages about alarms that were not delivered: waiting, dead (given up).",
            labels=["state"],
        )
        messages.add_metric(["waiting"], self._deliveries.waiting)
        messages.add_metric(["dead"], self._deliveries.dead)
        yield messages


class _CheckResults(Collector):
    def __init__(self, check: LatestCheck) -> None:
        self._check = check

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "pdm_monitoring_check_age_seconds",
            "Seconds since the latest check of monitor --watch.",
            value=time.time() - self._check.checked,
        )
        yield GaugeMetricFamily(
            "pdm_silent_machines",
            "Machines without a reading for monitoring.silent_hours, at the latest check of monitor --watch.",
            value=self._check.silent_machines,
        )
        yield GaugeMetricFamily(
            "pdm_open_incidents",
            "Incidents of monitor --watch that are open: production differs from training or evaluation.",
            value=self._check.open_incidents,
        )


def _reserve_files(folder: Path) -> None:
    """Reserve the disk space of this worker's files, which prometheus_client maps into memory.

    It creates sparse files: on a disk that is full later, writing to one ends the process with SIGBUS. Raises ConfigError.
    """
    for name in _FILES:
        path = folder / f"{name}_{os.getpid()}.db"
        try:
            if not path.exists():
                path.write_bytes(bytes(_FILE_BYTES))
        except OSError as error:
            raise ConfigError(
                f"PROMETHEUS_MULTIPROC_DIR: {path}: {error.strerror}: set it to a folder on a disk with free space"
            ) from None

"""What Prometheus reads. With several workers, PROMETHEUS_MULTIPROC_DIR makes their numbers add up."""

import os
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from predictive_maintenance.machine.sensors import INPUT_NAMES, READING_ID

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_FIELDS = frozenset((*INPUT_NAMES, READING_ID.name, ""))
"""The empty one stands for a row as a whole."""
_DECISIONS = ("healthy", "failure")
_PROBABILITIES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._own = own
        self._serving: tuple[str, str] | None = None
        self._scored: dict[tuple[str, bool], Counter] = {}
        self.requests = Counter("pdm_http_requests", "Answers.", ["route", "method", "status"], registry=own)
        self.seconds = Histogram(
            "pdm_http_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=own
        )
        self.readings = Counter("pdm_readings", "Readings scored.", ["version", "decision"], registry=own)
        self.probability = Histogram(
            "pdm_failure_probability", "Probabilities given.", buckets=_PROBABILITIES, registry=own
        )
        self.rejected = Counter(
            "pdm_readings_rejected", "Readings refused, by the field at fault.", ["field"], registry=own
        )
        self.model_events = Counter("pdm_model_events", "What following production led to.", ["event"], registry=own)
        self.serving = Gauge(
            "pdm_model_serving", "1 for the version that is served.", ["version", "algorithm"], registry=own,
            multiprocess_mode="liveall",
        )  # fmt: skip

    def scored(self, version: str, probability: float, failure: bool) -> None:
        """Count one reading that was scored."""
        if (readings := self._scored.get((version, failure))) is None:
            # Looking a label up each time costs more than counting.
            readings = self._scored[version, failure] = self.readings.labels(version, _DECISIONS[failure])
        readings.inc()
        self.probability.observe(probability)

    def scored_batch(self, version: str, probabilities: npt.NDArray[np.float64], failures: int) -> None:
        """Count many readings that were scored together."""
        self.readings.labels(version, _DECISIONS[True]).inc(failures)
        self.readings.labels(version, _DECISIONS[False]).inc(len(probabilities) - failures)
        # By bucket: `observe` for each would take a tenth of a batch's time, and the library has no call for many.
        places = np.searchsorted(_PROBABILITIES, probabilities, side="left")
        for bucket, count in zip(
            self.probability._buckets, np.bincount(places, minlength=len(_PROBABILITIES) + 1), strict=True
        ):
            bucket.inc(int(count))
        self.probability._sum.inc(float(probabilities.sum()))

    def reject(self, fields: Iterable[str]) -> None:
        """Count a reading that was refused, under each field at fault: a client's own words make no series."""
        for field in fields:
            self.rejected.labels(field if field in _FIELDS else "unknown").inc()

    def followed(self, event: str, serving: tuple[str, str] | None) -> None:
        """Count what following production led to; `serving` is (version, algorithm) of what is served now."""
        self.model_events.labels(event).inc()
        if serving != self._serving:
            if self._serving:
                self.serving.labels(*self._serving).set(0)
            if serving:
                self.serving.labels(*serving).set(1)
            self._serving = serving

    def render(self, last_success: float | None) -> bytes:
        """All of it as text. `last_success` of a look at the registry is in seconds since the epoch."""
        scraped = self._own
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            scraped = CollectorRegistry()
            MultiProcessCollector(scraped)  # type: ignore[no-untyped-call]
        age = CollectorRegistry()
        age.register(_LookUpAge(lambda: last_success))
        return generate_latest(scraped) + generate_latest(age)


class _LookUpAge(Collector):
    def __init__(self, last_success: Callable[[], float | None]) -> None:
        self._last_success = last_success

    def collect(self) -> Iterator[GaugeMetricFamily]:
        last = self._last_success()
        age = float("inf") if last is None else time.time() - last
        yield GaugeMetricFamily("pdm_registry_look_up_age_seconds", "Since the registry last answered.", value=age)

"""Fixtures: a registry in memory with a candidate, a store on SQLite and on PostgreSQL, and logged predictions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.params import ShadowSettings
from predictive_maintenance.shadow.comparing import Shadow
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.store import Store
from predictive_maintenance.tracking.entities import ModelVersion
from tests.app.conftest import MemoryRegistry

MODEL = "predictive_maintenance"
NOW = 1_800_000_000
"""Later than the versions of MemoryRegistry were registered, in seconds since 1970."""


@dataclass(kw_only=True)
class VersionsInMemory(MemoryRegistry):
    """A registry in memory that has the alias of a candidate, too."""

    candidate: str | None = None

    def candidate_version(self) -> ModelVersion | None:
        self._check()
        return self._version(self.candidate) if self.candidate else None


@pytest.fixture
def versions(small: Any, small_forest: Any) -> VersionsInMemory:
    """A LightGBM in production as version 1, and a random forest as candidate, version 2."""
    return VersionsInMemory(versions={"1": small.files, "2": small_forest.files}, alias="1", candidate="2")


@pytest.fixture
def store(empty_store_url: str) -> Iterator[Store]:
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


@pytest.fixture
def make_shadow(versions: VersionsInMemory) -> Callable[..., Shadow]:
    """Start a further process, as it were, with some settings."""
    return lambda **settings: Shadow(versions, MODEL, ShadowSettings(**settings))


@pytest.fixture
def rows(small: Any) -> pd.DataFrame:
    """Held-out readings of the milling machine."""
    return small.rows.test.head(600)


def check_until_done(shadow: Shadow, store: Store, now: float = NOW) -> Any:
    """Check until nothing waits; return the last check."""
    while (check := shadow.check(store, now)).is_more:
        pass
    return check


def log(
    store: Store, model: Any, frame: pd.DataFrame, *, number: int = 0, writer: int = 1, version: str = "1",
    scored: float = NOW, machines: Any = None, ids: Any = None, times: Any = None,
) -> None:  # fmt: skip
    """Log the predictions of a model for the rows of a table, as the service does."""
    probabilities = model.scorer.probabilities(frame)
    logged = Predictions(
        scored=int(scored * 1e6),
        request_id=f"r-{number}",
        row=1,
        failure_probability=probabilities.tolist(),
        predicted_failure=model.scorer.decisions(probabilities).tolist(),
        machine_id=None if machines is None else list(machines),
        reading_id=None if ids is None else list(ids),
        time=None if times is None else list(times),
        inputs={name: frame[name].tolist() for name in model.params.machine.input_names},
    )
    with store.writing() as transaction:
        transaction.log(MODEL, writer, [LoggedBlock(number=number, version=version, block=logged.as_block())])


def expected_counts(production: Any, candidate: Any, frame: pd.DataFrame) -> dict[str, float]:
    """What both models say about the rows of a table, counted in the plainest way."""
    before, now = production.scorer.probabilities(frame), candidate.scorer.probabilities(frame)
    alarms = production.scorer.decisions(before), candidate.scorer.decisions(now)
    spec = production.scorer.spec

    def costs(decisions: Any, probabilities: Any) -> float:
        return sum(
            (1 - probability) * spec.false_alarm_cost if decision else probability * spec.missed_failure_cost
            for decision, probability in zip(decisions, probabilities, strict=True)
        )

    return {
        "predictions": len(frame),
        "both": int((alarms[0] & alarms[1]).sum()),
        "only_production": int((alarms[0] & ~alarms[1]).sum()),
        "only_candidate": int((~alarms[0] & alarms[1]).sum()),
        "difference": float(np.abs(before - now).sum()),
        "costs_production": costs(alarms[0], before),
        "costs_production_by_candidate": costs(alarms[0], now),
        "costs_candidate_by_production": costs(alarms[1], before),
        "costs_candidate": costs(alarms[1], now),
    }

"""The windows of production: the readings that a version scored, from the store, compared with its training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.params import MonitoringSettings
from ..machine.machine import Machine
from ..scorer.monitoring_reference import FloatArray, MonitoringReference, watched_columns
from ..store.store import Store
from .drift import Finding, compare
from .windows import WindowCounter

_DAY_SECONDS = 86_400
_FEW_MACHINES = 20
"""With fewer, consecutive readings of each make several clusters."""

Scored = tuple[dict[str, FloatArray], npt.NDArray[np.object_] | None]
"""The watched columns (n,) of n scored readings, and the machine of each, if any."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window [begins, ends) in seconds since 1970, and how its readings differ; None if they are too few to be judged."""

    begins: int
    ends: int
    rows: int
    findings: Sequence[Finding] | None


@dataclass(frozen=True, kw_only=True)
class WatchedVersion:
    """A version of the registered model `model` whose predictions are watched."""

    model: str
    version: str
    machine: Machine
    reference: MonitoringReference


def recent_windows(store: Store, watched: WatchedVersion, settings: MonitoringSettings, now: float) -> Iterator[Window]:
    """The last windows up to `now`, in seconds since 1970, the oldest first. Raises StoreError.

    A window is read in pages: memory does not depend on the number of its readings.
    """
    length = round(settings.window_days * _DAY_SECONDS)
    machines = len(store.machines(watched.model, most=_FEW_MACHINES))
    blocks = -(-_FEW_MACHINES // machines) if machines else 1
    for back in range(settings.windows, 0, -1):
        begins = int(now) - back * length
        counter = WindowCounter(watched.reference, blocks=blocks)
        for columns, names in _scored(store, watched, begins, begins + length):
            counter.add(columns, names)
        summary = counter.summary()
        findings = compare(watched.machine, watched.reference, summary, settings)
        yield Window(begins=begins, ends=begins + length, rows=summary.rows, findings=findings)


def silent_machines(store: Store, watched: WatchedVersion, windows: Sequence[Window]) -> list[str]:
    """The machines that sent readings in an earlier window and none in the newest. Raises StoreError."""
    silent, after = list[str](), ""
    while page := store.machines(watched.model, after=after, most=1_000):
        after = page[-1].machine_id
        silent += [one.machine_id for one in page if windows[0].begins <= one.received < windows[-1].begins]
    return silent


def _scored(store: Store, watched: WatchedVersion, begins: int, ends: int) -> Iterator[Scored]:
    """The readings in a window: those that the store keeps, and those of the log of predictions."""
    machine, names = watched.machine, watched.machine.input_names
    for page in store.scored_readings(watched.model, watched.version, since=begins, until=ends):
        inputs = {name: [sensors.get(name) for _, sensors, _ in page] for name in names}
        scores = [score.probability for _, _, score in page], [score.alarm for _, _, score in page]
        yield watched_columns(machine, inputs, *scores), np.array([name for name, _, _ in page], dtype=object)
    for version, logged in store.predictions(watched.model, since=begins * 10**6, until=ends * 10**6):
        if version == watched.version and logged.inputs is not None:
            scores = logged.failure_probability, logged.predicted_failure
            yield watched_columns(machine, _complete(logged.inputs, names), *scores), _machines(logged.machine_id)


def _complete(inputs: Mapping[str, Sequence[Any]], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Columns of all inputs: the log leaves out those without any value."""
    rows = len(next(iter(inputs.values())))
    return {name: inputs.get(name) or [None] * rows for name in names}


def _machines(names: Sequence[str | None] | None) -> npt.NDArray[np.object_] | None:
    return None if names is None or None in names else np.array(names, dtype=object)

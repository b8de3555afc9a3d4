"""What two versions say about the same readings, as sums, and how sure the shares of the same decisions and alarms are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ..scorer.calibration import Vector
from ..scorer.monitoring_reference import CLUSTERS, NEIGHBOURS
from ..store.comparisons import FEW_CLUSTERS
from ..store.predictions import Predictions
from ..store.rows import SUMS, WHOLE_COUNTS, DecisionCounts

_NORMAL_QUANTILE = 1.96
"""Of an interval that contains the true value with 95 %."""
_DAY_US = 86_400 * 10**6

Decisions = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a missed failure and a false alarm cost."""

    missed_failure: float
    false_alarm: float

    def expected(self, decisions: Decisions, probabilities: Vector) -> Vector:
        """(n,) the expected costs of n decisions, by the probabilities of a failure."""
        return np.where(decisions, (1 - probabilities) * self.false_alarm, probabilities * self.missed_failure)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """n readings with the probabilities and decisions of both versions, all (n,)."""

    production: Vector
    production_decisions: Decisions
    candidate: Vector
    candidate_decisions: Decisions

    def columns(self, costs: Costs) -> dict[str, npt.NDArray[Any]]:
        """The fields of `DecisionCounts` of each reading, (n,) each."""
        by_production, by_candidate = self.production_decisions, self.candidate_decisions
        return {
            "predictions": np.ones(len(self.production)),
            "both": by_production & by_candidate,
            "only_production": by_production & ~by_candidate,
            "only_candidate": ~by_production & by_candidate,
            "difference": np.abs(self.production - self.candidate),
            "costs_production": costs.expected(by_production, self.production),
            "costs_production_by_candidate": costs.expected(by_production, self.candidate),
            "costs_candidate_by_production": costs.expected(by_candidate, self.production),
            "costs_candidate": costs.expected(by_candidate, self.candidate),
        }


def count(
    compared: Compared, costs: Costs, logged: Predictions, positions: npt.NDArray[np.intp], first_cluster: int
) -> tuple[dict[tuple[int, int], DecisionCounts], dict[str, DecisionCounts]]:
    """The counts of the predictions at `positions` (n,) of a block, by day and cluster, and by machine.

    The readings of one machine are in one cluster; without machines, consecutive ones are, from `first_cluster` on.
    """
    columns = compared.columns(costs)
    scored = np.broadcast_to(np.asarray(logged.scored, dtype=np.int64), len(logged.failure_probability))
    days = (scored // _DAY_US)[positions]
    machines = [logged.machine_id[position] for position in positions] if logged.machine_id else [None] * len(positions)
    clusters = [
        (first_cluster + int(position) // NEIGHBOURS if name is None else crc32(name.encode())) % CLUSTERS
        for name, position in zip(machines, positions, strict=True)
    ]
    by_day = _sums(columns, list(zip(days.tolist(), clusters, strict=True)))
    by_machine = _sums(columns, machines)
    return by_day, {name: counts for name, counts in by_machine.items() if name is not None}


def added(parts: Sequence[Mapping[Any, DecisionCounts]]) -> dict[Any, DecisionCounts]:
    """The sums of several counts by key."""
    sums: dict[Any, DecisionCounts] = {}
    for part in parts:
        for key, counts in part.items():
            sums[key] = sums[key] + counts if key in sums else counts
    return sums


def total(counts: Sequence[DecisionCounts]) -> DecisionCounts:
    """The sum of counts."""
    return sum(counts, DecisionCounts())


def agreement(by_part: Mapping[tuple[int, int], DecisionCounts]) -> Share | None:
    """The share of readings with the same decision; None without readings."""
    return _share({key: (counts.same, counts.predictions) for key, counts in by_part.items()})


def alarm_agreement(by_part: Mapping[tuple[int, int], DecisionCounts]) -> Share | None:
    """The share of readings with an alarm of both versions among those with an alarm of either; None without alarms.

    If alarms are rare, a candidate that never raises one has the same decision for nearly all readings, and a share of 0 here.
    """
    return _share({key: (counts.both, counts.alarms) for key, counts in by_part.items()})


def _share(by_part: Mapping[tuple[int, int], tuple[int, int]]) -> Share | None:
    """The share of readings that agree, from (those that agree, all) by part and cluster; None without readings.

    Wilson's interval for the number of independent readings that varies as much between clusters as these do: readings of one
    machine resemble each other. With few machines, those of one part are a cluster.
    """
    by_cluster = dict[int, tuple[int, int]]()
    by_part = {key: part for key, part in by_part.items() if part[1]}
    if not by_part:
        return None
    for (_, cluster), (agreeing, readings) in by_part.items():
        before = by_cluster.get(cluster, (0, 0))
        by_cluster[cluster] = before[0] + agreeing, before[1] + readings
    parts = list(by_cluster.values() if len(by_cluster) >= FEW_CLUSTERS else by_part.values())
    same, rows = np.array(parts, dtype=np.float64).T
    number = rows.sum()
    value = float(same.sum() / number)
    by_chance = value * (1 - value) / number
    between = len(parts) / max(len(parts) - 1, 1) * float(((same - value * rows) ** 2).sum()) / number**2
    independent = number / max(1.0, between / by_chance if by_chance else 1.0)
    return _wilson(value, independent)


def _wilson(value: float, number: float) -> Share:
    square = _NORMAL_QUANTILE**2
    middle = (value + square / (2 * number)) / (1 + square / number)
    half = _NORMAL_QUANTILE * np.sqrt(value * (1 - value) / number + square / (4 * number**2)) / (1 + square / number)
    return Share(value=value, low=float(max(middle - half, 0.0)), high=float(min(middle + half, 1.0)))


def _sums(columns: Mapping[str, npt.NDArray[Any]], keys: Sequence[Any]) -> dict[Any, DecisionCounts]:
    """The sums of columns (n,) for each of the different keys (n)."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    owner = np.array([numbers[key] for key in keys], dtype=np.intp)
    sums = {name: np.bincount(owner, values, len(numbers)) for name, values in columns.items()}
    whole = {name: sums[name].astype(np.int64).tolist() for name in WHOLE_COUNTS}
    lists: dict[str, list[Any]] = whole | {name: sums[name].tolist() for name in SUMS}
    return {
        key: DecisionCounts(**{name: values[number] for name, values in lists.items()})
        for key, number in numbers.items()
    }

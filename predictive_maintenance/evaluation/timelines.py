"""The alarms of a few machines over time, for the evaluation card."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .failure_events import JudgedAlarms
from .intervals import BoolArray, FloatArray, IndexArray

KINDS = ("missed", "false", "caught")
_MACHINES_PER_KIND = 2
_MAX_POINTS = 300


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """One machine: what it is an example of, its risk, its alarms and its failures.

    `risk` has the columns time and probability; `alarms` begin, end and kind (true or false); `failures` time and kind (caught
    or missed). Times are timestamps, or those of the counter.
    """

    machine: str
    kinds: tuple[str, ...]
    risk: pd.DataFrame
    alarms: pd.DataFrame
    failures: pd.DataFrame


def sample_timelines(judged: JudgedAlarms, probabilities: FloatArray, seed: int) -> tuple[Timeline, ...]:
    """Draw machines with a missed failure, a false alarm and a caught failure, at most two of each kind.

    `probabilities` (n,) are in the order of the table.
    """
    examples = _examples(judged)
    random, drawn = np.random.default_rng(seed), list[int]()
    for kind in KINDS:
        others = np.setdiff1d(np.flatnonzero(examples[kind]), drawn)
        drawn += random.permutation(others)[:_MACHINES_PER_KIND].tolist()
    return tuple(
        _timeline(judged, machine, tuple(kind for kind in KINDS if examples[kind][machine]), probabilities)
        for machine in drawn
    )


def _examples(judged: JudgedAlarms) -> dict[str, BoolArray]:
    """(M,) for each kind: the machines with such an alarm or failure."""
    found = judged.outcomes
    failed = {"missed": np.isnan(found.lead), "caught": ~np.isnan(found.lead)}
    machines = {kind: found.failed_machine[chosen] for kind, chosen in failed.items()}
    machines["false"] = judged.alarms.machine[found.false_alarms > 0]
    return {kind: np.isin(np.arange(len(judged.observed.names)), machines[kind]) for kind in KINDS}


def _timeline(judged: JudgedAlarms, machine: int, kinds: tuple[str, ...], probabilities: FloatArray) -> Timeline:
    observed, made, found = judged.observed, judged.alarms, judged.outcomes
    rows = np.arange(observed.bounds[machine], observed.bounds[machine + 1])
    risk = probabilities[observed.positions[rows]]
    peaks = _peaks(risk)
    own, failed = made.machine == machine, found.failed_machine == machine
    return Timeline(
        machine=str(observed.names[machine]),
        kinds=kinds,
        risk=pd.DataFrame({"time": _shown(observed.times[rows][peaks], judged), "probability": risk[peaks]}),
        alarms=pd.DataFrame(
            {
                "begin": _shown(made.opened_at[own], judged),
                "end": _shown(made.ended_at[own], judged),
                "kind": np.where(found.is_true[own], "true", "false"),
            }
        ),
        failures=pd.DataFrame(
            {
                "time": _shown(found.failed_at[failed], judged),
                "kind": np.where(np.isnan(found.lead[failed]), "missed", "caught"),
            }
        ),
    )


def _peaks(risk: FloatArray) -> IndexArray:
    """The places of the highest value in each of at most _MAX_POINTS stretches of equal length."""
    stretches = np.array_split(np.arange(len(risk)), min(len(risk), _MAX_POINTS))
    return np.array([stretch[np.argmax(risk[stretch])] for stretch in stretches])


def _shown(times: Any, judged: JudgedAlarms) -> Any:
    """Times for people: timestamps from microseconds, or counts."""
    if judged.observed.times.dtype.kind == "f":
        return times
    return pd.to_datetime(times.astype("int64"), unit="us", utc=True)

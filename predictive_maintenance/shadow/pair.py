"""The version in production and the candidate, and what the candidate says about readings in the log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelError, PredictiveMaintenanceError
from ..history.features import take
from ..machine.machine import Machine
from ..scorer.calibration import Vector
from ..scorer.scoring import Scorer
from ..store.known_past import known_past
from ..store.predictions import Predictions
from ..store.store import Store
from ..validation.value_validation import invalid_values
from .past import Positions, Scored, columns_with_past, input_columns

NOT_KEPT = "not sent to /readings: what the machine did before is not known"
GONE = "no longer in the store"
AGAIN = "scored again: each reading counts once"
NOT_ACCEPTED = "not accepted by the candidate"

_MOST_SHOWN = 8
_SECOND_US = 10**6


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A version in production and a candidate of the registered model `model`."""

    model: str
    version: str
    candidate: str
    production_scorer: Scorer
    candidate_scorer: Scorer


@dataclass(frozen=True, kw_only=True)
class CandidateScores:
    """The probabilities (m,) of a candidate for the predictions at `positions` (m,) of a block, and why others have none."""

    positions: Positions
    probabilities: Vector
    left_out: Mapping[str, int]


def why_not_comparable(production: Machine, candidate: Machine) -> str | None:
    """Why a candidate cannot score what a version of the machine `production` scores; None if it can."""
    obstacles = list(_obstacles(production, candidate)) if production != candidate else []
    return "; ".join(obstacles) or None


def score_block(store: Store, pair: Pair, logged: Predictions) -> CandidateScores:
    """Score the readings of a block of the log with a candidate, with the history that was known then.

    Raises StoreError, and ModelError if the candidate fails.
    """
    try:
        return _scores(store, pair.model, pair.candidate_scorer, logged)
    except DataError:  # such as a feature that is too large for the model
        nothing = np.empty(0)
        left_out = {NOT_ACCEPTED: len(logged.failure_probability)}
        return CandidateScores(positions=nothing.astype(np.intp), probabilities=nothing, left_out=left_out)
    except PredictiveMaintenanceError:
        raise
    except Exception as error:  # the runtime raises untyped errors, and a formula of the candidate can raise any
        raise ModelError(f"version {pair.candidate} cannot score readings of the log: {error!r}") from error


def _scores(store: Store, model: str, candidate: Scorer, logged: Predictions) -> CandidateScores:
    machine, count = candidate.machine, len(logged.failure_probability)
    if logged.inputs is None:
        scored = _stored(logged)
        with known_past(store, model) as past:
            positions, columns = columns_with_past(past, machine, scored)
        lost = GONE
    elif machine.needs_history:
        positions, columns, lost = np.empty(0, dtype=np.intp), {}, NOT_KEPT
    else:
        positions, columns, lost = np.arange(count), input_columns(machine, logged.inputs), ""
    accepted = _accepted(machine, columns, len(positions))
    numbers = {lost: count - len(positions), NOT_ACCEPTED: len(positions) - int(accepted.sum())}
    chosen = np.flatnonzero(accepted)
    return CandidateScores(
        positions=positions[chosen],
        probabilities=candidate.probabilities(take(columns, chosen)) if len(chosen) else np.empty(0),
        left_out={reason: number for reason, number in numbers.items() if number},
    )


def _stored(logged: Predictions) -> Scored:
    assert logged.machine_id is not None
    assert logged.time is not None
    count = len(logged.failure_probability)
    made = [logged.scored] * count if isinstance(logged.scored, int) else logged.scored
    return Scored(
        machine_ids=[str(name) for name in logged.machine_id],
        keys=[int(time or 0) for time in logged.time],
        known=[time // _SECOND_US for time in made],
    )


def _accepted(machine: Machine, columns: Mapping[str, Any], count: int) -> npt.NDArray[np.bool_]:
    """(n,) whether a description accepts each of n readings, as the service would."""
    accepted = np.ones(count, dtype=bool)
    if not count:
        return accepted
    for name in machine.required_input_names:
        values = columns[name]
        is_category = name in machine.category_names
        accepted &= np.array([value is not None for value in values]) if is_category else ~np.isnan(values)
    for fault in invalid_values(columns, machine.input_names, machine):
        accepted[fault.positions] = False
    return accepted


def _obstacles(production: Machine, candidate: Machine) -> Iterator[str]:
    if missing := [name for name in candidate.required_input_names if name not in production.input_names]:
        yield f"it needs {_columns(missing)}, which the version in production does not"
    both = [name for name in candidate.input_names if name in production.input_names]
    if changed := [name for name in both if (name in candidate.categories) != (name in production.categories)]:
        yield f"{_columns(changed)}: it is a category in one description and a sensor in the other"
    for name in both:
        if name in candidate.sensor_names and candidate.unit(name) != production.unit(name):
            now, before = (machine.unit(name) or "none" for machine in (candidate, production))
            yield f"column {name} has unit {now} for it and {before} in production"
    if candidate.needs_history and candidate.time_is_counter != production.time_is_counter:
        yield "time is a counter in one description and a timestamp in the other"
    if unknown := [name for name in candidate.event_tables if name not in production.description.events]:
        yield f"it needs the events of {_listed(unknown)}, which are not kept for the version in production"
    if candidate.label_name != production.label_name:
        yield f"it predicts {candidate.label_name}, and the version in production predicts {production.label_name}"
    elif candidate.horizon != production.horizon:
        before, now = (
            f"within {each.horizon.text}" if each.horizon else "a column" for each in (production, candidate)
        )
        yield f"{candidate.label_name} is {now} for it and {before} in production"


def _columns(names: Sequence[str]) -> str:
    return f"column{'' if len(names) == 1 else 's'} {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more

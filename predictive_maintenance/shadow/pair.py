"""The version in production and the candidate, and what the candidate says about readings in the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelError, PredictiveMaintenanceError
from ..history.features import take
from ..machine.compatibility import Described, obstacles
from ..machine.machine import Machine
from ..scorer.calibration import Vector
from ..scorer.scoring import Scorer
from ..store.known_past import known_past
from ..store.predictions import Predictions
from ..store.store import Store
from ..validation.value_validation import invalid_values
from .past import KeptPredictions, Positions, columns_with_past, input_columns

NOT_KEPT = "not sent to /readings: what the machine did before is not known"
GONE = "no longer in the store"
AGAIN = "scored again: each reading counts once"
NOT_ACCEPTED = "not accepted by the candidate"

_SECOND_US = 10**6


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A version in production and a candidate of the registered model `model`."""

    model: str
    version: str
    candidate: str
    production_scorer: Scorer
    candidate_scorer: Scorer

    def has_past_of(self, logged: Predictions) -> bool:
        """Whether what the machines did before is known, or not needed: the log does not have the history of `/predict`."""
        return logged.inputs is None or not self.candidate_scorer.machine.needs_history


@dataclass(frozen=True, kw_only=True)
class CandidateScores:
    """The probabilities (m,) of a candidate for the predictions at `positions` (m,) of a block, and why others have none."""

    positions: Positions
    probabilities: Vector
    left_out: Mapping[str, int]


def why_not_comparable(production: Machine, candidate: Machine) -> str | None:
    """Why a candidate cannot score what a version of the machine `production` scores; None if it can."""
    if production == candidate:
        return None
    # The log names machine and time alike, whatever their columns are called.
    places = candidate.history_names if production.can_be_kept else ()
    given = Described(
        production,
        {*production.input_names, *places},
        rows="the readings of production",
        model="the version in production",
    )
    return "; ".join(obstacles(candidate, given)) or None


def score_block(store: Store, pair: Pair, logged: Predictions) -> CandidateScores:
    """Score the readings of a block of the log with a candidate, with the history that was known then.

    Raises StoreError, and ModelError if the candidate fails.
    """
    try:
        return _scores(store, pair, logged)
    except DataError:  # such as a feature that is too large for the model
        nothing = np.empty(0)
        left_out = {NOT_ACCEPTED: len(logged.failure_probability)}
        return CandidateScores(positions=nothing.astype(np.intp), probabilities=nothing, left_out=left_out)
    except PredictiveMaintenanceError:
        raise
    except Exception as error:  # the runtime raises untyped errors, and a formula of the candidate can raise any
        raise ModelError(f"version {pair.candidate} cannot score readings of the log: {error!r}") from error


def _scores(store: Store, pair: Pair, logged: Predictions) -> CandidateScores:
    candidate, production, count = (
        pair.candidate_scorer,
        pair.production_scorer.machine,
        len(logged.failure_probability),
    )
    machine = candidate.machine
    if logged.inputs is None:
        scored = _stored(logged)
        with known_past(store, pair.model) as past:
            positions, columns = columns_with_past(past, machine, production, scored)
        lost = GONE
    elif not pair.has_past_of(logged):
        positions, columns, lost = np.empty(0, dtype=np.intp), {}, NOT_KEPT
    else:
        positions, columns, lost = np.arange(count), input_columns(machine, production, logged.inputs), ""
    accepted = _accepted(machine, columns, len(positions))
    numbers = {lost: count - len(positions), NOT_ACCEPTED: len(positions) - int(accepted.sum())}
    chosen = np.flatnonzero(accepted)
    return CandidateScores(
        positions=positions[chosen],
        probabilities=candidate.probabilities(take(columns, chosen)) if len(chosen) else np.empty(0),
        left_out={reason: number for reason, number in numbers.items() if number},
    )


def _stored(logged: Predictions) -> KeptPredictions:
    assert logged.machine_id is not None
    assert logged.time is not None
    count = len(logged.failure_probability)
    made = [logged.scored] * count if isinstance(logged.scored, int) else logged.scored
    return KeptPredictions(
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

"""The two trivial models, one that never raises an alarm and one that always does, as baselines of the gate and the report."""

from dataclasses import dataclass, replace

from ..config.params import GateSettings, Params
from .intervals import Estimate
from .metrics import Scores, score_summary
from .prediction_summary import PredictionSummary
from .verdict import Check, CheckName, Level

_NAMES: dict[Level, tuple[CheckName, CheckName]] = {
    "candidate": (CheckName.HELD_OUT_NEVER, CheckName.HELD_OUT_ALWAYS),
    "production": (CheckName.OUT_OF_FOLD_NEVER, CheckName.OUT_OF_FOLD_ALWAYS),
}


@dataclass(frozen=True, kw_only=True)
class TrivialModels:
    """Scores of the trivial models on the same rows."""

    never_alarm: Scores
    always_alarm: Scores


def trivial_models_of(summary: PredictionSummary, params: Params) -> TrivialModels:
    """Score the trivial models on the rows of which `summary` has the predictions of any model."""
    return TrivialModels(
        never_alarm=_constant_scores(summary, False, params), always_alarm=_constant_scores(summary, True, params)
    )


def trivial_model_checks(level: Level, scores: Scores, gate: GateSettings) -> tuple[Check, Check]:
    """Check that a model is better than never and than always alarming.

    For `candidate`, `scores` are of the held-out rows and their values count. For `production`, they are of the
    out-of-fold rows and their lower bounds count.
    """
    never, always = _NAMES[level]
    mcc, f1, gain = scores["mcc"], scores["f1"].value, scores["f1_gain"]
    never_text = f"MCC is {mcc.value:.3f}, never alarming has 0"
    always_text = f"F1 is {f1:.3f}, always alarming has {f1 - gain.value:.3f}"
    return (
        _check(level, never, mcc, gate.min_mcc, never_text, scores),
        _check(level, always, gain, gate.min_f1_gain, always_text, scores),
    )


def _check(level: Level, name: CheckName, gain: Estimate, minimum: float, text: str, scores: Scores) -> Check:
    """A check of `gain`, the difference between the model and a trivial one, which `text` describes."""
    value, what, rows = (
        (gain.value, "the difference", "held-out")
        if level == "candidate"
        else (gain.lower_bound, "the lower bound of the difference", "out-of-fold")
    )
    passed = value >= minimum
    relation = "at least" if passed else "below"
    return Check(
        name=name,
        level=level,
        measured=f"{value:+.3f}",
        required=f">= {minimum:g}",
        passed=passed,
        why=f"{text}: {what}, {value:+.3f}, is {relation} {minimum:g} on {scores.row_counts(rows)}",
    )


def _constant_scores(summary: PredictionSummary, alarm: bool, params: Params) -> Scores:
    scores = score_summary(summary.constant(alarm), params.costs, params.evaluation, params.training.seed)
    # Exact by definition, not estimated from the rows: without the Wilson interval of a share that never varies.
    recall = float(alarm and scores.failures > 0)
    return replace(scores, estimates=scores.estimates | {"recall": Estimate(recall, recall, recall, recall)})

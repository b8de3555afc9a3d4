"""The quality gate: a list of checks on two levels. Cards, tags, reports, the API and the dashboard show the same list.

The checks of the level `candidate` decide whether a model is registered, those of `production` whether it is promoted.
"""

from ..config.params import GateSettings
from ..training.export import Agreement
from .comparison import Comparison
from .event_checks import event_checks
from .event_evaluation import EventEvaluation
from .metrics import Scores
from .trivial_models import trivial_model_checks
from .verdict import Check, CheckName, Verdict

_NO_CHAMPION = "not needed: no version is in production yet"
_NOT_ASSESSED = f'not assessed: "{CheckName.NO_F1_LOSS}" has the reason'
# The verdict is part of what is registered, so it is made before the new version has a number.
_PROMOTE = 'run "predictive-maintenance promote" with the number of the new version and --force'


def judge(
    held_out: Scores,
    out_of_fold: Scores,
    agreement: Agreement,
    comparison: Comparison | None,
    gate: GateSettings,
    min_failures: int,
    events: EventEvaluation | None = None,
) -> Verdict:
    """Return the verdict on a challenger. `comparison` is None if there is no champion, `events` if the label has no horizon.

    `min_failures` is the number of failures that a comparison with the champion, and a share of failures caught, need.
    """
    return Verdict(
        (
            _held_out_minimum(CheckName.HELD_OUT_RECALL, "recall", held_out, gate.min_recall),
            _held_out_minimum(CheckName.HELD_OUT_F1, "f1", held_out, gate.min_f1),
            *trivial_model_checks("candidate", held_out, gate),
            *event_checks("candidate", events, gate, min_failures),
            _lower_bound_minimum(CheckName.RECALL_LOWER_BOUND, "recall", out_of_fold, gate.min_recall),
            _lower_bound_minimum(CheckName.F1_LOWER_BOUND, "f1", out_of_fold, gate.min_f1),
            *trivial_model_checks("production", out_of_fold, gate),
            *event_checks("production", events, gate, min_failures),
            _export_agrees(agreement, gate.max_probability_difference),
            _no_f1_loss(comparison, gate.max_f1_loss, min_failures),
            _no_mode_recall_loss(comparison, gate.max_mode_recall_loss),
            _not_rolled_back(comparison),
            _improves_on_champion(comparison),
        )
    )


def _held_out_minimum(name: CheckName, metric: str, scores: Scores, minimum: float) -> Check:
    value = scores[metric].value
    passed = value >= minimum
    relation = "at least" if passed else "below"
    return Check(
        name=name,
        level="candidate",
        measured=f"{value:.3f}",
        required=f">= {minimum:g}",
        passed=passed,
        why=f"{value:.3f} is {relation} {minimum:g} on {scores.row_counts('held-out')}",
    )


def _lower_bound_minimum(name: CheckName, metric: str, scores: Scores, minimum: float) -> Check:
    bound, value = scores[metric].lower_bound, scores[metric].value
    passed = bound >= minimum
    relation = "at least" if passed else "below"
    return Check(
        name=name,
        level="production",
        measured=f"{bound:.3f}",
        required=f">= {minimum:g}",
        passed=passed,
        why=f"the lower bound {bound:.3f} (value {value:.3f}) is {relation} {minimum:g} on {scores.row_counts('out-of-fold')}",
    )


def _export_agrees(agreement: Agreement, max_difference: float) -> Check:
    difference, flips = agreement.max_probability_difference, agreement.decision_flips
    return Check(
        name=CheckName.EXPORT_AGREES,
        level="production",
        measured=f"{difference:.1e}, {flips} decision flips",
        required=f"<= {max_difference:g}, 0 decision flips",
        passed=difference <= max_difference and flips == 0,
        why=f"{flips} decisions differ on {agreement.rows:,} rows, probabilities by at most {difference:.1e}",
    )


def _no_f1_loss(comparison: Comparison | None, max_loss: float, min_failures: int) -> Check:
    name, required = CheckName.NO_F1_LOSS, f"lower bound >= -{max_loss:g}"
    if comparison is None:
        return _production_check(name, "-", required, True, _NO_CHAMPION)
    version, difference = comparison.version, comparison.f1_difference
    if comparison.obstacle is not None:
        why = f"not comparable with version {version}: {comparison.obstacle}; to use the new version anyway, {_PROMOTE}"
        return _production_check(name, "not comparable", required, False, why)
    if difference is None or comparison.failures < min_failures:
        refused = f" and does not accept {comparison.refused_rows:,} others" if comparison.refused_rows else ""
        why = (
            f"version {version} was trained on {comparison.seen_rows:,} of the held-out rows{refused}; the other "
            f"{comparison.rows:,} rows have {comparison.failures} failures, and a comparison needs {min_failures}: "
            f"train on newer rows, or promote the new version by hand: {_PROMOTE}"
        )
        return _production_check(name, "not comparable", required, False, why)
    bound = difference.lower_bound
    why = (
        f"F1 differs by {difference.value:+.3f} from version {version} on the same {comparison.rows:,} rows, "
        f"with a lower bound of {bound:+.3f}"
    )
    why = "; ".join((why, *comparison.notes))
    return _production_check(name, f"{bound:+.3f}", required, bound >= -max_loss, why)


def _no_mode_recall_loss(comparison: Comparison | None, max_loss: float) -> Check:
    name, required = CheckName.NO_MODE_RECALL_LOSS, f"<= {max_loss:g} in each mode"
    if comparison is None:
        return _production_check(name, "-", required, True, _NO_CHAMPION)
    if comparison.obstacle is not None:
        return _production_check(name, "-", required, True, _NOT_ASSESSED)
    losses = [
        (champion.recall - challenger.recall, challenger.label)
        for champion, challenger in zip(comparison.champion_modes, comparison.challenger_modes, strict=True)
        if challenger.assessable
    ]
    if not losses:
        return _production_check(name, "-", required, True, "no failure mode has enough failures to be assessed")
    loss, label = max(losses)
    why = f"the largest loss is {loss:.3f}, in {label}" if loss > 0 else "no assessable failure mode has a lower recall"
    return _production_check(name, f"{max(loss, 0):.3f}", required, loss <= max_loss, why)


def _not_rolled_back(comparison: Comparison | None) -> Check:
    """Keeps a version that a person rolled back from returning when the next run trains on the same rows."""
    name, required = CheckName.NOT_ROLLED_BACK, "other rows than a rolled-back version"
    if comparison is None:
        return _production_check(name, "-", required, True, _NO_CHAMPION)
    if (twin := comparison.rolled_back_twin) is None:
        why = "no version trained on these rows was rolled back"
        return _production_check(name, "other rows", required, True, why)
    why = (
        f"version {twin} was trained on the same rows and rolled back: train on other rows, or run "
        f"`promote {twin} --force` if version {twin} was sound"
    )
    return _production_check(name, f"the rows of version {twin}", required, False, why)


def _improves_on_champion(comparison: Comparison | None) -> Check:
    """Keeps a model of equal quality from replacing the champion if it was trained on the same rows."""
    name, required = CheckName.IMPROVES_ON_CHAMPION, "new training rows, or a better F1"
    if comparison is None:
        return _production_check(name, "-", required, True, _NO_CHAMPION)
    if not comparison.same_training_data:
        if not comparison.same_columns:
            return _production_check(name, "new columns", required, True, "trained on other columns than the champion")
        return _production_check(name, "new rows", required, True, "trained on other rows than the champion")
    if comparison.obstacle is not None:
        return _production_check(name, "-", required, True, _NOT_ASSESSED)
    gain = comparison.f1_difference.value if comparison.f1_difference else 0.0
    relation = "F1 is higher by" if gain > 0 else "F1 must be higher, and differs by"
    why = f"trained on the same rows as version {comparison.version}: {relation} {gain:+.3f}"
    return _production_check(name, f"{gain:+.3f}", required, gain > 0, why)


def _production_check(name: CheckName, measured: str, required: str, passed: bool, why: str) -> Check:
    return Check(name=name, level="production", measured=measured, required=required, passed=passed, why=why)

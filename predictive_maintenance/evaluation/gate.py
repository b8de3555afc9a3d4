"""The quality gate: a list of checks in two levels. Cards, tags, reports, the API and the dashboard show the same list."""

from ..config.params import GateSettings
from ..training.export import Agreement
from .comparison import Comparison
from .metrics import Scores
from .verdict import Check, Verdict


def judge(
    held_out: Scores,
    out_of_fold: Scores,
    agreement: Agreement,
    comparison: Comparison | None,
    gate: GateSettings,
    min_failures: int,
) -> Verdict:
    """The verdict on a challenger. `comparison` is None when there is no champion yet."""
    minima = (("recall", "Recall", gate.min_recall), ("f1", "F1", gate.min_f1))
    checks = [_at_least(name, label, held_out, required) for name, label, required in minima]
    checks += [_surely_at_least(name, label, out_of_fold, required) for name, label, required in minima]
    checks.append(_agrees(agreement, gate))
    checks += [_no_loss(comparison, gate, min_failures), _no_mode_lost(comparison, gate)]
    checks += [_was_not_rolled_back(comparison), _earns_its_place(comparison)]
    return Verdict(tuple(checks))


def _at_least(name: str, label: str, scores: Scores, required: float) -> Check:
    value = scores[name].value
    passed = value >= required
    rows = f"{scores.rows:,} held-out rows with {scores.failures} failures"
    why = f"{value:.3f} is {'enough' if passed else f'below {required:g}'} on {rows}"
    return Check(
        name=f"{label} on held-out rows",
        level="candidate",
        measured=f"{value:.3f}",
        required=f">= {required:g}",
        passed=passed,
        why=why,
    )


def _surely_at_least(name: str, label: str, scores: Scores, required: float) -> Check:
    bound = scores[name].lower_bound
    passed = bound >= required
    why = (
        f"the lower bound is {bound:.3f} around {scores[name].value:.3f} on {scores.rows:,} out-of-fold rows with "
        f"{scores.failures} failures"
    )
    return Check(
        name=f"{label} lower bound, out-of-fold",
        level="production",
        measured=f"{bound:.3f}",
        required=f">= {required:g}",
        passed=passed,
        why=why,
    )


def _agrees(agreement: Agreement, gate: GateSettings) -> Check:
    difference, flips = agreement.max_probability_difference, agreement.decision_flips
    passed = difference <= gate.max_probability_difference and flips == 0
    why = f"{flips} decisions differ on {agreement.rows:,} rows, probabilities by at most {difference:.1e}"
    required = f"<= {gate.max_probability_difference:g}, 0 flips"
    return Check(
        name="Exported scorer agrees",
        level="production",
        measured=f"{difference:.1e}, {flips} flips",
        required=required,
        passed=passed,
        why=why,
    )


def _no_loss(comparison: Comparison | None, gate: GateSettings, min_failures: int) -> Check:
    name, required = "No F1 loss against champion", f"lower bound >= -{gate.max_f1_loss:g}"
    if comparison is None:
        return Check(
            name=name, level="production", measured="-", required=required, passed=True, why="there is no champion yet"
        )
    if comparison.f1_difference is None or comparison.failures < min_failures:
        why = (
            f"only {comparison.failures} failures in {comparison.rows:,} held-out rows are new to version {comparison.version} "
            f"({comparison.seen_rows:,} rows were in its training): too few to compare on; promote by hand if you are sure"
        )
        return Check(name=name, level="production", measured="not comparable", required=required, passed=False, why=why)
    difference = comparison.f1_difference
    passed = difference.lower_bound >= -gate.max_f1_loss
    why = (
        f"F1 differs by {difference.value:+.3f} from version {comparison.version} on the same {comparison.rows:,} rows, "
        f"at least {difference.lower_bound:+.3f}"
    )
    return Check(
        name=name,
        level="production",
        measured=f"{difference.lower_bound:+.3f}",
        required=required,
        passed=passed,
        why=why,
    )


def _no_mode_lost(comparison: Comparison | None, gate: GateSettings) -> Check:
    name, required = "No failure mode lost", f"recall loss <= {gate.max_mode_recall_loss:g} each"
    if comparison is None:
        return Check(
            name=name, level="production", measured="-", required=required, passed=True, why="there is no champion yet"
        )
    pairs = [
        (theirs.recall - ours.recall, ours.label)
        for theirs, ours in zip(comparison.champion_modes, comparison.challenger_modes, strict=True)
        if ours.assessable
    ]
    if not pairs:
        return Check(
            name=name,
            level="production",
            measured="-",
            required=required,
            passed=True,
            why="no failure mode has enough failures to be assessed",
        )
    loss, label = max(pairs)
    passed = loss <= gate.max_mode_recall_loss
    why = f"the largest loss is {max(loss, 0):.3f}, in {label}" if loss > 0 else "no assessable mode is worse"
    return Check(
        name=name, level="production", measured=f"{max(loss, 0):.3f}", required=required, passed=passed, why=why
    )


def _was_not_rolled_back(comparison: Comparison | None) -> Check:
    """What a person took out of production does not come back by itself because the next run trains it again."""
    name, required = "Not rolled back before", "other rows than a rolled-back version"
    if comparison is None:
        return Check(
            name=name, level="production", measured="-", required=required, passed=True, why="there is no champion yet"
        )
    if (twin := comparison.rolled_back_twin) is None:
        return Check(
            name=name,
            level="production",
            measured="other rows",
            required=required,
            passed=True,
            why="no version from these rows was rolled back",
        )
    why = (
        f"version {twin} was trained on the same rows and rolled back: train on other rows, or `promote {twin} --force` "
        "if it was sound"
    )
    return Check(
        name=name, level="production", measured=f"the rows of version {twin}", required=required, passed=False, why=why
    )


def _earns_its_place(comparison: Comparison | None) -> Check:
    """The same rows teach nothing new: a model of equal worth then leaves the champion where it is."""
    name, required = "Earns the place", "new training rows, or a better F1"
    if comparison is None:
        return Check(
            name=name, level="production", measured="-", required=required, passed=True, why="there is no champion yet"
        )
    if not comparison.same_training_data:
        return Check(
            name=name,
            level="production",
            measured="new rows",
            required=required,
            passed=True,
            why="trained on other rows than the champion",
        )
    gain = comparison.f1_difference.value if comparison.f1_difference else 0.0
    why = f"trained on the same rows as version {comparison.version}, F1 differs by {gain:+.3f}"
    return Check(name=name, level="production", measured=f"{gain:+.3f}", required=required, passed=gain > 0, why=why)

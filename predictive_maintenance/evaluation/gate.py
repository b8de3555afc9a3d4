"""The gate as data: a list of checks in two levels, used as it is by cards, tags, reports, the API and the dashboard."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from ..config import Gate
from ..models.export import Agreement
from .comparison import Comparison
from .metrics import Scores

Level = Literal["candidate", "production"]


@dataclass(frozen=True)
class Check:
    """One condition: what was measured, what is required, whether it holds, and why, in words."""

    name: str
    level: Level
    measured: str
    required: str
    passed: bool
    why: str


@dataclass(frozen=True)
class Verdict:
    """All checks, and the level that they reach together."""

    checks: tuple[Check, ...]

    @property
    def level(self) -> Level | None:
        """`production` needs every check, `candidate` those of its own level; None is a rejection."""
        if all(check.passed for check in self.checks):
            return "production"
        return "candidate" if all(check.passed for check in self.checks if check.level == "candidate") else None

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def summary(self) -> str:
        """One sentence: the level reached, or what stood against the next."""
        reasons = "; ".join(f"{check.name}: {check.why}" for check in self.failed)
        match self.level:
            case "production":
                return "passes every check"
            case "candidate":
                return f"stays a candidate: {reasons}"
        return f"is rejected: {reasons}"

    def to_json(self) -> str:
        return json.dumps([asdict(check) for check in self.checks])

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        return cls(tuple(Check(**check) for check in json.loads(text)))


def judge(
    held_out: Scores,
    out_of_fold: Scores,
    agreement: Agreement,
    comparison: Comparison | None,
    gate: Gate,
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
    return Check(f"{label} on held-out rows", "candidate", f"{value:.3f}", f">= {required:g}", passed, why)


def _surely_at_least(name: str, label: str, scores: Scores, required: float) -> Check:
    bound = scores[name].lower_bound
    passed = bound >= required
    why = (
        f"the lower bound is {bound:.3f} around {scores[name].value:.3f} on {scores.rows:,} out-of-fold rows with "
        f"{scores.failures} failures"
    )
    return Check(f"{label} lower bound, out-of-fold", "production", f"{bound:.3f}", f">= {required:g}", passed, why)


def _agrees(agreement: Agreement, gate: Gate) -> Check:
    difference, flips = agreement.max_probability_difference, agreement.decision_flips
    passed = difference <= gate.max_probability_difference and flips == 0
    why = f"{flips} decisions differ on {agreement.rows:,} rows, probabilities by at most {difference:.1e}"
    required = f"<= {gate.max_probability_difference:g}, 0 flips"
    return Check("Exported scorer agrees", "production", f"{difference:.1e}, {flips} flips", required, passed, why)


def _no_loss(comparison: Comparison | None, gate: Gate, min_failures: int) -> Check:
    name, required = "No F1 loss against champion", f"lower bound >= -{gate.max_f1_loss:g}"
    if comparison is None:
        return Check(name, "production", "-", required, True, "there is no champion yet")
    if comparison.f1_difference is None or comparison.failures < min_failures:
        why = (
            f"only {comparison.failures} failures in {comparison.rows:,} held-out rows are new to version {comparison.version} "
            f"({comparison.seen_rows:,} rows were in its training): too few to compare on; promote by hand if you are sure"
        )
        return Check(name, "production", "not comparable", required, False, why)
    difference = comparison.f1_difference
    passed = difference.lower_bound >= -gate.max_f1_loss
    why = (
        f"F1 differs by {difference.value:+.3f} from version {comparison.version} on the same {comparison.rows:,} rows, "
        f"at least {difference.lower_bound:+.3f}"
    )
    return Check(name, "production", f"{difference.lower_bound:+.3f}", required, passed, why)


def _no_mode_lost(comparison: Comparison | None, gate: Gate) -> Check:
    name, required = "No failure mode lost", f"recall loss <= {gate.max_mode_recall_loss:g} each"
    if comparison is None:
        return Check(name, "production", "-", required, True, "there is no champion yet")
    pairs = [
        (theirs.recall - ours.recall, ours.label)
        for theirs, ours in zip(comparison.champion_modes, comparison.challenger_modes, strict=True)
        if ours.assessable
    ]
    if not pairs:
        return Check(name, "production", "-", required, True, "no failure mode has enough failures to be assessed")
    loss, label = max(pairs)
    passed = loss <= gate.max_mode_recall_loss
    why = f"the largest loss is {max(loss, 0):.3f}, in {label}" if loss > 0 else "no assessable mode is worse"
    return Check(name, "production", f"{max(loss, 0):.3f}", required, passed, why)


def _was_not_rolled_back(comparison: Comparison | None) -> Check:
    """What a person took out of production does not come back by itself because the next run trains it again."""
    name, required = "Not rolled back before", "other rows than a rolled-back version"
    if comparison is None:
        return Check(name, "production", "-", required, True, "there is no champion yet")
    if (twin := comparison.rolled_back_twin) is None:
        return Check(name, "production", "other rows", required, True, "no version from these rows was rolled back")
    why = (
        f"version {twin} was trained on the same rows and rolled back: train on other rows, or `promote {twin} --force` "
        "if it was sound"
    )
    return Check(name, "production", f"the rows of version {twin}", required, False, why)


def _earns_its_place(comparison: Comparison | None) -> Check:
    """The same rows teach nothing new: a model of equal worth then leaves the champion where it is."""
    name, required = "Earns the place", "new training rows, or a better F1"
    if comparison is None:
        return Check(name, "production", "-", required, True, "there is no champion yet")
    if not comparison.same_training_data:
        return Check(name, "production", "new rows", required, True, "trained on other rows than the champion")
    gain = comparison.f1_difference.value if comparison.f1_difference else 0.0
    why = f"trained on the same rows as version {comparison.version}, F1 differs by {gain:+.3f}"
    return Check(name, "production", f"{gain:+.3f}", required, gain > 0, why)

"""The verdict of the quality gate as data.

It imports no data library, so that the API can read it from the tags of a version.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal, Self

Level = Literal["candidate", "production"]


class CheckName(StrEnum):
    """Names of the gate's checks, as they are shown and stored in version tags. A stored name is never rewritten."""

    HELD_OUT_RECALL = "Recall on held-out rows"
    HELD_OUT_F1 = "F1 on held-out rows"
    HELD_OUT_NEVER = "Better than never alarming on held-out rows"
    HELD_OUT_ALWAYS = "Better than always alarming on held-out rows"
    HELD_OUT_CAUGHT = "Failures caught on held-out machines"
    HELD_OUT_FALSE_ALARMS = "False alarms on held-out machines"
    RECALL_LOWER_BOUND = "Lower bound of recall on out-of-fold rows"
    F1_LOWER_BOUND = "Lower bound of F1 on out-of-fold rows"
    OUT_OF_FOLD_NEVER = "Better than never alarming on out-of-fold rows"
    OUT_OF_FOLD_ALWAYS = "Better than always alarming on out-of-fold rows"
    CAUGHT_LOWER_BOUND = "Lower bound of failures caught on out-of-fold rows"
    FALSE_ALARMS_UPPER_BOUND = "Upper bound of false alarms on out-of-fold rows"
    EXPORT_AGREES = "Exported model agrees with the trained model"
    NO_F1_LOSS = "No F1 loss against the champion"
    NO_MODE_RECALL_LOSS = "No recall loss in a failure mode"
    NOT_ROLLED_BACK = "Not rolled back before"
    IMPROVES_ON_CHAMPION = "Improves on the champion"

    @classmethod
    def lookup(cls, name: str) -> "CheckName | None":
        """Return the check with this current or former name, None if there is none."""
        return _CHECKS_BY_NAME.get(name)


_CHECKS_BY_NAME = {check.value: check for check in CheckName} | {
    # Former names, which versions registered under them keep in their tags.
    "Recall lower bound, out-of-fold": CheckName.RECALL_LOWER_BOUND,
    "F1 lower bound, out-of-fold": CheckName.F1_LOWER_BOUND,
    "Exported scorer agrees": CheckName.EXPORT_AGREES,
    "No F1 loss against champion": CheckName.NO_F1_LOSS,
    "No failure mode lost": CheckName.NO_MODE_RECALL_LOSS,
    "Earns the place": CheckName.IMPROVES_ON_CHAMPION,
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of the gate: the measured value, the required value, whether it passed, and the reason as text.

    `name` is a CheckName, or a former name that an older version has in its tags.
    """

    name: str
    level: Level
    measured: str
    required: str
    passed: bool
    why: str


@dataclass(frozen=True)
class Verdict:
    """The checks of the gate and the level that they allow."""

    checks: tuple[Check, ...]

    @property
    def level(self) -> Level | None:
        """`production` if all checks passed, `candidate` if those of that level passed, None for a rejected model."""
        if all(check.passed for check in self.checks):
            return "production"
        return "candidate" if all(check.passed for check in self.checks if check.level == "candidate") else None

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def summary(self) -> str:
        """The level and the reasons of the failed checks, as the predicate of a sentence about the model."""
        number = "a check" if len(self.failed) == 1 else f"{len(self.failed)} checks"
        reasons = f"because {number} failed: " + "; ".join(f"{check.name} ({check.why})" for check in self.failed)
        match self.level:
            case "production":
                return "passes every check"
            case "candidate":
                return f"stays a candidate, {reasons}"
        return f"is rejected, {reasons}"

    def to_json(self) -> str:
        return json.dumps([asdict(check) for check in self.checks])

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(tuple(Check(**check) for check in json.loads(text)))

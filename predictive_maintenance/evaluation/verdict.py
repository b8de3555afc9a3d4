"""The verdict of the quality gate as data. It imports no data library, so the API can read it from a version's tags."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

Level = Literal["candidate", "production"]


@dataclass(frozen=True, kw_only=True)
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
    def from_json(cls, text: str) -> Self:
        return cls(tuple(Check(**check) for check in json.loads(text)))

"""What a verdict leads to: nothing, a registered candidate, or a new version in production."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .config import Registry
from .evaluation.evaluate import Evaluation
from .evaluation.gate import Level
from .registry import FlowRun, Versions, package_version

_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Outcome:
    """Where a run's model ended. `level` is None for a rejection, which leaves the registry untouched.

    `allowed` is the level that the gate allows: a model that may go to production can stay a candidate all the same.
    """

    level: Level | None
    allowed: Level | None
    version: str | None
    replaced: str | None
    summary: str
    headline: str
    uri: str

    def text(self) -> str:
        """For a person: the verdict first, then what to do next."""
        lines = ["", self.headline, self.summary, ""]
        match self.level:
            case "production":
                lines += [
                    f"version {self.version} is in production: {self.uri}",
                    "next: python -m predictive_maintenance status",
                    "      python -m predictive_maintenance score FILE",
                ]
            case "candidate":
                force = "" if self.allowed == "production" else " --force"
                lines += [
                    f"version {self.version} is registered as candidate; production is {self.replaced or 'empty'}",
                    "next: python flows/train_flow.py card view evaluate",
                    f"      python -m predictive_maintenance promote {self.version}{force}   (if you decide otherwise)",
                ]
            case None:
                lines += [
                    f"nothing was registered; production is {self.replaced or 'empty'}",
                    "next: python flows/train_flow.py card view evaluate   (why)",
                    "      python flows/train_flow.py card view clean      (the data)",
                ]
        return "\n".join(lines)


def register_and_promote(
    run: FlowRun,
    files: Mapping[str, bytes],
    test: pd.DataFrame,
    evaluation: Evaluation,
    tags: Mapping[str, str],
    settings: Registry,
    promote: bool,
) -> Outcome:
    """Carry out the gate's verdict on the model made of `files`. A second call for the same run changes nothing more."""
    versions = Versions(run.connection)
    level, summary = evaluation.verdict.level, evaluation.verdict.summary()
    judged_against = evaluation.comparison.version if evaluation.comparison else None
    headline = _headline(evaluation)
    if level is None:
        return Outcome(None, None, None, _held(versions), f"the {evaluation.algorithm} {summary}", headline, "")
    with tempfile.TemporaryDirectory(prefix="pdm-version-") as work:
        folder = package_version(files, test.head(_EXAMPLE_ROWS), Path(work))
        version = versions.register(run, folder, tags).version
    uri = f"models:/{settings.model_name}@{settings.production_alias}"
    reason = f"the {evaluation.algorithm} {summary}"
    if level == "production" and promote:
        promotion = versions.promote(version, judged_against)
        if promotion.promoted:
            before = f", it replaces version {promotion.previous}" if promotion.previous else ""
            return Outcome("production", level, version, promotion.previous, f"{reason}{before}", headline, uri)
        reason = f"{reason}, but {promotion.reason}: python flows/train_flow.py resume evaluate compares it anew"
        versions.tag(version, {"verdict": promotion.reason})
    elif level == "production":
        reason = f"{reason}, and was not to be promoted (--promote False)"
    return Outcome("candidate", level, version, _held(versions), reason, headline, uri)


def _held(versions: Versions) -> str | None:
    current = versions.production()
    return f"version {current.version}" if current else None


def _headline(evaluation: Evaluation) -> str:
    scores = evaluation.held_out
    values = ", ".join(
        f"{label} {scores[name].value:.3f} [{scores[name].low:.3f}, {scores[name].high:.3f}]"
        for name, label in (("recall", "recall"), ("precision", "precision"), ("f1", "F1"), ("pr_auc", "PR-AUC"))
    )
    return f"{values} on {scores.rows:,} held-out rows with {scores.failures} failures"

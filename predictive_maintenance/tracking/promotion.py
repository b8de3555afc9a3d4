"""What a verdict leads to: nothing, a registered candidate, or a new version in production."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config.params import RegistrySettings
from ..evaluation.evaluate import Evaluation
from ..evaluation.verdict import Level
from .model_registry import ModelRegistry
from .packaging import package_version
from .runs import FlowRun

_EXAMPLE_ROWS = 5


@dataclass(frozen=True, kw_only=True)
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
    settings: RegistrySettings,
    promote: bool,
) -> Outcome:
    """Carry out the gate's verdict on the model made of `files`. A second call for the same run changes nothing more."""
    versions = ModelRegistry(run.connection)
    level, summary = evaluation.verdict.level, evaluation.verdict.summary()
    judged_against = evaluation.comparison.version if evaluation.comparison else None
    headline = _headline(evaluation)
    if level is None:
        return Outcome(
            level=None,
            allowed=None,
            version=None,
            replaced=_held(versions),
            summary=f"the {evaluation.algorithm} {summary}",
            headline=headline,
            uri="",
        )
    with tempfile.TemporaryDirectory(prefix="pdm-version-") as work:
        folder = package_version(files, test.head(_EXAMPLE_ROWS), Path(work))
        version = versions.register(run, folder, tags).version
    uri = f"models:/{settings.model_name}@{settings.production_alias}"
    reason = f"the {evaluation.algorithm} {summary}"
    if level == "production" and promote:
        promotion = versions.promote(version, judged_against)
        if promotion.promoted:
            before = f", it replaces version {promotion.previous}" if promotion.previous else ""
            return Outcome(
                level="production",
                allowed=level,
                version=version,
                replaced=promotion.previous,
                summary=f"{reason}{before}",
                headline=headline,
                uri=uri,
            )
        reason = f"{reason}, but {promotion.reason}: python flows/train_flow.py resume evaluate compares it anew"
        versions.tag(version, {"verdict": promotion.reason})
    elif level == "production":
        reason = f"{reason}, and was not to be promoted (--promote False)"
    return Outcome(
        level="candidate",
        allowed=level,
        version=version,
        replaced=_held(versions),
        summary=reason,
        headline=headline,
        uri=uri,
    )


def _held(versions: ModelRegistry) -> str | None:
    current = versions.production_version()
    return f"version {current.version}" if current else None


def _headline(evaluation: Evaluation) -> str:
    scores = evaluation.held_out
    values = ", ".join(
        f"{label} {scores[name].value:.3f} [{scores[name].low:.3f}, {scores[name].high:.3f}]"
        for name, label in (("recall", "recall"), ("precision", "precision"), ("f1", "F1"), ("pr_auc", "PR-AUC"))
    )
    return f"{values} on {scores.rows:,} held-out rows with {scores.failures} failures"

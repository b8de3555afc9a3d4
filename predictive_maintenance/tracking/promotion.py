"""Apply the gate's verdict: reject a model, register it as candidate, or promote it to production."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from ..config.commands import flow_command, program_command, show_card
from ..config.params import RegistrySettings
from ..evaluation.evaluate import Evaluation
from ..evaluation.verdict import Level
from .entities import FILE_TAGS, ModelVersion
from .model_registry import ModelRegistry
from .packaging import package_version
from .runs import FlowRun

_EXAMPLE_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a run. `level` is the level that the model reached; None for a rejected model, which is not registered.

    `allowed` is the level that the gate allows. A model that may be promoted stays a candidate if promotion is switched
    off, or if production changed during the run. `previous` is the version in production before. `file_tags` are the
    hashes and the signature of the registered files. `promoted` is the version that is in production by this outcome.
    """

    level: Level | None
    allowed: Level | None
    version: str | None
    previous: str | None
    summary: str
    headline: str
    uri: str
    file_tags: Mapping[str, str] = field(default_factory=dict)
    promoted: ModelVersion | None = None

    def text(self, machine: str = "") -> str:
        """Text for the terminal: the verdict, then the next commands, with `machine` as their option."""
        lines = ["", self.headline, self.summary, ""]
        production = f"version {self.previous}" if self.previous else "empty"
        match self.level:
            case "production":
                lines += [
                    f"version {self.version} is in production: {self.uri}",
                    f"next: {program_command(f'status{machine}')}",
                    f"      {program_command(f'score FILE{machine}')}",
                ]
            case "candidate":
                force = "" if self.allowed == "production" else " --force"
                lines += [
                    f"version {self.version} is registered as candidate; production is {production}",
                    f"next: {show_card('evaluate')}",
                    f"      {program_command(f'promote {self.version}{force}{machine}')}   (to promote it anyway)",
                ]
            case None:
                lines += [
                    f"nothing was registered; production is {production}",
                    f"next: {show_card('evaluate')}   (the gate)",
                    f"      {show_card('clean')}      (the data)",
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
    """Apply the gate's verdict to the model in `files`. A second call for the same run changes nothing."""
    registry = ModelRegistry(run.connection)
    current = registry.production_version()
    outcome = Outcome(
        level=None,
        allowed=evaluation.verdict.level,
        version=None,
        previous=current.version if current else None,
        summary=f"the {evaluation.algorithm} {evaluation.verdict.summary()}",
        headline=_headline(evaluation),
        uri="",
    )
    if outcome.allowed is None:
        return outcome
    with tempfile.TemporaryDirectory(prefix="pdm-version-") as work:
        folder = package_version(files, test.head(_EXAMPLE_ROWS), Path(work))
        registered = registry.register(run, folder, tags)
    version = registered.version
    uri = f"models:/{settings.model_name}@{settings.production_alias}"
    file_tags = {name: registered.tags[name] for name in FILE_TAGS if name in registered.tags}
    outcome = replace(outcome, level="candidate", version=version, uri=uri, file_tags=file_tags)
    if outcome.allowed != "production":
        return outcome
    if not promote:
        return replace(outcome, summary=f"{outcome.summary}, but promotion is switched off (--promote False)")
    return _promote(registry, outcome, version, evaluation.comparison.version if evaluation.comparison else None)


def _promote(registry: ModelRegistry, outcome: Outcome, version: str, compared_with: str | None) -> Outcome:
    result = registry.promote(version, compared_with, by_gate=True)
    if result.promoted:
        replaces = f" and replaces version {result.previous}" if result.previous else ""
        summary = f"{outcome.summary}{replaces}"
        return replace(outcome, level="production", previous=result.previous, summary=summary, promoted=result.version)
    registry.tag(version, {"verdict": f"{result.conflict} during the run"})
    summary = f"{outcome.summary}, but {result.conflict} during the run: compare it again with {flow_command('resume evaluate')}"
    return replace(outcome, previous=result.production, summary=summary)


def _headline(evaluation: Evaluation) -> str:
    scores = evaluation.held_out
    values = ", ".join(
        f"{label} {scores[name].value:.3f} [{scores[name].low:.3f}, {scores[name].high:.3f}]"
        for name, label in (("recall", "recall"), ("precision", "precision"), ("f1", "F1"), ("pr_auc", "PR-AUC"))
    )
    return f"{values} on {scores.rows:,} held-out rows with {scores.failures} failures"

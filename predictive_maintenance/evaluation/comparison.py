"""The champion and the challenger on the same held-out rows, without those that the champion was trained on."""

from dataclasses import dataclass, replace
from typing import Self

import pandas as pd

from ..config.params import Params
from ..history.events import NO_EVENTS, Events
from ..machine.machine import Machine
from ..training.fingerprint import content_hashes, fingerprint
from ..training.time_split import is_by_time
from .baseline_model import BaselineModel
from .champion_rows import read_rows, why_not_comparable
from .failure_modes import ModeRecall, added_recalls, recall_by_mode
from .intervals import BoolArray, Estimate, FloatArray
from .metrics import Scores, f1_difference, score_summary
from .prediction_summary import PredictionSummary


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The champion `version` against the challenger.

    `rows` held-out rows were compared; `seen_rows` were left out, because the champion was trained on them or, in a split by
    time, on later ones, and `refused_rows`, because its description does not accept them. Scores and the F1 difference are None
    if the compared rows contain no failure, and if the champion cannot be compared at all, for the reason in `obstacle`. `notes`
    are sentences on the effects of another description. `same_columns` is whether both have the same inputs.
    `rolled_back_twin` is the version that was trained on the challenger's training rows and rolled back, if there is one.
    """

    version: str
    algorithm: str
    rows: int
    failures: int
    seen_rows: int
    same_training_data: bool
    rolled_back_twin: str | None
    champion: Scores | None = None
    challenger: Scores | None = None
    f1_difference: Estimate | None = None
    champion_modes: tuple[ModeRecall, ...] = ()
    challenger_modes: tuple[ModeRecall, ...] = ()
    refused_rows: int = 0
    same_columns: bool = True
    obstacle: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def not_comparable(self) -> str | None:
        """Why there are no scores; None if there are."""
        if self.obstacle is None and self.f1_difference is None:
            return "the held-out rows that the champion accepts and was not trained on contain no failure"
        return self.obstacle


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """The predictions of one model for the compared rows, of bounded size, and its recall by failure mode."""

    predictions: PredictionSummary
    modes: tuple[ModeRecall, ...]

    @classmethod
    def of(cls, rows: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray, params: Params) -> Self:
        """The summary of `probabilities` and `decisions` (both (n,)) for `rows`."""
        labels = rows[params.machine.label_name].to_numpy()
        return cls(
            predictions=PredictionSummary.of(labels, probabilities, decisions, rows["group"]),
            modes=recall_by_mode(rows, decisions, params.machine, params.evaluation),
        )

    def plus(self, other: Self, params: Params) -> Self:
        """The summary of the rows of both, of which those of `other` come later."""
        return type(self)(
            predictions=PredictionSummary.merged([self.predictions, other.predictions]),
            modes=added_recalls([self.modes, other.modes], params.machine, params.evaluation),
        )


def compare(
    champion: BaselineModel, test: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray,
    trained_on: str, params: Params, train: pd.DataFrame | None = None, events: Events = NO_EVENTS,
    history: pd.DataFrame | None = None,
) -> Comparison:  # fmt: skip
    """Compare the challenger's `probabilities` and `decisions` (both (n,)) on `test` with those of `champion`.

    `trained_on` is the `training_fingerprint` of the challenger's training rows `train`, which show whether the rows still
    have the ids that the champion knows. A champion with another description of the machine is compared on the rows that
    it accepts, if they have the columns that it needs; its own features are computed from `events` and `history`.
    """
    machine, scorer = params.machine, champion.scorer
    comparison = Comparison(
        version=champion.version,
        algorithm=scorer.spec.algorithm if scorer else "unreadable",
        rows=0,
        failures=0,
        seen_rows=0,
        same_training_data=champion.training_fingerprint == trained_on,
        rolled_back_twin=champion.rolled_back.get(trained_on),
        same_columns=scorer is None or set(scorer.machine.input_names) == set(machine.input_names),
    )
    if scorer is None:
        return replace(comparison, obstacle=f"its files cannot be used: {champion.unreadable}")
    if obstacle := why_not_comparable(scorer.machine, machine, test):
        return replace(comparison, obstacle=obstacle)
    none = test.head(0)
    train, history = none if train is None else train, none if history is None else history
    read = read_rows(
        champion, scorer.machine, machine, test, train, events, history, by_time=is_by_time(machine, params.split)
    )
    compared = ~read.seen & read.accepted
    rows = test[compared].reset_index(drop=True)
    failures = int(rows[machine.label_name].sum())
    comparison = replace(
        comparison,
        rows=len(rows),
        failures=failures,
        seen_rows=int(read.seen.sum()),
        refused_rows=int((~read.seen & ~read.accepted).sum()),
        notes=read.notes,
    )
    if failures == 0:
        return comparison
    champion_probabilities = scorer.probabilities(read.frame[compared].reset_index(drop=True))
    ours = ModelSummary.of(rows, probabilities[compared], decisions[compared], params)
    theirs = ModelSummary.of(rows, champion_probabilities, scorer.decisions(champion_probabilities), params)
    return with_scores(comparison, ours, theirs, params)


def with_scores(comparison: Comparison, challenger: ModelSummary, champion: ModelSummary, params: Params) -> Comparison:
    """`comparison` with the scores of both models, and the paired difference, from their summaries of the same rows."""
    costs, settings, seed = params.costs, params.evaluation, params.training.seed
    ours, theirs = challenger.predictions, champion.predictions
    return replace(
        comparison,
        champion=score_summary(theirs, costs, settings, seed),
        challenger=score_summary(ours, costs, settings, seed),
        f1_difference=f1_difference(ours.groups, theirs.groups, settings, seed),
        champion_modes=champion.modes,
        challenger_modes=challenger.modes,
    )


def training_fingerprint(train: pd.DataFrame, machine: Machine) -> str:
    """sha256 of the ids, inputs and labels of the training rows, independent of their order."""
    return fingerprint(content_hashes(train, machine))

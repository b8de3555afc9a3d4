"""The champion and the challenger on the same held-out rows, without those that the champion was trained on."""

from dataclasses import dataclass, replace
from typing import Any, Self

import pandas as pd

from ..config.params import Params
from ..history.events import Events
from ..machine.machine import Machine
from ..training.fingerprint import content_hashes, fingerprint
from ..training.time_split import is_by_time
from .baseline_model import BaselineModel
from .champion_rows import Differences, latest_trained, read_rows, why_not_comparable
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


@dataclass(frozen=True, kw_only=True)
class ComparedRows:
    """What both models say of the compared rows, of bounded size; the summaries of parts can be added.

    The fields are those of Comparison. Without models and differences, the champion cannot be compared, for the reason in
    `obstacle`.
    """

    rows: int = 0
    failures: int = 0
    seen_rows: int = 0
    challenger: ModelSummary | None = None
    champion: ModelSummary | None = None
    differences: Differences | None = None
    obstacle: str | None = None

    def plus(self, other: Self, params: Params) -> Self:
        """The summary of the rows of both, of which those of `other` come later."""
        if not (self.challenger and self.champion and self.differences):
            return self
        assert other.challenger
        assert other.champion
        assert other.differences
        return replace(
            self,
            rows=self.rows + other.rows,
            failures=self.failures + other.failures,
            seen_rows=self.seen_rows + other.seen_rows,
            challenger=self.challenger.plus(other.challenger, params),
            champion=self.champion.plus(other.champion, params),
            differences=self.differences.plus(other.differences),
        )


def latest_seen(champion: BaselineModel, params: Params, test: pd.DataFrame, train: pd.DataFrame) -> Any:
    """The `latest` of `compared_rows`: the latest time of a row that the champion was trained on, in a split by time; or None."""
    scorer, machine = champion.scorer, params.machine
    if scorer is None or not is_by_time(machine, params.split) or why_not_comparable(scorer.machine, machine, test):
        return None
    return latest_trained(champion, scorer.machine, machine, test, train)


def compared_rows(
    champion: BaselineModel, test: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray, params: Params,
    train: pd.DataFrame, events: Events, history: pd.DataFrame, latest: Any,
) -> ComparedRows:  # fmt: skip
    """The challenger's `probabilities` and `decisions` (both (n,)) on the held-out rows `test`, and those of `champion`.

    The challenger's training rows `train` show whether the rows still have the ids that the champion knows. A champion with
    another description of the machine is compared on the rows that it accepts, if they have the columns that it needs; its own
    features are computed from `events` and `history`. `latest` is that of `latest_seen`, for all rows.
    """
    machine, scorer = params.machine, champion.scorer
    if scorer is None:
        return ComparedRows(obstacle=f"its files cannot be used: {champion.unreadable}")
    if obstacle := why_not_comparable(scorer.machine, machine, test):
        return ComparedRows(obstacle=obstacle)
    read = read_rows(champion, scorer.machine, machine, test, train, events, history, latest)
    compared = ~read.seen & read.accepted
    rows = test[compared].reset_index(drop=True)
    theirs = scorer.probabilities(read.frame[compared].reset_index(drop=True))
    return ComparedRows(
        rows=len(rows),
        failures=int(rows[machine.label_name].sum()),
        seen_rows=int(read.seen.sum()),
        challenger=ModelSummary.of(rows, probabilities[compared], decisions[compared], params),
        champion=ModelSummary.of(rows, theirs, scorer.decisions(theirs), params),
        differences=read.differences,
    )


def comparison_of(champion: BaselineModel, compared: ComparedRows, trained_on: str, params: Params) -> Comparison:
    """The comparison that `compared` gives, of a challenger with the training fingerprint `trained_on`."""
    scorer, differences = champion.scorer, compared.differences
    comparison = Comparison(
        version=champion.version,
        algorithm=scorer.spec.algorithm if scorer else "unreadable",
        rows=compared.rows,
        failures=compared.failures,
        seen_rows=compared.seen_rows,
        refused_rows=differences.refused if differences else 0,
        same_training_data=champion.training_fingerprint == trained_on,
        rolled_back_twin=champion.rolled_back.get(trained_on),
        same_columns=scorer is None or set(scorer.machine.input_names) == set(params.machine.input_names),
        obstacle=compared.obstacle,
        notes=tuple(differences.notes(champion.version)) if differences else (),
    )
    if not (compared.failures and compared.challenger and compared.champion):
        return comparison
    return with_scores(comparison, compared.challenger, compared.champion, params)


def with_scores(comparison: Comparison, challenger: ModelSummary, champion: ModelSummary, params: Params) -> Comparison:
    """`comparison` with the scores of both models, and the paired difference, from their summaries of the same rows."""
    costs, settings, seed = params.costs, params.evaluation, params.training.seed
    ours, theirs = challenger.predictions, champion.predictions
    our_scores, their_scores = (score_summary(one, costs, settings, seed) for one in (ours, theirs))
    scores = {"scores of the challenger": our_scores, "scores of the champion": their_scores}
    approximations = (f"{what}: {text}" for what, one in scores.items() for text in one.approximations)
    return replace(
        comparison,
        champion=their_scores,
        challenger=our_scores,
        notes=(*comparison.notes, *approximations),
        f1_difference=f1_difference(ours.groups, theirs.groups, settings, seed),
        champion_modes=champion.modes,
        challenger_modes=challenger.modes,
    )


def training_fingerprint(train: pd.DataFrame, machine: Machine) -> str:
    """sha256 of the ids, inputs and labels of the training rows, independent of their order."""
    return fingerprint(content_hashes(train, machine))

"""What the gate judges: a candidate and the champion on all held-out rows, from summaries of bounded size.

A table has one summary. Of parts, an engine makes one each, and their sum is that of all rows.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Self

import numpy as np
import pandas as pd

from ..config.event_rules import event_rules
from ..config.params import Params
from ..engine.engine import Engine
from ..history.observed import observe
from ..partitions.part_folder import PartFolder
from ..partitions.progress import OnPart, each_part, ignore
from ..partitions.split_parts import SplitPart, SplitParts
from ..scorer.scoring import Scorer
from ..training.candidate import FittedCandidate
from ..training.export import Agreement, agreement
from ..training.splits import SplitRows
from ..training.time_split import is_by_time
from .baseline_model import BaselineModel
from .comparison import (
    ComparedRows,
    Comparison,
    ModelSummary,
    compared_rows,
    comparison_of,
    latest_seen,
    training_fingerprint,
)
from .curves import CalibrationCounts, threshold_table_of
from .failure_events import EventScores, EventSummary, judge_alarms, score_event_summary
from .failure_modes import ModeRecall
from .horizon_scores import HorizonScores, horizon_sums, score_horizon_sums
from .intervals import FloatArray
from .metrics import Scores, score_summary
from .trained_hashes import StoredHashes
from .trivial_models import TrivialModels, trivial_models_of


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The results on all held-out rows. See Evaluation for the fields; `events` and `horizons` need a label with a horizon."""

    scores: Scores
    trivial: TrivialModels
    modes: tuple[ModeRecall, ...]
    thresholds: pd.DataFrame
    calibration: pd.DataFrame
    agreement: Agreement
    comparison: Comparison | None
    events: EventScores | None
    horizons: tuple[HorizonScores, ...]


@dataclass(frozen=True)
class Judge:
    """A candidate with its export `scorer`, and the `champion` that it is compared with, if there is one."""

    trained: FittedCandidate
    scorer: Scorer
    champion: BaselineModel | None
    params: Params

    def of_rows(self, rows: SplitRows) -> HeldOut:
        """The results on the held-out rows of one table."""
        summary = self.summary(rows, self.latest(rows.test, rows.train))
        return self._results(summary, training_fingerprint(rows.fitted, self.params.machine))

    def of_parts(self, rows: SplitParts, engine: Engine, on_part: OnPart = ignore) -> HeldOut:
        """The results on the held-out rows of all parts. Raises PartError if a file is damaged, and EngineError."""
        judge, latest = self._for_workers(rows.folder), None
        if self.champion and is_by_time(self.params.machine, self.params.split):
            seen = each_part(engine, "champion rows", _latest_of_part, (judge, rows), rows.parts, on_part)
            latest = max((time for time in seen if time is not None), default=None)
        held_out = [part for part in rows.parts if part.test.rows]
        summaries = each_part(engine, "evaluating", _summary_of_part, (judge, rows, latest), held_out, on_part)
        total = reduce(lambda one, other: one.plus(other, self.params), summaries)
        return self._results(total, rows.training_fingerprint)

    def latest(self, test: pd.DataFrame, train: pd.DataFrame) -> Any:
        """The latest time of a row that the champion was trained on, if that matters; or None."""
        return latest_seen(self.champion, self.params, test, train) if self.champion else None

    def summary(self, rows: SplitRows, latest: Any) -> "_Summary":
        """What the held-out rows of a table, or of a part, add to the results. `latest` is that of all rows."""
        params, machine, test = self.params, self.params.machine, rows.test
        probabilities = self.scorer.probabilities(test)
        decisions = self.scorer.decisions(probabilities)
        compared = (
            compared_rows(
                self.champion, test, probabilities, decisions, params, rows.train, rows.events, rows.history, latest
            )
            if self.champion
            else None
        )
        summary = _Summary(
            model=ModelSummary.of(test, probabilities, decisions, params),
            calibration=CalibrationCounts.of(test[machine.label_name].to_numpy().astype(bool), probabilities),
            agreement=agreement(self.trained, self.scorer, test),
            compared=compared,
        )
        if (rules := event_rules(params)) is None:
            return summary
        judged = judge_alarms(observe(machine, test, rows.train, rows.history), decisions, rules)
        return replace(summary, events=EventSummary.of(judged), horizons=horizon_sums(judged, decisions, rules))

    def _for_workers(self, folder: PartFolder) -> Self:
        """The same with the champion's training rows in a table of `folder`, which are too many to be sent to each worker."""
        champion = self.champion
        if champion is None or isinstance(champion.training_rows, StoredHashes):
            return self
        stored = StoredHashes.write(champion.training_rows, folder)
        return replace(self, champion=replace(champion, training_rows=stored))

    def _results(self, total: "_Summary", training_fingerprint: str) -> HeldOut:
        params, rules, predictions = self.params, event_rules(self.params), total.model.predictions
        costs, settings, seed = params.costs, params.evaluation, params.training.seed
        events, horizons = total.events, total.horizons
        return HeldOut(
            scores=score_summary(predictions, costs, settings, seed),
            trivial=trivial_models_of(predictions, params),
            modes=total.model.modes,
            thresholds=threshold_table_of(predictions.scores, costs, self.trained.threshold),
            calibration=total.calibration.table(),
            agreement=total.agreement,
            comparison=comparison_of(self.champion, total.compared, training_fingerprint, params)
            if self.champion and total.compared
            else None,
            events=score_event_summary(events, rules, costs, settings, seed) if events and rules else None,
            horizons=score_horizon_sums(horizons, rules, settings, seed) if horizons is not None and rules else (),
        )


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """What some held-out rows add to the results."""

    model: ModelSummary
    calibration: CalibrationCounts
    agreement: Agreement
    compared: ComparedRows | None
    events: EventSummary | None = None
    horizons: FloatArray | None = None

    def plus(self, other: Self, params: Params) -> Self:
        """The summary of the rows of both, of which those of `other` come later."""
        return type(self)(
            model=self.model.plus(other.model, params),
            calibration=CalibrationCounts.merged([self.calibration, other.calibration]),
            agreement=self.agreement.plus(other.agreement),
            compared=self.compared.plus(other.compared, params) if self.compared and other.compared else None,
            events=EventSummary.merged([self.events, other.events]) if self.events and other.events else None,
            horizons=None
            if self.horizons is None or other.horizons is None
            else np.concatenate([self.horizons, other.horizons], axis=2),
        )


def _latest_of_part(shared: tuple[Judge, SplitParts], part: SplitPart) -> Any:
    judge, rows = shared
    return judge.latest(rows.folder.read(part.test), rows.folder.read(part.train))


def _summary_of_part(shared: tuple[Judge, SplitParts, Any], part: SplitPart) -> _Summary:
    judge, rows, latest = shared
    return judge.summary(rows.load([part]), latest)

"""The evaluation of the selected candidate on held-out rows: the content of its card, its report and the gate."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from ..config.machine_extras import Oracle
from ..config.params import Params
from ..scorer.scoring import Scorer
from ..training.candidate import TrainedCandidate
from ..training.export import Agreement, agreement
from ..training.splits import SplitRows
from .baseline_model import BaselineModel
from .category_scores import CategoryScores, scores_by_category
from .comparison import Comparison, compare, training_fingerprint
from .curves import calibration_bins, threshold_table
from .event_evaluation import EventEvaluation, evaluate_events
from .failure_modes import ModeRecall, recall_by_mode
from .gate import judge
from .importances import permutation_importances
from .metrics import Scores
from .row_sets import (
    NEW_MACHINES,
    NEW_MACHINES_LATER,
    forward_scores,
    new_machine_scores,
    oracle_scores,
    score_rows,
)
from .trivial_models import TrivialModels, score_trivial_models
from .verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything measured of one model.

    `trivial` has the trivial models on the held-out rows. `forward` is None if the rows do not allow it, with the reason
    in `forward_note`; `oracle` is None without one and for rows without failure modes; `comparison` is None if there is
    no champion; `events` is None if the label has no horizon. `question` says what the scores on the held-out rows answer.
    `new_machines` are scores on machines that were not trained on, by name, if the held-out rows are of the same machines.
    """

    algorithm: str
    threshold: float
    held_out: Scores
    out_of_fold: Scores
    trivial: TrivialModels
    forward: Scores | None
    forward_note: str
    oracle: Scores | None
    modes: tuple[ModeRecall, ...]
    categories: tuple[CategoryScores, ...]
    thresholds: pd.DataFrame
    calibration: pd.DataFrame
    importances: pd.DataFrame
    agreement: Agreement
    comparison: Comparison | None
    verdict: Verdict
    events: EventEvaluation | None = None
    question: str = ""
    new_machines: Mapping[str, Scores] = field(default_factory=dict)
    new_machines_note: str = ""

    def row_sets(self) -> dict[str, Scores]:
        """The scores of this model on each set of rows, by key."""
        sets = {"held_out": self.held_out, "out_of_fold": self.out_of_fold, "forward": self.forward}
        return {key: scores for key, scores in (sets | dict(self.new_machines)).items() if scores is not None}

    def notes(self, escape: Callable[[str], str] = str) -> str:
        """What the held-out rows answer, and what scores on other sets of rows are, or why there are none."""
        notes = {"Held-out rows": self.question, "Forward in time": f"{self.forward_note}."}
        if self.new_machines_note:
            notes["New machines"] = f"{self.new_machines_note}."
        return " ".join(f"{label}: {escape(note)}" for label, note in notes.items() if note)


ROW_SETS = {
    "held_out": "Held-out rows",
    "out_of_fold": "Out-of-fold rows",
    "forward": "Forward in time",
    NEW_MACHINES: "New machines",
    NEW_MACHINES_LATER: "New machines, later",
}
"""The names of the sets of rows by key."""


def evaluate(
    trained: TrainedCandidate, out_of_fold: Scores, scorer: Scorer, rows: SplitRows, champion: BaselineModel | None,
    params: Params, oracle: Oracle | None = None,
) -> Evaluation:  # fmt: skip
    """Evaluate the exported `scorer` of `trained` on the held-out rows, and compare it with the champion on them.

    `out_of_fold` is the result of `out_of_fold_scores` for `trained`. `oracle` is a ceiling to compare with, where the
    rules that made the labels are known.
    """
    machine = params.machine
    settings, costs, seed = params.evaluation, params.costs, params.training.seed
    test = rows.test
    probabilities = scorer.probabilities(test)
    decisions = scorer.decisions(probabilities)
    labels = test[machine.label_name].to_numpy().astype(bool)
    held_out = score_rows(test, probabilities, decisions, params)
    forward, forward_note = forward_scores(trained, rows, params)
    new_machines, new_machines_note = new_machine_scores(trained, rows, params)
    export_agreement = agreement(trained, scorer, test)
    fingerprint = training_fingerprint(rows.train, machine)
    comparison = (
        compare(champion, test, probabilities, decisions, fingerprint, params, rows.train, rows.events, rows.history)
        if champion
        else None
    )
    events = evaluate_events(trained, rows, probabilities, decisions, params, scorer)
    return Evaluation(
        algorithm=trained.algorithm,
        threshold=trained.threshold,
        held_out=held_out,
        out_of_fold=out_of_fold,
        trivial=score_trivial_models(test, params),
        forward=forward,
        forward_note=forward_note,
        oracle=oracle_scores(test, oracle, params),
        modes=recall_by_mode(test, decisions, machine, settings),
        categories=scores_by_category(test, probabilities, decisions, params),
        thresholds=threshold_table(labels, probabilities, costs, trained.threshold),
        calibration=calibration_bins(labels, probabilities),
        importances=permutation_importances(trained, test, machine, seed),
        agreement=export_agreement,
        comparison=comparison,
        verdict=judge(
            held_out, out_of_fold, export_agreement, comparison, params.gate, settings.min_assessable_failures, events
        ),
        events=events,
        question=rows.question,
        new_machines=new_machines,
        new_machines_note=new_machines_note,
    )


def thresholds_file(evaluation: Evaluation) -> bytes:
    """The content of the model file THRESHOLDS_FILE: counts at each threshold on the held-out rows, as JSON columns."""
    counts = evaluation.thresholds[["threshold", "true_positives", "false_positives"]]
    held_out = evaluation.held_out
    return json.dumps({"rows": held_out.rows, "failures": held_out.failures, **counts.to_dict("list")}).encode()

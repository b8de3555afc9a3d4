"""The evaluation of the selected candidate on held-out rows: the content of its card, its report and the gate."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from ..config.machine_extras import Oracle
from ..config.params import Params
from ..scorer.scoring import Scorer
from ..training.candidate import FittedCandidate
from ..training.export import Agreement
from ..training.splits import SplitRows
from .category_scores import CategoryScores, scores_by_category
from .comparison import Comparison
from .event_evaluation import EventEvaluation, evaluate_events
from .failure_modes import ModeRecall
from .gate import judge
from .held_out import HeldOut
from .importances import permutation_importances
from .metrics import Scores
from .out_of_fold import OutOfFoldEvaluation
from .row_sets import (
    NEW_MACHINES,
    NEW_MACHINES_LATER,
    forward_scores,
    new_machine_scores,
    oracle_scores,
)
from .trivial_models import TrivialModels
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
    sample_note: str = ""

    def row_sets(self) -> dict[str, Scores]:
        """The scores of this model on each set of rows, by key."""
        sets = {"held_out": self.held_out, "out_of_fold": self.out_of_fold, "forward": self.forward}
        return {key: scores for key, scores in (sets | dict(self.new_machines)).items() if scores is not None}

    def notes(self, escape: Callable[[str], str] = str) -> str:
        """What the held-out rows answer, and what scores on other sets of rows are, or why there are none."""
        notes = {"Held-out rows": self.question, "Forward in time": f"{self.forward_note}."}
        if self.new_machines_note:
            notes["New machines"] = f"{self.new_machines_note}."
        if getattr(self, "sample_note", ""):  # an evaluation of an earlier release has none
            notes["A sample"] = f"{self.sample_note}."
        for key, scores in self.row_sets().items():
            if scores.approximations:
                notes[f"Approximations, {ROW_SETS[key].lower()}"] = f"{'; '.join(scores.approximations)}."
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
    trained: FittedCandidate, out_of_fold: OutOfFoldEvaluation, held_out: HeldOut, scorer: Scorer, rows: SplitRows,
    params: Params, oracle: Oracle | None = None,
) -> Evaluation:  # fmt: skip
    """Evaluate the exported `scorer` of `trained` by its results on all training rows and all held-out rows.

    What a report shows beside these is of `rows`: all rows, or all those of some machines, which a note then says. `oracle` is a
    ceiling to compare with, where the rules that made the labels are known.
    """
    machine, test = params.machine, rows.test
    settings, seed = params.evaluation, params.training.seed
    probabilities = scorer.probabilities(test)
    decisions = scorer.decisions(probabilities)
    forward, forward_note = forward_scores(trained, rows, params)
    new_machines, new_machines_note = new_machine_scores(trained, rows, params)
    events = evaluate_events(out_of_fold, held_out, rows, probabilities, decisions, params, scorer)
    return Evaluation(
        algorithm=trained.algorithm,
        threshold=trained.threshold,
        held_out=held_out.scores,
        out_of_fold=out_of_fold.scores,
        trivial=held_out.trivial,
        forward=forward,
        forward_note=forward_note,
        oracle=oracle_scores(test, oracle, params),
        modes=held_out.modes,
        categories=scores_by_category(test, probabilities, decisions, params),
        thresholds=held_out.thresholds,
        calibration=held_out.calibration,
        importances=permutation_importances(trained, test, machine, seed),
        agreement=held_out.agreement,
        comparison=held_out.comparison,
        verdict=judge(
            held_out.scores,
            out_of_fold.scores,
            held_out.agreement,
            held_out.comparison,
            params.gate,
            settings.min_assessable_failures,
            events,
        ),
        events=events,
        question=rows.question,
        new_machines=new_machines,
        new_machines_note=new_machines_note,
        sample_note=_sample_note(rows, held_out.scores, out_of_fold.scores),
    )


def _sample_note(rows: SplitRows, held_out: Scores, out_of_fold: Scores) -> str:
    """What is of some machines only, and of how many rows; nothing if `rows` are all rows."""
    loaded, every = len(rows.train) + len(rows.test), held_out.rows + out_of_fold.rows
    if loaded == every:
        return ""
    return (
        f"from {loaded:,} of {every:,} rows (evaluation.sample_rows in params.yaml): scores forward in time, on new machines and "
        "by category, importances, rules without a model, alarm policies, timelines, likeliest failure modes"
    )


def thresholds_file(evaluation: Evaluation) -> bytes:
    """The content of the model file THRESHOLDS_FILE: counts at each threshold on the held-out rows, as JSON columns."""
    counts = evaluation.thresholds[["threshold", "true_positives", "false_positives"]]
    held_out = evaluation.held_out
    return json.dumps({"rows": held_out.rows, "failures": held_out.failures, **counts.to_dict("list")}).encode()

"""The evaluation of a candidate on its training rows: each row is judged by a model that was fitted without the row's fold."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..config.event_rules import EventRules, event_rules
from ..config.params import Params
from ..history.labels import NEXT_FAILURE
from ..history.observed import observe
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from ..partitions.split_parts import SplitParts
from ..training.candidate import OutOfFold
from ..training.out_of_fold_parts import OutOfFoldParts
from .alarm_policies import PolicyScores, score_policies
from .failure_events import EventScores, EventSummary, judge_alarms, score_event_summary
from .metrics import Scores, score_summary
from .prediction_summary import PredictionSummary


@dataclass(frozen=True, kw_only=True)
class OutOfFoldEvaluation:
    """Scores of the out-of-fold decisions: by row and, if the label has a horizon, by failure event.

    `policies` are the scores of alarm policies, on `policy_rows` training rows: all, or all those of some machines.
    """

    scores: Scores
    events: EventScores | None = None
    policies: tuple[PolicyScores, ...] = ()
    policy_rows: int = 0


class TrainedRows(NamedTuple):
    """Rows of some machines with their group, label and, for events, machine, time and next failure.

    `out_of_fold` are the predictions for `train`. `test` and `history` are the other rows of these machines.
    """

    out_of_fold: OutOfFold
    train: pd.DataFrame
    test: pd.DataFrame
    history: pd.DataFrame


def evaluate_out_of_fold(parts: Iterable[TrainedRows], params: Params) -> OutOfFoldEvaluation:
    """Evaluate the rows of all `parts`, which have no machine in common. One part is in memory at a time."""
    machine, rules, seed = params.machine, event_rules(params), params.training.seed
    total: PredictionSummary | None = None
    events, compared = list[EventSummary](), list[TrainedRows]()
    for part in parts:
        found = part.out_of_fold
        labels = part.train[machine.label_name].to_numpy()
        summary = PredictionSummary.of(labels, found.probabilities, found.decisions, part.train["group"])
        total = summary if total is None else PredictionSummary.merged([total, summary])
        if rules is None:
            continue
        observed = observe(machine, part.train, part.test, part.history)
        events.append(EventSummary.of(judge_alarms(observed, found.decisions, rules)))
        if not compared or _rows(compared) + len(part.train) <= params.evaluation.sample_rows:
            compared.append(part)
    assert total is not None
    scores = score_summary(total, params.costs, params.evaluation, seed)
    if rules is None:
        return OutOfFoldEvaluation(scores=scores)
    return OutOfFoldEvaluation(
        scores=scores,
        events=score_event_summary(EventSummary.merged(events), rules, params.costs, params.evaluation, seed),
        policies=_policies(compared, rules, params),
        policy_rows=_rows(compared),
    )


def trained_rows(predictions: OutOfFoldParts, rows: SplitParts) -> Iterator[TrainedRows]:
    """The training rows of each part, with the predictions for them. Raises PartError if a file is damaged."""
    for place, part in enumerate(rows.trained_parts):
        columns = rows.columns_of(part, ["group", rows.machine.label_name, *event_columns(rows.machine)])
        yield TrainedRows(predictions.read(place), *columns)


def event_columns(machine: Machine) -> list[str]:
    """The columns that `observe` needs."""
    return [MACHINE_ID, machine.time_name, NEXT_FAILURE]


def _rows(parts: Sequence[TrainedRows]) -> int:
    return sum(len(part.train) for part in parts)


def _policies(parts: Sequence[TrainedRows], rules: EventRules, params: Params) -> tuple[PolicyScores, ...]:
    train, test, history = (
        pd.concat(sides, ignore_index=True) for sides in zip(*(part[1:] for part in parts), strict=True)
    )
    probabilities = np.concatenate([part.out_of_fold.probabilities for part in parts])
    observed = observe(params.machine, train, test, history)
    return score_policies(observed, train[params.machine.label_name].to_numpy(), probabilities, rules, params)

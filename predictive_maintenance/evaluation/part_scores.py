"""Summaries and scores of rows in parts, of which an engine summarises one after the other, or several at the same time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from ..config.params import Params
from ..engine.engine import Engine
from ..training.out_of_fold_parts import OutOfFoldParts
from ..training.parts_candidate import PartsCandidate
from ..training.row_parts import NOT_TRAINED, column
from .metrics import Scores, score_summary
from .prediction_summary import PredictionSummary

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


def summarise_parts(
    engine: Engine, work: Callable[[S, T], PredictionSummary], shared: S, items: Sequence[T]
) -> PredictionSummary:
    """The summary of the rows of all `items`, in their order. `work(shared, item)` is that of one of them."""
    return PredictionSummary.merged(in_order(engine.map(work, shared, items)))


def out_of_fold_scores_of_parts(trained: PartsCandidate, params: Params, engine: Engine) -> Scores:
    """`out_of_fold_scores` of a candidate that was trained on parts."""
    predictions = trained.out_of_fold
    summary = summarise_parts(engine, _out_of_fold, predictions, range(len(predictions.files)))
    return score_summary(summary, params.costs, params.evaluation, params.training.seed)


def in_order(results: Iterable[tuple[int, R]]) -> Iterator[R]:
    """The results of places 0, 1, ... in this order. A result waits for those of the places before it."""
    waiting: dict[int, R] = {}
    following = 0
    for place, result in results:
        waiting[place] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _out_of_fold(predictions: OutOfFoldParts, place: int) -> PredictionSummary:
    parts, found = predictions.parts, predictions.read(place)
    file = parts.files[place]
    used = (column(file, parts.fold) != NOT_TRAINED).to_numpy()
    labels, groups = column(file, parts.label).to_numpy()[used], column(file, parts.group)[used]
    return PredictionSummary.of(labels, found.probabilities, found.decisions, groups)

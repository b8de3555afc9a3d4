"""The errors of both versions about readings whose outcome people have reported."""

from functools import partial

from ..store.outcomes import LABELS, labelled_predictions
from ..store.rows import Errors, Labelled
from ..store.store import Store
from .agreement import Costs
from .pair import Pair, score_block

_SECOND_US = 10**6

Decided = tuple[bool, bool, bool]
"""Whether the machine failed, and the decisions of production and candidate."""


def labelled_errors(store: Store, pair: Pair, costs: Costs, *, since: int) -> Labelled | None:
    """The errors in the predictions since a time, in seconds since 1970, that have feedback; None without any.

    Of several predictions of one reading, the latest counts. Raises StoreError, and ModelError if the candidate fails.
    """
    read = partial(store.predictions_of, pair.model, pair.version, since=since * _SECOND_US)
    rows: list[Decided] = []
    for logged, reports in labelled_predictions(store, pair.model, read):
        labelled = list(reports.items())
        scores = score_block(store, pair, logged.at(list(reports)))
        decisions = pair.candidate_scorer.decisions(scores.probabilities)
        for number, decision in zip(scores.positions.tolist(), decisions.tolist(), strict=True):
            place, report = labelled[number]
            rows.append((bool(LABELS[report.verdict]), logged.predicted_failure[place], decision))
    if not rows:
        return None
    return Labelled(
        readings=len(rows),
        failures=sum(failed for failed, _, _ in rows),
        production=_errors([(failed, decision) for failed, decision, _ in rows], costs),
        candidate=_errors([(failed, decision) for failed, _, decision in rows], costs),
    )


def _errors(rows: list[tuple[bool, bool]], costs: Costs) -> Errors:
    missed = sum(failed and not decision for failed, decision in rows)
    false_alarms = sum(decision and not failed for failed, decision in rows)
    return Errors(
        missed_failures=missed,
        false_alarms=false_alarms,
        costs=missed * costs.missed_failure + false_alarms * costs.false_alarm,
    )

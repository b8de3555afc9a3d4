"""The evaluation by failure event: the alarms of a model, and of naive rules, on held-out machines."""

from dataclasses import dataclass

from ..config.event_rules import EventRules, event_rules
from ..config.params import Params
from ..history.observed import observe
from ..scorer.scoring import Scorer
from ..training.splits import SplitRows
from .alarm_policies import PolicyScores
from .failure_events import EventScores, judge_alarms
from .held_out import HeldOut
from .horizon_scores import HorizonScores
from .intervals import BoolArray, FloatArray
from .mode_scores import ModeScores, score_modes
from .naive_rules import NaiveScores, score_naive_rules
from .out_of_fold import OutOfFoldEvaluation
from .timelines import Timeline, sample_timelines


@dataclass(frozen=True, kw_only=True)
class EventEvaluation:
    """Scores by failure event. `naive` are those of rules without a model, on the held-out machines.

    `horizons` are scores on the held-out rows by horizon, `policies` those of alarm policies on the out-of-fold rows; `modes` is
    None for a version without a model of the modes.
    """

    rules: EventRules
    held_out: EventScores
    out_of_fold: EventScores
    naive: tuple[NaiveScores, ...]
    timelines: tuple[Timeline, ...]
    horizons: tuple[HorizonScores, ...] = ()
    policies: tuple[PolicyScores, ...] = ()
    modes: ModeScores | None = None


def evaluate_events(
    out_of_fold: OutOfFoldEvaluation,
    held_out: HeldOut,
    rows: SplitRows,
    probabilities: FloatArray,
    decisions: BoolArray,
    params: Params,
    scorer: Scorer,
) -> EventEvaluation | None:
    """The scores of both sets of rows, and what a report shows beside them, of the held-out rows in `rows`.

    `probabilities` and `decisions` (n,) are those of `scorer` for them. None if the label has no horizon.
    """
    rules = event_rules(params)
    if rules is None or held_out.events is None or out_of_fold.events is None:
        return None
    machine = params.machine
    train = observe(machine, rows.train, rows.test, rows.history)
    test = observe(machine, rows.test, rows.train, rows.history)
    judged = judge_alarms(test, decisions, rules)
    return EventEvaluation(
        rules=rules,
        held_out=held_out.events,
        out_of_fold=out_of_fold.events,
        naive=score_naive_rules(train, rows.train, test, rows.test, rules, params),
        timelines=sample_timelines(judged, probabilities, params.training.seed),
        horizons=held_out.horizons,
        policies=out_of_fold.policies,
        modes=score_modes(scorer, judged, rows.test, rows.train, params.evaluation),
    )

"""The evaluation by failure event: the alarms of a model, and of naive rules, on held-out machines."""

from dataclasses import dataclass

from ..config.event_rules import EventRules, event_rules
from ..config.params import Params
from ..history.observed import observe
from ..scorer.scoring import Scorer
from ..training.candidate import TrainedCandidate
from ..training.splits import SplitRows
from .alarm_policies import PolicyScores, score_policies
from .failure_events import EventScores, judge_alarms, score_events
from .horizon_scores import HorizonScores, score_horizons
from .intervals import BoolArray, FloatArray
from .mode_scores import ModeScores, score_modes
from .naive_rules import NaiveScores, score_naive_rules
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
    trained: TrainedCandidate,
    rows: SplitRows,
    probabilities: FloatArray,
    decisions: BoolArray,
    params: Params,
    scorer: Scorer | None = None,
) -> EventEvaluation | None:
    """Judge the alarms of `decisions` (n,) on the held-out rows, and those of the out-of-fold decisions on the training rows.

    `scorer` predicts the failure modes. None if the label has no horizon.
    """
    rules = event_rules(params)
    if rules is None:
        return None
    machine, seed = params.machine, params.training.seed
    train = observe(machine, rows.train, rows.test, rows.history)
    test = observe(machine, rows.test, rows.train, rows.history)
    held_out = judge_alarms(test, decisions, rules)
    out_of_fold = judge_alarms(train, trained.out_of_fold.decisions, rules)
    scores, of_train = (
        score_events(judged, rules, params.costs, params.evaluation, seed) for judged in (held_out, out_of_fold)
    )
    return EventEvaluation(
        rules=rules,
        held_out=scores,
        out_of_fold=of_train,
        naive=score_naive_rules(train, rows.train, test, rows.test, rules, params),
        timelines=sample_timelines(held_out, probabilities, seed),
        horizons=score_horizons(held_out, decisions, rules, params.evaluation, seed),
        policies=score_policies(
            train, rows.train[machine.label_name].to_numpy(), trained.out_of_fold.probabilities, rules, params
        ),
        modes=score_modes(scorer, held_out, rows.test, rows.train, params.evaluation) if scorer else None,
    )

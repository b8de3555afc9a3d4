"""The alarms of several policies on the out-of-fold rows, from which a person chooses the policy of the description."""

from dataclasses import dataclass, replace

from ..config.event_rules import EventRules
from ..config.params import Params
from ..history.observed import ObservedMachines
from ..machine.alarm import AlarmPolicy
from ..training.alarm_thresholds import select_threshold_of_alarms
from .failure_events import EventScores, judge_alarms, score_events
from .intervals import FloatArray, IndexArray


@dataclass(frozen=True, kw_only=True)
class PolicyScores:
    """The scores of a policy with the threshold that is best for it on the same rows."""

    policy: AlarmPolicy
    threshold: float
    scores: EventScores


def score_policies(
    observed: ObservedMachines, labels: IndexArray, probabilities: FloatArray, rules: EventRules, params: Params
) -> tuple[PolicyScores, ...]:
    """Score the policy of the description, then those of `evaluation.alarm_policies`; none if there are no others.

    `labels` and out-of-fold `probabilities` (n,) are in the order of the table of `observed`.
    """
    stated = (alarm.policy() for alarm in params.evaluation.alarm_policies)
    policies = list(dict.fromkeys([rules.policy, *stated]))
    if len(policies) == 1:
        return ()
    return tuple(_score(replace(rules, policy=policy), observed, labels, probabilities, params) for policy in policies)


def _score(
    rules: EventRules, observed: ObservedMachines, labels: IndexArray, probabilities: FloatArray, params: Params
) -> PolicyScores:
    threshold = select_threshold_of_alarms(labels, probabilities, params, observed, rules)
    judged = judge_alarms(observed, probabilities >= threshold, rules)
    scores = score_events(judged, rules, params.costs, params.evaluation, params.training.seed)
    return PolicyScores(policy=rules.policy, threshold=threshold, scores=scores)

"""Select the decision threshold of a machine over time for a limited rate of false alarms."""

import numpy as np
import numpy.typing as npt

from ..config.event_rules import EventRules, event_rules
from ..config.params import Params
from ..history.alarm_outcomes import outcomes
from ..history.alarms import alarms
from ..history.observed import ObservedMachines
from .thresholds import possible_thresholds, select_threshold

_MAX_TRIED = 300


def false_alarms_are_limited(params: Params) -> bool:
    """Whether the settings limit the false alarms of a machine whose label has a horizon."""
    return params.threshold.at_most_false_alarms is not None and event_rules(params) is not None


def select_threshold_of_alarms(
    labels: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float64],
    params: Params,
    observed: ObservedMachines | None = None,
    rules: EventRules | None = None,
) -> float:
    """Select the threshold that is best by the settings `threshold`, for rows of the machines `observed`.

    With `threshold.at_most_false_alarms`, it is the one that catches the most failures without exceeding that rate, and the best
    by `threshold.optimise` among equals. If every threshold exceeds the rate, it is the one with the lowest rate. `observed` is
    needed only then. `rules` are by default those of `params`.
    """
    rules, maximum = rules or event_rules(params), params.threshold.at_most_false_alarms
    if rules is None or maximum is None:
        return select_threshold(labels, probabilities, params.threshold, params.costs)
    if observed is None:
        raise ValueError("threshold.at_most_false_alarms needs the machines of the rows")
    thresholds, objective = possible_thresholds(labels, probabilities, params.threshold, params.costs)
    tried = np.unique(np.geomspace(1, len(thresholds), _MAX_TRIED).astype(int)) - 1
    tried = np.union1d(tried, np.argmax(objective))
    counts = [_caught_and_rate(observed, probabilities >= thresholds[place], rules) for place in tried]
    caught, rate = (np.array(column) for column in zip(*counts, strict=True))
    allowed = rate <= maximum
    order = (objective[tried], caught) if allowed.any() else (objective[tried], -rate)
    ranked = np.lexsort((*order, allowed))
    return float(thresholds[tried[ranked[-1]]])


def _caught_and_rate(
    observed: ObservedMachines, decisions: npt.NDArray[np.bool_], rules: EventRules
) -> tuple[int, float]:
    """Failures caught, and false alarms per unit of rates; no rate (infinity) without time."""
    made = alarms(observed.times, observed.lives, decisions[observed.positions], rules.policy)
    found = outcomes(observed.times, observed.lives, made, rules.horizon.length, rules.min_lead.length)
    time = found.observed.sum() / rules.rate_unit.length
    return int(np.isfinite(found.lead).sum()), float(found.false_alarms.sum() / time) if time else float("inf")

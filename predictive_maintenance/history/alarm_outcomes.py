"""Which failures alarms caught, and which alarms were false. The definitions are in docs/explanation/evaluation.md."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .alarms import Alarms
from .lives import Lives
from .machine_rows import Positions, Times
from .windows import Floats

NOT_CAUGHT = -1


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What a alarms of M machines led to, in the unit of the times.

    For each of c counted failures: `failed_machine` (c,), `failed_at` (c,) and `failed_life` (c,), the life that it ends;
    `caught_by` (c,), the first alarm that caught it, and `lead` (c,), the time from this alarm to the failure: NOT_CAUGHT and NaN
    for a missed one. For each alarm: `is_true` (a,) whether it was open within the horizon before a failure, and `false_alarms`
    (a,) how many false alarms it counts as. For each machine: `observed` (M,) the time from its first to its last reading, and
    `under_alarm` (M,) the time of it under alarm.
    """

    failed_machine: Positions
    failed_life: Positions
    failed_at: Floats
    caught_by: Positions
    lead: Floats
    is_true: npt.NDArray[np.bool_]
    false_alarms: Positions
    observed: Floats
    under_alarm: Floats


def outcomes(times: Times, lives: Lives, alarms: Alarms, horizon: float, min_lead: float) -> Outcomes:
    """Judge `alarms` by the failures of `lives`. `horizon` and `min_lead` are in the unit of `times` (n,)."""
    failure = lives.failure[alarms.life]
    is_true = alarms.ended_at > failure - horizon
    catches = is_true & (alarms.opened_at < failure) & (alarms.opened_at <= failure - min_lead)
    catching = np.flatnonzero(catches)[::-1]
    caught_by, lead = np.full(len(lives.failure), NOT_CAUGHT), np.full(len(lives.failure), np.nan)
    # Backwards, so that the first alarm of a life that catches its failure is the one that stays.
    caught_by[alarms.life[catching]], lead[alarms.life[catching]] = catching, (failure - alarms.opened_at)[catching]

    # Only a failure with a reading in the horizon before it could be caught: others are beyond a split or in a gap.
    ahead = lives.failure[lives.of_reading] - times
    counted = np.unique(lives.of_reading[(ahead > 0) & (ahead <= horizon)])

    first, last = (times[places].astype(np.float64) for places in (lives.bounds[:-1], lives.bounds[1:] - 1))
    durations = np.minimum(alarms.ended_at, last[alarms.machine]) - alarms.opened_at
    return Outcomes(
        failed_machine=lives.machine[counted],
        failed_life=counted,
        failed_at=lives.failure[counted],
        caught_by=caught_by[counted],
        lead=lead[counted],
        is_true=is_true,
        false_alarms=_false_alarms(lives, alarms, failure, is_true, horizon),
        observed=last - first,
        under_alarm=np.bincount(alarms.machine, durations, minlength=len(first)).astype(np.float64),
    )


def _false_alarms(
    lives: Lives, alarms: Alarms, failure: Floats, is_true: npt.NDArray[np.bool_], horizon: float
) -> Positions:
    """(a,) the horizons of each alarm that pass without a failure in reach; an alarm has at least one.

    The last horizon of an alarm ends with the alarm. A horizon counts if the machine does not come within the horizon of a
    failure in it, and if this is known: the horizon ends before the machine's observation does.
    """
    opened_at, ended_at = alarms.opened_at, alarms.ended_at
    horizons = np.maximum(np.ceil((ended_at - opened_at) / horizon), 1)
    before_failure = np.floor(np.maximum(failure - horizon - opened_at, 0) / horizon)
    judged = np.floor(np.maximum(lives.observed_until[alarms.life] - opened_at, 0) / horizon)
    known = np.where(np.isfinite(failure), horizons, np.minimum(horizons, judged))
    return np.where(is_true, before_failure, known).astype(np.int64)

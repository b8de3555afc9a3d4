"""Alarms of machines: cases that decisions open and close, and that a failure of the machine ends.

The alarms of a machine depend on its readings since its last failure alone, so a stream of readings and a table give the same.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..machine.alarm import AlarmPolicy
from .lives import Lives, first_of_life
from .machine_rows import Positions, Times
from .windows import Floats

NOT_CLOSED = -1


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """a alarms in the order of machines and time.

    `machine` (a,) and `life` (a,) are numbers, `opened` (a,) and `closed` (a,) positions of readings; `closed` is NOT_CLOSED for
    an alarm that a failure ended or that is still open. `opened_at` (a,) and `ended_at` (a,) are times: an alarm that a failure
    ended ends with it, one that is still open with the last reading. `is_open` (a,) is whether it is still open.
    """

    machine: Positions
    life: Positions
    opened: Positions
    closed: Positions
    opened_at: Floats
    ended_at: Floats
    is_open: npt.NDArray[np.bool_]


def alarms(times: Times, lives: Lives, decisions: npt.NDArray[np.bool_], policy: AlarmPolicy) -> Alarms:
    """The alarms of `decisions` (n,), positive ones True, at the readings of `lives`. `times` (n,) are their times."""
    first = first_of_life(lives)
    places = np.arange(len(decisions))
    starts = np.maximum.accumulate(np.where(first, places, 0))
    positives = np.append(0, np.cumsum(decisions))
    recent = positives[1:] - positives[np.maximum(places - (policy.of - 1), starts)]
    may_open = np.flatnonzero(decisions & (recent >= policy.positive))
    last_positive = np.maximum.accumulate(np.where(decisions, places, -1))
    closing = np.flatnonzero(places - last_positive == policy.close_after)

    # An alarm is open after every reading that may open one. So it was open before, too, unless it closed in between.
    closed_before = np.searchsorted(closing, may_open)
    life = lives.of_reading[may_open]
    opens = np.ones(len(may_open), dtype=bool)
    opens[1:] = (np.diff(closed_before) > 0) | (np.diff(life) > 0)
    opened, life, next_closing = may_open[opens], life[opens], closed_before[opens]

    closed = np.append(closing, len(decisions))[next_closing]
    in_life = np.append(lives.of_reading, -1)[closed] == life
    closed = np.where(in_life, closed, NOT_CLOSED)
    machine = lives.machine[life]
    last = lives.bounds[machine + 1] - 1
    failed = ~in_life & np.isfinite(lives.failure[life])
    ended_at = np.where(failed, lives.failure[life], times[np.where(in_life, closed, last)].astype(np.float64))
    return Alarms(
        machine=machine,
        life=life,
        opened=opened,
        closed=closed,
        opened_at=times[opened].astype(np.float64),
        ended_at=ended_at,
        is_open=~in_life & ~failed,
    )


def is_open_after(was_open: bool, decisions: npt.NDArray[np.bool_], policy: AlarmPolicy) -> bool:
    """Whether an alarm is open after the last of `decisions`, the latest of one machine since its last failure.

    It needs `policy.memory` of them, or all there are. `was_open` is whether an alarm was open before the last one.
    """
    if was_open:
        latest = decisions[-policy.close_after :]
        return len(latest) < policy.close_after or bool(latest.any())
    return bool(decisions[-1]) and int(decisions[-policy.of :].sum()) >= policy.positive

"""Keep who has seen an alarm."""

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.store.rows import Actor, AuditEntry

from ..problems import Problem
from ..schemas.audit import Acknowledgement
from .kept_feedback import time_as_key

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store


def keep_acknowledgement(
    store: "Store", machine: Machine, model_name: str, given: Acknowledgement, actor: Actor, max_skew_seconds: float
) -> dict[str, Any]:
    """Keep an acknowledgement with its entry in the audit log, and return the first one of the alarm.

    Raises Problem if the store has no such alarm.
    """
    from predictive_maintenance.store.times import seconds_as_text, shown_time

    opened, at = time_as_key(machine, given.alarm, None, "alarm", max_skew_seconds), int(time.time())
    with store.writing() as transaction:
        is_new = transaction.acknowledge_alarm(model_name, given.machine_id, opened, actor.shown, at)
        if (found := transaction.alarm(model_name, given.machine_id, opened)) is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"the store has no alarm of {given.machine_id!r} that opened at this time"
            )
        if is_new:
            subject = f"alarm of {given.machine_id}, {shown_time(opened, machine)}"
            detail = {"comment": given.comment} if given.comment else {}
            entry = AuditEntry(at=at, action="acknowledgement", actor=actor, subject=subject, detail=detail)
            transaction.add_audit(model_name, [entry])
    alarm, _ = found
    assert alarm.acknowledged is not None
    return {
        "acknowledged": seconds_as_text(alarm.acknowledged),
        "acknowledged_by": alarm.acknowledged_by,
        "repeated": not is_new,
    }

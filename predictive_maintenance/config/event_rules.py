"""How failures caught and false alarms are counted: the description's horizon and alarm policy, and the settings."""

from dataclasses import dataclass

from ..machine.alarm import AlarmPolicy
from ..machine.machine import Machine
from ..machine.spans import Span, parse_lead
from .params import Params

_HOUR_US = 3_600e6
_DAY_US = 24 * _HOUR_US
_YEAR_DAYS = 365.25
_SHORT_HORIZON_DAYS = 3


@dataclass(frozen=True, kw_only=True)
class EventUnit:
    """A unit of lead times or rates. `length` is in the unit of a machine's times: microseconds, or the counter's.

    `name` is a part of the names of metrics.
    """

    label: str
    name: str
    length: float


@dataclass(frozen=True, kw_only=True)
class EventRules:
    """The rules by which alarms are made and judged.

    `lead_unit` is that of lead times; false alarms are per `rate_unit`, costs per `cost_unit`.
    """

    policy: AlarmPolicy
    horizon: Span
    min_lead: Span
    lead_unit: EventUnit
    rate_unit: EventUnit
    cost_unit: EventUnit


def event_rules(params: Params) -> EventRules | None:
    """The rules for the machine of `params`; None if its label has no horizon."""
    machine, time = params.machine, params.machine.description.time
    if machine.horizon is None or time is None:
        return None
    lead, rate, cost = _units(machine, machine.horizon)
    return EventRules(
        policy=machine.description.alarm_policy(),
        horizon=machine.horizon,
        min_lead=parse_lead(params.evaluation.min_lead, time),
        lead_unit=lead,
        rate_unit=rate,
        cost_unit=cost,
    )


def _units(machine: Machine, horizon: Span) -> tuple[EventUnit, EventUnit, EventUnit]:
    """Units of lead times, false alarms and costs."""
    if machine.time_is_counter:
        unit = machine.unit(machine.time_name)
        per_1000 = EventUnit(label=f"1,000 {unit}", name="1000_units", length=1000.0)
        return EventUnit(label=unit, name="units", length=1.0), per_1000, per_1000
    short = horizon.length < _SHORT_HORIZON_DAYS * _DAY_US
    return (
        EventUnit(label="h", name="hours", length=_HOUR_US)
        if short
        else EventUnit(label="d", name="days", length=_DAY_US),
        EventUnit(label="machine-month", name="machine_month", length=_YEAR_DAYS / 12 * _DAY_US),
        EventUnit(label="machine-year", name="machine_year", length=_YEAR_DAYS * _DAY_US),
    )

"""The latest state of the machines in the store: ranking, filters and counts."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from app.schemas.machines import MachineSummary, OpenAlarm
from app.schemas.model import ModelCard
from dashboard.machine_time import axis_value, elapsed_text
from predictive_maintenance.machine.machine import Machine

_MILLISECONDS_PER_HOUR = 3_600_000


def ranked_states(machines: Iterable[MachineSummary], card: ModelCard, machine: Machine) -> pd.DataFrame:
    """Return a row for each machine: open alarms first, then by failure probability.

    The columns are machine_id, has_alarm, opened (the time), open_for (text, up to the latest reading), mode (the likeliest
    failure mode of the open alarm, as text), level (see `risk_level`), probability, time (of the latest reading), hours_behind
    (the hours between it and the newest reading of all machines), readings, version, late_since (when the clock of the machine
    seems to have gone back, or None).
    """
    rows = [_row(state, card, machine) for state in machines]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table["hours_behind"] = (table["seen"].max() - table["seen"]) / _MILLISECONDS_PER_HOUR
    order = ["has_alarm", "probability", "machine_id"]
    table = table.sort_values(order, ascending=[False, False, True], na_position="last", ignore_index=True)
    return table.drop(columns="seen")


_COLUMNS = (
    "machine_id",
    "has_alarm",
    "opened",
    "open_for",
    "mode",
    "level",
    "probability",
    "time",
    "seen",
    "readings",
    "version",
    "late_since",
)


def _row(state: MachineSummary, card: ModelCard, machine: Machine) -> tuple[Any, ...]:
    return (
        state.machine_id,
        state.alarm is not None,
        state.alarm and state.alarm.opened,
        elapsed_text(state.alarm.opened, state.time, machine) if state.alarm else "",
        mode_text(state.alarm, machine) if state.alarm else "",
        risk_level(state, card),
        state.failure_probability,
        state.time,
        # Counters of different machines cannot be compared: silence is the time since the service received a reading.
        axis_value(state.received if machine.time_is_counter else state.time),
        state.readings,
        state.model_version,
        state.late_since,
    )


def mode_text(alarm: OpenAlarm, machine: Machine) -> str:
    """The likeliest failure mode of an alarm with its probability if the machine fails; empty for a version without modes."""
    if alarm.failure_mode is None:
        return ""
    label = machine.labels.get(alarm.failure_mode, alarm.failure_mode)
    share = alarm.failure_mode_probability
    return label if share is None else f"{label} ({share:.0%})"


def risk_level(state: MachineSummary, card: ModelCard) -> str:
    """Return the API's risk level of the latest reading: high, elevated, low; or unknown without a prediction.

    It is high by the decision at the arrival of the reading, and elevated where ignoring the risk costs more than an inspection.
    """
    if state.failure_probability is None:
        return "unknown"
    if state.predicted_failure:
        return "high"
    return "elevated" if state.failure_probability * card.missed_failure_cost >= card.false_alarm_cost else "low"


def filter_states(states: pd.DataFrame, *, text: str, only_alarms: bool, levels: list[str]) -> pd.DataFrame:
    """Return the machines that match every filter. `text` is part of an id; an empty filter matches all."""
    matches = pd.Series(True, index=states.index)
    if text:
        matches &= states["machine_id"].str.contains(text, case=False, regex=False)
    if only_alarms:
        matches &= states["has_alarm"]
    if levels:
        matches &= states["level"].isin(levels)
    return states[matches]

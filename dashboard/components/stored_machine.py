"""Elements of the page of one machine in the store: selection, latest state, charts over time, alarms."""

import streamlit as st

from app.schemas.machines import MachineHistory
from app.schemas.model import ModelCard
from app.schemas.prediction import Prediction, WhatIf
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import common, history_charts
from dashboard.components.alarm_actions import alarm_actions
from dashboard.components.explanation import contributions_chart, history_parts, turning_points
from dashboard.components.stored_fleet import LEVEL_LABELS, how_to_send_readings
from dashboard.formatting import ALARM_ENDS, NO_VALUE, ago, percent
from dashboard.machine_history import (
    Timeline,
    charted_sensors,
    latest_with_past,
    shown_windows,
    timeline,
    window_values,
)
from dashboard.machine_states import mode_text, risk_level
from dashboard.machine_time import elapsed_text, time_text
from dashboard.reading_query import MACHINE
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.reporting.markdown import plain, table

READING_COUNTS = (100, 500, 2_000, 5_000)
"""The most readings that a page may show. The API returns at most 5,000."""
_EXPLAINED = "explained reading"
_DEFAULT_READINGS, _DEFAULT_SENSORS, _MAX_TABLE_ALARMS = 500, 6, 50


def select_machine(machine: Machine) -> tuple[str, int] | None:
    """Return the machine in the page's URL or of the selection, and how many readings to show; None without a machine."""
    snapshot = shared.fleet_monitor().snapshot()
    if snapshot.error and not snapshot.machines:
        common.api_error(snapshot.error, "The store could not be read.")
    named = st.query_params.get(MACHINE)
    ids = [state.machine_id for state in snapshot.machines]
    if not ids and not named:
        if not snapshot.error:
            _wait_for_readings(machine)
        return None
    if named and named not in ids:
        ids.insert(0, named)
    left, right = st.columns([3, 1])
    group = machine.description.texts.group
    selected = left.selectbox(
        group[:1].upper() + group[1:], ids, ids.index(named) if named else None, placeholder="Select one"
    )
    count = right.selectbox(
        "Latest readings", READING_COUNTS, READING_COUNTS.index(_DEFAULT_READINGS), format_func="{:,}".format
    )
    if selected is None:
        st.info("Select a machine, or click one on the page Fleet.", icon="👆")
        return None
    st.query_params[MACHINE] = selected
    return selected, count


def _wait_for_readings(machine: Machine) -> None:
    """Show how to send readings until the store has some."""

    def draw(_: object) -> None:
        if shared.fleet_monitor().snapshot().machines:
            st.rerun(scope="app")
        how_to_send_readings(machine)

    common.auto_refresh(draw)


def machine_over_time(machine_id: str, count: int, card: ModelCard, machine: Machine) -> None:
    """Show the machine now and at every polling interval."""

    def draw(_: object) -> None:
        try:
            found = shared.api().machine_history(machine_id, count)
        except ApiError as error:
            common.api_error(error, f"The history of {plain(machine_id)} is not available.")
            return
        _state(found, card, machine)
        alarm_actions(found, machine)
        if not found.latest:
            st.info("The store has removed the readings of this machine, which are older than its retention.", icon="🗑️")
            return
        _charts(timeline(found, machine), found, card, machine)
        _alarm_table(found, machine)
        _explanation(found, card, machine)

    common.auto_refresh(draw)


def _state(found: MachineHistory, card: ModelCard, machine: Machine) -> None:
    probability = found.failure_probability
    version = f"version {plain(found.model_version)}" if found.model_version else "no version had a prediction"
    alarm, risk, latest, kept = st.columns(4)
    with alarm:
        if found.alarm:
            age = elapsed_text(found.alarm.opened, found.time, machine)
            opened = f"since {time_text(found.alarm.opened, machine)}, at {percent(found.alarm.failure_probability)}"
            if mode := mode_text(found.alarm, machine):
                opened += f"; likeliest: {mode}"
            common.tile("Alarm", f"Open for {plain(age)}", plain(opened), "🔔")
        else:
            common.tile("Alarm", "None open", _last_alarm(found, machine))
    with risk:
        value = NO_VALUE if probability is None else percent(probability)
        level = LEVEL_LABELS[risk_level(found, card)]
        common.tile(
            "Failure probability", plain(value), f"{level}; decision threshold {percent(card.threshold)}; {version}"
        )
    with latest:
        late = f"; all since {ago(found.late_since)} were older: its clock may be behind" if found.late_since else ""
        common.tile("Latest reading", plain(time_text(found.time, machine)), f"received {ago(found.received)}{late}")
    with kept:
        common.tile("Readings in the store", f"{found.readings:,}", f"the latest {len(found.latest):,} are shown")


def _last_alarm(found: MachineHistory, machine: Machine) -> str:
    closed = next((alarm.closed for alarm in found.alarms if alarm.closed is not None), None)
    return "none is recorded" if closed is None else plain(f"the last one closed at {time_text(closed, machine)}")


def _charts(shown: Timeline, found: MachineHistory, card: ModelCard, machine: Machine) -> None:
    with st.container(gap="small"):
        st.altair_chart(history_charts.risk(shown, card.threshold, machine), alt="Failure probability over time")
        if len(shown.marks):
            st.altair_chart(history_charts.marks(shown, machine), alt="Alarms and events over time")
        _sensor_charts(shown, machine)
    notes = [f"The latest {len(found.latest):,} of {found.readings:,} readings are shown."]
    if len(found.alarms) or len(found.events):
        notes.append("Orange bands are alarms, red lines are failures.")
    if shown.earlier:
        notes.append(f"{shown.earlier:,} alarms and events before these readings are not in the charts.")
    notes.append("The failure probability is that of the served version at the arrival of each reading.")
    st.caption(" ".join(notes) + ("" if machine.time_is_counter else " Times are in UTC."))


def _sensor_charts(shown: Timeline, machine: Machine) -> None:
    sensors, windows = charted_sensors(shown, machine), shown_windows(machine)
    left, right = st.columns([3, 1])
    selected = left.multiselect(
        "Sensors",
        sensors,
        sensors[:_DEFAULT_SENSORS],
        format_func=lambda name: machine.columns[name].label,
        key=f"sensors of {machine.description.name}",
    )
    window = right.selectbox(
        "Statistic of earlier readings, dashed", list(windows), None, placeholder="None", disabled=not windows
    )
    values = window_values(shown, windows[window], machine) if window else {}
    for name in selected:
        chart = history_charts.sensor(shown, name, machine, values.get(name), window or "")
        st.altair_chart(chart, alt=f"{machine.columns[name].label} over time")


def _explanation(found: MachineHistory, card: ModelCard, machine: Machine) -> None:
    """Show on demand why the served version predicts what it does for the latest reading, and what would change its decision."""
    if not st.toggle("Explain the latest reading", key="explains the latest reading"):
        return
    try:
        prediction, what_if = _explained(found, card, machine)
    except ApiError as error:
        common.api_error(error, "The latest reading could not be explained.")
        return
    st.caption(
        f"Version {plain(prediction.model_version)} predicts {percent(prediction.failure_probability)} for the latest reading "
        "with the readings and events that are shown."
    )
    if prediction.explanation is not None:
        contributions_chart(prediction.explanation, machine)
        history_parts(prediction.explanation, machine)
    turning_points(what_if, machine)


def _explained(found: MachineHistory, card: ModelCard, machine: Machine) -> tuple[Prediction, WhatIf]:
    """The answers of the API, kept until there is another reading, event or version: the API counts each request."""
    key = (found.machine_id, found.time, len(found.latest), len(found.events), card.version)
    known = st.session_state.get(_EXPLAINED)
    if known is None or known[0] != key:
        known = key, shared.api().predict_with_what_if(latest_with_past(found, machine))
        st.session_state[_EXPLAINED] = known
    answers: tuple[Prediction, WhatIf] = known[1]
    return answers


def _alarm_table(found: MachineHistory, machine: Machine) -> None:
    if not found.alarms:
        return
    st.subheader("Alarms", anchor=False)
    rows = []
    for alarm in found.alarms[:_MAX_TABLE_ALARMS]:
        end = found.time if alarm.closed is None else alarm.closed
        closed = "**open**" if alarm.closed is None else plain(time_text(alarm.closed, machine))
        rows.append(
            [
                plain(time_text(alarm.opened, machine)),
                closed,
                plain(elapsed_text(alarm.opened, end, machine)),
                ALARM_ENDS[alarm.closed_by] if alarm.closed_by else NO_VALUE,
                percent(alarm.failure_probability),
                plain(mode_text(alarm, machine) or NO_VALUE),
                plain(alarm.model_version),
                plain(alarm.feedback or NO_VALUE),
            ]
        )
    st.markdown(
        table(
            [
                "Opened",
                "Closed",
                "Duration",
                "Closed after",
                "Failure probability when opened",
                "Likeliest failure",
                "Version",
                "Report",
            ],
            rows,
        )
    )
    if len(found.alarms) > _MAX_TABLE_ALARMS:
        st.caption(f"The latest {_MAX_TABLE_ALARMS} of {len(found.alarms):,} alarms.")

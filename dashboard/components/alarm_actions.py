"""What a user can do about the alarms of a machine: acknowledge the open one, and report what was found out."""

import streamlit as st

from app.schemas.feedback import Verdict
from app.schemas.machines import MachineHistory
from dashboard import shared, sign_in
from dashboard.api_client import ApiError
from dashboard.components import common
from dashboard.formatting import ago
from dashboard.machine_time import Time, time_text
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.reporting.markdown import plain

VERDICT_LABELS: dict[Verdict, str] = {
    "confirmed": "Confirmed: the machine failed, or would have failed",
    "false": "False: the machine was healthy",
    "partly": "Partly",
    "unknown": "Unknown",
}
_MOST_ALARMS = 50


def alarm_actions(found: MachineHistory, machine: Machine) -> None:
    """Offer what can be done about the latest alarms of a machine."""
    if found.alarm is not None:
        _acknowledge(found)
    if found.alarms:
        with st.expander("Report what was found out", icon="📝"):
            _report(found, machine)


def _acknowledge(found: MachineHistory) -> None:
    assert found.alarm is not None
    alarm = found.alarm
    if alarm.acknowledged is not None:
        by = f" by {plain(alarm.acknowledged_by)}" if alarm.acknowledged_by else ""
        st.caption(f"👁️ Acknowledged{by}, {ago(alarm.acknowledged)}.")
    elif st.button("Acknowledge the alarm", icon="👁️"):
        try:
            kept = shared.api().acknowledge(found.machine_id, alarm.opened, sign_in.person())
        except ApiError as error:
            common.api_error(error, "The alarm could not be acknowledged.")
            return
        st.success(f"Acknowledged by {plain(kept.acknowledged_by)}.", icon="👁️")


def _report(found: MachineHistory, machine: Machine) -> None:
    person = sign_in.person()

    def opened_text(opened: Time) -> str:
        return time_text(opened, machine)

    def mode_label(mode: str) -> str:
        return machine.labels.get(mode, mode)

    # The times are the options: Streamlit would keep the alarm as it was when it was selected.
    alarms = {alarm.opened: alarm for alarm in found.alarms[:_MOST_ALARMS]}
    alarm = alarms[st.selectbox("Alarm that opened at", list(alarms), format_func=opened_text)]
    if alarm.feedback is not None:
        st.caption(f"Reported as: {VERDICT_LABELS[alarm.feedback]}. A further report replaces the verdict.")
    verdict = st.radio("Verdict", list(VERDICT_LABELS), format_func=VERDICT_LABELS.__getitem__)
    modes = machine.feedback_modes if verdict == "confirmed" else ()
    must_name_mode = bool(modes) and machine.description.label.failures is not None
    unset = "Choose" if must_name_mode else "Not known"
    mode = st.selectbox("What failed", modes, None, format_func=mode_label, placeholder=unset) if modes else None
    comment = st.text_area("Comment", max_chars=2000)
    by = person or st.text_input("Reported by", max_chars=200)
    if not st.button("Send the report", disabled=not by or (must_name_mode and mode is None)):
        return
    report = {"machine_id": found.machine_id, "alarm": alarm.opened, "verdict": verdict, "by": by, "comment": comment}
    try:
        shared.api().report([report | ({"failure_mode": mode} if mode else {})], person)
    except ApiError as error:
        common.api_error(error, "The report could not be kept.")
        return
    st.success("The report is kept.", icon="📝")

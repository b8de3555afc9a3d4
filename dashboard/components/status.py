"""Elements of the status page: system state, evaluation of the served model, traffic, rejected readings."""

import streamlit as st

from app.schemas.incidents import Incident
from dashboard import shared
from dashboard.components import common
from dashboard.formatting import INCIDENT_ENDS, NO_VALUE, latency_bound, utc_time
from dashboard.machine_time import time_text
from dashboard.service_monitor import Snapshot
from dashboard.system_state import (
    last_training_state,
    lineage,
    registry_state,
    required_values,
    served_version_state,
    service_state,
)
from dashboard.traffic import Traffic
from predictive_maintenance.reporting.markdown import plain, table

SHORTEST_RATE_WINDOW_SECONDS = 60
METRIC_NAMES = ("recall", "precision", "f1", "pr_auc")


def state_tiles(snapshot: Snapshot) -> None:
    states = {
        "Service": service_state(snapshot),
        "Registry": registry_state(snapshot),
        "Served model": served_version_state(snapshot),
        "Last training run": last_training_state(snapshot),
    }
    for column, (label, state) in zip(st.columns(len(states)), states.items(), strict=True):
        with column:
            common.tile(label, *state)


def served_model(snapshot: Snapshot) -> None:
    """Show the served model's metrics, quality gate and lineage."""
    card = snapshot.model_card
    if card is None:
        return
    st.subheader(f"Evaluation of version {plain(card.version)}", anchor=False)
    if card.held_out is None:
        st.caption("No metrics on held-out rows are recorded for this version.")
    else:
        common.metric_tiles(card.held_out, METRIC_NAMES, required_values(card.gate))
    passed = sum(check.passed for check in card.gate)
    result = f"{passed} of {len(card.gate)} checks passed" if card.gate else "not recorded"
    with st.expander(f"Quality gate: {result}", icon="🚦"):
        common.gate_table(card.gate)
    with st.expander("Model version and its lineage", icon="🧾"):
        st.markdown(table(["", ""], [[label, plain(text)] for label, text in lineage(card).items()]))


def traffic_tiles(snapshot: Snapshot) -> None:
    counters, traffic = snapshot.counters, snapshot.traffic
    st.subheader("Traffic", anchor=False)
    if counters is None:
        st.caption("No metrics were received from the service yet.")
        return
    readings, requests, latency, errors = st.columns(4)
    with readings:
        common.tile(
            "Readings scored",
            f"{counters.readings:,.0f}",
            f"{counters.alarms:,.0f} predicted failures; since the service started, without those of this dashboard",
        )
    with requests:
        _requests_tile(traffic, counters.requests)
    with latency:
        if traffic and traffic.median_seconds is not None and traffic.p95_seconds is not None:
            median, p95 = latency_bound(traffic.median_seconds), latency_bound(traffic.p95_seconds)
            common.tile("Latency", median, f"median; 95th percentile {p95}")
        else:
            common.tile("Latency", NO_VALUE, "no request observed yet")
    with errors:
        common.tile(
            "Errors",
            f"{counters.client_errors + counters.server_errors:,.0f}",
            f"{counters.client_errors:,.0f} invalid requests (4xx), {counters.server_errors:,.0f} server errors (5xx); "
            "since the service started",
            "🔴" if counters.server_errors else "",
        )


def _requests_tile(traffic: Traffic | None, total: float) -> None:
    if traffic is None:
        common.tile("Requests", f"{total:,.0f}", "since the service started; the rate follows after the next poll")
    elif traffic.seconds < SHORTEST_RATE_WINDOW_SECONDS:
        common.tile("Requests", f"{traffic.requests:,}", f"in the last {traffic.seconds:.0f} s")
    else:
        per_minute = traffic.requests / traffic.seconds * 60
        window = f"{traffic.seconds / 60:.1f} minutes"
        common.tile("Requests", f"{per_minute:,.1f} per minute", f"{traffic.requests:,} in the last {window}")


def prediction_log(snapshot: Snapshot) -> None:
    """Show how many predictions are in the log, and how many are lost."""
    if not snapshot.counters:
        return
    st.subheader("Prediction log", anchor=False)
    if (log := snapshot.counters.log) is None:
        st.caption("Predictions are not logged: set PDM_STORE_URL or PDM_PREDICTION_LOG of the service.")
        return
    written, waiting, lost = st.columns(3)
    with written:
        common.tile("Written", f"{log.written:,.0f}", "since the service started")
    with waiting:
        common.tile("Waiting", f"{log.waiting:,.0f}", "in memory, for the next write to the store")
    with lost:
        common.tile(
            "Lost", f"{log.lost:,.0f}", "because the store could not be written for too long", "🔴" if log.lost else ""
        )


def incidents(snapshot: Snapshot) -> None:
    """Show the open incident of monitoring with its reasons, and earlier ones."""
    if snapshot.incidents is None:
        return
    st.subheader("Incidents", anchor=False)
    found = snapshot.incidents.incidents
    if not found:
        st.caption(
            f"No incident was recorded. `{snapshot.program_command('monitor --watch')}` compares production with training."
        )
        return
    for incident in [one for one in found if one.closed is None]:
        reasons = "\n".join(f"- {plain(reason)}" for reason in incident.reasons)
        training = f" A training was started at {_training(incident)}." if incident.training_started else ""
        st.warning(
            f"**Incident {incident.incident} is open** since {utc_time(incident.opened)}: production differs from the training "
            f"of version {plain(incident.model_version)}.{training}\n\n{reasons}",
            icon="⚠️",
        )
    rows = [
        [
            str(incident.incident), plain(incident.model_version), utc_time(incident.opened),
            f"{utc_time(incident.closed)} ({INCIDENT_ENDS[incident.closed_by]})" if incident.closed_by else "open",
            _training(incident),
        ]
        for incident in found
    ]  # fmt: skip
    st.markdown(table(["Incident", "Version", "Opened", "Closed", "Training"], rows))


def _training(incident: Incident) -> str:
    """When the training for an incident was started, and how it ended."""
    started = utc_time(incident.training_started)
    if incident.training_result is None:
        return f"{started} (no result yet)" if incident.training_started else started
    return f"{started} ({plain(incident.training_result)}, {utc_time(incident.training_ended)})"


def alarm_messages(snapshot: Snapshot) -> None:
    """Show the messages about alarms that another system has not accepted, with the reasons and the way out."""
    found = snapshot.deliveries
    if found is None or not (found.waiting or found.dead):
        return
    st.subheader("Messages about alarms", anchor=False)
    waiting, dead = st.columns(2)
    with waiting:
        common.tile("Waiting", f"{found.waiting:,}", "sent as soon as `notify` runs and its receiver accepts them")
    with dead:
        common.tile("Given up", f"{found.dead:,}", "not sent again by themselves", "🔴" if found.dead else "")
    if found.dead:
        st.warning(
            "Mend the receiver of the messages that were given up, and send them again: "
            f"`{snapshot.program_command('notify --repeat-dead')}`",
            icon="⚠️",
        )
    machine = shared.machine(snapshot.model_card)
    rows = [
        [
            plain(one.machine_id), plain(time_text(one.opened, machine)), one.event.removeprefix("alarm."), str(one.attempts),
            utc_time(one.next_attempt) if one.next_attempt else "given up", plain(one.reason),
        ]
        for one in found.messages
    ]  # fmt: skip
    if rows:
        st.markdown(table(["Machine", "Alarm of", "What happened", "Attempts", "Next attempt", "Last error"], rows))


def rejected_readings(snapshot: Snapshot) -> None:
    """Show how many readings were rejected, by field."""
    if not snapshot.counters:
        return
    st.subheader("Rejected readings", anchor=False)
    rejected = snapshot.counters.rejected_by_field
    if not rejected:
        st.caption("No readings were rejected since the service started.")
        return
    labels = shared.machine(snapshot.model_card).labels
    by_count = sorted(rejected.items(), key=lambda item: -item[1])
    rows = [[plain(labels.get(field, field or "whole row")), f"{count:,.0f}"] for field, count in by_count]
    st.markdown(table(["Field", "Rejected since the service started"], rows))

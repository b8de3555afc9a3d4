"""The pieces of the status page: (value, note, sign) of its tiles, traffic, rejected inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.schemas.model import GateCheck, TrainingList
from dashboard.components import common
from dashboard.formatting import LEVELS, NOTHING, RUNNING, ago, duration, within
from dashboard.service_monitor import Snapshot
from predictive_maintenance.evaluation.metrics import METRICS
from predictive_maintenance.machine.sensors import LABELS
from predictive_maintenance.reporting.markdown import plain, table

Tile = tuple[str, str, str]


def service_state(snapshot: Snapshot) -> Tile:
    if snapshot.trouble:
        return "Away", f"last answer {ago(snapshot.answered)}", "🔴"
    health = snapshot.health
    if health is None or health.status == "not ready":
        return "Waiting", "it answers, and has no model yet", "🟡"
    if health.status == "degraded":
        return "Serving", "with trouble, told above", "🟡"
    return "Serving", f"at {plain(snapshot.url)}", "🟢"


def registry_state(snapshot: Snapshot) -> Tile:
    health = snapshot.health
    if snapshot.trouble or health is None:
        return "Unknown", "only the service can tell", "⚪"
    age = health.registry_answered_seconds_ago
    if age is None:
        kept = "the model is one kept on disk" if health.restored_from_disk else "it has not answered yet"
        return "Away", kept, "🔴"
    lists = (snapshot.history, snapshot.trainings)
    troubled = bool(snapshot.gaps) or any(told is None or told.trouble for told in lists)
    return ("Troubled" if troubled else "Answering"), f"last answer {duration(age)} ago", "🟡" if troubled else "🟢"


def last_training(trainings: TrainingList | None) -> Tile:
    if trainings is None:
        return "Unknown", "the registry has not told", "⚪"
    if not trainings.trainings:
        return "None yet", "start one with `make train`", "⚪"
    last = trainings.trainings[0]
    if last.status in RUNNING:
        return "Under way", f"{plain(last.flow_run)}, begun {ago(last.started)}", "🔵"
    if last.level is None:
        return "Failed", f"{plain(last.flow_run)}, {ago(last.started)}: not judged", "🔴"
    verdict = f" {plain(last.verdict)}" if last.verdict else ""
    sign = {"production": "🟢", "candidate": "🟡"}.get(last.level, "🟠")
    return LEVELS.get(last.level, plain(last.level)).capitalize(), f"{ago(last.ended or last.started)}:{verdict}", sign


def required_rates(checks: Sequence[GateCheck]) -> dict[str, str]:
    """What the gate asks of a rate on held-out rows, in its own words, by the metric's name."""
    asked = {check.name: check.required for check in checks}
    names = {name: f"{label} on held-out rows" for name, label in METRICS.items()}
    return {name: asked[words] for name, words in names.items() if words in asked}


def sources_told(sources: Sequence[Mapping[str, Any]]) -> str:
    """What a version was trained on, source by source; those that its tag had no room for are counted in its last."""
    told = []
    for source in sources:
        rows = f", {source['rows']:,} rows" if "rows" in source else ""
        md5 = f", DVC md5 {source['dvc_md5']}" if source.get("dvc_md5") else ""
        told.append(f"{source['name']}{rows}{md5}")
    return "; ".join(told)


def traffic_tiles(snapshot: Snapshot) -> None:
    counters, observed = snapshot.counters, snapshot.observed
    st.subheader("Traffic", anchor=False)
    if counters is None:
        st.caption("Nothing is known of it yet.")
        return
    readings, answers, latency, mistakes = st.columns(4)
    with readings:
        share = f"{counters.alarms:,.0f} of them alarms"
        common.tile(
            "Readings scored",
            f"{counters.readings:,.0f}",
            f"{share}; since the service started, those asked by these pages, too",
        )
    with answers:
        if observed is None:
            common.tile("Requests", f"{counters.answers:,.0f}", "since the service started; a rate needs a second look")
        else:
            window = f"in the last {duration(observed.seconds)} watched"
            if observed.seconds < 60:  # too short to speak of minutes
                common.tile("Requests", f"{observed.answers:,}", window)
            else:
                rate = observed.answers / observed.seconds * 60
                common.tile("Requests", f"{rate:,.1f} a minute", f"{observed.answers:,} {window}")
    with latency:
        if observed and observed.typical_seconds is not None and observed.slow_seconds is not None:
            typical, slow = within(observed.typical_seconds), within(observed.slow_seconds)
            common.tile("Time to answer", typical, f"half of them; 95 % {slow}")
        else:
            common.tile("Time to answer", NOTHING, "no request while this was watched")
    with mistakes:
        common.tile(
            "Refused and failed",
            f"{counters.refused:,.0f} and {counters.failed:,.0f}",
            "requests that were wrong, and that the service could not answer; since it started",
            "🔴" if counters.failed else "",
        )


def rejected_inputs(snapshot: Snapshot) -> None:
    rejected = (snapshot.counters and snapshot.counters.rejected) or {}
    if not snapshot.counters:
        return
    st.subheader("Rejected inputs", anchor=False)
    if not rejected:
        st.caption("No reading has been rejected since the service started.")
        return
    counted = sorted(rejected.items(), key=lambda item: -item[1])
    rows = [[plain(LABELS.get(field, field or "the whole row")), f"{count:,.0f}"] for field, count in counted]
    st.markdown(table(["Field", "Readings rejected since the service started"], rows))

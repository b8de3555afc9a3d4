"""Texts of the status page: the state of service, registry, served model and training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.schemas.model import GateCheck, ModelCard
from dashboard.formatting import (
    ALGORITHM_LABELS,
    GATE_LABELS,
    GATE_SIGNS,
    NO_VALUE,
    RUNNING_STATUSES,
    ago,
    duration,
    percent,
    utc_time,
)
from dashboard.service_monitor import Snapshot
from predictive_maintenance.evaluation.verdict import CheckName
from predictive_maintenance.reporting.markdown import plain

_HELD_OUT_CHECKS = {"recall": CheckName.HELD_OUT_RECALL, "f1": CheckName.HELD_OUT_F1}


class State(NamedTuple):
    """The content of a tile. `value` and `note` are Markdown."""

    value: str
    note: str
    sign: str = ""


def service_state(snapshot: Snapshot) -> State:
    if snapshot.error:
        return State("Not reachable", f"last response {ago(snapshot.received_at)}", "🔴")
    health = snapshot.health
    if health is None or health.status == "not ready":
        return State("No model", "the service responds, but no model is loaded", "🟡")
    if health.status == "degraded":
        return State("Degraded", "predictions work; see the message above", "🟡")
    return State("Available", plain(snapshot.url), "🟢")


def registry_state(snapshot: Snapshot) -> State:
    health = snapshot.health
    if snapshot.error or health is None:
        return State("Unknown", "no response from the service", "⚪")
    age = health.registry_answered_seconds_ago
    if age is None:
        note = "the model was restored from the local disk" if health.restored_from_disk else "no response yet"
        return State("Not reachable", note, "🔴")
    lists = (snapshot.versions, snapshot.training_runs)
    degraded = bool(snapshot.failed_requests) or any(found is None or found.warning for found in lists)
    value, sign = ("Degraded", "🟡") if degraded else ("Available", "🟢")
    return State(value, f"last response {duration(age)} ago", sign)


def served_version_state(snapshot: Snapshot) -> State:
    health = snapshot.health
    if health is None or not health.serving_version:
        return State("None", "no model is loaded")
    production = health.production_version
    is_production = health.serving_version == production
    note = "alias `production`" if is_production else f"alias `production`: version {plain(production or 'unknown')}"
    return State(f"Version {plain(health.serving_version)}", f"{note}; loaded {ago(health.serving_since)}")


def last_training_state(snapshot: Snapshot) -> State:
    training_runs = snapshot.training_runs
    if training_runs is None:
        return State("Unknown", "no response from the registry", "⚪")
    if not training_runs.trainings:
        return State("None", f"start one with `{snapshot.flow_command('run')}`", "⚪")
    last = training_runs.trainings[0]
    if last.status in RUNNING_STATUSES:
        return State("Running", f"{plain(last.flow_run)}, started {ago(last.started)}", "🔵")
    if last.level is None:
        return State("Failed", f"{plain(last.flow_run)}, {ago(last.started)}: no evaluation", "🔴")
    verdict = f": {plain(last.verdict)}" if last.verdict else ""
    sign = GATE_SIGNS.get(last.level, "⚪")
    label = GATE_LABELS.get(last.level, plain(last.level)).capitalize()
    return State(label, f"{ago(last.ended or last.started)}{verdict}", sign)


def required_values(checks: Sequence[GateCheck]) -> dict[str, str]:
    """Return what the quality gate requires of each metric on held-out rows, by the metric's name."""
    required = {CheckName.lookup(check.name): check.required for check in checks}
    return {metric: required[name] for metric, name in _HELD_OUT_CHECKS.items() if name in required}


def lineage(card: ModelCard) -> dict[str, str]:
    """Return where a model version comes from, as label and plain text."""
    return {
        "Algorithm": ALGORITHM_LABELS.get(card.algorithm or "", card.algorithm or NO_VALUE),
        "Decision threshold": f"{percent(card.threshold)} failure probability",
        "Promoted": utc_time(card.promoted),
        "Training run": card.flow_run or NO_VALUE,
        "Git commit": card.git_commit or NO_VALUE,
        "Fingerprint of the training rows": card.training_fingerprint or NO_VALUE,
        "Data sources": source_list(card.data_sources) or NO_VALUE,
        "Previous version": card.previous_version or NO_VALUE,
    }


def source_list(sources: Sequence[Mapping[str, Any]]) -> str:
    """Return the data sources as text. The last one may be a count of those that did not fit into the version's tag."""
    parts = []
    for source in sources:
        rows = f", {source['rows']:,} rows" if "rows" in source else ""
        md5 = f", DVC md5 {source['dvc_md5']}" if source.get("dvc_md5") else ""
        parts.append(f"{source['name']}{rows}{md5}")
    return "; ".join(parts)

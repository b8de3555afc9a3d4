"""Elements of the models page: versions, training runs, decision threshold, links to MLflow."""

from urllib.parse import quote

import streamlit as st

from app.schemas.model import ModelCard, Scores, Thresholds, VersionList, VersionSummary
from app.schemas.training_runs import TrainingRunList, TrainingRunSummary
from dashboard import shared
from dashboard.components import common
from dashboard.formatting import (
    ALGORITHM_LABELS,
    GATE_LABELS,
    GATE_SIGNS,
    NO_VALUE,
    RUNNING_STATUSES,
    ago,
    duration,
    money,
    utc_time,
)
from dashboard.service_monitor import Snapshot
from dashboard.thresholds import ThresholdResult
from predictive_maintenance.reporting.markdown import plain, table


def versions_table(versions: VersionList) -> None:
    """Show every version with its aliases and the quality gate's verdict."""
    rows = []
    for version in versions.versions:
        served = " (served)" if version.version == versions.serving_version else ""
        rows.append(
            [
                f"**{plain(version.version)}**{served}",
                ", ".join(plain(alias) for alias in version.aliases) or NO_VALUE,
                _gate_result(version),
                _metric(version.held_out, "recall"),
                _metric(version.held_out, "f1"),
                utc_time(version.registered),
                plain(ALGORITHM_LABELS.get(version.algorithm or "", version.algorithm or NO_VALUE)),
            ]
        )
    st.markdown(table(["Version", "Aliases", "Quality gate", "Recall", "F1", "Registered", "Algorithm"], rows))
    st.caption(
        "Recall and F1 are measured on the rows held out by each version's training run, with confidence intervals."
    )


def training_runs_table(training_runs: TrainingRunList, snapshot: Snapshot) -> None:
    """Show the latest training runs, including failed and rejected ones."""
    if not training_runs.trainings:
        st.caption(f"No training runs yet. Start one with `{snapshot.flow_command('run')}`.")
        return
    rows = []
    for training in training_runs.trainings:
        name = plain(training.flow_run)
        url = _run_url(training_runs, training.experiment_id, training.run_id)
        rows.append(
            [
                f"[{name}]({url})" if url else name,
                f"{utc_time(training.started)} ({ago(training.started)})",
                duration(training.ended - training.started) if training.ended else NO_VALUE,
                _result(training),
            ]
        )
    st.markdown(table(["Run", "Started", "Duration", "Result"], rows))


def mlflow_links(snapshot: Snapshot) -> None:
    """Show links to the served version in MLflow, or how to start MLflow's user interface."""
    training_runs, card = snapshot.training_runs, snapshot.model_card
    if training_runs is None:
        return
    url = _mlflow_url(training_runs)
    if url is None:
        st.caption(
            "To browse runs, cards and versions in MLflow, run `mlflow ui --backend-store-uri sqlite:///mlflow.db` in the "
            "project folder."
        )
        return
    with st.container(horizontal=True):
        if card and training_runs.trainings:  # all runs belong to one experiment
            run_url = _run_url(training_runs, training_runs.trainings[0].experiment_id, card.run_id)
            st.link_button("Training run in MLflow", f"{run_url}", icon="🧪")
            st.link_button("Evaluation card", f"{run_url}/artifacts/cards/evaluate.html", icon="📊")
        if card:
            st.link_button(
                "Model version in MLflow",
                f"{url}/#/models/{quote(card.model_name, safe='')}/versions/{card.version}",
                icon="📦",
            )


def cost_inputs(card: ModelCard) -> tuple[float, float]:
    """Return (cost of a missed failure, cost of a false alarm). The defaults are those of the model version."""
    missed, false_alarm = st.columns(2)
    return (
        missed.number_input(
            f"Cost of a missed failure ({card.currency})", 0.0, value=float(card.missed_failure_cost), format="%g"
        ),
        false_alarm.number_input(
            f"Cost of a false alarm ({card.currency})", 0.0, value=float(card.false_alarm_cost), format="%g"
        ),
    )


def threshold_tiles(result: ThresholdResult, counts: Thresholds, currency: str, *, with_intervals: bool) -> None:
    recall, precision, cost = st.columns(3)
    with recall:
        note = f"{result.caught:,} of {counts.failures:,} failures caught"
        common.rate_tile("Recall", result.recall, note, with_interval=with_intervals)
    with precision:
        alarms = result.caught + result.false_alarms
        note = f"{result.false_alarms:,} of {alarms:,} alarms are false" if alarms else "no alarms"
        common.rate_tile("Precision", result.precision, note, with_interval=with_intervals)
    with cost:
        common.tile("Cost per 1,000 readings", money(result.cost, currency), f"on {counts.rows:,} held-out rows")


def _result(training: TrainingRunSummary) -> str:
    if training.level:
        return _verdict(training.level, training.verdict)
    return "running" if training.status in RUNNING_STATUSES else "failed before the evaluation"


def _gate_result(version: VersionSummary) -> str:
    rolled_back = f"; rolled back {utc_time(version.rolled_back)}" if version.rolled_back else ""
    return (_verdict(version.level, version.verdict) if version.level else "not recorded") + rolled_back


def _verdict(level: str, verdict: str | None) -> str:
    sign, label = GATE_SIGNS.get(level, ""), GATE_LABELS.get(level, level)
    return f"{sign} {plain(verdict or label)}".strip()


def _metric(scores: Scores | None, name: str) -> str:
    estimate = scores.metrics.get(name) if scores else None
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]" if estimate else NO_VALUE


def _mlflow_url(training_runs: TrainingRunList) -> str | None:
    """Return MLflow's URL for the user's browser, or None without an MLflow server."""
    url = shared.settings().mlflow_url or training_runs.mlflow_url
    return url.rstrip("/") if url else None


def _run_url(training_runs: TrainingRunList, experiment_id: str, run_id: str) -> str | None:
    url = _mlflow_url(training_runs)
    return f"{url}/#/experiments/{experiment_id}/runs/{run_id}" if url else None

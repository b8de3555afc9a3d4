"""The pieces of the page of models: versions, trainings, the threshold's tiles, the way to MLflow."""

from urllib.parse import quote

import streamlit as st

from app.schemas.model import ModelCard, Scores, Thresholds, TrainingList, TrainingSummary, VersionList, VersionSummary
from dashboard import shared
from dashboard.components import common
from dashboard.formatting import ALGORITHMS, LEVELS, NOTHING, RUNNING, ago, duration, money, on_date
from dashboard.service_monitor import Snapshot
from dashboard.thresholds import Point
from predictive_maintenance.reporting.markdown import plain, table


def history_table(history: VersionList) -> None:
    """Each version with its verdict; the names that point to it."""
    rows = []
    for version in history.versions:
        serves = " (serves)" if version.version == history.serving_version else ""
        rows.append(
            [
                f"**{plain(version.version)}**{serves}",
                ", ".join(plain(alias) for alias in version.aliases) or NOTHING,
                _verdict(version),
                _cell(version.held_out, "recall"),
                _cell(version.held_out, "f1"),
                on_date(version.registered),
                plain(ALGORITHMS.get(version.algorithm or "", version.algorithm or "not told")),
            ]
        )
    st.markdown(table(["Version", "Points to it", "Verdict", "Recall", "F1", "Registered", "Algorithm"], rows))
    st.caption("Recall and F1 on the rows held out when the version was trained, with intervals.")


def trainings_table(trainings: TrainingList) -> None:
    """The latest runs of the flow, whatever became of them."""
    if not trainings.trainings:
        st.caption("None yet: `make train`.")
        return
    rows = []
    for training in trainings.trainings:
        name = plain(training.flow_run)
        address = run_address(trainings, training.experiment_id, training.run_id)
        rows.append(
            [
                f"[{name}]({address})" if address else name,
                f"{on_date(training.started)} ({ago(training.started)})",
                duration(training.ended - training.started) if training.ended else NOTHING,
                _outcome(training),
            ]
        )
    st.markdown(table(["Run", "Started", "Took", "Outcome"], rows))


def _outcome(training: TrainingSummary) -> str:
    if training.level:
        return f"**{LEVELS.get(training.level, plain(training.level))}**: {plain(training.verdict or '')}"
    return "under way" if training.status in RUNNING else "failed before it was judged"


def mlflow_address(trainings: TrainingList) -> str | None:
    """Where this person's browser finds MLflow; None where there are no pages of it."""
    address = shared.settings().mlflow_url or trainings.mlflow_url
    return address.rstrip("/") if address else None


def run_address(trainings: TrainingList, experiment_id: str, run_id: str) -> str | None:
    address = mlflow_address(trainings)
    return f"{address}/#/experiments/{experiment_id}/runs/{run_id}" if address else None


def links(snapshot: Snapshot) -> None:
    """To the serving version's run and card in MLflow, or how to open them where MLflow has no server."""
    trainings, card = snapshot.trainings, snapshot.card
    if trainings is None:
        return
    address = mlflow_address(trainings)
    if address is None:
        st.caption(
            "Runs, cards and versions as pages: `mlflow ui --backend-store-uri sqlite:///mlflow.db` in the project's folder."
        )
        return
    with st.container(horizontal=True):
        if card and trainings.trainings:  # all in one experiment
            run = f"{address}/#/experiments/{trainings.trainings[0].experiment_id}/runs/{card.run_id}"
            st.link_button("The champion's run", run, icon="🧪")
            st.link_button("Its card", f"{run}/artifacts/cards/evaluate.html", icon="📊")
        if card:
            st.link_button(
                "Its version",
                f"{address}/#/models/{quote(card.model_name, safe='')}/versions/{card.version}",
                icon="📦",
            )


def costs_inputs(card: ModelCard) -> tuple[float, float]:
    """(missed failure, false alarm): what they cost, from the model's own on."""
    missed, false = st.columns(2)
    return (
        missed.number_input(
            f"A missed failure costs ({card.currency})", 0.0, value=float(card.missed_failure_cost), format="%g"
        ),
        false.number_input(
            f"A false alarm costs ({card.currency})", 0.0, value=float(card.false_alarm_cost), format="%g"
        ),
    )


def point_tiles(point: Point, told: Thresholds, currency: str) -> None:
    recall, precision, cost = st.columns(3)
    with recall:
        common.rate("Recall", point.recall, f"{point.caught} of {told.failures} failures caught")
    with precision:
        alarms = point.caught + point.false_alarms
        common.rate(
            "Precision", point.precision, f"{point.false_alarms} of {alarms} alarms false" if alarms else "no alarm"
        )
    with cost:
        common.tile("Cost of 1,000 readings", money(point.cost, currency), f"counted on {told.rows:,} held-out rows")


def _verdict(version: VersionSummary) -> str:
    back = f"; rolled back {on_date(version.rolled_back)}" if version.rolled_back else ""
    level = LEVELS.get(version.level or "", version.level or "not judged")
    return f"{plain(level)}: {plain(version.verdict or 'no reason told')}{back}"


def _cell(scores: Scores | None, name: str) -> str:
    found = scores.metrics.get(name) if scores else None
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else NOTHING

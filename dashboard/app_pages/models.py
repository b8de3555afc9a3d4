"""Models page: versions, champion and challenger, decision threshold, training runs."""

import streamlit as st

from app.schemas.model import ModelCard, VersionList
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import charts, common
from dashboard.components.comparison import candidate_on_production
from dashboard.components.models import (
    cost_inputs,
    mlflow_links,
    threshold_tiles,
    training_runs_table,
    versions_table,
)
from dashboard.formatting import threshold_percent
from dashboard.page_end import end_page
from dashboard.thresholds import result_at, threshold_options, threshold_table
from predictive_maintenance.reporting.markdown import plain


def compare(versions: VersionList, served: str | None) -> None:
    """Compare the served version with another one, and show the other one's quality gate."""
    champion = next((version for version in versions.versions if version.version == served), None)
    others = [version for version in versions.versions if version is not champion]
    if not champion or not others:
        return
    st.subheader("Champion and challenger", anchor=False)
    default = next((index for index, version in enumerate(others) if "candidate" in version.aliases), 0)
    challenger = st.selectbox(
        "Challenger", others, default, format_func=lambda version: f"Version {version.version}", width=220
    )
    scores = {f"version {version.version}": version.held_out for version in (champion, challenger) if version.held_out}
    if scores:
        st.altair_chart(charts.scores(scores), alt="Metrics of both versions with confidence intervals")
        rows = "; ".join(f"{name}: {found.rows:,} rows, {found.failures:,} failures" for name, found in scores.items())
        st.caption(
            f"{rows.capitalize()}. Each version is measured on the rows held out by its own training run. The quality gate "
            "compares both on the same rows."
        )
    st.markdown(
        f"**Quality gate of version {plain(challenger.version)}:** {plain(challenger.verdict or 'not recorded')}"
    )
    common.gate_table(challenger.gate)


def explore_threshold(card: ModelCard) -> None:
    """Show recall, precision and cost of the served version at a threshold and costs that the user chooses."""
    st.subheader("Decision threshold and costs", anchor=False)
    try:
        with st.spinner("Waiting for the service …"):
            counts = shared.api().thresholds()
    except ApiError as error:
        common.api_error(error, "Other thresholds are not available.")
        return
    missed_failure_cost, false_alarm_cost = cost_inputs(card)
    table = threshold_table(counts, missed_failure_cost, false_alarm_cost)
    own = result_at(table, card.threshold).threshold
    chosen = st.select_slider(
        "Decision threshold: alarm at or above this failure probability",
        threshold_options(table, own),
        own,
        format_func=threshold_percent,
    )
    # Readings of one machine over time resemble each other: an interval for independent rows would be too narrow.
    with_intervals = not shared.machine(card).is_over_time
    threshold_tiles(result_at(table, chosen), counts, card.currency, with_intervals=with_intervals)
    st.altair_chart(
        charts.costs(table, card.threshold, chosen, card.currency), alt="Cost per 1,000 readings by decision threshold"
    )
    st.caption(
        "For information only; this page changes no setting. A threshold chosen on the held-out rows would make the model look "
        "better than it is. Training selects the threshold on out-of-fold rows, by the settings in `params.yaml`."
    )


snapshot = common.page_header("Models", "Model versions, quality gate, decision threshold and training runs.")
versions = snapshot.versions
if versions is None or not versions.versions:
    condition = (
        "when the service responds"
        if versions is None
        else f"when one is registered: run `{snapshot.flow_command('run')}`"
    )
    st.info(f"Versions will be shown {condition}.", icon="🕓")
    if snapshot.training_runs:
        training_runs_table(snapshot.training_runs, snapshot)
    end_page()
if versions.warning:
    st.warning(f"The registry is not reachable. The list may be out of date. {plain(versions.warning)}", icon="⚠️")
st.subheader("Versions", anchor=False)
versions_table(versions)
compare(versions, snapshot.version)
candidate_on_production(snapshot)
if snapshot.model_card:
    explore_threshold(snapshot.model_card)
if snapshot.training_runs:
    st.subheader("Training runs", anchor=False)
    training_runs_table(snapshot.training_runs, snapshot)
    mlflow_links(snapshot)

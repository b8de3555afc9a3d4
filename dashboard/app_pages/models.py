"""Every version and why it is where it is; the champion against a challenger; other thresholds."""

import streamlit as st

from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import charts, common
from dashboard.components.models import costs_inputs, history_table, links, point_tiles, trainings_table
from dashboard.thresholds import at, choices, table
from predictive_maintenance.reporting.markdown import plain

snapshot = common.head("Models", "Every version and why it is where it is. The system chooses; this page shows how.")
history = snapshot.history
if history is None or not history.versions:
    when = "the service tells of them" if history is None else "one is registered: `make train`"
    st.info(f"Versions are here as soon as {when}.", icon="🕓")
    if snapshot.trainings:
        trainings_table(snapshot.trainings)
    st.stop()
if history.trouble:
    st.warning(f"As the registry last told; now it is away: {plain(history.trouble)}", icon="⚠️")
st.subheader("Versions", anchor=False)
history_table(history)

serving = next((version for version in history.versions if version.version == snapshot.version), None)
others = [version for version in history.versions if version is not serving]
if serving and others:
    st.subheader("Champion against challenger", anchor=False)
    newest = next((place for place, version in enumerate(others) if "candidate" in version.aliases), 0)
    challenger = st.selectbox(
        "Challenger", others, newest, format_func=lambda version: f"Version {version.version}", width=220
    )
    both = {f"version {version.version}": version.held_out for version in (serving, challenger) if version.held_out}
    if both:
        st.altair_chart(charts.scores(both), alt="Rates of both versions with their intervals")
        rows = "; ".join(f"{name}: {scores.rows:,} rows, {scores.failures} failures" for name, scores in both.items())
        st.caption(
            f"{rows.capitalize()}. Each on the rows held out when it was trained: the gate compares on the same rows."
        )
    st.markdown(
        f"**What the gate said of version {plain(challenger.version)}:** {plain(challenger.verdict or 'not told')}"
    )
    common.gate(challenger.gate)

if snapshot.card:
    st.subheader("Thresholds and costs", anchor=False)
    try:
        with st.spinner("Asking the service ..."):
            told = shared.api().thresholds()
    except ApiError as error:
        common.refusal(error, "Other thresholds can't be shown.")
    else:
        missed, false = costs_inputs(snapshot.card)
        lines = table(told, missed, false)
        own = at(lines, snapshot.card.threshold).threshold
        chosen = st.select_slider(
            "Alarm from this failure probability on", choices(lines, own), own, format_func=lambda value: f"{value:.2%}"
        )
        point_tiles(at(lines, chosen), told, snapshot.card.currency)
        st.altair_chart(
            charts.costs(lines, snapshot.card.threshold, chosen, snapshot.card.currency), alt="Cost over the threshold"
        )
        st.caption(
            "To look, not to choose by: these rows judge the model, and a threshold picked on them would be judged too well. "
            "Training picks it on other rows, by the costs in `params.yaml`."
        )
if snapshot.trainings:
    st.subheader("Trainings", anchor=False)
    trainings_table(snapshot.trainings)
    links(snapshot)

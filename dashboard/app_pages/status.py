"""What runs, and whether it can be trusted."""

from datetime import UTC, datetime

import streamlit as st

from dashboard import shared
from dashboard.components import common
from dashboard.components.status import (
    last_training,
    registry_state,
    rejected_inputs,
    required_rates,
    service_state,
    sources_told,
    traffic_tiles,
)
from dashboard.formatting import ALGORITHMS, ago, on_date, percent
from dashboard.service_monitor import Snapshot
from predictive_maintenance.reporting.markdown import plain, table


def states(snapshot: Snapshot) -> None:
    service, registry, version, training = st.columns(4)
    with service:
        common.tile("Service", *service_state(snapshot))
    with registry:
        common.tile("Registry", *registry_state(snapshot))
    health = snapshot.health
    with version:
        if health and health.serving_version:
            same = health.serving_version == health.production_version
            alias = (
                "what `production` points to"
                if same
                else f"`production` is {plain(health.production_version or 'unknown')}"
            )
            common.tile(
                "Served version",
                f"Version {plain(health.serving_version)}",
                f"{alias}; loaded {ago(health.serving_since)}",
            )
        else:
            common.tile("Served version", "None", "no model is loaded")
    with training:
        common.tile("Last training", *last_training(snapshot.trainings))


def champion(snapshot: Snapshot) -> None:
    card = snapshot.card
    if card is None:
        return
    st.subheader(f"Can version {plain(card.version)} be trusted?", anchor=False)
    if card.held_out is None:
        st.caption("This version does not tell how it did on held-out rows.")
    else:
        common.estimates(card.held_out, ("recall", "precision", "f1", "pr_auc"), required_rates(card.gate))
    passed = sum(check.passed for check in card.gate)
    told = f"{passed} of {len(card.gate)} checks passed" if card.gate else "not told by this version"
    with st.expander(f"The gate: {told}", icon="🚦"):
        common.gate(card.gate)
    with st.expander("What it is and where it comes from", icon="🧾"):
        facts = {
            "Algorithm": ALGORITHMS.get(card.algorithm or "", card.algorithm or "not told"),
            "Alarm from": f"{percent(card.threshold)} failure probability on",
            "Promoted": on_date(card.promoted),
            "Trained by": card.flow_run or "not told",
            "Commit": card.git_commit or "not told",
            "Rows trained on": card.training_fingerprint or "not told",
            "Data": sources_told(card.data_sources) or "not told",
            "Replaced": f"version {card.previous_version}" if card.previous_version else "no version that it tells of",
        }
        st.markdown(table(["", ""], [[name, plain(fact)] for name, fact in facts.items()]))


def draw(snapshot: Snapshot) -> None:
    common.banner(snapshot)
    states(snapshot)
    champion(snapshot)
    traffic_tiles(snapshot)
    rejected_inputs(snapshot)
    every = shared.settings().dashboard_poll_seconds
    st.caption(f"{common.known_since(snapshot)} Drawn {datetime.now(UTC):%H:%M:%S} UTC, again every {every:g} s.")


st.title("System status", anchor=False)
st.caption("What runs, and whether it can be trusted.")
common.live(draw)

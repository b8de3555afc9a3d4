"""Which machine to look after first."""

from pathlib import Path

import streamlit as st

from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import common
from dashboard.components.fleet_table import show_rejected, show_table, totals
from dashboard.components.machine import query_of
from dashboard.fleet import KINDS, SAMPLE, Fleet, filtered, latest_of_each_machine, name_of, score_fleet
from dashboard.formatting import LIMITS, RISKS
from predictive_maintenance.machine.sensors import PRODUCT_TYPES
from predictive_maintenance.reporting.markdown import plain


@st.cache_data(show_spinner="Scoring the readings …", max_entries=8)
def score(content: bytes, ending: str, run_id: str) -> Fleet:  # noqa: ARG001
    """`run_id`, of the model's training, is what a kept answer is known by: another model answers anew."""
    return score_fleet(shared.api(), content, ending)


def chosen_file() -> tuple[str, bytes, str] | None:
    """(name, content, ending) of the upload, or of the sample."""
    upload = st.file_uploader(
        "Latest readings", type=list(KINDS), help="CSV or Parquet; headers are recognised with their units."
    )
    if upload is not None:
        st.session_state["sample"] = False
        return upload.name, upload.getvalue(), Path(upload.name).suffix.lower().removeprefix(".")
    st.toggle("Show the sample: 120 simulated readings", key="sample")
    return (SAMPLE.name, SAMPLE.read_bytes(), "csv") if st.session_state["sample"] else None


snapshot = common.head("Fleet", "Which machine to look after first.")
card = common.need_model(snapshot, "The ranking of your machines")
file = chosen_file()
if file is None:
    st.info(
        "Upload the latest readings of your machines: product type, air and process temperature, rotational speed, torque, "
        "tool wear, and what names them (machine, reading, time).",
        icon="📄",
    )
    st.stop()
name, content, ending = file
try:
    fleet = score(content, ending, card.run_id)
except ApiError as error:
    common.refusal(error, f"{plain(name)} could not be scored.")
    st.stop()
if fleet.version != card.version:  # promoted in between: not to be kept as the other's
    score.clear(content, ending, card.run_id)
ranked = fleet.ranked
newest = latest_of_each_machine(ranked)
about = "Only the newest reading of each machine that could be scored"
if newest is not None and len(newest) < len(ranked) and st.toggle(about, value=True):
    ranked = newest
totals(ranked, fleet.rejected, card.currency)
if ranked.empty:
    st.error(f"No row of {plain(name)} could be scored: the reasons are below.", icon="🚫")
else:
    risk, kind, limit, text = st.columns(4)
    shown = filtered(
        ranked,
        risk.multiselect("Risk", list(RISKS), format_func=RISKS.__getitem__, placeholder="All"),
        kind.multiselect("Product type", PRODUCT_TYPES, placeholder="All"),
        limit.multiselect("Broken limit", list(LIMITS), format_func=LIMITS.__getitem__, placeholder="Any or none"),
        text.text_input("Machine, reading or time", placeholder="Contains …").strip(),
    )
    picked = show_table(shown, fleet, card)
    if picked is not None:
        st.switch_page("app_pages/machine.py", query_params=query_of(picked, name_of(picked)))
show_rejected(fleet)

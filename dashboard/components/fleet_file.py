"""Elements of the fleet page: the ranking of a file of readings."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from app.schemas.model import ModelCard
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import common
from dashboard.components.fleet_table import ranking, rejected_rows, totals
from dashboard.fleet import (
    ID_COLUMNS,
    MEDIA_TYPES,
    Fleet,
    display_name,
    filter_readings,
    latest_per_machine,
    score_fleet,
)
from dashboard.formatting import RISK_LABELS
from dashboard.reading_query import query_from_reading
from predictive_maintenance.config.machine_extras import sample_fleet_of
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.reporting.markdown import plain

_MAX_CATEGORY_FILTERS = 3


def file_ranking(card: ModelCard, machine: Machine) -> None:
    """Offer an upload, and show the readings of the file ranked by failure probability."""
    file = _select_file(machine)
    if file is None:
        st.info(
            f"Upload a file with the latest readings of your machines. Required columns: "
            f"{_column_labels(machine, machine.required_input_names)}. Optional columns: "
            f"{_column_labels(machine, _optional_names(machine))}.",
            icon="📄",
        )
        return
    name, content, extension = file
    try:
        fleet = _score(content, extension, card.run_id)
    except ApiError as error:
        common.api_error(error, f"{plain(name)} could not be scored.")
        return
    if fleet.version != card.version:  # promoted in between: the cache key names the previous model
        _score.clear(content, extension, card.run_id)
    ranked = _select_latest(fleet.ranked)
    totals(ranked, fleet.rejected, card.currency)
    if ranked.empty:
        st.error(f"No row of {plain(name)} could be scored. The reasons are listed below.", icon="🚫")
    else:
        opened = ranking(_apply_filters(ranked, machine), fleet, card, machine)
        if opened is not None:
            query = query_from_reading(machine, opened, display_name(opened))
            st.switch_page("app_pages/machine.py", query_params=query)
    rejected_rows(fleet, machine)


@st.cache_data(show_spinner="Scoring the readings …", max_entries=8)
def _score(content: bytes, extension: str, run_id: str) -> Fleet:  # noqa: ARG001
    """Score a file. `run_id`, the served model's training run, is part of the cache key: another model scores again."""
    return score_fleet(shared.api(), content, extension)


def _select_file(machine: Machine) -> tuple[str, bytes, str] | None:
    """Return (name, content, extension) of the uploaded file or the sample."""
    upload = st.file_uploader(
        "File of readings", type=list(MEDIA_TYPES), help="CSV or Parquet. Column headers may contain units."
    )
    if upload is not None:
        st.session_state["sample"] = False
        return upload.name, upload.getvalue(), Path(upload.name).suffix.lower().removeprefix(".")
    sample = sample_fleet_of(machine)
    if sample is None:
        return None
    st.toggle(f"Use the sample file of the {plain(machine.description.name)}", key="sample")
    return (sample.name, sample.read_bytes(), "csv") if st.session_state["sample"] else None


def _optional_names(machine: Machine) -> list[str]:
    return [*(name for name in ID_COLUMNS if name in machine.columns), *machine.optional_sensor_names]


def _column_labels(machine: Machine, names: Sequence[str]) -> str:
    return ", ".join(plain(machine.columns[name].label.lower()) for name in names) or "none"


def _select_latest(ranked: pd.DataFrame) -> pd.DataFrame:
    """Offer to show only the latest reading of each machine, where the file has several."""
    latest = latest_per_machine(ranked)
    if latest is None or len(latest) == len(ranked):
        return ranked
    return latest if st.toggle("Only the latest scored reading of each machine", value=True) else ranked


def _apply_filters(ranked: pd.DataFrame, machine: Machine) -> pd.DataFrame:
    described = dict(list(machine.description.categories.items())[:_MAX_CATEGORY_FILTERS])
    labels = {limit.name: limit.label for limit in machine.limits}
    risk, *columns, text = st.columns(2 + len(described) + bool(labels))
    categories = columns[: len(described)]
    return filter_readings(
        ranked,
        risks=risk.multiselect("Risk", list(RISK_LABELS), format_func=RISK_LABELS.__getitem__, placeholder="All"),
        categories={
            name: column.multiselect(category.label, category.known_values, placeholder="All")
            for column, (name, category) in zip(categories, described.items(), strict=True)
        },
        limits=columns[-1].multiselect(
            "Exceeded limit", list(labels), format_func=labels.__getitem__, placeholder="Any or none"
        )
        if labels
        else [],
        text=text.text_input("Machine, reading or time", placeholder="Contains …").strip(),
    )

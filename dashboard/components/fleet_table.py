"""Elements of the fleet page: totals, ranking with download, rejected rows."""

from typing import Any

import pandas as pd
import streamlit as st

from app.schemas.model import ModelCard
from dashboard.components import common
from dashboard.fleet import Fleet
from dashboard.formatting import RISK_LABELS, RISK_SIGNS, label_with_unit, money
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.reporting.markdown import plain
from predictive_maintenance.reporting.spreadsheet import spreadsheet_csv

_MOST_VISIBLE = 15
"""Rows of the ranking."""


def totals(ranked: pd.DataFrame, rejected: pd.DataFrame, currency: str) -> None:
    alarms = ranked[ranked["predicted_failure"].astype(bool)]
    elevated = ranked[ranked["risk_level"] == "elevated"]
    total_cost, alarm_cost = (
        money(float(readings["expected_cost_of_ignoring"].sum()), currency) for readings in (ranked, alarms)
    )
    tiles = (
        ("Readings", f"{len(ranked):,}", f"{len(rejected):,} rejected" if len(rejected) else "none rejected"),
        ("Alarms", f"{len(alarms):,}", "stop and inspect now"),
        ("Elevated", f"{len(elevated):,}", "inspect at the next stop"),
        ("Expected cost if ignored", total_cost, f"of which alarms: {alarm_cost}"),
    )
    for column, (label, value, note) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column:
            common.tile(label, value, note)


def ranking(readings: pd.DataFrame, fleet: Fleet, card: ModelCard, machine: Machine) -> dict[str, Any] | None:
    """Show the ranking and its download. Returns the reading that the user opens, if any."""
    if readings.empty:
        st.info("No readings match the filters.", icon="🔍")
        return None
    selected = st.dataframe(
        _display_table(readings, fleet.id_columns, machine),
        hide_index=True,
        height=common.table_height(len(readings), _MOST_VISIBLE),
        column_config=_column_config(fleet.id_columns, machine, card.currency),
        on_select="rerun",
        selection_mode="single-row",
        # A new key clears the selection, which refers to a position in the previous rows.
        key=f"ranking-{fleet.version}-{hash(tuple(readings['row']))}",
    )
    rows = selected["selection"]["rows"]
    with st.container(horizontal=True):
        opened = st.button(
            "Check this machine",
            icon="🔎",
            type="primary",
            disabled=not rows,
            help="Select a row first: click the box at its left edge.",
        )
        st.download_button(
            f"Download {len(readings):,} rows as CSV",
            lambda: spreadsheet_csv(readings),
            file_name=f"{card.model_name}-v{fleet.version}-ranking.csv",
            mime="text/csv",
            icon="⬇️",
            on_click="ignore",
        )
    st.caption(
        f"Ranked by failure probability, scored by version {plain(fleet.version)}. Select a row at its left edge to check it."
    )
    return dict(readings.iloc[rows[0]]) if opened and rows else None


def rejected_rows(fleet: Fleet, machine: Machine) -> None:
    """Show the rows that were not scored, each with the reason."""
    if fleet.rejected.empty:
        return
    with st.expander(f"Rejected rows: {len(fleet.rejected):,}", icon="🚫", expanded=True):
        st.dataframe(
            fleet.rejected[["row", *fleet.id_columns, "rejected"]],
            hide_index=True,
            column_config=_column_config(fleet.id_columns, machine, "")
            | {"rejected": st.column_config.TextColumn("Reason", width=900)},
        )


def _display_table(readings: pd.DataFrame, id_columns: list[str], machine: Machine) -> pd.DataFrame:
    labels = {limit.name: limit.label for limit in machine.limits}
    table = readings[id_columns].copy()
    table["risk"] = readings["risk_level"].map(lambda level: f"{RISK_SIGNS[level]} {RISK_LABELS[level]}")
    table["probability"] = readings["failure_probability"] * 100
    table["cost"] = readings["expected_cost_of_ignoring"]
    if labels:
        table["limits"] = readings["broken_limits"].map(
            lambda names: ", ".join(labels.get(name, name) for name in names.split("; ") if name)
        )
    table["action"] = readings["recommended_action"]
    inputs = [name for name in machine.input_names if name in readings]
    table[inputs] = readings[inputs]
    table["warnings"] = readings["warnings"]
    table["row"] = readings["row"]
    return table


def _column_config(id_columns: list[str], machine: Machine, currency: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "row": config.NumberColumn("Row", help="Row number in the file.", width="small"),
        **{
            name: config.TextColumn(machine.labels.get(name, name), pinned=name == id_columns[0]) for name in id_columns
        },
        "risk": config.TextColumn("Risk", width=105),
        "probability": config.ProgressColumn("Failure probability", format="%.1f %%", min_value=0, max_value=100),
        "cost": config.NumberColumn(f"Expected cost ({currency})", format="%.0f"),
        "action": config.TextColumn("Recommended action", width=760),
        "limits": config.TextColumn("Exceeded limits", width=190),
        **{name: config.TextColumn(machine.columns[name].label, width="small") for name in machine.category_names},
        **{name: config.NumberColumn(_header(machine, name)) for name in machine.sensor_names},
        "warnings": config.TextColumn("Warnings", width=900),
    }


def _header(machine: Machine, name: str) -> str:
    column = machine.columns[name]
    return label_with_unit(column.label, column.unit)

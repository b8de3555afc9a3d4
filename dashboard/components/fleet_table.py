"""The pieces of the fleet page: totals, the ranking, its download, the way to one machine."""

from typing import Any

import pandas as pd
import streamlit as st

from app.schemas.model import ModelCard
from dashboard.components import common
from dashboard.fleet import Fleet
from dashboard.formatting import LIMITS, RISKS, money
from predictive_maintenance.machine.sensors import INPUT_NAMES, LABELS, SENSORS
from predictive_maintenance.reporting.markdown import plain

_SIGNS = {"high": "🔴 ", "elevated": "🟠 ", "low": "🟢 "}


def totals(ranked: pd.DataFrame, rejected: pd.DataFrame, currency: str) -> None:
    alarms = ranked[ranked["predicted_failure"].astype(bool)]
    elevated = ranked[ranked["risk_level"] == "elevated"]
    tiles = (
        (
            "Readings",
            f"{len(ranked):,}",
            f"{len(rejected):,} more could not be scored" if len(rejected) else "all scored",
        ),
        ("Alarms", f"{len(alarms):,}", "stop and inspect now"),
        ("Elevated", f"{len(elevated):,}", "inspect at the next stop"),
        (
            "Expected cost of ignoring all",
            money(float(ranked["expected_cost_of_ignoring"].sum()), currency),
            f"of it {money(float(alarms['expected_cost_of_ignoring'].sum()), currency)} by the alarms",
        ),
    )
    for column, (label, value, note) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column:
            common.tile(label, value, note)


def show_table(shown: pd.DataFrame, fleet: Fleet, card: ModelCard) -> dict[str, Any] | None:
    """The ranking and its download; the reading that a person picked to look at, if any."""
    if shown.empty:
        st.info("No reading meets all of these filters.", icon="🔍")
        return None
    selected = st.dataframe(
        _readable(shown, fleet.named_by),
        hide_index=True,
        height=min(520, 38 + 35 * len(shown)),
        column_config=_columns(fleet.named_by, card.currency),
        on_select="rerun",
        selection_mode="single-row",
        # Other rows are another table: a choice made among the former ones is forgotten.
        key=f"ranking-{fleet.version}-{hash(tuple(shown['row']))}",
    )
    rows = selected["selection"]["rows"]
    with st.container(horizontal=True):
        picked = st.button(
            "Look at this machine",
            icon="🔎",
            type="primary",
            disabled=not rows,
            help="Choose a row by its left edge first.",
        )
        st.download_button(
            f"Download these {len(shown):,} rows",
            lambda: _csv(shown, fleet.named_by),
            file_name=f"{card.model_name}-v{fleet.version}-ranking.csv",
            mime="text/csv",
            icon="⬇️",
            on_click="ignore",
        )
    st.caption(
        f"Ranked by failure probability, by version {plain(fleet.version)}. Choose a row by its left edge to look at its machine."
    )
    return dict(shown.iloc[rows[0]]) if picked and rows else None


def show_rejected(fleet: Fleet) -> None:
    """The rows that could not be scored, each with its reason."""
    if fleet.rejected.empty:
        return
    with st.expander(f"{len(fleet.rejected):,} rows could not be scored, with the reason", icon="🚫", expanded=True):
        st.dataframe(
            fleet.rejected[["row", *fleet.named_by, "rejected"]],
            hide_index=True,
            column_config=_columns(fleet.named_by, "") | {"rejected": st.column_config.TextColumn("Reason", width=900)},
        )


def _csv(shown: pd.DataFrame, named_by: list[str]) -> bytes:
    """A name that a spreadsheet would take for a formula gets an apostrophe, which makes it text there."""
    names = shown[named_by].replace(r"^(?=[=+\-@\t\r])", "'", regex=True)
    return shown.assign(**{name: names[name] for name in named_by}).to_csv(index=False).encode()


def _readable(shown: pd.DataFrame, named_by: list[str]) -> pd.DataFrame:
    table = shown[named_by].copy()
    table["risk"] = shown["risk_level"].map(lambda level: _SIGNS[level] + RISKS[level])
    table["probability"] = shown["failure_probability"] * 100
    table["cost"] = shown["expected_cost_of_ignoring"]
    table["limits"] = shown["broken_limits"].map(
        lambda names: ", ".join(LIMITS.get(name, name) for name in names.split("; ") if name)
    )
    table["action"] = shown["recommended_action"]
    table[list(INPUT_NAMES)] = shown[list(INPUT_NAMES)]
    table["warnings"] = shown["warnings"]
    table["row"] = shown["row"]
    return table


def _columns(named_by: list[str], currency: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "row": config.NumberColumn("Row", help="In the file.", width="small"),
        **{name: config.TextColumn(LABELS[name], pinned=name == named_by[0]) for name in named_by},
        "risk": config.TextColumn("Risk", width=105),
        "probability": config.ProgressColumn("Failure probability", format="%.1f %%", min_value=0, max_value=100),
        "cost": config.NumberColumn(f"Expected cost ({currency})", format="%.0f"),
        "action": config.TextColumn("What to do", width=760),
        "limits": config.TextColumn("Broken limits", width=190),
        "product_type": config.TextColumn("Type", width="small"),
        **{sensor.name: config.NumberColumn(f"{sensor.label} ({sensor.unit})") for sensor in SENSORS},
        "warnings": config.TextColumn("Unusual", width=900),
    }

"""Elements of the fleet page: the machines in the store, refreshed continuously."""

import json
import shlex
from typing import Any

import pandas as pd
import streamlit as st

from app.schemas.model import ModelCard
from app.schemas.reading import ReadingSchema
from dashboard import shared
from dashboard.components import common
from dashboard.fleet_monitor import MAX_MACHINES, FleetSnapshot
from dashboard.formatting import NO_VALUE, ago, duration, label_with_unit
from dashboard.machine_states import filter_states, ranked_states
from dashboard.machine_time import time_text
from dashboard.reading_query import MACHINE
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.reporting.markdown import plain
from predictive_maintenance.reporting.spreadsheet import spreadsheet_csv

LEVEL_LABELS = {"high": "🔴 High", "elevated": "🟠 Elevated", "low": "🟢 Low", "unknown": "⚪ No prediction"}
"""A risk level is that of the latest reading; an alarm opens and closes by the machine's policy."""
TABLE, MAX_ROWS = "stored machines", 1_000

_MOST_VISIBLE = 20
_SHOWN_IDS, _SELECTED = "shown machine ids", "selected machine id"
_DEFAULT_SILENT_HOURS = 24.0
_HOW_TO = "docs/how-to/keep-readings.md"


def machine_ranking(card: ModelCard, machine: Machine) -> None:
    """Show the machines in the store, and a link to the page of the one that the user selects."""
    common.auto_refresh(lambda _: _draw(shared.fleet_monitor().snapshot(), card, machine))


def how_to_send_readings(machine: Machine) -> None:
    """Show that the store is empty, and the command that sends the first reading."""
    st.info(
        f"The store has no readings yet. Send them to `POST /readings`, and the service keeps and scores them: see `{_HOW_TO}`. "
        "The machines appear here without a reload.",
        icon="📭",
    )
    reading = shlex.quote(json.dumps(ReadingSchema(machine).kept.example))
    key = ' -H "X-API-Key: $PDM_API_KEY"' if shared.settings().api_key else ""
    url = shlex.quote(f"{shared.api().url}/readings")
    st.code(f"curl -s {url} -H 'content-type: application/json'{key} -d {reading}", language="bash", wrap_lines=True)


def _draw(snapshot: FleetSnapshot, card: ModelCard, machine: Machine) -> None:
    if snapshot.error:
        common.api_error(snapshot.error, "The store could not be read.")
        if snapshot.machines:
            st.caption(f"The machines below are those of {ago(snapshot.received_at)}.")
    if not snapshot.machines:
        if not snapshot.error:
            how_to_send_readings(machine)
        return
    states = ranked_states(snapshot.machines, card, machine)
    tiles = st.container()
    matching, silent_hours = _filters(states)
    with tiles:
        _totals(states, silent_hours, machine)
    if matching.empty:
        st.info("No machines match the filters.", icon="🔍")
        return
    _table(matching, silent_hours, card, machine)
    if not snapshot.is_complete:
        st.warning(f"The store has more machines: the first {MAX_MACHINES:,} by id are read.", icon="⚠️")


def _totals(states: pd.DataFrame, silent_hours: float, machine: Machine) -> None:
    alarms, high = int(states["has_alarm"].sum()), int((states["level"] == "high").sum())
    silent = int(((states["hours_behind"] > silent_hours) & states["late_since"].isna()).sum())
    newest = states.loc[states["hours_behind"].idxmin(), "time"]
    seen = "last reading received" if machine.time_is_counter else "last reading"
    tiles = (
        ("Machines", f"{len(states):,}", f"{states['readings'].sum():,} readings in the store", ""),
        ("Open alarms", f"{alarms:,}", f"{alarms / len(states):.1%} of the machines", "🔔" if alarms else ""),
        ("High risk", f"{high:,}", "machines whose latest reading is above the decision threshold", ""),
        (
            "Silent",
            f"{silent:,}",
            f"{seen} over {silent_hours:g} hours before the newest one, {_newest(newest, machine)}",
            "",
        ),
    )
    for column, tile in zip(st.columns(len(tiles)), tiles, strict=True):
        with column:
            common.tile(*tile)


def _newest(time: str | float, machine: Machine) -> str:
    return plain(f"at {time_text(time, machine)}")


def _filters(states: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Show the filters. Returns the matching machines, and after how many hours a machine counts as silent."""
    text, level, hours, alarm = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    matching = filter_states(
        states,
        text=text.text_input("Machine", key="machine filter", placeholder="Contains …").strip(),
        levels=level.multiselect("Risk", list(LEVEL_LABELS), format_func=LEVEL_LABELS.__getitem__, placeholder="All"),
        only_alarms=alarm.toggle("Only open alarms"),
    )
    return matching, hours.number_input("Silent after (hours)", 0.0, value=_DEFAULT_SILENT_HOURS, step=1.0, format="%g")


def _table(matching: pd.DataFrame, silent_hours: float, card: ModelCard, machine: Machine) -> None:
    shown = matching.head(MAX_ROWS)
    st.session_state[_SHOWN_IDS] = shown["machine_id"].tolist()
    st.dataframe(
        _display_table(shown, silent_hours, machine),
        hide_index=True,
        height=common.table_height(len(shown), _MOST_VISIBLE),
        column_config=_column_config(machine),
        on_select=_select,
        selection_mode="single-cell",
        key=TABLE,
        placeholder="",
    )
    count = (
        f"The first {MAX_ROWS:,} of {len(matching):,} machines"
        if len(matching) > MAX_ROWS
        else f"{len(matching):,} machines"
    )
    st.caption(
        f"{count}: open alarms first, then by the failure probability of the latest reading, which the served version of that "
        "time predicted. Click a machine for the link to its history."
    )
    _link_to_selected()
    st.download_button(
        f"Download {len(matching):,} rows as CSV",
        lambda: spreadsheet_csv(matching),
        file_name=f"{card.model_name}-machines.csv",
        mime="text/csv",
        icon="⬇️",
        on_click="ignore",
    )


def _select() -> None:
    """Remember the machine that was clicked: its row in the table as it was drawn, which the next drawing may change."""
    cells = st.session_state[TABLE]["selection"]["cells"]
    st.session_state[_SELECTED] = st.session_state[_SHOWN_IDS][cells[0][0]] if cells else None


def _link_to_selected() -> None:
    # A link, because a switch of the page by a part that refreshes itself can meet its next refresh in the browser.
    if name := st.session_state.get(_SELECTED):
        st.page_link("app_pages/history.py", label=f"History of {plain(name)}", icon="📈", query_params={MACHINE: name})


def _display_table(states: pd.DataFrame, silent_hours: float, machine: Machine) -> pd.DataFrame:
    silent = states["hours_behind"].map(lambda hours: duration(hours * 3600) if hours > silent_hours else "")
    late = states["late_since"].map(lambda since: f"clock behind since {since[:10]} {since[11:16]}", na_action="ignore")
    return pd.DataFrame(
        {
            "machine": states["machine_id"],
            "alarm": states["open_for"].map(lambda text: f"🔔 {text}" if text else ""),
            "mode": states["mode"],
            "risk": states["level"].map(LEVEL_LABELS),
            "probability": states["probability"].astype(float) * 100,
            "time": _times(states["time"], machine),
            "opened": _times(states["opened"], machine),
            "silent": late.where(states["late_since"].notna(), silent),
            "readings": states["readings"],
            "version": states["version"].fillna(NO_VALUE),
        }
    )


def _times(times: pd.Series, machine: Machine) -> pd.Series:
    return times.astype(float) if machine.time_is_counter else pd.to_datetime(times, format="ISO8601", utc=True)


def _column_config(machine: Machine) -> dict[str, Any]:
    config = st.column_config
    return {
        "machine": config.TextColumn("Machine", pinned=True),
        "alarm": config.TextColumn("Open alarm", help="How long, up to the latest reading.", width=115),
        "mode": config.TextColumn(
            "Likeliest failure", help="When the alarm opened, with its probability if the machine fails.", width=175
        ),
        "risk": config.TextColumn("Risk", width=135),
        "probability": config.ProgressColumn("Failure probability", format="%.1f %%", min_value=0, max_value=100),
        "time": _time_column("Latest reading", machine),
        "opened": _time_column("Alarm since", machine),
        "silent": config.TextColumn("Silent for", width="small"),
        "readings": config.NumberColumn("Readings", format="localized", width="small"),
        "version": config.TextColumn("Version", width="small"),
    }


def _time_column(label: str, machine: Machine) -> Any:
    if machine.time_is_counter:
        return st.column_config.NumberColumn(label_with_unit(label, machine.unit(machine.time_name)))
    return st.column_config.DatetimeColumn(f"{label} (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC")

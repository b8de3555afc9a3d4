"""Status page: service, served model, traffic."""

from datetime import UTC, datetime

import streamlit as st

from dashboard import shared
from dashboard.components import common
from dashboard.components.status import (
    alarm_messages,
    incidents,
    prediction_log,
    rejected_readings,
    served_model,
    state_tiles,
    traffic_tiles,
)
from dashboard.formatting import ago
from dashboard.service_monitor import Snapshot


def draw(snapshot: Snapshot) -> None:
    common.service_banner(snapshot)
    state_tiles(snapshot)
    served_model(snapshot)
    incidents(snapshot)
    alarm_messages(snapshot)
    traffic_tiles(snapshot)
    rejected_readings(snapshot)
    prediction_log(snapshot)
    interval = shared.settings().dashboard_poll_seconds
    response = f"Last response {ago(snapshot.received_at)}." if snapshot.received_at else "No response yet."
    st.caption(f"{response} Updated at {datetime.now(UTC):%H:%M:%S} UTC, every {interval:g} s.")


st.title("System status", anchor=False)
st.caption("The service, the served model and its evaluation, and the traffic.")
common.auto_refresh(draw)

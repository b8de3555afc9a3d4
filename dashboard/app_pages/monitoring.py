"""Monitoring page: production compared with training, and the performance where labels are known."""

import streamlit as st

from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import common
from dashboard.components.monitoring import findings, how_to_monitor, lasting, performance, silent_machines, windows
from dashboard.components.status import incidents
from dashboard.page_end import end_page

snapshot = common.page_header("Monitoring", "Production compared with training and evaluation.")
common.require_model(snapshot, "Monitoring")
try:
    with st.spinner("Waiting for the service …"):
        found = shared.api().monitoring()
except ApiError as error:
    common.api_error(error, "The latest check could not be read.")
    end_page()
if not found.windows:
    how_to_monitor(snapshot)
    end_page()
lasting(found, snapshot)
silent_machines(found)
windows(found)
performance(found)
findings(found, snapshot)
incidents(snapshot)

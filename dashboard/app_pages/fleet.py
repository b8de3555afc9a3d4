"""Fleet page: the machines in the store, and the readings of a file, ranked by failure probability."""

import streamlit as st

from dashboard import shared
from dashboard.components import common
from dashboard.components.fleet_file import file_ranking
from dashboard.components.stored_fleet import machine_ranking

snapshot = common.page_header("Fleet", "Machines ranked by failure probability.")
card = common.require_model(snapshot, "The ranking")
machine = shared.machine(card)
if machine.needs_history and shared.fleet_monitor().snapshot().has_store:
    stored, file = st.tabs(["Machines", "Readings of a file"])
    with stored:
        machine_ranking(card, machine)
    with file:
        file_ranking(card, machine)
else:
    file_ranking(card, machine)

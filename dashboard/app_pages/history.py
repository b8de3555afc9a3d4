"""Machine history page: one machine in the store over time."""

import streamlit as st

from dashboard import shared
from dashboard.components import common
from dashboard.components.stored_machine import machine_over_time, select_machine
from predictive_maintenance.reporting.markdown import plain

snapshot = common.page_header("Machine history", "Risk, alarms, events and sensors of one machine over time.")
card = common.require_model(snapshot, "The history")
machine = shared.machine(card)
if not machine.can_be_kept:
    st.info(
        f"Version {plain(card.version)} of the {plain(machine.description.name)} describes no machine or no time, so the service "
        "keeps no readings.",
        icon="ℹ️",  # noqa: RUF001
    )
elif selection := select_machine(machine):
    machine_over_time(*selection, card, machine)

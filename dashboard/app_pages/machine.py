"""Machine page: one reading, its failure probability, the explanation, and what would change the decision."""

import streamlit as st

from app.schemas.prediction import Explanation, WhatIf
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import common
from dashboard.components.explanation import contributions_chart, history_parts, sensor_curves, turning_points
from dashboard.components.machine import (
    link_to_reading,
    operating_limits_table,
    prediction_tiles,
    reading_form,
)
from dashboard.page_end import end_page
from predictive_maintenance.machine.machine import Machine


def explain(explanation: Explanation, machine: Machine) -> None:
    contributions, limits = st.columns(2, gap="large")
    with contributions:
        st.subheader("Explanation", anchor=False)
        contributions_chart(explanation, machine)
        history_parts(explanation, machine)
    with limits:
        st.subheader("Operating limits", anchor=False)
        operating_limits_table(explanation.limits, machine)


def explore_changes(what_if: WhatIf, machine: Machine) -> None:
    heading = "Changes that clear the alarm" if what_if.predicted_failure else "Changes that cause an alarm"
    st.subheader(heading, anchor=False)
    turning_points(what_if, machine)
    sensor_curves(what_if)


snapshot = common.page_header("Check a machine", "Failure probability of one reading, and its explanation.")
card = common.require_model(snapshot, "The form")
machine = shared.machine(card)
reading = reading_form(machine)
try:
    with st.spinner("Waiting for the service …"):
        prediction, what_if = shared.api().predict_with_what_if(reading)
except ApiError as error:
    common.api_error(error, "The reading could not be scored.")
    end_page()
prediction_tiles(prediction)
if prediction.explanation is not None:
    explain(prediction.explanation, machine)
    explore_changes(what_if, machine)
    link_to_reading(machine, reading)

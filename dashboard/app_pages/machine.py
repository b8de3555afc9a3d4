"""Machine page: one reading, its failure probability, the explanation, and what would change the decision."""

import streamlit as st

from app.schemas.prediction import EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED, Explanation, WhatIf
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import common
from dashboard.components.explanation import contributions_chart, sensor_curves, turning_points
from dashboard.components.machine import (
    link_to_reading,
    operating_limits_table,
    prediction_tiles,
    reading_form,
)

PRESETS = {"Example: healthy machine": EXAMPLE_HEALTHY, "Example: worn tool, high load": EXAMPLE_OVERSTRAINED}


def explain(explanation: Explanation) -> None:
    contributions, limits = st.columns(2, gap="large")
    with contributions:
        st.subheader("Explanation", anchor=False)
        contributions_chart(explanation)
    with limits:
        st.subheader("Operating limits", anchor=False)
        operating_limits_table(explanation.limits)


def explore_changes(what_if: WhatIf) -> None:
    heading = "Changes that clear the alarm" if what_if.predicted_failure else "Changes that cause an alarm"
    st.subheader(heading, anchor=False)
    turning_points(what_if)
    sensor_curves(what_if)


snapshot = common.page_header("Check a machine", "Failure probability of one reading, and its explanation.")
card = common.require_model(snapshot, "The form")
reading = reading_form(card.limits, PRESETS)
try:
    with st.spinner("Waiting for the service …"):
        prediction, what_if = shared.api().predict_with_what_if(reading)
except ApiError as error:
    common.api_error(error, "The reading could not be scored.")
    st.stop()
prediction_tiles(prediction)
if prediction.explanation is not None:
    explain(prediction.explanation)
    explore_changes(what_if)
    link_to_reading(reading)

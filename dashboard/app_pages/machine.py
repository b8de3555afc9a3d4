"""One machine: will it fail, why, and what would change that."""

import streamlit as st

from app.schemas.prediction import EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED
from dashboard import shared
from dashboard.api_client import ApiError
from dashboard.components import charts, common
from dashboard.components.machine import answer_tiles, ask_about, limits_table, reading_form, share_link, turning_points
from dashboard.formatting import percent

PRESETS = {"A healthy machine": EXAMPLE_HEALTHY, "A worn tool under a high load": EXAMPLE_OVERSTRAINED}

snapshot = common.head("Check a machine", "Will it fail, why, and what would change that.")
card = common.need_model(snapshot, "The form")
reading = reading_form(card.limits, PRESETS)
try:
    with st.spinner("Asking the service ..."):
        answer, what_if = ask_about(shared.api(), reading)
except ApiError as error:
    common.refusal(error, "This reading could not be checked.")
    st.stop()

answer_tiles(answer)
explanation = answer.explanation
if explanation is None:
    st.stop()
why, distance = st.columns(2, gap="large")
with why:
    st.subheader("Why", anchor=False)
    st.altair_chart(
        charts.contributions(explanation.contributions), alt="What each sensor adds to the failure probability"
    )
    st.caption(
        f"Against {explanation.reference}, whose failure probability is {percent(explanation.base_probability)} on average: "
        "that and all bars add up to this machine's. Exact Shapley values."
    )
with distance:
    st.subheader("Distance to the operating limits", anchor=False)
    limits_table(explanation.limits)
st.subheader("What would clear the alarm" if answer.predicted_failure else "What would raise an alarm", anchor=False)
turning_points(what_if)
for curves in (what_if.curves[:3], what_if.curves[3:]):
    for column, curve in zip(st.columns(3), curves, strict=False):
        column.altair_chart(charts.curve(curve, what_if.threshold), alt=f"Failure probability over {curve.label}")
st.caption(
    "The other sensors held, over the values that the model has seen. The point is this reading, the dashed line the "
    "threshold of an alarm. Sensors of one machine do not move alone: a lower torque often comes with a higher speed."
)
share_link(reading)

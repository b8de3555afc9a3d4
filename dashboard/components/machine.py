"""Elements of the machine page: form, prediction, operating limits, link."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from app.schemas.prediction import LimitMargin, Prediction
from dashboard.components import common
from dashboard.formatting import NO_VALUE, RISK_LABELS, RISK_SIGNS, money, number, percent
from dashboard.reading_query import MACHINE, Limits, Reading, query_from_reading, reading_from_query
from predictive_maintenance.machine.sensors import PRODUCT_TYPE, PRODUCT_TYPES, SENSOR_NAMES, SENSORS
from predictive_maintenance.reporting.markdown import plain, table

_STEPS = {"rotational_speed_rpm": 10.0, "tool_wear_min": 1.0}
_DEFAULT_STEP = 0.1
_KELVIN_AT_0_CELSIUS = 273.15
_SENT_QUERIES, _MAX_SENT_QUERIES = "sent queries", 20


def reading_form(limits: Limits, presets: Mapping[str, Reading]) -> dict[str, Any]:
    """Show the form and return its reading, which is within `limits`. The page's URL always contains the reading."""
    _fill_from_url(next(iter(presets.values())), limits)
    _clip_to_limits(limits)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Machine", key=MACHINE, placeholder="Name (optional)", width=260)
        for name, preset in presets.items():
            st.button(name, on_click=_fill, args=(preset,))
    product_type, *sensors = st.columns(1 + len(SENSORS), vertical_alignment="top")
    reading: dict[str, Any] = {
        PRODUCT_TYPE.name: product_type.selectbox(
            PRODUCT_TYPE.label, PRODUCT_TYPES, key=PRODUCT_TYPE.name, help="Product quality: L low, M medium, H high."
        )
    }
    for column, sensor in zip(sensors, SENSORS, strict=True):
        low, high = limits[sensor.name]
        reading[sensor.name] = column.number_input(
            f"{sensor.label} ({sensor.unit})",
            float(low),
            float(high),
            step=_STEPS.get(sensor.name, _DEFAULT_STEP),
            format="%g",
            key=sensor.name,
            help=f"Physical limits: {low:g} to {high:g} {sensor.unit}.",
        )
        if sensor.unit == "K":
            column.caption(f"{reading[sensor.name] - _KELVIN_AT_0_CELSIUS:.1f} °C")
    _write_url(query_from_reading(reading, st.session_state[MACHINE]))
    return reading


def prediction_tiles(prediction: Prediction) -> None:
    machine = st.session_state.get(MACHINE)
    st.subheader(f"Recommended action for {plain(machine)}" if machine else "Recommended action", anchor=False)
    message = {"high": st.error, "elevated": st.warning, "low": st.success}[prediction.risk_level]
    action = prediction.recommended_action
    message(f"**{plain(action[:1].upper() + action[1:] if action != 'none' else 'None: no alarm')}**")
    risk, probability, cost = st.columns(3)
    with risk:
        level = prediction.risk_level
        common.tile("Risk", RISK_LABELS[level], f"version {plain(prediction.model_version)}", RISK_SIGNS[level])
    with probability:
        note = f"decision threshold {percent(prediction.threshold)}"
        common.tile("Failure probability", percent(prediction.failure_probability), note)
    with cost:
        amount = money(prediction.expected_cost_of_ignoring, prediction.currency)
        common.tile("Expected cost if ignored", amount, "failure probability times cost of a missed failure")
    for warning in prediction.warnings:
        st.warning(plain(warning[:1].upper() + warning[1:]), icon="⚠️")


def operating_limits_table(margins: Sequence[LimitMargin]) -> None:
    rows = []
    for margin in margins:
        state = "❌ exceeded" if margin.broken else "✅ within limit" if margin.applies else "◻️ not applicable"
        side = "at least" if margin.side == "minimum" else "below" if margin.name == "tool_wear" else "at most"
        left = number(margin.margin) if margin.applies else NO_VALUE
        name = f"{plain(margin.label)} ({plain(margin.unit)})"
        rows.append([state, name, number(margin.measured), f"{side} {number(margin.bound)}", left])
    st.markdown(table(["Status", "Measure", "Value", "Limit", "Margin"], rows))
    st.caption(
        "Published operating limits of this kind of machine. The heat dissipation limit applies at low speed only. The model "
        "is trained on data and does not apply these limits."
    )


def link_to_reading(reading: Reading) -> None:
    """Show the URL that opens this page with the same reading."""
    base = urlsplit(st.context.url or "")
    query = urlencode(query_from_reading(reading, st.session_state[MACHINE]))
    with st.expander("Link to this reading", icon="🔗"):
        st.code(urlunsplit((base.scheme, base.netloc, base.path, query, "")), language=None, wrap_lines=True)


def _fill_from_url(default: Reading, limits: Limits) -> None:
    """Fill the form from the page's URL, unless the form itself wrote that URL.

    After quick changes a browser may still send the URL before the last one, so the latest ones are remembered.
    """
    query, sent = st.query_params.to_dict(), st.session_state.get(_SENT_QUERIES, [])
    if MACHINE in st.session_state and (query in sent or not query):
        return
    query = query or (sent[-1] if sent else {})
    reading, messages = reading_from_query(query, default, limits)
    _fill(reading, query.get(MACHINE, ""))
    for message in messages:
        st.warning(f"Invalid value in the link: {plain(message)}", icon="🔗")


def _write_url(query: dict[str, str]) -> None:
    sent = st.session_state.get(_SENT_QUERIES, [])
    st.session_state[_SENT_QUERIES] = [*sent[-_MAX_SENT_QUERIES:], query]
    st.query_params.from_dict(query)


def _clip_to_limits(limits: Limits) -> None:
    """Replace values outside `limits`, which may differ after a promotion, and show a warning for each."""
    for sensor in SENSORS:
        low, high = limits[sensor.name]
        value = st.session_state[sensor.name]
        st.session_state[sensor.name] = float(min(max(value, low), high))
        if not low <= value <= high:
            st.warning(
                f"{sensor.label}: {number(value)} {sensor.unit} is outside the physical limits {low:g} to {high:g} "
                f"{sensor.unit}. The nearest limit is used instead.",
                icon="⚠️",
            )


def _fill(reading: Reading, machine: str = "") -> None:
    st.session_state[MACHINE] = machine
    st.session_state[PRODUCT_TYPE.name] = reading[PRODUCT_TYPE.name]
    for name in SENSOR_NAMES:
        st.session_state[name] = float(reading[name])

"""The pieces of the page of one machine: its form, the answer, limits, turning points, the link."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from app.schemas.prediction import Curve, LimitMargin, Prediction, WhatIf
from dashboard.api_client import Api
from dashboard.components import common
from dashboard.formatting import NOTHING, RISKS, money, number, percent, value
from predictive_maintenance.machine.sensors import INPUT_NAMES, PRODUCT_TYPE, PRODUCT_TYPES, SENSOR_NAMES, SENSORS
from predictive_maintenance.reporting.markdown import plain, table

_STEPS = {"rotational_speed_rpm": 10.0, "tool_wear_min": 1.0}
_SIGNS = {"high": "🔴", "elevated": "🟠", "low": "🟢"}
_CELSIUS = 273.15
MACHINE, _OWN = "machine", "own addresses"
_REMEMBERED = 20

Reading = Mapping[str, Any]
Limits = Mapping[str, tuple[float, float]]


def reading_form(limits: Limits, presets: Mapping[str, Reading]) -> dict[str, Any]:
    """A reading within the sensors' physical limits, at first the first of `presets`; the page's address holds it."""
    _follow_address(next(iter(presets.values())), limits)
    _keep_within(limits)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Machine", key=MACHINE, placeholder="A name, if you like", width=260)
        for name, preset in presets.items():
            st.button(name, on_click=_fill, args=(preset,))
    kind, *sensors = st.columns(1 + len(SENSORS), vertical_alignment="top")
    about = "The quality of the product: low, medium or high."
    reading: dict[str, Any] = {
        PRODUCT_TYPE.name: kind.selectbox(PRODUCT_TYPE.label, PRODUCT_TYPES, key=PRODUCT_TYPE.name, help=about)
    }
    for column, sensor in zip(sensors, SENSORS, strict=True):
        low, high = limits[sensor.name]
        reading[sensor.name] = column.number_input(
            f"{sensor.label} ({sensor.unit})",
            float(low),
            float(high),
            step=_STEPS.get(sensor.name, 0.1),
            format="%g",
            key=sensor.name,
            help=f"Physically possible: {low:g} to {high:g} {sensor.unit}.",
        )
        if sensor.unit == "K":
            column.caption(f"{reading[sensor.name] - _CELSIUS:.1f} °C")
    own = query_of(reading, st.session_state[MACHINE])
    st.session_state[_OWN] = [*st.session_state.get(_OWN, [])[-_REMEMBERED:], own]
    st.query_params.from_dict(own)
    return reading


def _follow_address(first: Reading, limits: Limits) -> None:
    """Fill the form from the page's address where that is none of the form's own, as after a link.

    A browser that is asked for much in a short time may still send the address before the last.
    """
    query, own = st.query_params.to_dict(), st.session_state.get(_OWN, [])
    if MACHINE in st.session_state and (query in own or not query):
        return
    query = query or (own[-1] if own else {})
    reading, wrong = read_query(query, first, limits)
    _fill(reading, query.get(MACHINE, ""))
    for sentence in wrong:
        st.warning(f"In the address: {plain(sentence)}", icon="🔗")


def read_query(query: Mapping[str, str], first: Reading, limits: Limits) -> tuple[dict[str, Any], list[str]]:
    """The reading of an address, with values of `first` where it has none that can be used; and what could not be used."""
    reading: dict[str, Any] = {name: first[name] for name in INPUT_NAMES}
    wrong: list[str] = []
    for name in query.keys() & set(INPUT_NAMES):
        found = _usable(name, query[name], limits)
        if found is None:
            wrong.append(f"{name} cannot be {query[name]!r}; taken as {reading[name]}")
        else:
            reading[name] = found
    return reading, sorted(wrong)


def query_of(reading: Reading, machine: str = "") -> dict[str, str]:
    """The query of the address that holds `reading`."""
    query = {name: f"{reading[name]:.10g}" for name in SENSOR_NAMES} | {PRODUCT_TYPE.name: reading[PRODUCT_TYPE.name]}
    return query | ({MACHINE: machine} if machine else {})


def ask_about(api: Api, reading: Reading) -> tuple[Prediction, WhatIf]:
    """Both answers of one version: asked once more where a promotion came between. Raises ApiError."""
    answer, what_if = api.predict(reading), api.what_if(reading)
    return (answer if answer.model_version == what_if.model_version else api.predict(reading)), what_if


def answer_tiles(answer: Prediction) -> None:
    named = st.session_state.get(MACHINE)
    st.subheader(f"What to do with {plain(named)}" if named else "What to do", anchor=False)
    notice = {"high": st.error, "elevated": st.warning, "low": st.success}[answer.risk_level]
    action = answer.recommended_action
    notice(f"**{plain(action[:1].upper() + action[1:] if action != 'none' else 'Nothing: no alarm')}**.")
    risk, probability, cost = st.columns(3)
    with risk:
        common.tile(
            "Risk", RISKS[answer.risk_level], f"by version {plain(answer.model_version)}", _SIGNS[answer.risk_level]
        )
    with probability:
        common.tile(
            "Failure probability", percent(answer.failure_probability), f"alarm from {percent(answer.threshold)} on"
        )
    with cost:
        price = money(answer.expected_cost_of_ignoring, answer.currency)
        common.tile("Expected cost of ignoring it", price, "probability times the cost of a missed failure")
    for warning in answer.warnings:
        st.warning(f"Unusual: {plain(warning)}", icon="⚠️")


def limits_table(margins: Sequence[LimitMargin]) -> None:
    rows = []
    for margin in margins:
        state = "❌ broken" if margin.broken else "✅ kept" if margin.applies else "◻️ inactive"
        side = "at least" if margin.side == "minimum" else "below" if margin.name == "tool_wear" else "at most"
        left = number(margin.margin) if margin.applies else NOTHING
        name = f"{plain(margin.label)} ({plain(margin.unit)})"
        rows.append([state, name, number(margin.measured), f"{side} {number(margin.bound)}", left])
    st.markdown(table(["", "Limit", "Now", "Allowed", "Left"], rows))
    st.caption(
        "The published limits of such machines, and what is left until they are broken. Heat dissipation has a limit at low "
        "speed only. The model learns from data, not from these."
    )


def turning_points(what_if: WhatIf) -> None:
    """The nearest value of each sensor that turns the decision."""
    rows = [_turn(curve, what_if.predicted_failure) for curve in what_if.curves if curve.turning_point]
    if not rows:
        st.info("No single sensor would, within the values that the model has seen.", icon="🤷")
        return
    st.markdown(table(["Sensor", "Now", "Change to", "Failure probability then"], rows))
    rest = [curve.label for curve in what_if.curves if not curve.turning_point]
    if rest:
        st.caption(f"Not by itself: {', '.join(rest).lower()}.")


def _turn(curve: Curve, alarm: bool) -> list[str]:
    turn = curve.turning_point
    assert turn is not None
    change = turn.value - curve.value
    how = f"{value(turn.value, curve.unit)} ({'+' if change > 0 else '-'}{number(abs(change))})"
    if curve.sensor == "tool_wear_min" and alarm and change < 0:
        how = f"a tool with {value(turn.value, curve.unit)}"
    return [curve.label, value(curve.value, curve.unit), how, percent(turn.failure_probability)]


def share_link(reading: Reading) -> None:
    """The address that holds the form."""
    base = urlsplit(st.context.url or "")
    query = urlencode(query_of(reading, st.session_state[MACHINE]))
    with st.expander("A link to this machine", icon="🔗"):
        st.code(urlunsplit((base.scheme, base.netloc, base.path, query, "")), language=None, wrap_lines=True)


def _keep_within(limits: Limits) -> None:
    """A value that the version which serves now takes for impossible becomes the nearest possible one, and is told."""
    for sensor in SENSORS:
        low, high = limits[sensor.name]
        held = st.session_state[sensor.name]
        st.session_state[sensor.name] = float(min(max(held, low), high))
        if not low <= held <= high:
            st.warning(
                f"{sensor.label} cannot be {number(held)} {sensor.unit}: taken as the nearest possible value.", icon="⚠️"
            )


def _fill(reading: Reading, machine: str = "") -> None:
    st.session_state[MACHINE] = machine
    st.session_state[PRODUCT_TYPE.name] = reading[PRODUCT_TYPE.name]
    for name in SENSOR_NAMES:
        st.session_state[name] = float(reading[name])


def _usable(name: str, text: str, limits: Limits) -> str | float | None:
    if name == PRODUCT_TYPE.name:
        return text if text in PRODUCT_TYPES else None
    try:
        number_told = float(text)
    except ValueError:
        return None
    low, high = limits[name]
    return number_told if low <= number_told <= high else None

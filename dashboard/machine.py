"""The pieces of the page of one machine: its form, the answer, limits, turning points, the link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from app.schemas import Curve, LimitMargin, Prediction, WhatIf
from predictive_maintenance.sensors import PRODUCT_TYPE, PRODUCT_TYPES, SENSOR_NAMES, SENSORS

from . import parts
from .words import RISKS, money, number, percent, plain

_STEPS = {"rotational_speed_rpm": 10.0, "tool_wear_min": 1.0}
_TYPES = {"L": "L, low quality", "M": "M, medium quality", "H": "H, high quality"}
_SIGNS = {"high": "🔴", "elevated": "🟠", "low": "🟢"}
_CELSIUS = 273.15
MACHINE = "machine"


def reading_form(limits: Mapping[str, tuple[float, float]], presets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A reading within the sensors' physical limits; the page's address holds it all the time."""
    first = next(iter(presets.values()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Machine", key=MACHINE, bind="query-params", placeholder="A name, if you like", width=260)
        for name, preset in presets.items():
            st.button(name, on_click=_fill, args=(preset,))
    kind, *sensors = st.columns(1 + len(SENSORS), vertical_alignment="top")
    st.session_state.setdefault(PRODUCT_TYPE.name, first[PRODUCT_TYPE.name])
    reading: dict[str, Any] = {
        PRODUCT_TYPE.name: kind.selectbox(
            PRODUCT_TYPE.label,
            PRODUCT_TYPES,
            key=PRODUCT_TYPE.name,
            bind="query-params",
            format_func=_TYPES.__getitem__,
        )
    }
    for column, sensor in zip(sensors, SENSORS, strict=True):
        low, high = limits[sensor.name]
        st.session_state.setdefault(sensor.name, float(first[sensor.name]))
        reading[sensor.name] = column.number_input(
            f"{sensor.label} ({sensor.unit})",
            float(low),
            float(high),
            step=_STEPS.get(sensor.name, 0.1),
            format="%g",
            key=sensor.name,
            bind="query-params",
            help=f"Physically possible: {low:g} to {high:g} {sensor.unit}.",
        )
        if sensor.unit == "K":
            column.caption(f"{reading[sensor.name] - _CELSIUS:.1f} °C")
    return reading


def answer_tiles(answer: Prediction) -> None:
    named = st.session_state.get(MACHINE)
    st.subheader(f"What to do with {plain(named)}" if named else "What to do", anchor=False)
    notice = {"high": st.error, "elevated": st.warning, "low": st.success}[answer.risk_level]
    action = answer.recommended_action
    notice(f"**{plain(action[:1].upper() + action[1:] if action != 'none' else 'Nothing: no alarm')}**.")
    risk, probability, cost = st.columns(3)
    with risk:
        parts.tile(
            "Risk", RISKS[answer.risk_level], f"by version {plain(answer.model_version)}", _SIGNS[answer.risk_level]
        )
    with probability:
        parts.tile("Failure probability", percent(answer.failure_probability), f"alarm from {answer.threshold:.1%} on")
    with cost:
        price = money(answer.expected_cost_of_ignoring, answer.currency)
        parts.tile("Expected cost of ignoring it", price, "probability times the cost of a missed failure")
    for warning in answer.warnings:
        st.warning(f"Unusual: {plain(warning)}", icon="⚠️")


def limits_table(margins: Sequence[LimitMargin]) -> None:
    lines = ["| | Limit | Now | Allowed | Left |", "|---|---|---:|---:|---:|"]
    for margin in margins:
        state = "❌ broken" if margin.broken else "✅ kept" if margin.applies else "◻️ does not apply"
        side = "at least" if margin.side == "minimum" else "at most"
        unit = plain(margin.unit)
        lines.append(
            f"| {state} | {plain(margin.label)} | {number(margin.measured)} {unit} | {side} {number(margin.bound)} {unit} | "
            f"{number(margin.margin) if margin.applies else '—'} {unit if margin.applies else ''} |"
        )
    st.markdown("\n".join(lines))
    st.caption(
        "The published limits of such machines; below zero, the limit is passed. The model learns from data, not from these."
    )


def turning_points(what_if: WhatIf) -> None:
    """The nearest value of each sensor that turns the decision."""
    lines = ["| Sensor | Now | Change to | Failure probability then |", "|---|---:|---:|---:|"]
    lines += [_turn(curve, what_if.predicted_failure) for curve in what_if.curves if curve.turning_point]
    if len(lines) == 2:
        st.info("No single sensor would, within the values that the model has seen.", icon="🤷")
        return
    st.markdown("\n".join(lines))
    rest = [curve.label for curve in what_if.curves if not curve.turning_point]
    if rest:
        st.caption(f"Not by itself: {', '.join(rest).lower()}.")


def _turn(curve: Curve, alarm: bool) -> str:
    turn = curve.turning_point
    assert turn is not None
    change = turn.value - curve.value
    how = f"{number(turn.value)} {curve.unit} ({'+' if change > 0 else '-'}{number(abs(change))})"
    if curve.sensor == "tool_wear_min" and alarm and change < 0:
        how = f"a tool with {number(turn.value)} {curve.unit} or less"
    return f"| {curve.label} | {number(curve.value)} {curve.unit} | {how} | {percent(turn.failure_probability)} |"


def share_link() -> None:
    """The address that holds the form."""
    values = {name: st.session_state[name] for name in (MACHINE, PRODUCT_TYPE.name, *SENSOR_NAMES)}
    query = urlencode(
        {name: f"{value:g}" if isinstance(value, float) else value for name, value in values.items() if value}
    )
    base = urlsplit(st.context.url or "")
    with st.expander("A link to this machine", icon="🔗"):
        st.code(urlunsplit((base.scheme, base.netloc, base.path, query, "")), language=None, wrap_lines=True)


def _fill(preset: Mapping[str, Any]) -> None:
    st.session_state[MACHINE] = ""
    for name in (PRODUCT_TYPE.name, *SENSOR_NAMES):
        st.session_state[name] = preset[name]

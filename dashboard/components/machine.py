"""Elements of the machine page: form, prediction, operating limits, link."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from app.schemas.prediction import LimitMargin, Prediction
from app.schemas.reading import ReadingSchema
from dashboard.components import common
from dashboard.formatting import NO_VALUE, RISK_LABELS, RISK_SIGNS, label_with_unit, money, number, percent
from dashboard.reading_query import MACHINE, Reading, query_from_reading, reading_from_query
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.rounding import shown
from predictive_maintenance.machine.unit_text import unit_text
from predictive_maintenance.reporting.markdown import plain, table

_FIELDS_PER_ROW = 6
_MAX_FIELDS_WITHOUT_FILTER = 24
_HEIGHT_OF_MANY_FIELDS = 420  # pixels: five rows
_KELVIN_AT_0_CELSIUS = 273.15
_FILTER = "filter of inputs"
_SENT_QUERIES, _MAX_SENT_QUERIES = "sent queries", 20


def reading_form(machine: Machine) -> dict[str, Any]:
    """Show the form and return its reading, which is within the ranges. The page's URL always contains the reading.

    The fields of a machine with many inputs scroll, so that the result stays in view, and can be filtered by name.
    """
    presets = _presets(machine)
    _fill_from_url(machine, next(iter(presets.values())))
    _clip_to_ranges(machine)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Machine", key=MACHINE, placeholder="Name (optional)", width=260)
        for name in machine.time_names:
            label = label_with_unit(machine.labels[name], machine.unit(name))
            st.number_input(label, key=name, min_value=0.0, value=1.0, step=1.0, format="%g", width=160)
        for name, preset in presets.items():
            st.button(name, on_click=_fill, args=(machine, preset))
    many = len(machine.input_names) > _MAX_FIELDS_WITHOUT_FILTER
    names = _filtered_names(machine) if many else machine.input_names
    with st.container(height=_HEIGHT_OF_MANY_FIELDS if len(names) > _MAX_FIELDS_WITHOUT_FILTER else "content"):
        for start in range(0, len(names), _FIELDS_PER_ROW):
            columns = st.columns(_FIELDS_PER_ROW, vertical_alignment="top")
            for column, name in zip(columns, names[start : start + _FIELDS_PER_ROW], strict=False):
                with column:
                    _category_field(machine, name) if name in machine.categories else _sensor_field(machine, name)
    values = {name: st.session_state[name] for name in (*machine.input_names, *machine.time_names)}
    reading = {name: value for name, value in values.items() if value is not None}
    _write_url(query_from_reading(machine, reading, st.session_state[MACHINE]))
    return reading


def _presets(machine: Machine) -> dict[str, Reading]:
    """The readings of the form's buttons, by label: the examples of the description."""
    schema = ReadingSchema(machine)
    examples: dict[str, Reading] = {
        f"Example: {label[:1].lower()}{label[1:]}": reading for label, reading in schema.examples.values()
    }
    return examples or {"Middle of the ranges": schema.example}


def _filtered_names(machine: Machine) -> Sequence[str]:
    """Show the filter and return the inputs whose labels contain its text. The others keep their values."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input("Filter inputs", key=_FILTER, placeholder="Part of a name", width=260).strip().casefold()
        names = [name for name in machine.input_names if text in machine.columns[name].label.casefold()]
        st.caption(f"{len(names)} of {len(machine.input_names)} inputs are shown. All are part of the reading.")
    for name in set(machine.input_names) - set(names):
        st.session_state[name] = st.session_state[name]  # Streamlit drops the value of a field that is not shown
    return names


def _category_field(machine: Machine, name: str) -> None:
    category = machine.description.categories[name]
    st.selectbox(category.label, category.known_values, key=name, help=category.description)


def _sensor_field(machine: Machine, name: str) -> None:
    sensor, (low, high), decimals = machine.description.sensors[name], machine.ranges[name], machine.decimals(name)
    unit = f" {unit_text(sensor.unit)}" if sensor.unit else ""
    # The value of the field is in the session's state. Only with a value of None, a field can be empty.
    value: float | None = st.number_input(
        label_with_unit(sensor.label, sensor.unit),
        min_value=low,
        max_value=high,
        value="min" if sensor.required else None,
        step=machine.step(name),
        format="%g" if decimals is None else f"%.{decimals}f",
        key=name,
        help=f"Physical limits: {shown(low)} to {shown(high)}{unit}.",
        placeholder=None if sensor.required else "not measured",
    )
    if sensor.unit == "K" and value is not None:
        st.caption(f"{value - _KELVIN_AT_0_CELSIUS:.1f} °C")


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


def operating_limits_table(margins: Sequence[LimitMargin], machine: Machine) -> None:
    if not margins:
        st.info("The description of this kind of machine has no operating limits.", icon="ℹ️")  # noqa: RUF001
        return
    places = {limit.name: machine.decimals(limit.measure) for limit in machine.limits}
    exclusive = {limit.name for limit in machine.description.operating_limits if limit.exclusive}
    rows = []
    for margin in margins:
        state = "❌ exceeded" if margin.broken else "✅ within limit" if margin.applies else "◻️ not applicable"
        inside, at = ("above", "at least") if margin.side == "minimum" else ("below", "at most")
        side = inside if margin.name in exclusive else at
        decimals = places.get(margin.name)
        left = number(margin.margin, decimals) if margin.applies else NO_VALUE
        name = plain(label_with_unit(margin.label, margin.unit))
        rows.append([state, name, number(margin.measured, decimals), f"{side} {number(margin.bound, decimals)}", left])
    st.markdown(table(["Status", "Measure", "Value", "Limit", "Margin"], rows))
    st.caption(
        "Operating limits of this kind of machine, from its description. Some apply under a condition only. The model is "
        "trained on data and does not apply these limits."
    )


def link_to_reading(machine: Machine, reading: Reading) -> None:
    """Show the URL that opens this page with the same reading."""
    base = urlsplit(st.context.url or "")
    query = urlencode(query_from_reading(machine, reading, st.session_state[MACHINE]))
    with st.expander("Link to this reading", icon="🔗"):
        st.code(urlunsplit((base.scheme, base.netloc, base.path, query, "")), language=None, wrap_lines=True)


def _fill_from_url(machine: Machine, default: Reading) -> None:
    """Fill the form from the page's URL, unless the form itself wrote that URL.

    After quick changes a browser may still send the URL before the last one, so the latest ones are remembered.
    """
    query, sent = st.query_params.to_dict(), st.session_state.get(_SENT_QUERIES, [])
    filled = set(machine.input_names) <= set(st.session_state)
    if MACHINE in st.session_state and filled and (query in sent or not query):
        return
    query = query or (sent[-1] if sent else {})
    reading, messages = reading_from_query(machine, query, default)
    _fill(machine, reading, query.get(MACHINE, ""))
    for message in messages:
        st.warning(f"Invalid value in the link: {plain(message)}", icon="🔗")


def _write_url(query: dict[str, str]) -> None:
    sent = st.session_state.get(_SENT_QUERIES, [])
    st.session_state[_SENT_QUERIES] = [*sent[-_MAX_SENT_QUERIES:], query]
    st.query_params.from_dict(query)


def _clip_to_ranges(machine: Machine) -> None:
    """Replace values outside the ranges, which may differ after a promotion, and show a warning for each."""
    for name, (low, high) in machine.ranges.items():
        value, sensor = st.session_state[name], machine.description.sensors[name]
        if value is None or low <= value <= high:
            continue
        unit = unit_text(sensor.unit)
        st.session_state[name] = float(min(max(value, low), high))
        st.warning(
            f"{sensor.label}: {number(value, machine.decimals(name))} {unit} is outside the physical limits "
            f"{shown(low)} to {shown(high)} {unit}. The nearest limit is used instead.",
            icon="⚠️",
        )
    for name, category in machine.description.categories.items():
        if st.session_state[name] not in category.known_values:
            st.session_state[name] = category.known_values[0]


def _fill(machine: Machine, reading: Reading, name: str = "") -> None:
    st.session_state[MACHINE] = name
    for key in machine.input_names:
        value = reading.get(key)
        st.session_state[key] = value if key in machine.categories or value is None else float(value)

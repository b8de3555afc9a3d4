"""Elements of the machine page: contributions of the inputs, turning points and curves of the sensors.

A machine may have hundreds of sensors: the most important ones are shown, with the number of those that are not.
"""

import streamlit as st

from app.schemas.prediction import Curve, Explanation, WhatIf
from dashboard.components import charts
from dashboard.formatting import number, percent, with_unit
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.reporting.markdown import table

MAX_SHOWN = 10
"""The most contributions, and the most turning points."""
MAX_CURVES = 9
_CURVES_PER_ROW = 3
_MAX_NAMES = 20


def contributions_chart(explanation: Explanation, machine: Machine) -> None:
    """Show the largest contributions, and all others as one bar."""
    parts = explanation.contributions
    shown = parts if len(parts) <= MAX_SHOWN + 1 else parts[:MAX_SHOWN]
    others = parts[len(shown) :]
    st.altair_chart(
        charts.contributions(shown, machine, others), alt="Contribution of each sensor to the failure probability"
    )
    errors = [part.standard_error for part in parts if part.standard_error is not None]
    if errors:
        largest = f"{max(errors) * 100:.1f}"
        kind = f"Estimated Shapley values with standard errors of at most {largest} percentage points."
    else:
        kind = "Exact Shapley values."
    left_out = f" {len(others)} smaller contributions are not shown one by one." if others else ""
    st.caption(
        f"{kind}{left_out} Reference: {explanation.reference}, with a mean failure probability of "
        f"{percent(explanation.base_probability)}. The reference and all bars add up to this reading's failure probability."
    )


def history_parts(explanation: Explanation, machine: Machine) -> None:
    """Show what the current value and each window add to the largest contributions. Nothing for a machine without history."""
    parts = [part for contribution in explanation.contributions for part in contribution.parts]
    if not parts:
        return
    largest = sorted(parts, key=lambda part: -abs(part.contribution))[:MAX_SHOWN]
    rows = [
        [
            part.label,
            "not measured" if part.value is None else with_unit(part.value, part.unit, machine.decimals(part.name)),
            f"{part.contribution * 100:+.1f}",
        ]
        for part in largest
    ]
    st.markdown(table(["Sensor and window", "Value", "Percentage points"], rows))
    st.caption(
        f"What the current value and each window add to the contributions above: the {len(largest)} largest of {len(parts)}, "
        f"estimated with standard errors of at most {max(part.standard_error for part in parts) * 100:.1f} percentage points."
    )


def turning_points(what_if: WhatIf, machine: Machine) -> None:
    """Show the nearest value of each sensor at which the decision changes, the smallest changes of many."""
    turning = [curve for curve in what_if.curves if curve.turning_point]
    if not turning:
        st.info("No change of a single sensor changes the decision, within the range of the training data.", icon="ℹ️")  # noqa: RUF001
        return
    shown = turning if len(turning) <= MAX_SHOWN else sorted(turning, key=_relative_change)[:MAX_SHOWN]
    rows = [_turning_point(curve, machine.decimals(curve.sensor)) for curve in shown]
    st.markdown(table(["Sensor", "Value", "Change to", "New failure probability"], rows))
    if len(shown) < len(turning):
        st.caption(
            f"{len(turning) - len(shown)} more sensors change the decision. The {len(shown)} with the smallest change, "
            "relative to the range of the training data, are shown."
        )
    others = [curve.label for curve in what_if.curves if not curve.turning_point]
    if others:
        names = ", ".join(others[:_MAX_NAMES]).lower()
        more = f" and {len(others) - _MAX_NAMES} more" if len(others) > _MAX_NAMES else ""
        st.caption(f"A change of these sensors alone does not change the decision: {names}{more}.")


def sensor_curves(what_if: WhatIf) -> None:
    """Show the failure probability over each sensor's values, of many sensors those with the largest changes."""
    shown = what_if.curves
    if len(shown) > MAX_CURVES:
        shown = sorted(shown, key=lambda curve: min(curve.probabilities) - max(curve.probabilities))[:MAX_CURVES]
    for start in range(0, len(shown), _CURVES_PER_ROW):
        curves = shown[start : start + _CURVES_PER_ROW]
        for column, curve in zip(st.columns(_CURVES_PER_ROW), curves, strict=False):
            column.altair_chart(charts.curve(curve, what_if.threshold), alt=f"Failure probability over {curve.label}")
    left_out = len(what_if.curves) - len(shown)
    st.caption(
        (f"The {len(shown)} sensors with the largest effect; {left_out} more are not shown. " if left_out else "")
        + "Each chart changes one sensor within the range of the training data and keeps the others constant. The point marks "
        "this reading, the dashed line the decision threshold. In practice sensors change together."
    )


def _relative_change(curve: Curve) -> float:
    """The change to the turning point as a share of the curve's range."""
    assert curve.turning_point is not None
    return abs(curve.turning_point.value - curve.value) / (curve.values[-1] - curve.values[0])


def _turning_point(curve: Curve, decimals: int | None) -> list[str]:
    point = curve.turning_point
    assert point is not None
    change = point.value - curve.value
    sign = "+" if change > 0 else "-"
    target = f"{with_unit(point.value, curve.unit, decimals)} ({sign}{number(abs(change), decimals)})"
    return [curve.label, with_unit(curve.value, curve.unit, decimals), target, percent(point.failure_probability)]

"""Answers to one reading: risk level, cost, exceeded operating limits, recommended action, explanation, what-if."""

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

from predictive_maintenance.inference.explaining import Explanation, Part
from predictive_maintenance.inference.what_if import what_if
from predictive_maintenance.machine.actions import merged_actions
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.scorer.version_files import ScorerSpec

from ..schemas.prediction import RiskLevel
from ..schemas.reading import HISTORY
from .served_model import ServedModel

_ADVICE: dict[RiskLevel, str] = {
    "high": "stop and inspect now",
    "elevated": "inspect at the next stop",
    "low": "none",
}


def risk_level(probability: float, spec: ScorerSpec) -> RiskLevel:
    """Return high from the decision threshold on; below it, elevated if ignoring the risk costs more than an inspection."""
    if probability >= spec.threshold:
        return "high"
    return "elevated" if probability * spec.missed_failure_cost >= spec.false_alarm_cost else "low"


def recommended_action(level: RiskLevel, actions: Iterable[str]) -> str:
    """Return the advice for the risk level, with the `actions` of the exceeded limits."""
    fixes = merged_actions(actions)
    if not fixes:
        return _ADVICE[level]
    return f"no alarm, but {fixes}" if level == "low" else f"{_ADVICE[level]}: {fixes}"


def assess(model: ServedModel, model_name: str, reading: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `schemas.prediction.Prediction` for one valid reading."""
    probability = model.scorer.probability(reading)
    return assess_probability(model, model_name, reading, probability, model.history_warnings(reading))


def assess_probability(
    model: ServedModel, model_name: str, reading: dict[str, Any], probability: float, history_warnings: list[str]
) -> dict[str, Any]:
    """Return the same for a reading that was scored with others."""
    spec = model.scorer.spec
    level = risk_level(probability, spec)
    broken = model.scorer.machine.exceeded_limits(reading)
    return {
        "reading_id": reading.get("reading_id"),
        "failure_probability": probability,
        "predicted_failure": level == "high",
        "threshold": spec.threshold,
        "risk_level": level,
        "expected_cost_of_ignoring": probability * spec.missed_failure_cost,
        "currency": spec.currency,
        "broken_limits": [vars(limit) for limit in broken],
        "recommended_action": recommended_action(level, (limit.action for limit in broken)),
        "warnings": model.warnings(reading) + history_warnings,
        "model_name": model_name,
        "model_version": model.version.version,
    }


def explanation_response(explanation: Explanation, machine: Machine, reading: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `schemas.prediction.Explanation`, the largest contribution first.

    Estimated contributions have a standard error; exact ones have no such field. Divided ones have parts.
    """
    parts, errors = explanation.contributions, explanation.standard_errors
    return {
        "base_probability": explanation.reference.mean_probability,
        "reference": explanation.reference.name,
        "contributions": [
            {
                "sensor": name,
                "label": machine.labels[name],
                "value": reading.get(name),
                "unit": machine.unit(name),
                "contribution": parts[name],
            }
            | ({"standard_error": errors[name]} if errors else {})
            | ({"parts": _parts(explanation.parts[name], machine, reading)} if name in explanation.parts else {})
            for name in sorted(parts, key=lambda name: -abs(parts[name]))
        ],
        "limits": [vars(margin) for margin in machine.limit_margins(reading)],
    }


def _parts(parts: Iterable[Part], machine: Machine, reading: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": part.name,
            "label": f"{machine.labels[part.name]}{'' if part.name in machine.history_features else ', current value'}",
            "value": None if (value := reading.get(part.name)) is None or isnan(value) else value,
            "unit": machine.unit(part.name),
            "contribution": part.contribution,
            "standard_error": part.standard_error,
        }
        for part in parts
    ]


def what_if_response(model: ServedModel, reading: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `schemas.prediction.WhatIf` for one valid reading."""
    scorer, columns, history = model.scorer, model.scorer.machine.columns, reading.get(HISTORY) or ()
    probability = scorer.probability(reading)
    curves = {curve.sensor: curve for curve in what_if(scorer, scorer.machine, reading, model.training_ranges, history)}
    sensors = []
    for name, curve in curves.items():
        values, probabilities, turn = curve.values.tolist(), curve.probabilities.tolist(), curve.turning_point
        sensors.append(
            {
                "sensor": name,
                "label": columns[name].label,
                "unit": columns[name].unit,
                "value": reading[name],
                "values": values,
                "probabilities": probabilities,
                "turning_point": (
                    None if turn is None else {"value": values[turn], "failure_probability": probabilities[turn]}
                ),
            }
        )
    return {
        "predicted_failure": probability >= scorer.spec.threshold,
        "failure_probability": probability,
        "threshold": scorer.spec.threshold,
        "model_version": model.version.version,
        "curves": sensors,
    }

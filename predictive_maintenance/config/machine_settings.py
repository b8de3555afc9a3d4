"""The machine in the settings: from JSON values, and with the settings that adjust its description."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationError

from ..errors import ConfigError, ModelError
from ..machine.machine import Machine
from ..machine.machine_json import from_json, to_plain
from ..machine.milling import MILLING, PUBLISHED_LIMIT_MARGINS, with_published_limit_margins
from ..strict_model import LocatedValueError, suggestion
from .machine_folders import BUNDLED


def _machine(value: Any) -> Machine:
    if isinstance(value, Machine):
        return value
    if isinstance(value, str) and value in BUNDLED:
        return BUNDLED[value]
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not the description of a machine")
    try:
        return from_json(json.dumps(value), "the description")
    except ModelError as error:
        raise ValueError(str(error)) from None


DescribedMachine = Annotated[Machine, PlainValidator(_machine), PlainSerializer(to_plain)]
"""A machine as JSON values, or the name of a bundled one. The name in params.yaml is replaced while the file is read."""


def configured_machine(
    machine: Machine,
    *,
    ranges: Mapping[str, tuple[float, float]],
    headers: Mapping[str, Sequence[str]],
    published_limit_margins: bool,
    origin: str,
) -> Machine:
    """`machine` with the settings of params.yaml. Raises ConfigError that names `origin` and the setting."""
    for setting, given, known in (
        ("limits", ranges, machine.sensor_names), ("aliases", headers, tuple(machine.columns)),
    ):  # fmt: skip
        for name in given:
            if name not in known:
                noun = "sensor" if setting == "limits" else "column"
                raise ConfigError(
                    f"{origin}: columns.{setting}: {name!r} is not a {noun} of the {machine.description.name}"
                    f"{suggestion(name, known)}"
                )
    if published_limit_margins and not set(MILLING.feature_names) <= set(machine.feature_names):
        raise ConfigError(f"{origin}: features.published_limit_margins: only the milling machine has published limits")
    try:
        adjusted = machine.adjusted(ranges=ranges, headers=headers)
    except ValidationError as error:
        raise ConfigError(f"{origin}: columns: {_reason(error)}") from None
    if published_limit_margins and not set(PUBLISHED_LIMIT_MARGINS) <= set(adjusted.feature_names):
        return with_published_limit_margins(adjusted)
    return adjusted


def _reason(error: ValidationError) -> str:
    cause = error.errors()[0].get("ctx", {}).get("error")
    if isinstance(cause, LocatedValueError):
        return "; ".join(text for _, text in cause.errors)
    return error.errors()[0]["msg"].removeprefix("Value error, ")

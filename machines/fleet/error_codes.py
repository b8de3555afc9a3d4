"""The error codes that the controller of a pump reports: more often when a component is worn, or in an upset."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .plant_time import Floats

BACKGROUND_PER_DAY = {
    "high_vibration": 1 / 60,
    "high_temperature": 1 / 80,
    "seal_leak": 1 / 80,
    "low_head": 1 / 70,
    "overcurrent": 1 / 80,
    "communication_loss": 1 / 30,
    "sensor_fault": 1 / 60,
    "filter_dirty": 1 / 45,
}
"""Errors per day and code of a pump without wear. The last three are unrelated to wear."""
CAUSES_PER_DAY: Mapping[str, Mapping[str, float]] = {
    "high_vibration": {"bearing": 0.9, "impeller": 0.3, "pipe_vibration": 1.5, "cavitation": 0.8},
    "high_temperature": {"bearing": 0.5, "motor_winding": 0.5, "viscous_product": 0.8},
    "seal_leak": {"seal": 0.9},
    "low_head": {"impeller": 0.8, "seal": 0.3, "cavitation": 1.2, "bypass_open": 1.2},
    "overcurrent": {"motor_winding": 0.9, "impeller": 0.2, "viscous_product": 1.5},
}
"""Additional errors per day for each unit of wear of a component, or of strength of an upset."""


def draw_errors(
    hours: Floats, strengths: Mapping[str, Floats], random: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Draw (m,) times in hours, sorted, and (m,) codes.

    Errors are a Poisson process whose rate in the hour after each of `hours` follows the wear and upsets in `strengths`.
    """
    times, codes = [], []
    for code, background in BACKGROUND_PER_DAY.items():
        per_day = background + sum(
            (rate * strengths[cause] for cause, rate in CAUSES_PER_DAY.get(code, {}).items()), np.zeros_like(hours)
        )
        at = np.repeat(hours, random.poisson(per_day / 24))
        times.append(at + random.random(len(at)))
        codes.append(np.full(len(at), code))
    order = np.argsort(np.concatenate(times), kind="stable")
    return np.concatenate(times)[order], np.concatenate(codes)[order]

"""The published rules of AI4I 2020 applied to readings: an upper bound for what a model can reach on that data."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictive_maintenance.machine.rounding import rounded

from .published_rules import (
    HEAT_DISSIPATION_MIN_DIFFERENCE_K,
    HEAT_DISSIPATION_MIN_SPEED_RPM,
    OVERSTRAIN_LIMIT_MIN_NM,
    POWER_RANGE_W,
    WATTS_PER_NM_RPM,
)

INPUTS = (
    "product_type", "air_temperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm", "tool_wear_min",
)  # fmt: skip
"""The columns that the rules read."""


def violates_rules(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(n,) whether a reading violates the heat dissipation, power or overstrain rule.

    Tool wear failures are random, so no rule covers them.
    """
    speed_rpm, torque_nm = rows["rotational_speed_rpm"], rows["torque_nm"]
    # The labels were made from unrounded differences: some readings of 8.6 K count as below it.
    difference_k = rows["process_temperature_k"] - rows["air_temperature_k"]
    heat = (difference_k < HEAT_DISSIPATION_MIN_DIFFERENCE_K) & (speed_rpm < HEAT_DISSIPATION_MIN_SPEED_RPM)
    power = ~rounded(torque_nm * speed_rpm * WATTS_PER_NM_RPM, 1).between(*POWER_RANGE_W)
    most_strain_min_nm = rows["product_type"].map(OVERSTRAIN_LIMIT_MIN_NM).astype(np.float64)
    overstrain = rounded(rows["tool_wear_min"] * torque_nm, 1) > most_strain_min_nm
    return (heat | power | overstrain).to_numpy()

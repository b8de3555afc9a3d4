"""Simulate milling machines as in AI4I 2020, for training without a file: simulator://milling?rows=10000&seed=7.

The physics and the rules of heat dissipation, power and overstrain failures are the published ones. The product mix,
the relation of torque and speed, and the hazard of tool replacement are fitted to the real file; so are the numbers of
failures by mode that result from them.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from .published_rules import (
    HEAT_DISSIPATION_MIN_DIFFERENCE_K,
    HEAT_DISSIPATION_MIN_SPEED_RPM,
    OVERSTRAIN_LIMIT_MIN_NM,
    POWER_RANGE_W,
    TOOL_REPLACEMENT_FROM_MIN,
    WATTS_PER_NM_RPM,
)

_PRODUCT_TYPES = ("L", "M", "H")
_PRODUCT_SHARES = (0.6, 0.3, 0.1)
_WEAR_STEP_MIN = {"L": 2, "M": 3, "H": 5}
_MIN_TORQUE_NM = 3.8
_IDLE_TORQUE_NM = 12.3
_WORN_TOOL_FAILS = 46 / 119  # share of the replacements in the real file that were failures
_RANDOM_FAILURE = 0.0019
_UNEXPLAINED_FAILURE = 0.0009


def simulate(rows: int = 10_000, seed: int = 7) -> pd.DataFrame:
    """Simulate `rows` readings in time order with canonical column names. The same seed gives the same readings.

    Reading ids contain the seed, so that several simulations can be appended.
    """
    random = np.random.default_rng(seed)
    product_type = random.choice(_PRODUCT_TYPES, size=rows, p=_PRODUCT_SHARES)
    air_k = np.round(300 + _walk(random, rows, 2.0), 1)
    process_k = np.round(air_k + 10 + _walk(random, rows, 1.0), 1)
    torque_nm = np.round(_truncated_normal(random, rows), 1)
    speed_rpm = _speed(random, torque_nm)
    wear_min, worn_out = _tool_wear(random, product_type)

    difference_k = process_k - air_k  # not rounded, as in the real labels: rounding errors put some of 8.6 K below it
    power_w = torque_nm * speed_rpm * WATTS_PER_NM_RPM
    overstrain = np.vectorize(OVERSTRAIN_LIMIT_MIN_NM.get, otypes=[float])(product_type)
    modes = {
        "tool_wear_failure": worn_out,
        "heat_dissipation_failure": (difference_k < HEAT_DISSIPATION_MIN_DIFFERENCE_K)
        & (speed_rpm < HEAT_DISSIPATION_MIN_SPEED_RPM),
        "power_failure": (power_w < POWER_RANGE_W[0]) | (power_w > POWER_RANGE_W[1]),
        "overstrain_failure": np.round(wear_min * torque_nm, 1) > overstrain,
    }
    failure = np.any(list(modes.values()), axis=0) | (random.random(rows) < _UNEXPLAINED_FAILURE)
    return pd.DataFrame(
        {
            "reading_id": [f"S{seed}-{row:07d}" for row in range(1, rows + 1)],
            "product_type": product_type,
            "air_temperature_k": air_k,
            "process_temperature_k": process_k,
            "rotational_speed_rpm": speed_rpm,
            "torque_nm": torque_nm,
            "tool_wear_min": wear_min,
            "machine_failure": failure.astype(np.int8),
            **{name: flags.astype(np.int8) for name, flags in modes.items()},
            "random_failure": (random.random(rows) < _RANDOM_FAILURE).astype(np.int8),
        }
    )


def _walk(random: np.random.Generator, rows: int, deviation: float) -> npt.NDArray[np.float64]:
    """A random walk, centred and scaled to the standard deviation `deviation`, as published for the data set."""
    walk = np.cumsum(random.normal(size=rows))
    return (walk - walk.mean()) / max(walk.std(), 1e-9) * deviation


def _truncated_normal(random: np.random.Generator, rows: int) -> npt.NDArray[np.float64]:
    torque: npt.NDArray[np.float64] = random.normal(40, 10, size=rows)
    while (low := torque < _MIN_TORQUE_NM).any():
        torque[low] = random.normal(40, 10, size=int(low.sum()))
    return torque


def _speed(random: np.random.Generator, torque_nm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Speed decreases with torque: along a hyperbola under load, along a line near idling."""
    loaded = 1000 + 20_000 / torque_nm + random.normal(0, 50, size=len(torque_nm))
    idle = 2994 - 29.07 * torque_nm + random.normal(0, 6, size=len(torque_nm))
    return np.round(np.where(torque_nm < _IDLE_TORQUE_NM, idle, loaded)).astype(np.float64)


def _tool_wear(
    random: np.random.Generator, product_type: npt.NDArray[np.str_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Wear in min at each reading, and whether the tool failed there. From 200 min on, a hazard replaces the tool."""
    steps = [_WEAR_STEP_MIN[name] for name in product_type.tolist()]
    replaced, fails = random.random(len(steps)).tolist(), random.random(len(steps)).tolist()
    wear, worn_out = np.empty(len(steps)), np.zeros(len(steps), dtype=bool)
    now = 0.0
    for row, step in enumerate(steps):
        wear[row] = now
        hazard = min(0.026 + 0.0085 * (now - TOOL_REPLACEMENT_FROM_MIN), 0.28) * step / 2.6
        if now >= TOOL_REPLACEMENT_FROM_MIN and replaced[row] < hazard:
            worn_out[row] = fails[row] < _WORN_TOOL_FAILS
            now = 0.0
        else:
            now += step
    return wear, worn_out

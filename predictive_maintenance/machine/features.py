"""The engineered features, defined once for training, evaluation, file scoring and the API.

Each function gives the same result for the columns of a data frame, for arrays and for the numbers of one reading.
Differences and products are rounded to the sensors' resolution of 0.1. Without rounding, floating-point noise in
`process - air` makes equal differences distinct, trees split on that noise, and float32 and float64 models then make
different decisions. This module imports only numpy, because the API imports it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .sensors import (
    HEAT_DISSIPATION_MIN_DIFFERENCE_K,
    HEAT_DISSIPATION_MIN_SPEED_RPM,
    OVERSTRAIN_LIMIT_MIN_NM,
    POWER_RANGE_W,
    PRODUCT_TYPES,
    SENSOR_NAMES,
    WATTS_PER_NM_RPM,
)

Reading = Mapping[str, Any]
"""Canonical column names with Series, arrays or numbers. `product_type_code` replaces `product_type`."""

RESOLUTION_DECIMALS = 1


def rounded(values: Any, decimals: int = RESOLUTION_DECIMALS) -> Any:
    """Round as np.round does: half to even."""
    if isinstance(values, float):
        # The same arithmetic as np.round, which takes ten times as long for a single number.
        scale = 10**decimals
        return round(values * scale) / scale
    return np.round(values, decimals)


def power_w(reading: Reading) -> Any:
    """Mechanical power in W: torque times angular speed."""
    return rounded(reading["torque_nm"] * reading["rotational_speed_rpm"] * WATTS_PER_NM_RPM)


def temperature_difference_k(reading: Reading) -> Any:
    """Process minus air temperature in K, which drives heat dissipation."""
    return rounded(reading["process_temperature_k"] - reading["air_temperature_k"])


def strain_min_nm(reading: Reading) -> Any:
    """Strain in min Nm: tool wear times torque."""
    return rounded(reading["tool_wear_min"] * reading["torque_nm"])


def heat_dissipation_margin(reading: Reading) -> Any:
    """Relative distance to the published heat dissipation limits: negative if both are exceeded."""
    difference = temperature_difference_k(reading) / HEAT_DISSIPATION_MIN_DIFFERENCE_K - 1
    speed = reading["rotational_speed_rpm"] / HEAT_DISSIPATION_MIN_SPEED_RPM - 1
    return rounded(np.maximum(difference, speed), 4)


def power_margin_w(reading: Reading) -> Any:
    """Distance to the nearer published power limit in W: negative outside the range."""
    low, high = POWER_RANGE_W
    power = power_w(reading)
    return rounded(np.minimum(power - low, high - power))


def strain_limit_min_nm(reading: Reading) -> Any:
    """The published overstrain limit of the product type in min Nm. It increases by the same step from L to M and from M to H."""
    first, step = OVERSTRAIN_LIMIT_MIN_NM["L"], OVERSTRAIN_LIMIT_MIN_NM["M"] - OVERSTRAIN_LIMIT_MIN_NM["L"]
    return first + step * reading["product_type_code"]


def overstrain_margin_min_nm(reading: Reading) -> Any:
    """Distance to the product type's published overstrain limit in min Nm: negative above it."""
    return rounded(strain_limit_min_nm(reading) - strain_min_nm(reading))


ENGINEERED: dict[str, Callable[[Reading], Any]] = {
    "power_w": power_w,
    "temperature_difference_k": temperature_difference_k,
    "strain_min_nm": strain_min_nm,
}
PUBLISHED_LIMIT_MARGINS: dict[str, Callable[[Reading], Any]] = {
    "heat_dissipation_margin": heat_dissipation_margin,
    "power_margin_w": power_margin_w,
    "overstrain_margin_min_nm": overstrain_margin_min_nm,
}
"""Margins to the rules that define the labels of AI4I 2020. They leak those labels, so they are off by default."""

FEATURE_LABELS = {
    "product_type_code": "Product type",
    "power_w": "Power",
    "temperature_difference_k": "Temperature difference",
    "strain_min_nm": "Strain (wear x torque)",
    "heat_dissipation_margin": "Heat dissipation margin",
    "power_margin_w": "Power margin",
    "overstrain_margin_min_nm": "Overstrain margin",
}

_DEFINITIONS = ENGINEERED | PUBLISHED_LIMIT_MARGINS


def feature_names(published_limit_margins: bool = False) -> tuple[str, ...]:
    """The names of a model's features, in order."""
    margins = tuple(PUBLISHED_LIMIT_MARGINS) if published_limit_margins else ()
    return ("product_type_code", *SENSOR_NAMES, *ENGINEERED, *margins)


def feature(reading: Reading, name: str) -> Any:
    """One feature of `reading`, in the type of its columns."""
    return _DEFINITIONS[name](reading) if name in _DEFINITIONS else reading[name]


def product_type_codes(product_types: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Encode (n,) product types L, M, H as (n,) floats 0, 1, 2; an unknown type as NaN."""
    values = np.asarray(product_types, dtype=object)
    codes = np.full(values.shape, np.nan)
    for code, name in enumerate(PRODUCT_TYPES):
        codes[values == name] = code
    return codes


def with_features(frame: Any) -> Any:
    """A copy of a data frame with a column for each engineered feature."""
    return frame.assign(**{name: definition(frame) for name, definition in ENGINEERED.items()})


def feature_matrix(columns: Reading, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """The features `names` of n readings as an (n, len(names)) float32 array, the input of every model.

    `columns` contains `product_type` and the sensors by canonical name, each with n values.
    """
    arrays: dict[str, npt.NDArray[np.float64]] = {
        name: np.asarray(columns[name], dtype=np.float64) for name in SENSOR_NAMES
    }
    arrays["product_type_code"] = product_type_codes(columns["product_type"])
    matrix = np.empty((len(arrays["product_type_code"]), len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        matrix[:, position] = feature(arrays, name)
    return matrix

"""The milling machine's features, from its description, and the margins to its published limits.

Each function gives the same result for the columns of a data frame, for arrays and for the numbers of one reading.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .milling import MILLING
from .rounding import decimals_of, rounded
from .sensors import (
    HEAT_DISSIPATION_MIN_DIFFERENCE_K,
    HEAT_DISSIPATION_MIN_SPEED_RPM,
    OVERSTRAIN_LIMIT_MIN_NM,
    POWER_RANGE_W,
    PRODUCT_TYPE,
)

Reading = Mapping[str, Any]
"""Canonical column names with Series, arrays or numbers. `product_type_code` replaces `product_type`."""

RESOLUTION_DECIMALS = decimals_of(MILLING.description.sensors["torque_nm"].smallest_difference)
"""The decimals of every sensor."""


def power_w(reading: Reading) -> Any:
    """Mechanical power in W: torque times angular speed."""
    return MILLING.feature(reading, "power_w")


def temperature_difference_k(reading: Reading) -> Any:
    """Process minus air temperature in K, which drives heat dissipation."""
    return MILLING.feature(reading, "temperature_difference_k")


def strain_min_nm(reading: Reading) -> Any:
    """Strain in min Nm: tool wear times torque."""
    return MILLING.feature(reading, "strain_min_nm")


def heat_dissipation_margin(reading: Reading) -> Any:
    """Relative distance to the published heat dissipation limits: negative if both are exceeded."""
    difference = temperature_difference_k(reading) / HEAT_DISSIPATION_MIN_DIFFERENCE_K - 1
    speed = reading["rotational_speed_rpm"] / HEAT_DISSIPATION_MIN_SPEED_RPM - 1
    return rounded(np.maximum(difference, speed), 4)


def power_margin_w(reading: Reading) -> Any:
    """Distance to the nearer published power limit in W: negative outside the range."""
    low, high = POWER_RANGE_W
    power = power_w(reading)
    return rounded(np.minimum(power - low, high - power), 1)


def strain_limit_min_nm(reading: Reading) -> Any:
    """The published overstrain limit of the product type in min Nm. It increases by the same step from L to M and from M to H."""
    first, step = OVERSTRAIN_LIMIT_MIN_NM["L"], OVERSTRAIN_LIMIT_MIN_NM["M"] - OVERSTRAIN_LIMIT_MIN_NM["L"]
    return first + step * reading["product_type_code"]


def overstrain_margin_min_nm(reading: Reading) -> Any:
    """Distance to the product type's published overstrain limit in min Nm: negative above it."""
    return rounded(strain_limit_min_nm(reading) - strain_min_nm(reading), 1)


PUBLISHED_LIMIT_MARGINS: dict[str, Callable[[Reading], Any]] = {
    "heat_dissipation_margin": heat_dissipation_margin,
    "power_margin_w": power_margin_w,
    "overstrain_margin_min_nm": overstrain_margin_min_nm,
}
"""Margins to the rules that define the labels of AI4I 2020. They leak those labels, so they are off by default."""

FEATURE_LABELS = {name: MILLING.labels[name] for name in (*MILLING.code_names, *MILLING.computed_names)} | {
    "heat_dissipation_margin": "Heat dissipation margin",
    "power_margin_w": "Power margin",
    "overstrain_margin_min_nm": "Overstrain margin",
}


def feature_names(published_limit_margins: bool = False) -> tuple[str, ...]:
    """The names of a model's features, in order."""
    return (*MILLING.feature_names, *PUBLISHED_LIMIT_MARGINS) if published_limit_margins else MILLING.feature_names


def feature(reading: Reading, name: str) -> Any:
    """One feature of `reading`, in the type of its columns."""
    margin = PUBLISHED_LIMIT_MARGINS.get(name)
    return margin(reading) if margin else MILLING.feature(reading, name)


def product_type_codes(product_types: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Encode (n,) product types L, M, H as (n,) floats 0, 1, 2; an unknown type as NaN."""
    return MILLING.categories[PRODUCT_TYPE.name].of_column(product_types)


def with_features(frame: Any) -> Any:
    """A copy of a data frame with a column for each engineered feature."""
    return MILLING.with_features(frame)


def feature_matrix(columns: Reading, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """The features `names` of n readings as an (n, len(names)) float32 array, the input of every model.

    `columns` contains `product_type` and the sensors by canonical name, each with n values.
    """
    arrays = MILLING.arrays(columns)
    matrix = np.empty((len(arrays["product_type_code"]), len(names)), dtype=np.float32)
    for position, name in enumerate(names):
        margin = PUBLISHED_LIMIT_MARGINS.get(name)
        matrix[:, position] = margin(arrays) if margin else arrays[name]
    return matrix

"""The oracle: the published rules of AI4I 2020 applied to the readings. What a model could reach at most, a ceiling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..features import power_w, strain_min_nm
from ..sensors import (
    HEAT_DISSIPATION_MIN_DIFFERENCE_K,
    HEAT_DISSIPATION_MIN_SPEED_RPM,
    OVERSTRAIN_LIMIT_MIN_NM,
    POWER_RANGE_W,
    PRODUCT_TYPE,
)


def broken_rules(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(n,) whether a reading breaks the heat dissipation, power or overstrain rule. Tool wear failures are random."""
    # The labels were made from differences that were not rounded: some readings of 8.6 K count as below it.
    heat = (rows["process_temperature_k"] - rows["air_temperature_k"] < HEAT_DISSIPATION_MIN_DIFFERENCE_K) & (
        rows["rotational_speed_rpm"] < HEAT_DISSIPATION_MIN_SPEED_RPM
    )
    power = ~power_w(rows).between(*POWER_RANGE_W)
    overstrain = strain_min_nm(rows) > rows[PRODUCT_TYPE.name].map(OVERSTRAIN_LIMIT_MIN_NM)
    return (heat | power | overstrain).to_numpy()

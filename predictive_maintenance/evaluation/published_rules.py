"""The published rules of AI4I 2020 applied to readings: an upper bound for what a model can reach on that data."""

import pandas as pd

from ..machine.features import power_w, product_type_codes, strain_limit_min_nm, strain_min_nm
from ..machine.machine import Machine
from ..machine.milling import MILLING
from ..machine.operating_limits import lacks_heat_dissipation
from ..machine.sensors import POWER_RANGE_W, PRODUCT_TYPE
from .intervals import BoolArray
from .row_sets import Oracle


def oracle_of(machine: Machine) -> Oracle | None:
    """The rules as the oracle of the milling machine; None for another machine."""
    return violates_published_rules if machine.input_names == MILLING.input_names else None


def violates_published_rules(rows: pd.DataFrame) -> BoolArray:
    """(n,) whether a reading violates the heat dissipation, power or overstrain rule.

    Tool wear failures are random, so no rule covers them.
    """
    # The labels were made from unrounded differences: some readings of 8.6 K count as below it.
    difference = rows["process_temperature_k"] - rows["air_temperature_k"]
    heat = lacks_heat_dissipation(difference, rows["rotational_speed_rpm"])
    power = ~power_w(rows).between(*POWER_RANGE_W)
    overstrain = strain_min_nm(rows) > strain_limit_min_nm(
        {"product_type_code": product_type_codes(rows[PRODUCT_TYPE.name])}
    )
    return (heat | power | overstrain).to_numpy()

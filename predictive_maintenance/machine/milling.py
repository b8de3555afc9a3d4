"""The milling machine, which the package contains. Its source is machines/milling/machine.yaml."""

from pathlib import Path

from .machine import Machine
from .machine_json import from_json
from .sections import Feature

_FILE = Path(__file__).with_name("milling.json")

MILLING = from_json(_FILE.read_bytes(), str(_FILE))

PUBLISHED_LIMIT_MARGINS = {
    "heat_dissipation_margin": Feature(
        label="Heat dissipation margin",
        formula="max(temperature_difference_k / 8.6 - 1, rotational_speed_rpm / 1380 - 1)",
        decimals=4,
    ),
    "power_margin_w": Feature(
        label="Power margin", unit="W", formula="min(power_w - 3500, 9000 - power_w)", decimals=1
    ),
    "overstrain_margin_min_nm": Feature(
        label="Overstrain margin", unit="min Nm", formula="11000 + 1000 * product_type_code - strain_min_nm", decimals=1
    ),
}
"""Margins to the rules that define the labels of AI4I 2020. They leak those labels, so they are off by default."""


def with_published_limit_margins(machine: Machine) -> Machine:
    """The milling machine with the margins as further features. Versions up to format 2 can have them."""
    return machine.adjusted(features=PUBLISHED_LIMIT_MARGINS)

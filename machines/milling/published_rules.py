"""The published rules of AI4I 2020, which made the labels of three failure modes, and when a tool is replaced.

Source: S. Matzka, "Explainable Artificial Intelligence for Predictive Maintenance Applications", AI4I 2020. The operating
limits in machine.yaml are the same numbers.
"""

from math import pi

WATTS_PER_NM_RPM = 2 * pi / 60
"""Mechanical power is torque times angular speed; 1 rpm is 2 pi / 60 radians per second."""

HEAT_DISSIPATION_MIN_DIFFERENCE_K = 8.6
HEAT_DISSIPATION_MIN_SPEED_RPM = 1380.0
"""Heat dissipation fails below both: the difference of process and air temperature, and the speed."""

POWER_RANGE_W = (3500.0, 9000.0)
"""Power fails outside of it."""

OVERSTRAIN_LIMIT_MIN_NM = {"L": 11_000.0, "M": 12_000.0, "H": 13_000.0}
"""Tool wear times torque overstrains the tool above the limit of the product type: low, medium or high quality."""

TOOL_REPLACEMENT_FROM_MIN = 200.0
"""From this tool wear on, a tool is replaced or fails at a random time."""

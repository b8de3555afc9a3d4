"""The published rules are those of the description, and made the labels of AI4I 2020 and of the simulator."""

import numpy as np

from machines.milling import published_rules as rules
from machines.milling.oracle import INPUTS, violates_rules
from machines.milling.simulator import simulate
from predictive_maintenance.machine.milling import MILLING

EXPLAINED_MODES = ["heat_dissipation_failure", "power_failure", "overstrain_failure"]


def test_the_rules_are_the_operating_limits_of_the_description():
    limits = MILLING.description.operating_limits
    assert [(limit.name, limit.minimum, limit.maximum, limit.when) for limit in limits] == [
        ("heat_dissipation", rules.HEAT_DISSIPATION_MIN_DIFFERENCE_K, None,
         f"rotational_speed_rpm < {rules.HEAT_DISSIPATION_MIN_SPEED_RPM:g}"),
        ("power", rules.POWER_RANGE_W[0], None, None),
        ("power", None, rules.POWER_RANGE_W[1], None),
        ("strain", None, rules.OVERSTRAIN_LIMIT_MIN_NM, None),
        ("tool_wear", None, rules.TOOL_REPLACEMENT_FROM_MIN, None),
    ]  # fmt: skip


def test_the_oracle_reads_every_input_of_the_description():
    assert set(INPUTS) == set(MILLING.input_names)


def test_the_rules_explain_the_failure_modes_of_the_ai4i_file(ai4i_csv, read_rows):
    rows = read_rows(str(ai4i_csv))
    np.testing.assert_array_equal(violates_rules(rows), rows[EXPLAINED_MODES].any(axis=1).to_numpy())


def test_the_rules_explain_the_simulated_failure_modes():
    rows = simulate(20_000, seed=5)
    explained = violates_rules(rows)
    np.testing.assert_array_equal(explained, rows[EXPLAINED_MODES].any(axis=1).to_numpy())
    assert explained.any()

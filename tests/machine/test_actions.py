"""The actions of several exceeded limits are one list without repetition."""

import pytest

from predictive_maintenance.machine.actions import merged_actions


@pytest.mark.parametrize(
    ("actions", "merged"),
    [
        ((), ""),
        (("replace the tool",), "replace the tool"),
        (("replace the tool", "replace the tool"), "replace the tool"),
        (("heat the oil", "stop"), "heat the oil, and stop"),
        (("check the valve", "heat the oil", "stop"), "check the valve, heat the oil, and stop"),
        (("replace the tool or lower the torque", "replace the tool"), "replace the tool"),
        (("replace the tool", "replace the tool or lower the torque"), "replace the tool"),
        (
            ("lower torque or speed", "replace the tool or lower the torque", "replace the tool"),
            "lower torque or speed, and replace the tool",
        ),
        (("lower torque or speed", "lower the torque"), "lower torque or speed, and lower the torque"),
    ],
)
def test_actions_are_merged(actions, merged):
    assert merged_actions(actions) == merged


def test_no_combination_of_limits_repeats_an_action_or_loses_one(machine):
    actions = [limit.action for limit in machine.limits]
    for first in actions:
        for second in actions:
            merged = merged_actions((first, second))
            assert merged.count(first) <= 1
            for action in (first, second):
                assert any(part in merged for part in action.split(" or "))

"""Texts of the status page."""

import pytest

from app.schemas.model import GateCheck
from dashboard.system_state import required_values


def check(name, required):
    return GateCheck(name=name, level="candidate", measured="0.8", required=required, passed=True, why="it is")


def test_required_values_are_those_of_the_checks_on_held_out_rows():
    checks = [
        check("Recall on held-out rows", ">= 0.7"),
        check("F1 on held-out rows", ">= 0.6"),
        check("Lower bound of recall on out-of-fold rows", ">= 0.65"),
    ]
    assert required_values(checks) == {"recall": ">= 0.7", "f1": ">= 0.6"}


@pytest.mark.parametrize("name", ["Recall lower bound, out-of-fold", "Earns the place", "A check of another release"])
def test_checks_with_former_or_unknown_names_are_not_taken_for_another_check(name):
    assert required_values([check(name, ">= 0.9")]) == {}

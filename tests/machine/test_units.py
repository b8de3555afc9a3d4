"""Units are known, converted exactly, and agree within formulas and limits."""

import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.units import header_units

DESCRIPTION = """
name: rig
model_name: rig
units: [part]
sensors:
  force: {{label: Force, unit: N, range: [0, 100]}}
  arm: {{label: Arm, unit: m, range: [0, 2]}}
  turns: {{label: Speed, unit: rpm, range: [0, 100]}}
  inside: {{label: Inside, unit: °C, range: [0, 100]}}
  outside: {{label: Outside, unit: K, range: [200, 400]}}
  made: {{label: Parts, unit: part, range: [0, 1000]}}
  wear: {{label: Wear, unit: "%", range: [0, 100]}}
  anything: {{label: Anything, range: [0, 1]}}
features:
  result:
    label: Result
    unit: {unit}
    formula: {formula}
label: {{column: failed}}
"""


def parsed(formula, unit='""'):
    return parse_machine(DESCRIPTION.format(formula=formula, unit=unit), "rig.yaml")


def refusal(formula, unit='""'):
    with pytest.raises(ConfigError) as refused:
        parsed(formula, unit)
    return str(refused.value)


@pytest.mark.parametrize(
    ("formula", "unit"),
    [
        ("force * arm * turns * (2 * pi / 60)", "W"),
        ("force * arm", "Nm"),
        ("force * arm * made / turns", "min Nm part"),
        ("inside - outside", "K"),
        ("inside + 273.15", "K"),
        ("max(outside - 300, inside, 0)", "K"),
        ("sqrt(arm ** 2 + arm * 3 * arm)", "mm"),
        ("force / arm ** 2", "Pa"),
        ("force / arm ** 2", "bar"),
        ("arm * turns", "m/s"),
        ("arm * turns ** 2", "mm/s²"),
        ("arm * turns ** 2", "m/s^2"),
        ("made / turns", "part*min"),
        ("log(force / 10) + exp(wear)", '""'),
        ("anything + force", "N"),
        ("force + anything", '""'),
        ("force / force", '"%"'),
        ("1 / turns", "s"),
    ],
)
def test_units_that_agree_are_accepted(formula, unit):
    parsed(formula, unit)


@pytest.mark.parametrize(
    "unit", ["9**9**9", "K * 9 ** 99999999", "9^9^9", "m**1e9", "1e999²999", "m**99", "((9)**9)**9", "9999999 m"]
)
def test_a_unit_with_a_huge_number_is_refused_without_calculating_it(unit):
    assert f"unit {unit!r} is not known" in refusal("force * arm", f'"{unit}"')


@pytest.mark.parametrize("unit", ["m++", "degC ^0", "(", "m[0]", "import os", "km^", "()"])
def test_a_text_that_pint_cannot_read_is_refused(unit):
    assert f"unit {unit!r} is not known" in refusal("force * arm", f'"{unit}"')


@pytest.mark.parametrize(
    ("formula", "unit", "message"),
    [
        ("outside + turns", "K", "the formula of result adds outside in K and turns in rpm"),
        ("force - arm", "N", "the formula of result subtracts force in N and arm in m"),
        ("min(1, force, arm)", "N", "the formula of result compares force in N and arm in m"),
        ("force * arm + force", "Nm", "the formula of result adds a value of length^2 mass/time^2 and force in N"),
        ("made + wear", "part", "the formula of result adds made in part and wear in %"),
        (
            "force * arm",
            "N",
            "the unit of result is N (length mass/time^2), but its formula gives length^2 mass/time^2",
        ),
        ("1 / turns", "rpm", "the unit of result is rpm (1/time), but its formula gives time"),
        ("force / force", "N", "the unit of result is N (length mass/time^2), but its formula gives a ratio"),
    ],
)
def test_units_that_disagree_are_refused_with_the_formula(formula, unit, message):
    assert refusal(formula, unit) == f"rig.yaml, line {18 if message.startswith('the formula') else 17}: {message}"


@pytest.mark.parametrize("unit", ["Newton metres", "foo(", "1 +", "[K]", "m**", "a b c d q", "__import__('os')"])
def test_an_unknown_unit_is_refused(unit):
    assert refusal("force + 1", f'"{unit}"').startswith(f"rig.yaml, line 17: result: unit {unit!r} is not known: ")


@pytest.mark.parametrize(
    ("canonical", "header", "conversion"),
    [
        ("K", "degc", (1.0, 273.15)),
        ("°C", "k", (1.0, -273.15)),
        ("°F", "c", (1.8, 32.0)),
        ("Nm", "knm", (1000.0, 0.0)),
        ("kNm", "nm", (0.001, 0.0)),
        ("bar", "psi", (0.06894757293168362, 0.0)),
        ("MPa", "bar", (0.1, 0.0)),
        ("mm", "um", (0.001, 0.0)),
        ("µm", "um", (1.0, 0.0)),
        ("mm/s", "ins", (25.4, 0.0)),
        ("m/s²", "g", (9.80665, 0.0)),
        ("h", "min", (1 / 60, 0.0)),
        ("l/min", "m3h", (1000 / 60, 0.0)),
    ],
)
def test_a_conversion_is_exact(canonical, header, conversion):
    assert header_units(canonical, ())[header] == conversion


def test_a_unit_with_the_key_of_another_one_is_not_taken_for_it():
    assert header_units("mPa", ()) == {"mpa": (1.0, 0.0)}  # not megapascal
    assert header_units("ms", ()) == {"ms": (1.0, 0.0)}  # not metres per second
    assert header_units("min", ("min",)) == {"min": (1.0, 0.0)}  # a unit of the machine's own

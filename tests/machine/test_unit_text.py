"""Units are shown as people write them."""

import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.machine.unit_hints import conversion_hint
from predictive_maintenance.machine.unit_text import unit_text
from predictive_maintenance.monitoring.drift import Finding
from predictive_maintenance.monitoring.texts import finding_text
from tests.fixtures.pumps import DESCRIPTION, pump


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("degC", "°C"), ("degC/h", "°C/h"), ("degF", "°F"), ("degR", "°R"), ("m^3/h", "m³/h"), ("m**3/h", "m³/h"),
        ("m3/h", "m³/h"), ("m/s^2", "m/s²"), ("mm/s2", "mm/s²"), ("s^-1", "s⁻¹"), ("kg*m ** 2", "kg·m²"), ("um", "µm"),
        ("uV/s", "µV/s"), ("in^2", "in²"),
    ],
)  # fmt: skip
def test_a_unit_has_the_signs_of_printed_text(unit, text):
    assert unit_text(unit) == text


@pytest.mark.parametrize(
    "unit",
    [
        "", "K", "°C", "min Nm", "lb/s/psi", "1/min", "%", "mmH2O", "H2", "m³/h", "run", "V/Hz^0.5", "V/Hz**0.5",
        "V / Hz ** 0.5", "m**12", "cycle",
    ],
)  # fmt: skip
def test_other_units_stay_as_they_are(unit):
    assert unit_text(unit) == unit


def test_the_reasons_of_a_rejected_value_and_of_an_exceeded_limit_are_for_people():
    limits = "operating_limits: [{name: low, label: Low flow, measure: flow, minimum: 20, action: prime the pump}]"
    machine = parse_machine(f"{DESCRIPTION}{limits}\n")
    assert machine.range_reason("flow") == "outside of the physical limits 0 to 100 m³/h"
    (limit,) = machine.limits
    assert (limit.allowed, limit.unit) == ("20 m³/h or more", "m^3/h")


def test_hints_and_findings_are_for_people():
    assert conversion_hint(pump().columns["flow"], (20, 80), 1000.0).endswith(": convert it to m³/h")
    change = {"effect": 2.0, "low": 1.0, "high": 3.0, "limit": 0.5, "before": 50.0, "now": 60.0}
    shown = finding_text(Finding(kind="distribution", column="flow", **change), pump())
    assert "mean 60 m³/h, in training 50 m³/h" in shown


def test_a_description_and_its_headers_keep_the_unit_as_written():
    machine = pump()
    assert (machine.unit("flow"), machine.header("flow")) == ("m^3/h", "Flow [m^3/h]")

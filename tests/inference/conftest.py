"""Machines that differ in their inputs, with readings of each: few and many, with and without categories."""

from dataclasses import dataclass
from typing import Any

import pytest

from predictive_maintenance.config.machine_file import load_machine
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.machines import random_readings, records
from tests.fixtures.wide_machines import wide_machine
from tests.paths import REPOSITORY

MACHINES = {
    "milling": lambda: MILLING,
    "compressor": lambda: load_machine(REPOSITORY / "tests" / "machines" / "compressor" / "machine.yaml"),
    "12 sensors": lambda: wide_machine(12, features="  rise: {label: Rise, formula: s2 - s1}"),
    "100 sensors": lambda: wide_machine(100, categories=10),
}


@dataclass(frozen=True)
class Readings:
    """A machine, a sample of its readings by column with labels, and single readings."""

    machine: Machine
    sample: dict[str, list[Any]]
    single: list[dict[str, Any]]


@pytest.fixture(scope="session", params=MACHINES)
def any_machine(request) -> Readings:
    """One machine after the other."""
    return readings_of(MACHINES[request.param]())


def readings_of(machine: Machine) -> Readings:
    rows = random_readings(machine, 300, seed=4)
    sample = {name: [None if value != value else value for value in rows[name]] for name in rows}
    sample[machine.description.label.column] = [int(row % 7 == 0) for row in range(len(rows))]
    return Readings(machine, sample, records(random_readings(machine, 8, seed=5))[2:])

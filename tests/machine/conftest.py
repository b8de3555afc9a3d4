"""Machines that differ in everything: generic tests run on each of them."""

import pytest

from predictive_maintenance.config.machine_file import load_machine
from tests.paths import REPOSITORY

FILES = {
    "milling": REPOSITORY / "machines" / "milling" / "machine.yaml",
    "compressor": REPOSITORY / "tests" / "machines" / "compressor" / "machine.yaml",
}


@pytest.fixture(scope="session")
def machines():
    """The machine of each description by name."""
    return {name: load_machine(path) for name, path in FILES.items()}


@pytest.fixture(params=list(FILES))
def machine(request, machines):
    """One machine after the other."""
    return machines[request.param]


@pytest.fixture
def compressor(machines):
    return machines["compressor"]

"""A column whose values are all in another unit is found, whatever the batches."""

import numpy as np
import pytest

from predictive_maintenance.config.machine_file import load_machine
from predictive_maintenance.inference.unit_check import UnitCheck
from tests.paths import REPOSITORY


@pytest.fixture(scope="module")
def compressor():
    return load_machine(REPOSITORY / "tests" / "machines" / "compressor" / "machine.yaml")


@pytest.fixture
def hints(compressor):
    """The hints for batches of inlet pressures under a header."""

    def check(header, *batches):
        match = compressor.match_headers([header])
        _, scale, offset = match.columns["inlet_pa"]
        limits = {name: sensor.range for name, sensor in compressor.description.sensors.items()}
        units = UnitCheck(compressor.columns, match, limits)
        for batch in batches:
            units.add({"inlet_pa": np.array(batch) * scale + offset})
        return units.hints()

    return check


def test_values_that_fit_in_another_unit_get_a_hint_with_the_header_to_write(hints):
    (hint,) = hints("p1", [1.5, 2.5], [np.nan, 7.25, np.inf])
    assert hint == (
        "every value of 'p1' is outside of 20000 to 2000000 Pa; the values 1.5 to 7.25 look like bar: write the unit in "
        "the header, for example 'p1 [bar]'"
    )


def test_a_wrong_unit_in_the_header_gets_a_hint(hints):
    assert (
        "look like Pa: write the unit in the header, for example 'p1 [Pa]'"
        in hints("p1 [bar]", [100_000.0, 300_000.0])[0]
    )


@pytest.mark.parametrize(
    "batches",
    [
        [[100_000.0], [2.5]],
        [[2.5], [100_000.0]],
        [[2.5, 1e300]],
        [[np.nan, np.nan]],
        [[]],
    ],
    ids=["one value is within the range", "a later value is", "no unit fits all", "no value", "no row"],
)
def test_other_values_get_no_hint(hints, batches):
    assert hints("p1", *batches) == []

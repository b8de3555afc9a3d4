"""The range and the resolution that are proposed for a sensor."""

import numpy as np
import pyarrow as pa
import pytest

from predictive_maintenance.drafting.column_profile import profile
from predictive_maintenance.drafting.ranges import scale_of


def column(*texts: str, decimal: str = "."):
    return profile("x", [(pa.chunked_array([list(texts)], pa.string()), decimal)])


@pytest.mark.parametrize(
    ("texts", "unit", "proposed"),
    [
        (("3.8", "76.6"), "Nm", (0, 150)),
        (("-3", "4"), "K", (-10, 11)),
        (("-8", "-3"), "", (-13, 0)),
        (("1e6", "1.4e6"), "Pa", (600_000, 1_800_000)),
        (("0.0001", "0.0003"), "m", (0, 0.0005)),
        (("-200", "20"), "°C", (-273.15, 300)),
        (("40", "90"), "%", (0, 100)),
        (("0.1", "0.3"), "", (0, 0.5)),
    ],
)
def test_the_range_is_the_datas_widened_by_its_width(texts, unit, proposed):
    assert scale_of(column(*texts), unit).range == proposed


@pytest.mark.parametrize(
    ("texts", "resolution"),
    [
        (("1.5", "22.25"), 0.01),
        (("1.50", "22.20"), 0.01),
        (("1500", "2100"), 1),
        (("1.2e-4", "3.1e-4"), 1e-5),
        (("0.123456789012", "0.987654321098"), None),
        (("1", "2"), None),
    ],
)
def test_the_resolution_is_the_last_decimal(texts, resolution):
    assert scale_of(column(*texts), "").resolution == resolution


def test_a_few_unrounded_numbers_do_not_change_the_resolution():
    texts = [f"{20 + place % 50 / 10:.1f}" for place in range(500)]
    assert scale_of(column(*texts, "20.30000000000000004"), "").resolution == 0.1


def test_decimal_commas_count_as_decimals():
    assert scale_of(column("1,25", "8,50", decimal=","), "").resolution == 0.01


def test_a_repeated_extreme_that_loggers_write_for_missing_is_not_in_the_range():
    scale = scale_of(column("20", "22", "25", "-999", "-999"), "")
    assert scale.range == (15, 30)
    assert "-999 may stand for a missing value" in scale.notes[0]


def test_an_extreme_near_the_other_values_is_in_the_range():
    scale = scale_of(column("-5", "3", "-1", "-1", "4"), "")
    assert (scale.lowest, scale.notes) == (-5, ())


@pytest.mark.parametrize("seed", range(20))
def test_all_values_are_within_the_range(seed):
    generator = np.random.default_rng(seed)
    values = generator.normal(10.0 ** generator.integers(-8, 8), 10.0 ** generator.integers(-8, 8), 50)
    low, high = scale_of(column(*map(str, values)), "").range
    assert low <= values.min() <= values.max() <= high

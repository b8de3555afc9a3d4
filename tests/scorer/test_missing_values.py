"""A warning says that optional sensors are missing far more or less often than in training."""

import numpy as np

from predictive_maintenance.scorer.missing_values import MissingValues


def warnings(small, rows):
    counted = MissingValues(small.scorer)
    for part in np.array_split(np.arange(len(rows)), 3):
        counted.add(rows.iloc[part], len(part))
    return list(counted.warnings())


def test_rows_as_in_training_have_no_warning(small_compressor):
    assert warnings(small_compressor, small_compressor.rows.test) == []


def test_a_sensor_that_is_missing_more_often_is_named_with_both_shares(small_compressor):
    rows = small_compressor.rows.test.assign(oil_degc=np.nan)
    (warning,) = warnings(small_compressor, rows)
    assert warning.startswith(f"Oil temperature is missing in 100% of the {len(rows):,} scored rows, but in 3")


def test_a_sensor_without_a_column_is_missing_in_every_row(small_compressor):
    rows = small_compressor.rows.test.drop(columns=["oil_degc", "humidity"])
    found = warnings(small_compressor, rows)
    assert [text.split(" is missing in ")[0] for text in found] == ["Oil temperature", "Humidity"]


def test_a_sensor_that_is_missing_less_often_has_a_warning(small_compressor):
    rows = small_compressor.rows.test.fillna({"humidity": 0.5})
    assert warnings(small_compressor, rows)[0].startswith("Humidity is missing in 0% of the ")


def test_few_rows_have_no_warning(small_compressor):
    assert warnings(small_compressor, small_compressor.rows.test.head(99).assign(oil_degc=np.nan)) == []


def test_the_milling_machine_has_no_optional_sensor_and_no_warning(small):
    assert small.scorer.spec.missing_shares == {}
    assert warnings(small, small.rows.test) == []

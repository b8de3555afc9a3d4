"""A warning says that optional sensors are missing where they were not in training, or far more or less often."""

import json

import numpy as np

from predictive_maintenance.scorer.missing_values import MissingValues, unusual_missing_values
from predictive_maintenance.scorer.scoring import Scorer


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


def test_only_sensors_that_were_missing_in_a_few_percent_of_training_have_a_warning_for_a_single_value(
    small_compressor,
):
    spec = json.loads(small_compressor.files["scorer.json"])
    spec["missing_shares"] = {"oil_degc": 0.05, "vibration_mm_s": 0.051, "humidity": 0.0}
    scorer = Scorer.from_files(small_compressor.files | {"scorer.json": json.dumps(spec).encode()})
    warnings = unusual_missing_values(scorer)
    assert set(warnings) == {"oil_degc", "humidity"}
    assert warnings["oil_degc"].startswith("Oil temperature is missing here, but in only 5.0% of the rows ")


def test_a_version_without_shares_has_no_warning_for_a_single_value(small_compressor):
    spec = json.loads(small_compressor.files["scorer.json"])
    del spec["missing_shares"]
    scorer = Scorer.from_files(small_compressor.files | {"scorer.json": json.dumps(spec).encode()})
    assert unusual_missing_values(scorer) == {}

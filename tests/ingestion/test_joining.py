"""A joined source adds columns to readings. Missing and conflicting rows affect these readings only, not the run."""

import json

import pandas as pd
import pytest

from predictive_maintenance.config.params import CleaningSettings
from predictive_maintenance.validation.cleaning import clean


@pytest.fixture
def halves(write, csv_text):
    """The small data set in two files: sensors, and labels in another order."""
    headers, *rows = [line.split(",") for line in csv_text().splitlines()]
    sensors = write(csv_text([row[:8] for row in rows], headers[:8]), "sensors.csv")
    labels = write(csv_text([[row[0], row[8]] for row in reversed(rows)], [headers[0], headers[8]]), "labels.csv")
    return sensors, labels


def test_a_join_adds_columns_to_the_same_reading(write, ingest_uris, halves):
    sensors, labels = halves
    joined = ingest_uris(sensors, f"join:{labels}")
    expected = ingest_uris(write()).frame.drop(columns="source")
    pd.testing.assert_frame_equal(joined.frame.drop(columns="source"), expected, check_like=True)
    assert [record.merge for record in joined.records] == ["append", "join"]


def test_a_reading_without_a_row_in_the_join_has_a_fault(write, ingest_uris, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\n1,0\n2,0\n4,1\n", "labels.csv")
    (fault,) = ingest_uris(sensors, f"join:{labels}").faults.to_dict("records")
    assert (fault["position"], fault["column"]) == (2, "machine_failure")
    assert fault["reason"] == "missing: the join has no row for this reading"


def test_faults_of_a_joined_source_are_assigned_to_their_reading(write, ingest_uris, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\n4,1\n3,broken\n2,0\n1,0\n", "labels.csv")
    (fault,) = ingest_uris(sensors, f"join:{labels}").faults.to_dict("records")
    assert (fault["position"], fault["value"], fault["reason"]) == (2, "broken", "not a number")


def test_exact_duplicates_in_a_joined_source_are_ignored(write, ingest_uris, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\n1,0\n1,0\n2,0\n3,0\n4,1\n", "labels.csv")
    assert ingest_uris(sensors, f"join:{labels}").frame["machine_failure"].tolist() == [0, 0, 0, 1]


@pytest.fixture
def joined(write, ingest_uris, halves):
    """Join labels, given as lines of text, to the small data set's sensors."""

    def join_labels(lines):
        return ingest_uris(halves[0], f"join:{write(f'UDI,Machine failure{chr(10)}{lines}', 'labels.csv')}")

    return join_labels


def test_conflicting_rows_of_a_join_are_quarantined_and_their_reading_has_a_fault(joined):
    ingested = joined("1,0\n2,0\n3,0\n3,broken\n4,1\n")
    assert ingested.quarantined[["row", "reading_id", "column", "value"]].to_numpy().tolist() == [
        [3, "3", "reading_id", "3"],
        [4, "3", "reading_id", "3"],
    ]
    assert set(ingested.quarantined["reason"]) == {"the same reading with other values"}
    assert [json.loads(record)["machine_failure"] for record in ingested.quarantined["record"]] == [0, "broken"]
    (fault,) = ingested.faults.to_dict("records")
    assert (fault["position"], fault["column"], fault["value"]) == (2, "machine_failure", "")
    assert fault["reason"] == "missing: the join has conflicting rows for this reading"


def test_a_row_of_a_join_without_an_id_is_quarantined(joined):
    ingested = joined("1,0\n,1\n2,0\nn/a,1\n3,0\n4,1\n")
    assert ingested.quarantined[["row", "value", "reason"]].to_numpy().tolist() == [
        [2, "", "missing"],
        [4, "n/a", "missing"],
    ]
    assert ingested.faults.empty
    assert ingested.frame["machine_failure"].tolist() == [0, 0, 0, 1]


def test_a_reading_without_an_id_is_not_joined_to_a_row_without_one(write, ingest_uris, halves):
    sensors, _ = halves
    sensors.write_text(sensors.read_text().replace("\n3,", "\n,"))
    labels = write("UDI,Machine failure\n1,0\n,1\n2,0\n4,1\n", "labels.csv")
    ingested = ingest_uris(sensors, f"join:{labels}")
    assert ingested.frame["machine_failure"].isna().tolist() == [False, False, True, False]
    assert ingested.quarantined["row"].tolist() == [2]


def test_labels_without_a_reading_are_counted(joined):
    sensors, labels = joined("1,0\n2,0\n3,0\n4,1\n5,0\n6,1\n6,1\n").records
    assert (sensors.unmatched_rows, labels.unmatched_rows) == (0, 3)
    assert sensors.summary().endswith("sensors.csv (append)")
    assert labels.summary().endswith("labels.csv (join), 3 of them without a matching reading")


def test_rows_without_a_reading_are_counted_by_file(write, ingest_uris, halves, tmp_path):
    write("UDI,Machine failure\n1,0\n2,0\n9,0\n", "labels/a.csv")
    write("UDI,Machine failure\n3,0\n4,1\n", "labels/b.csv")
    records = ingest_uris(halves[0], f"join:{tmp_path / 'labels' / '*.csv'}").records
    assert [record.unmatched_rows for record in records] == [0, 1, 0]


def test_no_row_of_a_join_is_lost(joined, params):
    ingested = joined("1,0\n2,0\n3,0\n3,1\n,0\n9,0\n4,1,too many\n")
    (_, labels) = ingested.records
    assert labels.rows == 2 + 2 + 1 + labels.unmatched_rows  # joined, conflicting, without an id
    assert len(ingested.quarantined) == 4
    cleaned = clean(ingested, params.machine, CleaningSettings(max_quarantined_share=1.0))
    assert len(cleaned.frame) == 2
    assert cleaned.quarantined_rows == 6


@pytest.mark.parametrize("side", ["sensors.csv", "labels.csv"])
def test_a_join_without_reading_ids_is_an_error_that_names_the_source(ingest_error, halves, side):
    incomplete = next(path for path in halves if path.name == side)
    incomplete.write_text(incomplete.read_text().replace("UDI", "whatever"))
    sensors, labels = halves
    message = ingest_error(sensors, f"join:{labels}")
    assert f"{side}: no column of reading ids" in message


def test_a_join_without_reading_ids_in_one_of_several_files_is_an_error_that_names_it(
    write, ingest_error, halves, csv_text
):
    sensors, labels = halves
    without = write(sensors.read_text().replace("UDI", "whatever"), "without.csv")
    assert "without.csv: no column of reading ids" in ingest_error(sensors, without, f"join:{labels}")


def test_a_join_with_an_existing_column_is_an_error(write, ingest_error):
    other = write("UDI,Torque\n1,10\n", "other.csv")
    message = ingest_error(write(), f"join:{other}")
    assert "other.csv: torque_nm is already in an earlier source" in message


def test_a_join_without_other_columns_is_an_error(write, ingest_error):
    other = write("UDI,Ort\n1,Ulm\n", "other.csv")
    assert "nothing to join" in ingest_error(write(), f"join:{other}")


def test_a_join_with_other_ids_is_an_error_with_an_example_of_each(write, ingest_error, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\nS1,0\nS2,0\n", "labels.csv")
    message = ingest_error(sensors, f"join:{labels}")
    assert "labels.csv: contains only 0 of 4 reading ids (readings have ids such as '1', this source 'S1')" in message


def test_a_join_without_any_id_is_an_error(write, ingest_error, halves):
    labels = write("UDI,Machine failure\n,0\n,1\n", "labels.csv")
    assert (
        "labels.csv: contains only 0 of 4 reading ids (readings have ids such as '1', this source None)"
        in ingest_error(halves[0], f"join:{labels}")
    )

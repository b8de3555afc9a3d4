"""A joined source adds columns to the same readings; what it contradicts or lacks costs these rows, not the run."""

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


def test_a_join_brings_columns_to_the_same_reading(write, pull, halves):
    sensors, labels = halves
    joined = pull(sensors, f"join:{labels}")
    expected = pull(write()).frame.drop(columns="source")
    pd.testing.assert_frame_equal(joined.frame.drop(columns="source"), expected, check_like=True)
    assert [record.merge for record in joined.records] == ["append", "join"]


def test_readings_that_a_join_does_not_know_are_faults(write, pull, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\n1,0\n2,0\n4,1\n", "labels.csv")
    (fault,) = pull(sensors, f"join:{labels}").faults.to_dict("records")
    assert (fault["position"], fault["column"]) == (2, "machine_failure")
    assert fault["reason"] == "missing: the join has no such reading"


def test_faults_of_a_joined_source_move_to_the_reading_they_belong_to(write, pull, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\n4,1\n3,broken\n2,0\n1,0\n", "labels.csv")
    (fault,) = pull(sensors, f"join:{labels}").faults.to_dict("records")
    assert (fault["position"], fault["value"], fault["reason"]) == (2, "broken", "not a number")


def test_exact_repetitions_in_a_joined_source_are_harmless(write, pull, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\n1,0\n1,0\n2,0\n3,0\n4,1\n", "labels.csv")
    assert pull(sensors, f"join:{labels}").frame["machine_failure"].tolist() == [0, 0, 0, 1]


@pytest.fixture
def joined(write, pull, halves):
    """The small data set's sensors, joined with labels given as lines of text."""

    def join_labels(lines):
        return pull(halves[0], f"join:{write(f'UDI,Machine failure{chr(10)}{lines}', 'labels.csv')}")

    return join_labels


def test_rows_of_a_join_that_contradict_each_other_are_set_aside_with_their_reading(joined):
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


def test_a_row_of_a_join_without_an_id_is_set_aside(joined):
    ingested = joined("1,0\n,1\n2,0\nn/a,1\n3,0\n4,1\n")
    assert ingested.quarantined[["row", "value", "reason"]].to_numpy().tolist() == [
        [2, "", "missing"],
        [4, "n/a", "missing"],
    ]
    assert ingested.faults.empty
    assert ingested.frame["machine_failure"].tolist() == [0, 0, 0, 1]


def test_a_reading_without_an_id_does_not_meet_a_row_of_a_join_without_one(write, pull, halves):
    sensors, _ = halves
    sensors.write_text(sensors.read_text().replace("\n3,", "\n,"))
    labels = write("UDI,Machine failure\n1,0\n,1\n2,0\n4,1\n", "labels.csv")
    ingested = pull(sensors, f"join:{labels}")
    assert ingested.frame["machine_failure"].isna().tolist() == [False, False, True, False]
    assert ingested.quarantined["row"].tolist() == [2]


def test_labels_of_readings_that_are_not_asked_for_are_counted(joined):
    sensors, labels = joined("1,0\n2,0\n3,0\n4,1\n5,0\n6,1\n6,1\n").records
    assert (sensors.unmatched_rows, labels.unmatched_rows) == (0, 3)
    assert sensors.summary().endswith("sensors.csv (append)")
    assert labels.summary().endswith("labels.csv (join), 3 of them for no reading that is here")


def test_rows_that_are_not_asked_for_are_counted_by_file(write, pull, halves, tmp_path):
    write("UDI,Machine failure\n1,0\n2,0\n9,0\n", "labels/a.csv")
    write("UDI,Machine failure\n3,0\n4,1\n", "labels/b.csv")
    records = pull(halves[0], f"join:{tmp_path / 'labels' / '*.csv'}").records
    assert [record.unmatched_rows for record in records] == [0, 1, 0]


def test_no_row_of_a_join_is_lost(joined, params):
    ingested = joined("1,0\n2,0\n3,0\n3,1\n,0\n9,0\n4,1,too many\n")
    (_, labels) = ingested.records
    assert labels.rows == 2 + 2 + 1 + labels.unmatched_rows  # met, contradictory, without an id
    assert len(ingested.quarantined) == 4
    cleaned = clean(ingested, params.columns.limits, CleaningSettings(max_quarantined_share=1.0))
    assert len(cleaned.frame) == 2
    assert cleaned.quarantined_rows == 6


@pytest.mark.parametrize("side", ["sensors.csv", "labels.csv"])
def test_a_join_without_reading_ids_is_refused_by_the_side_that_lacks_them(refusal, halves, side):
    lacking = next(path for path in halves if path.name == side)
    lacking.write_text(lacking.read_text().replace("UDI", "whatever"))
    sensors, labels = halves
    told = refusal(sensors, f"join:{labels}")
    assert f"{side}: a join needs a column of reading ids" in told


def test_a_join_is_refused_by_the_one_of_several_files_that_lacks_reading_ids(write, refusal, halves, csv_text):
    sensors, labels = halves
    without = write(sensors.read_text().replace("UDI", "whatever"), "without.csv")
    assert "without.csv: a join needs" in refusal(sensors, without, f"join:{labels}")


def test_a_join_with_a_column_that_is_already_there_is_refused(write, refusal):
    other = write("UDI,Torque\n1,10\n", "other.csv")
    told = refusal(write(), f"join:{other}")
    assert "other.csv: torque_nm is already there" in told


def test_a_join_that_brings_nothing_is_refused(write, refusal):
    other = write("UDI,Ort\n1,Ulm\n", "other.csv")
    assert "nothing to join" in refusal(write(), f"join:{other}")


def test_a_join_whose_ids_never_meet_is_refused_with_an_example_of_each(write, refusal, halves):
    sensors, _ = halves
    labels = write("UDI,Machine failure\nS1,0\nS2,0\n", "labels.csv")
    told = refusal(sensors, f"join:{labels}")
    assert "labels.csv: only 0 of 4 reading ids are found in it (here '1', there 'S1')" in told


def test_a_join_that_has_no_id_at_all_is_refused(write, refusal, halves):
    labels = write("UDI,Machine failure\n,0\n,1\n", "labels.csv")
    assert "labels.csv: only 0 of 4 reading ids are found in it (here '1', there None)" in refusal(
        halves[0], f"join:{labels}"
    )

"""Bad rows are quarantined with the reason, duplicates are dropped and counted, and no row is lost."""

import json
import tracemalloc

import pytest

from predictive_maintenance.config.params import CleaningSettings
from predictive_maintenance.errors import DataError
from predictive_maintenance.validation.cleaning import clean

LENIENT = CleaningSettings(max_quarantined_share=1.0)


@pytest.fixture
def cleaned(write, csv_text, with_cell, ingest_uris, params):
    """Clean the four rows of the sample file, with some cells replaced or lines added."""

    def clean_rows(cells=(), more="", settings=LENIENT, text=None):
        text = text or csv_text(with_cell(dict(cells))) + more
        return clean(ingest_uris(write(text)), params.machine, settings)

    return clean_rows


def strict_json(text):
    """Parse JSON, and fail on NaN, which Python accepts but JSON does not allow."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_good_rows_are_unchanged(cleaned):
    result = cleaned()
    assert len(result.frame) == result.ingested_rows == 4
    assert (result.quarantined_rows, result.collapsed_duplicates, result.quarantined_share) == (0, 0, 0.0)
    assert result.frame["machine_failure"].dtype == "int8"


@pytest.mark.parametrize(
    ("header", "cell", "column", "reason"),
    [
        ("Torque [Nm]", "broken", "torque_nm", "not a number"),
        ("Torque [Nm]", "1,551", "torque_nm", "not a number"),
        ("Torque [Nm]", "", "torque_nm", "missing"),
        ("Torque [Nm]", "nan", "torque_nm", "missing"),
        ("Torque [Nm]", "NULL", "torque_nm", "missing"),
        ("UDI", "", "reading_id", "missing"),
        ("Type", "", "product_type", "missing"),
        ("Type", "X", "product_type", "not one of L, M, H"),
        ("Torque [Nm]", "501", "torque_nm", "outside of the physical limits 0 to 500 Nm"),
        ("Torque [Nm]", "-0.1", "torque_nm", "outside of the physical limits 0 to 500 Nm"),
        ("Air temperature [K]", "25", "air_temperature_k", "outside of the physical limits 230 to 350 K"),
        ("Rotational speed [rpm]", "inf", "rotational_speed_rpm", "infinite"),
        ("Rotational speed [rpm]", "-Infinity", "rotational_speed_rpm", "infinite"),
        ("Rotational speed [rpm]", "1e999", "rotational_speed_rpm", "infinite"),
        ("Machine failure", "2", "machine_failure", "not 0 or 1"),
        ("Machine failure", "0.5", "machine_failure", "not 0 or 1"),
        ("Machine failure", "maybe", "machine_failure", "not a number"),
        ("Machine failure", "", "machine_failure", "missing"),
    ],
)
def test_a_row_with_a_bad_cell_is_quarantined_with_the_reason(cleaned, header, cell, column, reason):
    cell = f'"{cell}"' if "," in cell else cell
    result = cleaned({(2, header): cell})
    assert result.frame["row"].tolist() == [1, 3, 4]
    assert result.quarantined_rows == 1
    (line,) = result.quarantine.to_dict("records")
    assert (line["row"], line["column"], line["reason"]) == (2, column, reason)


def test_true_and_false_are_valid_labels(cleaned):
    result = cleaned({(1, "Machine failure"): "TRUE", (2, "Machine failure"): "false"})
    assert result.frame["machine_failure"].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("torque", ["0", "500"])
def test_the_physical_limits_are_inclusive(cleaned, torque):
    assert len(cleaned({(2, "Torque [Nm]"): torque}).frame) == 4


def test_the_quarantine_has_the_source_the_reading_and_the_raw_value(cleaned):
    (line,) = cleaned({(2, "Torque [Nm]"): "broken"}).quarantine.to_dict("records")
    assert line["source"].endswith("readings.csv")
    assert (line["reading_id"], line["value"]) == ("2", "broken")


def test_the_record_is_the_whole_row_as_json(cleaned):
    (line,) = cleaned({(2, "Torque [Nm]"): "broken"}).quarantine.to_dict("records")
    assert strict_json(line["record"]) == {
        "reading_id": "2", "product_type": "L", "air_temperature_k": 298.2, "process_temperature_k": 308.7,
        "rotational_speed_rpm": 1408.0, "torque_nm": "broken", "tool_wear_min": 3.0, "machine_failure": 0.0,
    }  # fmt: skip


def test_a_row_with_two_bad_cells_has_two_lines_and_each_record_has_both_raw_values(cleaned):
    result = cleaned({(2, "Torque [Nm]"): "broken", (2, "Tool wear [min]"): "worn"})
    assert result.quarantined_rows == 1
    assert sorted(result.quarantine["column"]) == ["tool_wear_min", "torque_nm"]
    for record in result.quarantine["record"]:
        row = strict_json(record)
        assert (row["torque_nm"], row["tool_wear_min"]) == ("broken", "worn")


def test_exact_duplicates_are_dropped_and_counted(cleaned, csv_text):
    result = cleaned(more=csv_text().splitlines()[2] + "\n" + csv_text().splitlines()[2] + "\n")
    assert result.frame["reading_id"].tolist() == ["1", "2", "3", "4"]
    assert (result.collapsed_duplicates, result.quarantined_rows) == (2, 0)


def test_contradictory_rows_of_one_reading_are_all_quarantined(cleaned):
    result = cleaned(more="2,L47181,L,298.2,308.7,1408,99.9,3,0\n")
    assert result.frame["reading_id"].tolist() == ["1", "3", "4"]
    assert result.quarantine["row"].tolist() == [2, 5]
    assert set(result.quarantine["reason"]) == {"the same reading with other values"}


def test_rows_without_ids_may_repeat_within_a_file(cleaned, csv_text):
    text = csv_text().replace("UDI", "whatever")
    result = cleaned(text=text + text.splitlines()[1] + "\n")
    assert (len(result.frame), result.collapsed_duplicates) == (5, 0)


@pytest.fixture
def cleaned_files(write, ingest_uris, params):
    """Clean several texts, each as one file."""

    def clean_texts(*texts):
        paths = [write(text, f"{number}.csv") for number, text in enumerate(texts)]
        return clean(ingest_uris(*paths), params.machine, LENIENT)

    return clean_texts


def test_rows_without_ids_that_are_in_two_files_are_duplicates(cleaned_files, csv_text):
    text = csv_text().replace("UDI", "whatever")
    result = cleaned_files(text, text)
    assert (len(result.frame), result.collapsed_duplicates, result.quarantined_rows) == (4, 4, 0)


def test_rows_without_ids_that_differ_only_in_the_label_are_kept_with_the_same_id(cleaned_files, csv_text, with_cell):
    text = csv_text().replace("UDI", "whatever")
    result = cleaned_files(text, csv_text(with_cell({(2, "Machine failure"): "1"})).replace("UDI", "whatever"))
    assert (len(result.frame), result.collapsed_duplicates, result.quarantined_rows) == (5, 3, 0)
    assert result.frame["machine_failure"].tolist() == [0, 0, 0, 1, 1]
    assert result.frame["reading_id"].nunique() == 4


def test_a_file_without_ids_does_not_affect_the_checks_of_other_files(cleaned_files, csv_text, with_cell):
    without = csv_text(with_cell({(row, "Torque [Nm]"): f"{row}.5" for row in range(1, 5)})).replace("UDI", "whatever")
    other = csv_text(with_cell({(2, "Torque [Nm]"): "99.9"}))
    result = cleaned_files(without, csv_text(), other)
    assert (len(result.frame), result.collapsed_duplicates, result.quarantined_rows) == (7, 3, 2)
    assert set(result.quarantine["reason"]) == {"the same reading with other values"}


def test_a_malformed_row_is_quarantined_and_counted(cleaned):
    result = cleaned(more="5,too,few\n")
    assert (result.ingested_rows, result.quarantined_rows, len(result.frame)) == (5, 1, 4)
    assert result.quarantine["row"].tolist() == [5]


def test_a_row_with_an_invalid_timestamp_is_quarantined(cleaned, csv_text):
    text = csv_text().replace("Product ID", "Timestamp").replace("L47181", "yesterday")
    for identity, time in (
        ("M14860", "2024-01-01 10:00"),
        ("L47182", "2024-01-01T10:01:00Z"),
        ("H29424", "2024-01-02"),
    ):
        text = text.replace(identity, time)
    (line,) = cleaned(text=text).quarantine.to_dict("records")
    assert (line["row"], line["column"], line["reason"]) == (2, "timestamp", "not a time like the others (ISO 8601)")


def test_no_row_is_lost_when_several_things_are_wrong(cleaned, csv_text):
    cells = {(1, "Torque [Nm]"): "broken", (1, "Type"): "X", (3, "Tool wear [min]"): "-1"}
    lines = csv_text().splitlines()
    result = cleaned(cells, more="\n".join([lines[4], lines[4], lines[2].replace("46.3", "9"), "5,too,few", ""]))
    assert result.ingested_rows == 8
    assert len(result.frame) + result.quarantined_rows + result.collapsed_duplicates == 8
    rows = set(result.frame["row"]) | set(result.quarantine["row"])
    assert rows == {1, 2, 3, 4, 7, 8}


def test_files_with_and_without_failure_modes_are_cleaned_together(write, csv_text, ingest_uris, params, tmp_path):
    write(name="a.csv")
    text = csv_text(
        [(f"{row[0]}9", "0", *row[2:]) for row in (line.split(",") for line in csv_text().splitlines()[1:])]
    )
    write(text.replace("Product ID", "PWF"), "b.csv")
    assert len(clean(ingest_uris(tmp_path / "*.csv"), params.machine, LENIENT).frame) == 8


def test_reasons_are_sorted_by_their_number_of_cells(cleaned):
    result = cleaned({(1, "Type"): "X", (2, "Torque [Nm]"): "-1", (3, "Torque [Nm]"): "-2"})
    assert result.reasons().to_dict("records") == [
        {"column": "torque_nm", "reason": "outside of the physical limits 0 to 500 Nm", "cells": 2},
        {"column": "product_type", "reason": "not one of L, M, H", "cells": 1},
    ]


def test_too_many_bad_rows_are_an_error_with_the_reasons_and_the_first_bad_cell(cleaned):
    with pytest.raises(DataError) as stopped:
        cleaned({(2, "Torque [Nm]"): "broken", (3, "Type"): "X"}, settings=CleaningSettings(max_quarantined_share=0.3))
    message = str(stopped.value)
    assert "2 of 4 rows (50.0%) are bad" in message
    assert "cleaning.max_quarantined_share = 30.0%" in message
    assert "readings.csv, row 2, torque_nm = 'broken'" in message
    assert "1 cells: product_type is not one of L, M, H" in message


def test_the_first_bad_cell_is_in_the_first_bad_row(cleaned):
    with pytest.raises(DataError, match=r"first bad cell: .*readings\.csv, row 1, torque_nm = '-1"):
        cleaned({(1, "Torque [Nm]"): "-1", (4, "Type"): ""}, settings=CleaningSettings(max_quarantined_share=0))


def test_too_many_bad_rows_are_an_error_before_the_quarantine_takes_memory(ingest_uris, params):
    ingested = ingest_uris("simulator://?rows=5000")
    ingested.frame["product_type"] = "X"
    tracemalloc.start()
    with pytest.raises(DataError, match="5000 of 5000 rows"):
        clean(ingested, params.machine, params.cleaning)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * 2**20


def test_too_many_rows_without_a_label_are_an_error_with_the_way_to_score_them(cleaned):
    with pytest.raises(DataError) as caught:
        cleaned({(row, "Machine failure"): "" for row in (1, 2)}, settings=CleaningSettings(max_quarantined_share=0.1))
    assert "rows without machine_failure can be scored, not trained on" in str(caught.value)
    assert str(caught.value).endswith("run predictive-maintenance score FILE")


def test_rows_with_a_wrong_label_get_no_hint_at_scoring(cleaned):
    with pytest.raises(DataError) as caught:
        cleaned({(1, "Machine failure"): "2"}, settings=CleaningSettings(max_quarantined_share=0.1))
    assert "can be scored" not in str(caught.value)


def test_malformed_rows_count_as_bad_rows(cleaned):
    with pytest.raises(
        DataError, match=r"2 rows: 2 cells where the header has 9\nfirst bad cell: .*row 5, 2 cells where"
    ):
        cleaned(more="5,few\n6,few\n", settings=CleaningSettings(max_quarantined_share=0.1))


def test_a_share_equal_to_the_maximum_is_allowed(cleaned):
    assert cleaned({(2, "Type"): "X"}, settings=CleaningSettings(max_quarantined_share=0.25)).quarantined_share == 0.25


def test_one_bad_row_is_an_error_if_none_is_allowed(cleaned):
    with pytest.raises(DataError, match="1 of 5 rows"):
        cleaned(more="5,too,few\n", settings=CleaningSettings(max_quarantined_share=0))


def test_a_file_with_only_bad_rows_is_an_error(cleaned):
    with pytest.raises(DataError, match="no row is left after cleaning"):
        cleaned({(row, "Type"): "X" for row in range(1, 5)})


def test_degrees_celsius_under_a_kelvin_header_are_an_error_with_the_fix(cleaned):
    with pytest.raises(DataError, match=r"add units to its headers \(such as 'Temperature \[°C\]'\)"):
        cleaned(
            {(row, "Air temperature [K]"): "25" for row in range(1, 5)},
            settings=CleaningSettings(max_quarantined_share=0.05),
        )


@pytest.mark.parametrize(("cell", "value"), [("yes", 1), ("No", 0), ("TRUE", 1), ("false", 0)])
def test_a_binary_column_may_have_words(cleaned, cell, value):
    frame = cleaned({(2, "Machine failure"): cell}).frame
    assert frame.loc[frame["row"] == 2, "machine_failure"].tolist() == [value]

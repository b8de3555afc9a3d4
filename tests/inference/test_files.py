"""Checking and scoring of files: rows are unchanged, and a bad row stays in its place."""

import csv
import gzip
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.errors import SourceError
from predictive_maintenance.inference.files import ADDED_COLUMNS, check_file, score_file
from predictive_maintenance.machine.header_matching import HeaderMatch
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.validation.parsing import parse


@pytest.fixture
def check(params):
    return lambda path, **options: check_file(path, params.machine, **options)


@pytest.fixture
def score(quick_scorer, tmp_path):
    """Score a file to `name`, and return the counts and the path."""

    def score_to(path, name="scored.csv"):
        output = tmp_path / name
        return score_file(path, output, quick_scorer, "7", {}), output

    return score_to


def table(path):
    """The cells of a CSV without quotes, header first."""
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def added(path):
    """The rows of a scored CSV as records."""
    header, *rows = table(path)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def readings(tmp_path):
    """500 simulated readings as a CSV."""
    path = tmp_path / "simulated.csv"
    simulate(500, seed=9).to_csv(path, index=False)
    return path


# Checking


def test_a_check_of_a_good_file_has_its_rows_failures_and_columns(write, check):
    checked = check(write())
    assert (checked.fits, checked.kind, checked.rows, checked.failures) == (True, "CSV", 4, 1)
    assert checked.match.ignored == ("Product ID",)
    assert checked.first == []


def test_a_parquet_file_is_checked(write, check, tmp_path):
    pd.read_csv(write()).to_parquet(tmp_path / "readings.parquet")
    checked = check(tmp_path / "readings.parquet")
    assert (checked.kind, checked.rows, checked.failures) == ("Parquet", 4, 1)


def test_a_file_without_the_label_can_be_checked(write, check, csv_text):
    checked = check(write(csv_text().replace("Machine failure", "outcome")))
    assert (checked.fits, checked.failures) == (True, None)


def test_all_bad_cells_are_counted_and_the_first_ones_are_listed(write, check, csv_text, with_cell):
    cells = {(2, "Torque [Nm]"): "broken", (2, "Type"): "X", (4, "Torque [Nm]"): "999", (4, "Machine failure"): "3"}
    checked = check(write(csv_text(with_cell(cells))))
    assert not checked.fits
    assert (checked.rows, checked.bad_rows, checked.failures) == (4, 2, 0)
    assert checked.reasons == {
        ("torque_nm", "not a number"): 1,
        ("product_type", "not one of L, M, H"): 1,
        ("torque_nm", "outside of the physical limits 0 to 500 Nm"): 1,
        ("machine_failure", "not 0 or 1"): 1,
    }
    assert (2, "torque_nm", "broken", "not a number", "Torque [Nm]", 3) in checked.first
    assert (4, "torque_nm", "999", "outside of the physical limits 0 to 500 Nm", "Torque [Nm]", 5) in checked.first
    assert [row for row, *_ in checked.first] == [2, 2, 4, 4]


@pytest.mark.parametrize(("header", "column"), [("UDI", "reading_id"), ("Product ID", "machine_id")])
def test_a_row_without_an_id_is_a_bad_row_as_in_training(write, check, csv_text, with_cell, header, column):
    checked = check(write(csv_text(with_cell({(2, header): ""})).replace("Product ID", "Machine")))
    assert (checked.bad_rows, checked.reasons) == (1, {(column, "missing"): 1})


def test_the_number_of_listed_cells_is_limited(write, check, csv_text, with_cell):
    path = write(csv_text(with_cell({(row, "Type"): "X" for row in range(1, 5)})))
    checked = check(path, examples=3)
    assert [row for row, *_ in checked.first] == [1, 2, 3]
    assert checked.bad_rows == 4


def test_row_numbers_continue_across_batches(tmp_path, check):
    frame = simulate(70_000, seed=1)
    frame.loc[69_999, "torque_nm"] = 999.0
    frame.to_parquet(tmp_path / "long.parquet")
    checked = check(tmp_path / "long.parquet")
    assert checked.rows == 70_000
    (cell,) = checked.first
    assert cell[:4] == (70_000, "torque_nm", "999.0", "outside of the physical limits 0 to 500 Nm")
    assert cell.line is None


def test_the_text_of_a_cell_is_shown_before_its_unit_is_converted(write, check, csv_text, with_cell):
    text = csv_text(with_cell({(1, "Air temperature [K]"): " 1e3"})).replace(
        "Air temperature [K]", "Air temperature [F]"
    )
    assert check(write(text)).first[0][1:5] == (
        "air_temperature_k", " 1e3", "outside of the physical limits 230 to 350 K", "Air temperature [F]",
    )  # fmt: skip


def test_lines_are_those_of_the_file_with_empty_lines_and_line_breaks_in_the_header(write, check, csv_text, with_cell):
    text = (
        csv_text(with_cell({(2, "Type"): "X", (4, "Type"): "Y"}))
        .replace("Product ID", '"Product\nID"')
        .replace("\n4,", "\n\n\n4,")
    )
    assert [(cell.row, cell.line) for cell in check(write(text)).first] == [(2, 4), (4, 8)]


def test_lines_of_a_compressed_file_are_those_of_its_text(write, check, csv_text, with_cell):
    path = write(gzip.compress(csv_text(with_cell({(3, "Type"): "X"})).encode()), "readings.csv.gz")
    assert [cell.line for cell in check(path).first] == [4]


def test_a_missing_sensor_is_an_error_with_the_closest_header(write, check, csv_text):
    with pytest.raises(SourceError, match=r"readings\.csv: no column for torque_nm .*closest header is 'Torqe'"):
        check(write(csv_text().replace("Torque [Nm]", "Torqe")))


def test_two_headers_for_one_column_are_an_error(write, check, csv_text):
    with pytest.raises(SourceError, match=r"readings\.csv: columns 'torque' and 'Torque \[Nm\]' both match torque_nm"):
        check(write(csv_text().replace("Product ID", "torque")))


def test_a_check_uses_the_aliases(write, csv_text, params):
    machine = params.machine.adjusted(headers={"torque_nm": ("Drehmoment",)})
    path = write(csv_text().replace("Torque [Nm]", "Drehmoment"))
    assert check_file(path, machine).fits


def test_a_row_with_too_many_cells_is_a_bad_row(write, check, csv_text):
    checked = check(write(csv_text().replace("\n3,", "\n3,extra,")))
    assert (checked.rows, checked.bad_rows, checked.fits) == (4, 1, False)
    (line,) = checked.first
    assert line[0] == 3
    assert line[3] == "10 cells where the header has 9"


# Scoring


def test_scored_rows_keep_their_order_and_text_followed_by_the_added_columns(write, score, csv_text):
    text = csv_text().replace("298.1", "298.10").replace(",L,", ", l,").replace("M14860", '"M, ""14860"""')
    source = write(text)
    counts, output = score(source)
    before, after = table(source), table(output)
    assert [row[:9] for row in after] == before
    assert after[0][9:] == list(ADDED_COLUMNS)
    assert (counts.rows, counts.rejected) == (4, 0)


def test_no_added_column_matches_a_canonical_column():
    """Otherwise, training on a scored file would use the decisions of another model as labels."""
    assert MILLING.match_headers(ADDED_COLUMNS) == HeaderMatch({}, ADDED_COLUMNS)


def test_a_file_with_a_label_named_failure_can_be_scored(write, score, csv_text):
    counts, output = score(write(csv_text().replace("Machine failure", "failure")))
    assert counts.rows == 4
    assert [row["failure"] for row in added(output)] == ["0", "0", "0", "1"]


def test_probabilities_are_bit_identical_to_those_of_the_scorer(readings, score, quick_scorer):
    _, output = score(readings, "scored.parquet")
    raw = pyarrow.csv.read_csv(readings)
    frame, _ = parse(raw, MILLING.match_headers(raw.column_names), MILLING.input_names, MILLING)
    probabilities = quick_scorer.probabilities(frame)
    scored = pq.read_table(output)
    assert (scored["failure_probability"].to_numpy() == probabilities).all()
    assert (scored["predicted_failure"].to_numpy() == quick_scorer.decisions(probabilities)).all()
    assert 0 < probabilities.min() < quick_scorer.spec.threshold <= probabilities.max() < 1


def test_csv_stores_probabilities_exactly(readings, score):
    _, parquet = score(readings, "scored.parquet")
    _, text = score(readings, "scored.csv")
    exact = pq.read_table(parquet)["failure_probability"].to_pylist()
    assert [float(row["failure_probability"]) for row in added(text)] == exact


def test_alarms_are_counted(readings, score):
    counts, output = score(readings)
    assert counts.alarms == sum(row["predicted_failure"] == "1" for row in added(output)) > 0


def test_a_bad_row_stays_in_its_place_with_the_reasons_and_without_a_probability(write, score, csv_text, with_cell):
    text = csv_text(with_cell({(2, "Torque [Nm]"): "broken", (2, "Type"): "X"}))
    counts, output = score(write(text))
    rows = added(output)
    assert [row["UDI"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[1]["Torque [Nm]"] == "broken"
    assert (rows[1]["failure_probability"], rows[1]["predicted_failure"]) == ("", "")
    assert set(rows[1]["rejected"].split("; ")) == {"torque_nm: not a number", "product_type: not one of L, M, H"}
    assert [row["rejected"] for row in rows if row["UDI"] != "2"] == ["", "", ""]
    assert (counts.rows, counts.rejected) == (4, 1)


def test_the_probability_of_a_bad_row_is_null_in_parquet(write, score, csv_text, with_cell):
    _, output = score(write(csv_text(with_cell({(2, "Tool wear [min]"): "inf"}))), "scored.parquet")
    scored = pq.read_table(output)
    assert scored["failure_probability"].is_null().to_pylist() == [False, True, False, False]
    assert scored["predicted_failure"].null_count == 1
    assert scored["rejected"].to_pylist() == [None, "tool_wear_min: infinite", None, None]


def test_a_file_with_only_bad_rows_is_written_without_probabilities(write, score, csv_text, with_cell):
    counts, output = score(write(csv_text(with_cell({(row, "Type"): "X" for row in range(1, 5)}))))
    assert (counts.rows, counts.rejected, counts.alarms) == (4, 4, 0)
    assert len(added(output)) == 4


def test_every_row_has_the_model_version(write, score):
    _, output = score(write())
    assert [row["model_version"] for row in added(output)] == ["7"] * 4


def test_the_probability_of_a_row_does_not_depend_on_other_rows(write, score, csv_text, with_cell):
    _, good = score(write())
    _, other = score(write(csv_text(with_cell({(2, "Torque [Nm]"): "broken"}))), "other.csv")
    assert [row["failure_probability"] for row in added(good) if row["UDI"] != "2"] == [
        row["failure_probability"] for row in added(other) if row["UDI"] != "2"
    ]


def test_bad_cells_in_the_label_or_in_unused_columns_do_not_reject_a_row(write, score, csv_text, with_cell):
    counts, _ = score(write(csv_text(with_cell({(1, "Machine failure"): "?", (2, "Product ID"): ""}))))
    assert counts.rejected == 0


def test_parquet_columns_keep_their_types(write, score, tmp_path):
    frame = pd.read_csv(write())
    frame.to_parquet(tmp_path / "readings.parquet", index=False)
    _, output = score(tmp_path / "readings.parquet", "scored.parquet")
    scored = pq.read_table(output).to_pandas()
    pd.testing.assert_frame_equal(scored[list(frame)], frame)
    assert list(scored) == [*frame, *ADDED_COLUMNS]


def test_degrees_celsius_are_converted_before_scoring(write, score, csv_text, with_cell):
    kelvin = with_cell({(row, "Air temperature [K]"): "298.15" for row in range(1, 5)})
    celsius = with_cell({(row, "Air temperature [K]"): "25" for row in range(1, 5)})
    _, one = score(write(csv_text(kelvin)))
    text = csv_text(celsius).replace("Air temperature [K]", "Air temperature [°C]")
    _, other = score(write(text.encode("cp1252")), "other.csv")
    assert [row["failure_probability"] for row in added(one)] == [row["failure_probability"] for row in added(other)]


def test_a_file_of_several_batches_is_written_completely(tmp_path, score):
    frame = simulate(70_000, seed=2)
    frame.to_parquet(tmp_path / "long.parquet")
    counts, output = score(tmp_path / "long.parquet")
    written = pyarrow.csv.read_csv(output)
    assert counts.rows == written.num_rows == 70_000
    assert written["reading_id"].to_pylist() == frame["reading_id"].tolist()


def test_progress_is_reported_in_rows(readings, quick_scorer, tmp_path):
    batches = []
    score_file(readings, tmp_path / "scored.csv", quick_scorer, "7", {}, batches.append)
    assert sum(batches) == 500


def test_an_input_with_an_added_column_is_an_error(write, score, csv_text, tmp_path):
    with pytest.raises(SourceError, match="the column 'failure_probability' is reserved"):
        score(write(csv_text().replace("Product ID", "failure_probability")))
    assert not (tmp_path / "scored.csv").exists()


def file_names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["scored.csv", "scored.csv.gz", "scored.parquet"])
def test_an_error_in_a_later_batch_leaves_no_output(tmp_path, score, name):
    path = tmp_path / "long.csv"
    simulate(60_000, seed=2).to_csv(path, index=False)
    with path.open("ab") as file:
        file.write(b"x" + b"," * 12 + b"\xff\n")
    with pytest.raises(SourceError, match=r"long\.csv: cannot be read: .*invalid UTF8"):
        score(path, name)
    assert file_names(tmp_path) == ["long.csv"]


def test_an_error_does_not_change_an_existing_output(write, score, csv_text, tmp_path):
    (tmp_path / "scored.csv").write_text("earlier results")
    with pytest.raises(SourceError):
        score(write(csv_text() + "5,too,few\n"))
    assert (tmp_path / "scored.csv").read_text() == "earlier results"


def test_a_row_with_too_few_cells_is_an_error_with_its_number(write, score, csv_text, tmp_path):
    with pytest.raises(SourceError, match=r"readings\.csv: .*Row #6: Expected 9 columns, got 3"):
        score(write(csv_text() + "5,too,few\n"))
    assert file_names(tmp_path) == ["readings.csv"]


@pytest.mark.parametrize("content", [None, b"", b"UDI,Torque\n"])
def test_a_file_that_is_not_a_table_of_readings_is_an_error_that_names_it(write, score, tmp_path, content):
    path = tmp_path / "readings.csv" if content is None else write(content)
    with pytest.raises(SourceError, match=r"readings\.csv"):
        score(path)


@pytest.mark.parametrize("name", ["scored.csv", "scored.parquet"])
def test_a_csv_without_rows_is_an_error(write, score, csv_text, name):
    with pytest.raises(SourceError, match=r"readings\.csv: .*rows"):
        score(write(csv_text([])), name)


def test_a_parquet_file_without_rows_is_an_error(write, score, tmp_path):
    pd.read_csv(write())[:0].to_parquet(tmp_path / "none.parquet")
    with pytest.raises(SourceError, match=r"none\.parquet: .*rows"):
        score(tmp_path / "none.parquet")


def test_an_empty_header_is_unchanged(write, score, csv_text):
    _, output = score(write(csv_text().replace("\n", ",\n")))
    assert table(output)[0][:10] == table(write(csv_text().replace("\n", ",\n")))[0]


def test_null_cells_of_a_parquet_file_are_rejected_as_missing(write, score, tmp_path):
    frame = pd.read_csv(write())
    frame.loc[1, "Torque [Nm]"] = np.nan
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "readings.parquet")
    _, output = score(tmp_path / "readings.parquet", "scored.parquet")
    assert pq.read_table(output)["rejected"].to_pylist()[1] == "torque_nm: missing"


def test_a_csv_with_decimal_commas_is_scored_in_the_same_dialect(tmp_path, quick_scorer):
    rows = simulate(50, 2)
    rows.to_csv(tmp_path / "readings.csv", sep=";", decimal=",", index=False)
    score_file(tmp_path / "readings.csv", tmp_path / "scored.csv", quick_scorer, "1", {})
    first, second = (tmp_path / name for name in ("readings.csv", "scored.csv"))
    lines = zip(first.read_text().splitlines(), second.read_text().splitlines(), strict=True)
    assert all(scored.startswith(line + ";") for line, scored in lines)
    scored = pd.read_csv(second, sep=";", decimal=",")
    np.testing.assert_allclose(scored["failure_probability"], quick_scorer.probabilities(rows), rtol=1e-12)

"""A file is checked or scored row by row: nothing of it changes, and a bad row keeps its place."""

import csv
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from predictive_maintenance.config.params import ColumnSettings
from predictive_maintenance.errors import SourceError
from predictive_maintenance.inference.files import ADDED_COLUMNS, check_file, score_file
from predictive_maintenance.ingestion.simulator import simulate
from predictive_maintenance.machine.sensors import INPUT_NAMES, HeaderMatch, match_headers
from predictive_maintenance.validation.parsing import parse


@pytest.fixture
def check(params):
    return lambda path, **options: check_file(path, params.columns.limits, {}, **options)


@pytest.fixture
def score(quick_scorer, tmp_path):
    """Scores a file to `name`, returns the counts and the path."""

    def score_to(path, name="scored.csv"):
        output = tmp_path / name
        return score_file(path, output, quick_scorer, "7", {}), output

    return score_to


def table(path):
    """The cells of a CSV, header first, quotes taken off."""
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def added(path):
    """The added columns, one record a row."""
    header, *rows = table(path)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def readings(tmp_path):
    """500 simulated readings as a CSV."""
    path = tmp_path / "simulated.csv"
    simulate(500, seed=9).to_csv(path, index=False)
    return path


# Checking


def test_a_good_file_fits_and_tells_its_rows_failures_and_columns(write, check):
    checked = check(write())
    assert (checked.fits, checked.kind, checked.rows, checked.failures) == (True, "CSV", 4, 1)
    assert checked.match.ignored == ("Product ID",)
    assert checked.first == []


def test_parquet_is_told_as_such(write, check, tmp_path):
    pd.read_csv(write()).to_parquet(tmp_path / "readings.parquet")
    checked = check(tmp_path / "readings.parquet")
    assert (checked.kind, checked.rows, checked.failures) == ("Parquet", 4, 1)


def test_a_file_without_the_label_can_be_checked(write, check, csv_text):
    checked = check(write(csv_text().replace("Machine failure", "outcome")))
    assert (checked.fits, checked.failures) == (True, None)


def test_every_bad_cell_is_counted_and_the_first_ones_shown(write, check, csv_text, with_cell):
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
    assert (2, "torque_nm", "broken", "not a number") in checked.first
    assert [row for row, *_ in checked.first] == [2, 2, 4, 4]


@pytest.mark.parametrize(("header", "column"), [("UDI", "reading_id"), ("Product ID", "machine_id")])
def test_a_row_that_training_would_set_aside_for_want_of_an_id_does_not_fit(
    write, check, csv_text, with_cell, header, column
):
    checked = check(write(csv_text(with_cell({(2, header): ""})).replace("Product ID", "Machine")))
    assert (checked.bad_rows, checked.reasons) == (1, {(column, "missing"): 1})


def test_no_more_examples_are_shown_than_asked_for(write, check, csv_text, with_cell):
    path = write(csv_text(with_cell({(row, "Type"): "X" for row in range(1, 5)})))
    checked = check(path, examples=3)
    assert [row for row, *_ in checked.first] == [1, 2, 3]
    assert checked.bad_rows == 4


def test_row_numbers_go_on_from_batch_to_batch(tmp_path, check):
    frame = simulate(70_000, seed=1)
    frame.loc[69_999, "torque_nm"] = 999.0
    frame.to_parquet(tmp_path / "long.parquet")
    checked = check(tmp_path / "long.parquet")
    assert checked.rows == 70_000
    assert checked.first == [(70_000, "torque_nm", "999.0", "outside of the physical limits 0 to 500 Nm")]


def test_a_file_without_a_sensor_is_refused_with_the_nearest_header(write, check, csv_text):
    with pytest.raises(SourceError, match=r"readings\.csv: no column for torque_nm .*closest header is 'torqe'"):
        check(write(csv_text().replace("Torque [Nm]", "Torqe")))


def test_two_headers_for_one_column_are_refused(write, check, csv_text):
    with pytest.raises(
        SourceError, match=r"readings\.csv: columns 'torque' and 'Torque \[Nm\]' both match torque_nm"
    ):
        check(write(csv_text().replace("Product ID", "torque")))


def test_aliases_are_known_when_checking(write, csv_text, params):
    columns = ColumnSettings(aliases={"torque_nm": ("Drehmoment",)}, limits=params.columns.limits)
    path = write(csv_text().replace("Torque [Nm]", "Drehmoment"))
    assert check_file(path, columns.limits, columns.aliases).fits


def test_a_row_with_too_many_cells_is_a_bad_row_of_the_check(write, check, csv_text):
    checked = check(write(csv_text().replace("\n3,", "\n3,extra,")))
    assert (checked.rows, checked.bad_rows, checked.fits) == (4, 1, False)
    (line,) = checked.first
    assert line[0] == 3
    assert line[3] == "10 cells where the header has 9"


# Scoring


def test_rows_keep_their_order_and_their_text_and_get_columns_behind_them(write, score, csv_text):
    text = csv_text().replace("298.1", "298.10").replace(",L,", ", l,").replace("M14860", '"M, ""14860"""')
    source = write(text)
    counts, output = score(source)
    before, after = table(source), table(output)
    assert [row[:9] for row in after] == before
    assert after[0][9:] == list(ADDED_COLUMNS)
    assert (counts.rows, counts.rejected) == (4, 0)


def test_no_added_column_is_taken_for_one_of_the_schema():
    """Training on a scored file would otherwise learn the decisions of an old model as labels."""
    assert match_headers(ADDED_COLUMNS) == HeaderMatch({}, ADDED_COLUMNS)


def test_a_labelled_file_whose_label_is_called_failure_can_be_scored(write, score, csv_text):
    counts, output = score(write(csv_text().replace("Machine failure", "failure")))
    assert counts.rows == 4
    assert [row["failure"] for row in added(output)] == ["0", "0", "0", "1"]


def test_probabilities_are_those_of_the_scorer_to_the_bit(readings, score, quick_scorer):
    _, output = score(readings, "scored.parquet")
    raw = pyarrow.csv.read_csv(readings)
    frame, _ = parse(raw, match_headers(raw.column_names), INPUT_NAMES)
    probabilities = quick_scorer.probabilities(frame)
    scored = pq.read_table(output)
    assert (scored["failure_probability"].to_numpy() == probabilities).all()
    assert (scored["predicted_failure"].to_numpy() == quick_scorer.decisions(probabilities)).all()
    assert 0 < probabilities.min() < quick_scorer.spec.threshold <= probabilities.max() < 1


def test_csv_loses_no_bit_of_a_probability(readings, score):
    _, parquet = score(readings, "scored.parquet")
    _, text = score(readings, "scored.csv")
    exact = pq.read_table(parquet)["failure_probability"].to_pylist()
    assert [float(row["failure_probability"]) for row in added(text)] == exact


def test_alarms_are_counted(readings, score):
    counts, output = score(readings)
    assert counts.alarms == sum(row["predicted_failure"] == "1" for row in added(output)) > 0


def test_a_bad_row_keeps_its_place_with_its_reasons_and_no_probability(write, score, csv_text, with_cell):
    text = csv_text(with_cell({(2, "Torque [Nm]"): "broken", (2, "Type"): "X"}))
    counts, output = score(write(text))
    rows = added(output)
    assert [row["UDI"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[1]["Torque [Nm]"] == "broken"
    assert (rows[1]["failure_probability"], rows[1]["predicted_failure"]) == ("", "")
    assert set(rows[1]["rejected"].split("; ")) == {"torque_nm: not a number", "product_type: not one of L, M, H"}
    assert [row["rejected"] for row in rows if row["UDI"] != "2"] == ["", "", ""]
    assert (counts.rows, counts.rejected) == (4, 1)


def test_a_bad_row_s_probability_is_null_in_parquet(write, score, csv_text, with_cell):
    _, output = score(write(csv_text(with_cell({(2, "Tool wear [min]"): "inf"}))), "scored.parquet")
    scored = pq.read_table(output)
    assert scored["failure_probability"].is_null().to_pylist() == [False, True, False, False]
    assert scored["predicted_failure"].null_count == 1
    assert scored["rejected"].to_pylist() == [None, "tool_wear_min: infinite", None, None]


def test_a_file_of_bad_rows_alone_is_scored_as_such(write, score, csv_text, with_cell):
    counts, output = score(write(csv_text(with_cell({(row, "Type"): "X" for row in range(1, 5)}))))
    assert (counts.rows, counts.rejected, counts.alarms) == (4, 4, 0)
    assert len(added(output)) == 4


def test_the_version_stands_in_every_row(write, score):
    _, output = score(write())
    assert [row["model_version"] for row in added(output)] == ["7"] * 4


def test_other_rows_do_not_change_a_row_s_probability(write, score, csv_text, with_cell):
    _, good = score(write())
    _, other = score(write(csv_text(with_cell({(2, "Torque [Nm]"): "broken"}))), "other.csv")
    assert [row["failure_probability"] for row in added(good) if row["UDI"] != "2"] == [
        row["failure_probability"] for row in added(other) if row["UDI"] != "2"
    ]


def test_the_label_and_the_unused_columns_need_not_be_good(write, score, csv_text, with_cell):
    counts, _ = score(write(csv_text(with_cell({(1, "Machine failure"): "?", (2, "Product ID"): ""}))))
    assert counts.rejected == 0


def test_parquet_columns_keep_their_types(write, score, tmp_path):
    frame = pd.read_csv(write())
    frame.to_parquet(tmp_path / "readings.parquet", index=False)
    _, output = score(tmp_path / "readings.parquet", "scored.parquet")
    scored = pq.read_table(output).to_pandas()
    pd.testing.assert_frame_equal(scored[list(frame)], frame)
    assert list(scored) == [*frame, *ADDED_COLUMNS]


def test_degrees_celsius_score_as_kelvin(write, score, csv_text, with_cell):
    kelvin = with_cell({(row, "Air temperature [K]"): "298.15" for row in range(1, 5)})
    celsius = with_cell({(row, "Air temperature [K]"): "25" for row in range(1, 5)})
    _, one = score(write(csv_text(kelvin)))
    text = csv_text(celsius).replace("Air temperature [K]", "Air temperature [°C]")
    _, other = score(write(text.encode("cp1252")), "other.csv")
    assert [row["failure_probability"] for row in added(one)] == [row["failure_probability"] for row in added(other)]


def test_a_file_of_several_batches_is_written_whole(tmp_path, score):
    frame = simulate(70_000, seed=2)
    frame.to_parquet(tmp_path / "long.parquet")
    counts, output = score(tmp_path / "long.parquet")
    written = pyarrow.csv.read_csv(output)
    assert counts.rows == written.num_rows == 70_000
    assert written["reading_id"].to_pylist() == frame["reading_id"].tolist()


def test_progress_is_told_in_rows(readings, quick_scorer, tmp_path):
    told = []
    score_file(readings, tmp_path / "scored.csv", quick_scorer, "7", {}, told.append)
    assert sum(told) == 500


def test_a_column_that_scoring_would_add_is_refused(write, score, csv_text, tmp_path):
    with pytest.raises(SourceError, match="already has a column 'failure_probability'"):
        score(write(csv_text().replace("Product ID", "failure_probability")))
    assert not (tmp_path / "scored.csv").exists()


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["scored.csv", "scored.csv.gz", "scored.parquet"])
def test_a_run_that_fails_half_way_leaves_no_output(tmp_path, score, name):
    path = tmp_path / "long.csv"
    simulate(60_000, seed=2).to_csv(path, index=False)
    with path.open("ab") as file:
        file.write(b"x" + b"," * 12 + b"\xff\n")
    with pytest.raises(SourceError, match=r"long\.csv: cannot be read: .*invalid UTF8"):
        score(path, name)
    assert leftovers(tmp_path) == ["long.csv"]


def test_an_output_that_was_there_survives_a_run_that_fails(write, score, csv_text, tmp_path):
    (tmp_path / "scored.csv").write_text("of last week")
    with pytest.raises(SourceError):
        score(write(csv_text() + "5,too,few\n"))
    assert (tmp_path / "scored.csv").read_text() == "of last week"


def test_a_row_with_too_few_cells_stops_the_scoring_with_its_number(write, score, csv_text, tmp_path):
    with pytest.raises(SourceError, match=r"readings\.csv: .*Row #6: Expected 9 columns, got 3"):
        score(write(csv_text() + "5,too,few\n"))
    assert leftovers(tmp_path) == ["readings.csv"]


@pytest.mark.parametrize("content", [None, b"", b"UDI,Torque\n"])
def test_what_is_no_table_of_readings_is_refused_by_name(write, score, tmp_path, content):
    path = tmp_path / "readings.csv" if content is None else write(content)
    with pytest.raises(SourceError, match=r"readings\.csv"):
        score(path)


@pytest.mark.parametrize("name", ["scored.csv", "scored.parquet"])
def test_a_header_without_rows_is_not_scored(write, score, csv_text, name):
    with pytest.raises(SourceError, match=r"readings\.csv: .*rows"):
        score(write(csv_text([])), name)


def test_a_parquet_file_without_rows_is_not_scored(write, score, tmp_path):
    pd.read_csv(write())[:0].to_parquet(tmp_path / "none.parquet")
    with pytest.raises(SourceError, match=r"none\.parquet: .*rows"):
        score(tmp_path / "none.parquet")


def test_an_empty_header_stays_empty(write, score, csv_text):
    _, output = score(write(csv_text().replace("\n", ",\n")))
    assert table(output)[0][:10] == table(write(csv_text().replace("\n", ",\n")))[0]


def test_null_cells_of_a_parquet_file_are_rejected_as_missing(write, score, tmp_path):
    frame = pd.read_csv(write())
    frame.loc[1, "Torque [Nm]"] = np.nan
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "readings.parquet")
    _, output = score(tmp_path / "readings.parquet", "scored.parquet")
    assert pq.read_table(output)["rejected"].to_pylist()[1] == "torque_nm: missing"


def test_a_csv_with_decimal_commas_is_scored_in_its_own_dialect(tmp_path, quick_scorer):
    rows = simulate(50, 2)
    rows.to_csv(tmp_path / "readings.csv", sep=";", decimal=",", index=False)
    score_file(tmp_path / "readings.csv", tmp_path / "scored.csv", quick_scorer, "1", {})
    first, second = (tmp_path / name for name in ("readings.csv", "scored.csv"))
    lines = zip(first.read_text().splitlines(), second.read_text().splitlines(), strict=True)
    assert all(scored.startswith(line + ";") for line, scored in lines)
    scored = pd.read_csv(second, sep=";", decimal=",")
    np.testing.assert_allclose(scored["failure_probability"], quick_scorer.probabilities(rows), rtol=1e-12)

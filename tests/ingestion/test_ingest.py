"""Sources of any spelling become one table in canonical columns and units, with a record of where it came from."""

import gzip
import hashlib
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

from predictive_maintenance.config.params import ColumnSettings
from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.ingest import check_sources, ingest
from predictive_maintenance.machine.sensors import SENSOR_NAMES


def canonical(ingested):
    return ingested.frame.drop(columns=["source"])


# One source, many spellings


def test_the_small_data_set_reads_as_canonical_columns(write, pull):
    row = pull(write()).frame.iloc[3].to_dict()
    row.pop("source")
    assert row == {
        "reading_id": "4", "product_type": "H", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
        "rotational_speed_rpm": 2861.0, "torque_nm": 4.6, "tool_wear_min": 143.0, "machine_failure": 1.0,
        "source_index": 0, "row": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    "spelling",
    [
        lambda text: text().encode("utf-8-sig"),
        lambda text: text(separator=";", decimal=",").encode(),
        lambda text: text(separator="\t").encode(),
        lambda text: gzip.compress(text().encode()),
        lambda text: text().replace("\n", "\r\n").encode(),
        lambda text: text().replace("\n", ",\n").encode(),
        lambda text: text().replace("M14860", "Süd").encode("cp1252"),
        lambda text: text().replace(" [K]", "").replace(" [Nm]", "").replace(" [rpm]", "").encode(),
        lambda text: text().replace("Machine failure", "Machine_failure").encode(),
        lambda text: text().replace("298.1", '"298.1"').replace("UDI", '"UDI"').encode(),
        lambda text: text().replace("M14860", '"M, 14860"').encode(),
        lambda text: text().replace(",L,", ", l ,").replace(",298.2,", ", 298.2 ,").encode(),
        lambda text: text().replace("\n2,", "\n\n2,").encode(),
    ],
    ids=[
        "byte order mark", "decimal comma", "tabs", "gzip", "Windows line ends", "trailing empty column", "cp1252",
        "headers without units", "underscore", "quoted numbers", "quoted separator", "spaces and case", "blank line",
    ],
)  # fmt: skip
def test_the_spelling_of_a_file_does_not_change_its_rows(write, pull, csv_text, spelling):
    ingested = pull(write(spelling(csv_text), "other.csv"))
    pd.testing.assert_frame_equal(canonical(ingested), canonical(pull(write())))
    assert ingested.faults.empty


def test_parquet_gives_the_same_rows_as_csv(write, pull, tmp_path):
    path = tmp_path / "readings.parquet"
    pd.read_csv(write()).to_parquet(path)
    pd.testing.assert_frame_equal(canonical(pull(path)), canonical(pull(write())))


def test_parquet_with_categories_narrow_numbers_and_booleans_gives_the_same_rows(write, pull, tmp_path):
    path = tmp_path / "readings.parquet"
    pd.read_csv(write()).astype(
        {"Type": "category", "Rotational speed [rpm]": "int16", "Machine failure": bool, "UDI": "string"}
    ).to_parquet(path)
    pd.testing.assert_frame_equal(canonical(pull(path)), canonical(pull(write())))


def test_a_database_gives_the_same_rows_as_csv(write, pull, tmp_path):
    with closing(sqlite3.connect(tmp_path / "plant.db")) as connection:
        pd.read_csv(write()).to_sql("readings", connection, index=False)
    ingested = pull(f"sqlite:///{tmp_path / 'plant.db'}?table=readings")
    pd.testing.assert_frame_equal(canonical(ingested), canonical(pull(write())))


def test_the_real_data_set_reads_without_a_fault(ai4i_csv, pull):
    ingested = pull(ai4i_csv)
    assert ingested.frame["machine_failure"].sum() == 339
    assert ingested.faults.empty
    assert ingested.records[0].ignored_columns == ("Product ID",)


def test_degrees_celsius_become_kelvin(write, pull, csv_text, with_cell):
    rows = with_cell({(1, "Air temperature [K]"): "25", (1, "Process temperature [K]"): "35.5"})
    text = csv_text(rows).replace("temperature [K]", "temperature [°C]")
    frame = pull(write(text.encode("cp1252"))).frame
    assert frame["air_temperature_k"][0] == pytest.approx(298.15)
    assert frame["process_temperature_k"][0] == pytest.approx(308.65)


def test_degrees_fahrenheit_become_kelvin(write, pull, csv_text, with_cell):
    rows = with_cell({(1, "Air temperature [K]"): "32", (2, "Air temperature [K]"): "212"})
    frame = pull(write(csv_text(rows).replace("Air temperature [K]", "Air temperature (°F)"))).frame
    assert frame["air_temperature_k"][:2].tolist() == pytest.approx([273.15, 373.15])


def test_hours_and_hertz_become_minutes_and_revolutions_a_minute(write, pull, csv_text, with_cell):
    rows = with_cell({(1, "Tool wear [min]"): "1.5", (1, "Rotational speed [rpm]"): "25"})
    text = csv_text(rows).replace("Tool wear [min]", "Tool wear [h]").replace("speed [rpm]", "speed [Hz]")
    assert pull(write(text)).frame.loc[0, ["tool_wear_min", "rotational_speed_rpm"]].tolist() == [90.0, 1500.0]


def test_headers_of_one_s_own_come_from_params(write, csv_text, params):
    columns = ColumnSettings(aliases={"torque_nm": ("Drehmoment",)}, limits=params.columns.limits)
    path = write(csv_text().replace("Torque [Nm]", "Drehmoment [Nm]"))
    assert ingest((Source(uri=str(path)),), columns).frame["torque_nm"].tolist() == [42.8, 46.3, 49.4, 4.6]


def test_two_headers_for_one_column_are_refused_with_both_names(write, refusal, csv_text):
    told = refusal(write(csv_text().replace("Product ID", "torque")))
    assert "readings.csv: columns 'torque' and 'Torque [Nm]' both match torque_nm" in told


def test_an_unknown_unit_is_refused_with_those_that_are_known(write, refusal, csv_text):
    told = refusal(write(csv_text().replace("Torque [Nm]", "Torque [lbft]")))
    assert "readings.csv: column 'Torque [lbft]': unknown unit 'lbft' for torque_nm; known units: nm, knm, ncm" in told


def test_a_missing_column_is_refused_with_the_nearest_header(write, refusal, csv_text):
    told = refusal(write(csv_text().replace("Torque [Nm]", "Torqe")))
    assert "readings.csv: no column for torque_nm" in told
    assert "the closest header is 'torqe'" in told
    assert "columns not recognised: Product ID, Torqe" in told


def test_training_data_without_the_label_is_refused(write, refusal, csv_text):
    assert "no column for machine_failure" in refusal(write(csv_text().replace("Machine failure", "outcome")))


def test_a_file_without_any_known_header_is_refused(write, refusal):
    assert "readings.csv: no column is recognised (a, b)" in refusal(write("a,b\n1,2\n"))


@pytest.mark.parametrize("rows", ["", "\n\n"])
def test_a_header_without_rows_is_refused(write, refusal, csv_text, rows):
    assert "rows" in refusal(write(csv_text([]) + rows)).partition("readings.csv: ")[2]


def test_a_header_without_even_a_line_end_is_refused_as_having_no_rows(write, refusal, csv_text):
    told = refusal(write(csv_text([]).rstrip("\n")))
    assert "rows" in told.partition("readings.csv: ")[2]


@pytest.mark.parametrize("content", ["UDI,Torque\n1,10\n".encode("utf-16"), b"PK\x03\x04\0\0\0\0", b""])
def test_what_is_no_table_is_refused_by_name(write, refusal, content):
    assert "readings.csv: " in refusal(write(content))


def test_a_gzip_file_cut_off_in_the_middle_is_refused_by_name(write, pull, tmp_path, refusal):
    pull("simulator://?rows=5000").frame.drop(columns=["source"]).to_csv(tmp_path / "whole.csv.gz")
    content = (tmp_path / "whole.csv.gz").read_bytes()
    told = refusal(write(content[: len(content) * 3 // 4]))
    assert "readings.csv: " in told


# Times


def dated(csv_text, *dates):
    """The small data set with a column of dates."""
    headers, *rows = csv_text().replace("Product ID", "Date").splitlines()
    cells = [row.split(",") for row in rows]
    return "\n".join([headers, *(",".join([row[0], date, *row[2:]]) for row, date in zip(cells, dates, strict=True))])


def test_a_day_first_column_is_read_day_first_in_every_row(write, pull, csv_text):
    frame = pull(write(dated(csv_text, "11.01.2024", "12.01.2024", "13.01.2024", "01.02.2024"))).frame
    assert frame["timestamp"].dt.strftime("%m-%d").tolist() == ["01-11", "01-12", "01-13", "02-01"]


def test_a_column_of_dates_that_could_be_day_or_month_first_is_refused_by_file_and_header(write, refusal, csv_text):
    told = refusal(write(dated(csv_text, "11/01/2024", "12/01/2024", "10/01/2024", "01/02/2024")))
    assert "readings.csv: column 'Date' reads day first as well as month first (such as '11/01/2024')" in told


def test_a_parquet_file_s_times_are_read_whatever_their_resolution(write, pull, csv_text, tmp_path):
    days = ["2024-01-11", "2024-01-12", "2024-01-13", "2024-02-01"]
    table = pd.read_csv(write(dated(csv_text, *days)), parse_dates=["Date"])
    for unit in ("ms", "ns"):
        table.assign(Date=table["Date"].dt.as_unit(unit)).to_parquet(tmp_path / f"{unit}.parquet")
    table.assign(Date=pd.Categorical(days)).to_parquet(tmp_path / "us.parquet")
    for unit in ("ms", "us", "ns"):
        times = pull(tmp_path / f"{unit}.parquet").frame["timestamp"]
        assert times.dt.strftime("%Y-%m-%d").tolist() == days


def test_a_parquet_column_of_lists_is_refused_by_file_and_header(write, refusal, tmp_path):
    table = pd.read_csv(write())
    for header in ("Torque [Nm]", "UDI", "Date"):
        broken = table.rename(columns={"Product ID": "Date"})
        broken[header] = [[cell] for cell in broken[header]]
        broken.to_parquet(tmp_path / "readings.parquet")
        assert f"readings.parquet: column {header!r} holds list<" in refusal(tmp_path / "readings.parquet")


# Malformed and faulty rows


def test_malformed_rows_are_kept_for_quarantine_with_their_number_and_text(write, pull, csv_text):
    lines = csv_text().splitlines()
    lines[2] += ",one,too,many"
    ingested = pull(write("\n".join(lines) + "\n"))
    assert ingested.frame["row"].tolist() == [1, 3, 4]
    (bad,) = ingested.quarantined.to_dict("records")
    assert bad["row"] == 2
    assert bad["reason"] == "12 cells where the header has 9"
    assert "L47181" in bad["record"]


def test_blank_lines_do_not_shift_the_number_of_a_malformed_row(write, pull, csv_text):
    lines = csv_text().splitlines()
    lines[3] += ",too many"
    lines.insert(2, "")
    ingested = pull(write("\n".join(lines) + "\n"))
    assert ingested.frame["row"].tolist() == [1, 2, 4]
    assert ingested.quarantined["row"].tolist() == [3]


def test_cells_that_do_not_parse_are_faults_at_their_place(write, pull, csv_text, with_cell):
    cells = {(2, "Torque [Nm]"): "broken", (3, "Tool wear [min]"): "N/A", (4, "Type"): ""}
    faults = pull(write(csv_text(with_cell(cells)))).faults
    assert sorted(faults.itertuples(index=False, name=None)) == [
        (1, "torque_nm", "broken", "not a number"),
        (2, "tool_wear_min", "N/A", "missing"),
        (3, "product_type", "", "missing"),
    ]


def test_faults_of_a_second_file_point_at_its_own_rows(write, pull, csv_text, with_cell):
    first = write()
    second = write(csv_text(with_cell({(2, "Torque [Nm]"): "broken"})), "second.csv")
    ingested = pull(first, second)
    (fault,) = ingested.faults.to_dict("records")
    assert ingested.frame.loc[fault["position"], ["source", "row"]].tolist() == [str(second), 2]


# Records


def test_a_record_tells_rows_hash_and_ignored_columns(write, pull):
    path = write()
    (record,) = pull(path).records
    assert (record.name, record.merge, record.rows) == (str(path), "append", 4)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.bytes == path.stat().st_size
    assert record.ignored_columns == ("Product ID",)


def test_an_empty_trailing_column_is_not_told_as_ignored(write, pull, csv_text):
    assert pull(write(csv_text().replace("\n", ",\n"))).records[0].ignored_columns == ("Product ID",)


def test_every_file_of_a_glob_has_a_record_of_its_own(write, pull, tmp_path):
    write(name="a.csv")
    write(name="b.csv")
    ingested = pull(tmp_path / "*.csv")
    assert [record.name for record in ingested.records] == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert ingested.frame["source"].value_counts().tolist() == [4, 4]


def test_a_token_is_in_no_record(web, pull, csv_text, monkeypatch):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    monkeypatch.setenv("PLANT_TOKEN", "s3cret")
    ingested = pull(url + "/readings.csv?token=${PLANT_TOKEN}")
    assert ingested.records[0].name == f"{url}/readings.csv?token=***"
    assert not ingested.frame["source"].astype(str).str.contains("s3cret").any()


def test_the_simulator_s_hash_is_that_of_its_rows(pull):
    one, again, other = (pull(f"simulator://?rows=50&seed={seed}").records[0].sha256 for seed in (1, 1, 2))
    assert one == again != other


# Rows without ids


def test_rows_without_ids_keep_theirs_when_their_file_is_renamed_sorted_or_in_another_unit(write, pull, csv_text):
    headers, *rows = csv_text().replace("UDI", "whatever").splitlines()
    other = "\n".join([headers.replace("Tool wear [min]", "Tool wear [s]"), *reversed(rows)])
    for minutes in ("143", "5", "3"):
        other = other.replace(f",{minutes},", f",{int(minutes) * 60},")
    ids = pull(write("\n".join([headers, *rows]))).frame["reading_id"].tolist()
    assert pull(write(other, "renamed.csv")).frame["reading_id"].tolist() == ids[::-1]
    assert len(set(ids)) == 4


def test_rows_without_ids_of_two_files_with_one_name_are_told_apart(write, pull, csv_text, with_cell):
    monday = write(csv_text().replace("UDI", "whatever"), "monday/readings.csv")
    rows = with_cell({(row, "Torque [Nm]"): f"{row}.5" for row in range(1, 5)})
    tuesday = write(csv_text(rows).replace("UDI", "whatever"), "tuesday/readings.csv")
    assert pull(monday, tuesday).frame["reading_id"].is_unique


# Checks before a run


def test_all_unreachable_sources_are_told_at_once(write, tmp_path):
    with pytest.raises(SourceError) as refused:
        check_sources(
            [Source(uri=str(write())), Source(uri=str(tmp_path / "one.csv")), Source(uri="simulator://?row=1")]
        )
    first, second = str(refused.value).splitlines()
    assert "one.csv: no such file" in first
    assert "'row' is not an option" in second


def test_sources_that_can_be_reached_pass(write):
    check_sources([Source(uri=str(write())), Source(uri="simulator://?rows=10")])


def test_every_sensor_is_float64(write, pull):
    assert set(pull(write()).frame[list(SENSOR_NAMES)].dtypes.astype(str)) == {"float64"}


def test_a_query_that_a_comma_cut_in_two_is_told_with_the_way_to_write_it(tmp_path, params):
    sqlite3.connect(tmp_path / "plant.db").close()
    sources = params.override(f"sqlite:///{tmp_path / 'plant.db'}?query=SELECT a, b FROM t").data.sources
    with pytest.raises(
        SourceError, match=r"b FROM t: no such file.*\na comma in a query is written %2C, or --sources as"
    ):
        check_sources(sources)

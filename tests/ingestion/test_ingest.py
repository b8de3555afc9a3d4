"""Sources of any format become one table with canonical columns and units, and a record of their lineage."""

import gzip
import hashlib
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion import locations
from predictive_maintenance.ingestion.ingest import check_sources, ingest
from predictive_maintenance.machine.sensors import SENSOR_NAMES


def canonical(ingested):
    return ingested.frame.drop(columns=["source"])


# One source, many formats


def test_the_small_data_set_is_read_into_canonical_columns(write, ingest_uris):
    row = ingest_uris(write()).frame.iloc[3].to_dict()
    row.pop("source")
    assert row == {
        "reading_id": "4", "product_type": "H", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
        "rotational_speed_rpm": 2861.0, "torque_nm": 4.6, "tool_wear_min": 143.0, "machine_failure": 1.0,
        "source_index": 0, "row": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text_format",
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
def test_the_format_of_a_csv_file_does_not_change_its_rows(write, ingest_uris, csv_text, text_format):
    ingested = ingest_uris(write(text_format(csv_text), "other.csv"))
    pd.testing.assert_frame_equal(canonical(ingested), canonical(ingest_uris(write())))
    assert ingested.faults.empty


def test_parquet_gives_the_same_rows_as_csv(write, ingest_uris, tmp_path):
    path = tmp_path / "readings.parquet"
    pd.read_csv(write()).to_parquet(path)
    pd.testing.assert_frame_equal(canonical(ingest_uris(path)), canonical(ingest_uris(write())))


def test_parquet_with_categories_narrow_numbers_and_booleans_gives_the_same_rows(write, ingest_uris, tmp_path):
    path = tmp_path / "readings.parquet"
    pd.read_csv(write()).astype(
        {"Type": "category", "Rotational speed [rpm]": "int16", "Machine failure": bool, "UDI": "string"}
    ).to_parquet(path)
    pd.testing.assert_frame_equal(canonical(ingest_uris(path)), canonical(ingest_uris(write())))


def test_a_database_gives_the_same_rows_as_csv(write, ingest_uris, tmp_path):
    with closing(sqlite3.connect(tmp_path / "plant.db")) as connection:
        pd.read_csv(write()).to_sql("readings", connection, index=False)
    ingested = ingest_uris(f"sqlite:///{tmp_path / 'plant.db'}?table=readings")
    pd.testing.assert_frame_equal(canonical(ingested), canonical(ingest_uris(write())))


def test_the_real_data_set_has_no_faults(ai4i_csv, ingest_uris):
    ingested = ingest_uris(ai4i_csv)
    assert ingested.frame["machine_failure"].sum() == 339
    assert ingested.faults.empty
    assert ingested.records[0].ignored_columns == ("Product ID",)


def test_degrees_celsius_become_kelvin(write, ingest_uris, csv_text, with_cell):
    rows = with_cell({(1, "Air temperature [K]"): "25", (1, "Process temperature [K]"): "35.5"})
    text = csv_text(rows).replace("temperature [K]", "temperature [°C]")
    frame = ingest_uris(write(text.encode("cp1252"))).frame
    assert frame["air_temperature_k"][0] == pytest.approx(298.15)
    assert frame["process_temperature_k"][0] == pytest.approx(308.65)


def test_degrees_fahrenheit_become_kelvin(write, ingest_uris, csv_text, with_cell):
    rows = with_cell({(1, "Air temperature [K]"): "32", (2, "Air temperature [K]"): "212"})
    frame = ingest_uris(write(csv_text(rows).replace("Air temperature [K]", "Air temperature (°F)"))).frame
    assert frame["air_temperature_k"][:2].tolist() == pytest.approx([273.15, 373.15])


def test_hours_and_hertz_become_minutes_and_revolutions_per_minute(write, ingest_uris, csv_text, with_cell):
    rows = with_cell({(1, "Tool wear [min]"): "1.5", (1, "Rotational speed [rpm]"): "25"})
    text = csv_text(rows).replace("Tool wear [min]", "Tool wear [h]").replace("speed [rpm]", "speed [Hz]")
    assert ingest_uris(write(text)).frame.loc[0, ["tool_wear_min", "rotational_speed_rpm"]].tolist() == [90.0, 1500.0]


def test_aliases_from_params_are_recognised_as_headers(write, csv_text, params):
    machine = params.machine.adjusted(headers={"torque_nm": ("Drehmoment",)})
    path = write(csv_text().replace("Torque [Nm]", "Drehmoment [Nm]"))
    assert ingest((Source(uri=str(path)),), machine).frame["torque_nm"].tolist() == [42.8, 46.3, 49.4, 4.6]


def test_two_headers_for_one_column_are_an_error_with_both_names(write, ingest_error, csv_text):
    message = ingest_error(write(csv_text().replace("Product ID", "torque")))
    assert "readings.csv: columns 'torque' and 'Torque [Nm]' both match torque_nm" in message


def test_an_unknown_unit_is_an_error_with_the_known_units(write, ingest_error, csv_text):
    message = ingest_error(write(csv_text().replace("Torque [Nm]", "Torque [lbft]")))
    assert (
        "readings.csv: column 'Torque [lbft]': unknown unit 'lbft' for torque_nm; known units: nm, knm, ncm" in message
    )


def test_a_missing_column_is_an_error_with_the_most_similar_header(write, ingest_error, csv_text):
    message = ingest_error(write(csv_text().replace("Torque [Nm]", "Torqe")))
    assert "readings.csv: no column for torque_nm" in message
    assert "the closest header is 'Torqe'" in message
    assert "columns not recognised: Product ID, Torqe" in message


def test_training_data_without_the_label_is_an_error(write, ingest_error, csv_text):
    message = ingest_error(write(csv_text().replace("Machine failure", "outcome")))
    assert "no column for machine_failure" in message
    assert "rows without machine_failure can be scored, not trained on: add the column 'Machine failure'" in message
    assert message.endswith("to score the rows, run predictive-maintenance score FILE")


def test_only_a_missing_label_gets_the_hint_at_scoring(write, ingest_error, csv_text):
    assert "can be scored" not in ingest_error(write(csv_text().replace("Torque [Nm]", "Torqe")))


def test_a_file_without_a_known_header_is_an_error(write, ingest_error):
    assert "readings.csv: no column is recognised (a, b)" in ingest_error(write("a,b\n1,2\n"))


@pytest.mark.parametrize("rows", ["", "\n\n"])
def test_a_header_without_rows_is_an_error(write, ingest_error, csv_text, rows):
    assert "rows" in ingest_error(write(csv_text([]) + rows)).partition("readings.csv: ")[2]


def test_a_header_without_a_line_end_is_an_error_about_missing_rows(write, ingest_error, csv_text):
    message = ingest_error(write(csv_text([]).rstrip("\n")))
    assert "rows" in message.partition("readings.csv: ")[2]


@pytest.mark.parametrize("content", ["UDI,Torque\n1,10\n".encode("utf-16"), b"PK\x03\x04\0\0\0\0", b""])
def test_a_file_that_is_not_a_table_is_an_error_with_its_name(write, ingest_error, content):
    assert "readings.csv: " in ingest_error(write(content))


def test_a_truncated_gzip_file_is_an_error_with_its_name(write, ingest_uris, tmp_path, ingest_error):
    ingest_uris("simulator://?rows=5000").frame.drop(columns=["source"]).to_csv(tmp_path / "whole.csv.gz")
    content = (tmp_path / "whole.csv.gz").read_bytes()
    message = ingest_error(write(content[: len(content) * 3 // 4]))
    assert "readings.csv: " in message


# Times


def dated(csv_text, *dates):
    """The small data set with a column of dates."""
    headers, *rows = csv_text().replace("Product ID", "Date").splitlines()
    cells = [row.split(",") for row in rows]
    return "\n".join([headers, *(",".join([row[0], date, *row[2:]]) for row, date in zip(cells, dates, strict=True))])


def test_a_day_first_column_is_read_day_first_in_every_row(write, ingest_uris, csv_text):
    frame = ingest_uris(write(dated(csv_text, "11.01.2024", "12.01.2024", "13.01.2024", "01.02.2024"))).frame
    assert frame["timestamp"].dt.strftime("%m-%d").tolist() == ["01-11", "01-12", "01-13", "02-01"]


def test_ambiguous_dates_are_an_error_with_file_and_header(write, ingest_error, csv_text):
    message = ingest_error(write(dated(csv_text, "11/01/2024", "12/01/2024", "10/01/2024", "01/02/2024")))
    assert "readings.csv: column 'Date' may be day first or month first (such as '11/01/2024')" in message


def test_times_of_a_parquet_file_are_read_at_any_resolution(write, ingest_uris, csv_text, tmp_path):
    days = ["2024-01-11", "2024-01-12", "2024-01-13", "2024-02-01"]
    table = pd.read_csv(write(dated(csv_text, *days)), parse_dates=["Date"])
    for unit in ("ms", "ns"):
        table.assign(Date=table["Date"].dt.as_unit(unit)).to_parquet(tmp_path / f"{unit}.parquet")
    table.assign(Date=pd.Categorical(days)).to_parquet(tmp_path / "us.parquet")
    for unit in ("ms", "us", "ns"):
        times = ingest_uris(tmp_path / f"{unit}.parquet").frame["timestamp"]
        assert times.dt.strftime("%Y-%m-%d").tolist() == days


def test_a_parquet_column_of_lists_is_an_error_with_file_and_header(write, ingest_error, tmp_path):
    table = pd.read_csv(write())
    for header in ("Torque [Nm]", "UDI", "Date"):
        broken = table.rename(columns={"Product ID": "Date"})
        broken[header] = [[cell] for cell in broken[header]]
        broken.to_parquet(tmp_path / "readings.parquet")
        assert f"readings.parquet: column {header!r} has type list<" in ingest_error(tmp_path / "readings.parquet")


# Malformed and faulty rows


def test_malformed_rows_are_quarantined_with_their_number_and_text(write, ingest_uris, csv_text):
    lines = csv_text().splitlines()
    lines[2] += ",one,too,many"
    ingested = ingest_uris(write("\n".join(lines) + "\n"))
    assert ingested.frame["row"].tolist() == [1, 3, 4]
    (bad,) = ingested.quarantined.to_dict("records")
    assert bad["row"] == 2
    assert bad["reason"] == "12 cells where the header has 9"
    assert "L47181" in bad["record"]


def test_blank_lines_do_not_change_the_number_of_a_malformed_row(write, ingest_uris, csv_text):
    lines = csv_text().splitlines()
    lines[3] += ",too many"
    lines.insert(2, "")
    ingested = ingest_uris(write("\n".join(lines) + "\n"))
    assert ingested.frame["row"].tolist() == [1, 2, 4]
    assert ingested.quarantined["row"].tolist() == [3]


def test_cells_that_cannot_be_parsed_are_faults_at_their_position(write, ingest_uris, csv_text, with_cell):
    cells = {(2, "Torque [Nm]"): "broken", (3, "Tool wear [min]"): "N/A", (4, "Type"): ""}
    faults = ingest_uris(write(csv_text(with_cell(cells)))).faults
    assert sorted(faults.itertuples(index=False, name=None)) == [
        (1, "torque_nm", "broken", "not a number"),
        (2, "tool_wear_min", "N/A", "missing"),
        (3, "product_type", "", "missing"),
    ]


def test_faults_of_a_second_file_have_the_positions_of_its_rows(write, ingest_uris, csv_text, with_cell):
    first = write()
    second = write(csv_text(with_cell({(2, "Torque [Nm]"): "broken"})), "second.csv")
    ingested = ingest_uris(first, second)
    (fault,) = ingested.faults.to_dict("records")
    assert ingested.frame.loc[fault["position"], ["source", "row"]].tolist() == [str(second), 2]


# Records


def test_a_record_has_the_number_of_rows_the_hash_and_the_ignored_columns(write, ingest_uris):
    path = write()
    (record,) = ingest_uris(path).records
    assert (record.name, record.merge, record.rows) == (str(path), "append", 4)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.bytes == path.stat().st_size
    assert record.ignored_columns == ("Product ID",)


def test_an_empty_trailing_column_is_not_listed_as_ignored(write, ingest_uris, csv_text):
    assert ingest_uris(write(csv_text().replace("\n", ",\n"))).records[0].ignored_columns == ("Product ID",)


def test_every_file_of_a_glob_has_its_own_record(write, ingest_uris, tmp_path):
    write(name="a.csv")
    write(name="b.csv")
    ingested = ingest_uris(tmp_path / "*.csv")
    assert [record.name for record in ingested.records] == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert ingested.frame["source"].value_counts().tolist() == [4, 4]


def test_a_token_is_in_no_record(web, ingest_uris, csv_text, monkeypatch):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    monkeypatch.setenv("PLANT_TOKEN", "s3cret")
    ingested = ingest_uris(url + "/readings.csv?token=${PLANT_TOKEN}")
    assert ingested.records[0].name == f"{url}/readings.csv?token=***"
    assert not ingested.frame["source"].astype(str).str.contains("s3cret").any()


def test_the_hash_of_simulated_readings_depends_on_the_rows_only(ingest_uris):
    one, again, other = (ingest_uris(f"simulator://?rows=50&seed={seed}").records[0].sha256 for seed in (1, 1, 2))
    assert one == again != other


# Rows without ids


def test_content_ids_do_not_depend_on_the_file_name_the_row_order_or_the_unit(write, ingest_uris, csv_text):
    headers, *rows = csv_text().replace("UDI", "whatever").splitlines()
    other = "\n".join([headers.replace("Tool wear [min]", "Tool wear [s]"), *reversed(rows)])
    for minutes in ("143", "5", "3"):
        other = other.replace(f",{minutes},", f",{int(minutes) * 60},")
    ids = ingest_uris(write("\n".join([headers, *rows]))).frame["reading_id"].tolist()
    assert ingest_uris(write(other, "renamed.csv")).frame["reading_id"].tolist() == ids[::-1]
    assert len(set(ids)) == 4


def test_content_ids_of_two_files_with_the_same_name_differ(write, ingest_uris, csv_text, with_cell):
    monday = write(csv_text().replace("UDI", "whatever"), "monday/readings.csv")
    rows = with_cell({(row, "Torque [Nm]"): f"{row}.5" for row in range(1, 5)})
    tuesday = write(csv_text(rows).replace("UDI", "whatever"), "tuesday/readings.csv")
    assert ingest_uris(monday, tuesday).frame["reading_id"].is_unique


# Checks before a run


def test_all_unreachable_sources_are_reported_at_once(write, tmp_path):
    with pytest.raises(SourceError) as error:
        check_sources(
            [Source(uri=str(write())), Source(uri=str(tmp_path / "one.csv")), Source(uri="simulator://?row=1")]
        )
    first, second = str(error.value).splitlines()
    assert "one.csv: no such file" in first
    assert "'row' is not an option" in second


def test_unreachable_sources_are_transient_only_if_each_of_them_is(monkeypatch):
    def check(source, written):
        raise SourceError(f"{source.uri}: no answer", transient="slow" in source.uri)

    monkeypatch.setattr(locations, "check", check)
    slow, missing = Source(uri="https://slow/readings.csv"), Source(uri="missing.csv")
    for sources, transient in (([slow], True), ([slow, missing], False)):
        with pytest.raises(SourceError) as error:
            check_sources(sources)
        assert error.value.transient is transient


def test_reachable_sources_pass_the_check(write):
    check_sources([Source(uri=str(write())), Source(uri="simulator://?rows=10")])


def test_every_sensor_is_float64(write, ingest_uris):
    assert set(ingest_uris(write()).frame[list(SENSOR_NAMES)].dtypes.astype(str)) == {"float64"}


def test_a_query_split_at_a_comma_is_an_error_that_explains_how_to_write_it(tmp_path, params):
    sqlite3.connect(tmp_path / "plant.db").close()
    sources = params.override(f"sqlite:///{tmp_path / 'plant.db'}?query=SELECT a, b FROM t").data.sources
    with pytest.raises(
        SourceError, match=r"b FROM t: no such file.*\nwrite a comma in a query as %2C, or --sources as"
    ):
        check_sources(sources)

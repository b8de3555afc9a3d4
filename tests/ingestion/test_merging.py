"""Appended files and sources keep their order and must have the same columns."""

import cProfile
import pstats

import pytest

from predictive_maintenance.ingestion.merging import append
from predictive_maintenance.machine.milling import MILLING


def test_appended_sources_keep_their_order_and_row_numbers(write, ingest_uris):
    ingested = ingest_uris(write(), "simulator://?rows=50&seed=1")
    assert ingested.frame["source_index"].tolist() == [0] * 4 + [1] * 50
    assert ingested.frame["row"].tolist() == [*range(1, 5), *range(1, 51)]


def test_a_failure_mode_that_only_one_source_records_is_dropped(write, ingest_uris):
    assert "power_failure" not in ingest_uris(write(), "simulator://?rows=50&seed=1").frame


def test_a_failure_mode_that_only_one_file_of_a_glob_records_is_dropped(write, ingest_uris, csv_text, tmp_path):
    write(name="a.csv")
    write(csv_text().replace("Product ID", "PWF").replace("M14860", "0"), "b.csv")
    assert "power_failure" not in ingest_uris(tmp_path / "*.csv").frame


def test_a_failure_mode_without_values_in_one_source_is_dropped_with_its_faults(write, ingest_uris, csv_text):
    modes = csv_text().replace("Product ID", "PWF")
    for product in ("M14860", "L47181", "L47182", "H29424"):
        modes = modes.replace(product, "0")
    empty = modes.replace(",0,L,", ",,L,").replace(",0,M,", ",,M,").replace(",0,H,", ",,H,")
    ingested = ingest_uris(write(modes), write(empty, "b.csv"))
    assert "power_failure" not in ingested.frame
    assert ingested.faults.empty


def test_a_failure_mode_is_kept_with_a_file_of_malformed_rows_only(write, ingest_uris, csv_text):
    modes = csv_text().replace("Product ID", "PWF").replace("M14860", "0")
    malformed = write(modes.splitlines()[0] + "\n1,2\n", "malformed.csv")
    assert "power_failure" in ingest_uris(write(modes), malformed).frame


def test_a_failure_mode_that_only_one_file_of_a_joined_glob_records_is_dropped(write, ingest_uris, tmp_path, csv_text):
    sensors = write(csv_text().replace("Machine failure", "whatever"))
    write("UDI,Machine failure,PWF\n1,0,0\n2,0,0\n", "labels/a.csv")
    write("UDI,Machine failure\n3,0\n4,1\n", "labels/b.csv")
    ingested = ingest_uris(sensors, f"join:{tmp_path / 'labels' / '*.csv'}")
    assert "power_failure" not in ingested.frame
    assert ingested.frame["machine_failure"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("header", ["Torque [Nm]", "Type", "Machine failure"])
def test_a_column_missing_in_an_appended_source_is_an_error_that_names_the_source(
    write, ingest_error, csv_text, header
):
    second = write(csv_text().replace(header, "something else"), "second.csv")
    message = ingest_error(write(), second)
    assert "second.csv: no column for" in message


def test_the_error_names_a_file_that_has_the_column(write, ingest_error, csv_text, tmp_path):
    for name in ("a", "b"):
        write(csv_text().replace("Torque [Nm]", "something else"), f"{name}.csv")
    for name in ("c", "d"):
        write(name=f"{name}.csv")
    message = ingest_error(tmp_path / "*.csv")
    assert message.startswith(f"{tmp_path / 'a.csv'}: no column for torque_nm")
    assert message.endswith(f"which {tmp_path / 'c.csv'} has")


def test_the_work_is_linear_in_the_number_of_files(write, ingest_uris):
    part = ingest_uris(write())

    def calls(files):
        with cProfile.Profile() as profile:
            append([part] * files, MILLING)
        return pstats.Stats(profile).total_calls

    calls(2)
    assert calls(60) - calls(40) < 1.2 * (calls(40) - calls(20))

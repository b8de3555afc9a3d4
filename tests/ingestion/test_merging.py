"""Files and sources become one table: in their order, with the same columns or not at all."""

import cProfile
import pstats

import pytest

from predictive_maintenance.ingestion.merging import append


def test_appended_sources_keep_their_order_and_their_number(write, pull):
    ingested = pull(write(), "simulator://?rows=50&seed=1")
    assert ingested.frame["source_index"].tolist() == [0] * 4 + [1] * 50
    assert ingested.frame["row"].tolist() == [*range(1, 5), *range(1, 51)]


def test_a_failure_mode_that_only_one_source_records_is_left_out(write, pull):
    assert "power_failure" not in pull(write(), "simulator://?rows=50&seed=1").frame


def test_a_failure_mode_that_only_one_file_of_a_glob_records_is_left_out(write, pull, csv_text, tmp_path):
    write(name="a.csv")
    write(csv_text().replace("Product ID", "PWF").replace("M14860", "0"), "b.csv")
    assert "power_failure" not in pull(tmp_path / "*.csv").frame


def test_a_failure_mode_without_a_single_cell_in_one_source_is_left_out_with_its_faults(write, pull, csv_text):
    modes = csv_text().replace("Product ID", "PWF")
    for product in ("M14860", "L47181", "L47182", "H29424"):
        modes = modes.replace(product, "0")
    empty = modes.replace(",0,L,", ",,L,").replace(",0,M,", ",,M,").replace(",0,H,", ",,H,")
    ingested = pull(write(modes), write(empty, "b.csv"))
    assert "power_failure" not in ingested.frame
    assert ingested.faults.empty


def test_a_file_of_malformed_rows_alone_costs_no_failure_mode(write, pull, csv_text):
    modes = csv_text().replace("Product ID", "PWF").replace("M14860", "0")
    malformed = write(modes.splitlines()[0] + "\n1,2\n", "malformed.csv")
    assert "power_failure" in pull(write(modes), malformed).frame


def test_a_failure_mode_that_only_one_file_of_a_joined_glob_records_is_left_out(write, pull, tmp_path, csv_text):
    sensors = write(csv_text().replace("Machine failure", "whatever"))
    write("UDI,Machine failure,PWF\n1,0,0\n2,0,0\n", "labels/a.csv")
    write("UDI,Machine failure\n3,0\n4,1\n", "labels/b.csv")
    ingested = pull(sensors, f"join:{tmp_path / 'labels' / '*.csv'}")
    assert "power_failure" not in ingested.frame
    assert ingested.frame["machine_failure"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("header", ["Torque [Nm]", "Type", "Machine failure"])
def test_a_column_that_one_appended_source_lacks_is_refused_by_that_source(write, refusal, csv_text, header):
    second = write(csv_text().replace(header, "something else"), "second.csv")
    told = refusal(write(), second)
    assert "second.csv: no column for" in told


def test_the_refusal_names_a_file_that_has_the_column_among_many(write, refusal, csv_text, tmp_path):
    for name in ("a", "b"):
        write(csv_text().replace("Torque [Nm]", "something else"), f"{name}.csv")
    for name in ("c", "d"):
        write(name=f"{name}.csv")
    told = refusal(tmp_path / "*.csv")
    assert told.startswith(f"{tmp_path / 'a.csv'}: no column for torque_nm")
    assert told.endswith(f"which {tmp_path / 'c.csv'} has")


def test_the_work_grows_with_the_files_not_with_their_square(write, pull):
    part = pull(write())

    def calls(files):
        with cProfile.Profile() as profile:
            append([part] * files)
        return pstats.Stats(profile).total_calls

    calls(2)
    assert calls(60) - calls(40) < 1.2 * (calls(40) - calls(20))

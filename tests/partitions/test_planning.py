"""The number of parts, and which part a row is in."""

import gzip

import numpy as np
import pandas as pd
import pytest

from machines.fleet.simulator import simulate_tables
from machines.milling.simulator import simulate
from predictive_maintenance.config.machine_file import load_machine
from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.locations import list_files
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.partitions.planning import (
    BUCKETS_PER_PART,
    MOST_PARTS,
    bucket_numbers,
    number_of_parts,
    packed,
    part_column,
    part_numbers,
)
from tests.fixtures.run_to_failure import engine
from tests.paths import REPOSITORY

ROWS = 20_000
RECORDED = [294, 91, 615, 294, 863]


@pytest.fixture
def files(tmp_path):
    """The files of a source with 20,000 readings, written as the given kind of file."""

    def write(kind):
        path, rows = tmp_path / f"rows.{kind}", simulate(ROWS, 3)
        if kind == "parquet":
            rows.to_parquet(path, index=False)
        else:
            text = rows.to_csv(index=False).encode()
            path.write_bytes(gzip.compress(text) if kind == "csv.gz" else text)
        return list_files(Source(uri=str(path)), 0)

    return write


@pytest.mark.parametrize(("kind", "parts"), [("parquet", {4}), ("csv", {4, 5}), ("csv.gz", {2, 3, 4, 5, 6, 7, 8})])
def test_the_number_of_parts_follows_from_the_size_of_the_files(files, kind, parts):
    assert number_of_parts(files(kind), 5000, MILLING) in parts


def test_small_data_is_one_part(files, tmp_path):
    assert number_of_parts(files("csv"), 1_000_000, MILLING) == 1


def test_a_simulator_counts_with_its_readings_and_a_query_with_none(tmp_path):
    def parts(uri, machine):
        return number_of_parts(list_files(Source(uri=uri), 0), 1000, machine)

    assert parts("simulator://?rows=5000", MILLING) == 5
    fleet = load_machine(REPOSITORY / "machines" / "fleet" / "machine.yaml")
    readings = len(simulate_tables(machines=12, days=40)["readings"])
    assert parts("simulator://?machines=12&days=40", fleet) == pytest.approx(readings / 1000, abs=2)
    assert parts(f"sqlite:///{tmp_path}/plant.db?table=readings", MILLING) == 1


def test_there_are_not_more_parts_than_files_can_be_open(files):
    assert number_of_parts(files("csv"), 1, MILLING) == MOST_PARTS


def test_tables_of_events_and_joins_do_not_count(files):
    (file,) = files("csv")
    others = [Source(uri=file.source.uri, table="errors"), Source(uri=file.source.uri, merge="join")]
    found = [other for source in others for other in list_files(source, 1)]
    assert number_of_parts([file, *found], 5000, MILLING) == number_of_parts([file], 5000, MILLING)


def test_rows_with_one_value_are_in_one_part_on_any_computer():
    values = pd.Series(["M1", "M2", None, "M1", "é"])
    assert part_numbers(values, 1000).tolist() == RECORDED


def test_machines_are_divided_evenly():
    counts = np.bincount(part_numbers(pd.Series([f"M{number}" for number in range(10_000)]), 10))
    assert counts.min() > 900


def test_a_bucket_is_a_fraction_of_a_part():
    values = pd.Series([f"M{number}" for number in range(1000)])
    buckets = bucket_numbers(values, 7)
    np.testing.assert_array_equal(buckets % 7, part_numbers(values, 7))
    assert len(np.unique(buckets)) > 700
    assert buckets.max() < 7 * BUCKETS_PER_PART


@pytest.mark.parametrize("seed", range(5))
def test_buckets_are_packed_into_parts_of_about_the_same_size(seed):
    random, parts = np.random.default_rng(seed), 15
    rows = np.zeros(parts * BUCKETS_PER_PART, dtype=np.int64)
    machines = random.choice(len(rows), 40, replace=False)
    rows[machines] = random.integers(1, 1_500_000, 40)
    part = packed(rows, parts)
    sizes = np.bincount(part, rows, parts)
    assert sizes.max() <= max(rows.max(), rows.sum() / parts * 4 / 3)
    empty = np.flatnonzero(rows == 0)
    np.testing.assert_array_equal(part[empty], empty % parts)


def test_parts_without_rows_come_last_and_the_first_part_is_not_the_largest():
    rows = np.zeros(4 * BUCKETS_PER_PART, dtype=np.int64)
    rows[[5, 8, 100]] = [10, 30, 20]
    assert packed(rows, 4)[[5, 8, 100]].tolist() == [0, 1, 2]
    assert packed(rows, 2)[[5, 8, 100]].tolist() == [1, 0, 1]  # by the bucket that a part got first


def test_rows_are_divided_by_machine_else_by_group_else_by_reading(machines):
    milling, compressor = machines["milling"], machines["compressor"]
    assert part_column(["machine_id", "torque_nm"], milling) == "machine_id"
    assert part_column(["torque_nm"], milling) is None  # a tool life ends where the wear falls
    assert part_column(["strokes"], compressor) == "reading_id"
    assert part_column(["machine_id"], engine()) == "machine_id"

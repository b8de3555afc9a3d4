"""A table is read up to its limits. An error names the file, the place and the limit."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictive_maintenance.errors import TableLimitError
from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.ingestion.table_reader import TableFile
from tests.fixtures import hostile_tables as hostile


def read(path, headers=None, **limits):
    table = TableFile.open(path, "input.csv", TableLimits(**limits))
    return [row for batch in table.batches([], headers) for row in batch.to_pylist()]


def error(path, headers=None, **limits):
    with pytest.raises(TableLimitError) as caught:
        read(path, headers, **limits)
    return str(caught.value)


def test_a_table_at_its_limits_is_read(write):
    path = write("a,b\n12,3\n4,5,6\n")
    limits = {"header_bytes": 4, "columns": 2, "cell_bytes": 2, "malformed_rows": 1, "rows": 2, "table_bytes": 15}
    assert read(path, **limits) == [{"a": "12", "b": "3"}]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"header_bytes": 3}, "input.csv: the header is larger than 3 bytes"),
        ({"columns": 1}, "input.csv: more than 1 columns"),
        ({"cell_bytes": 1}, "input.csv: row 1, column 'a': a cell has 2 bytes, more than the maximum of 1"),
        ({"malformed_rows": 0}, "input.csv: row 2: 3 cells where the header has 2; it is malformed row number 1"),
        ({"rows": 1}, "input.csv: more than 1 rows"),
        ({"table_bytes": 14}, "input.csv: unpacks to more than 14 bytes"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_table_beyond_a_limit_is_an_error(write, limits, reason, pack):
    assert reason in error(write(pack(b"a,b\n12,3\n4,5,6\n")), **limits)


def test_the_row_of_a_long_cell_counts_malformed_rows_and_batches(write):
    rows = "1,2\n" * 600_000
    assert "row 600002, column 'b'" in error(write(f"a,b\n1,2,3\n{rows}4,{'x' * 100}\n"), cell_bytes=50)


def test_the_users_own_files_have_no_limit_on_their_size(write):
    path = write(gzip.compress(b"a,b\n" + b"1,2\n" * 1_000_000), "large.csv.gz")
    assert sum(batch.num_rows for batch in TableFile.open(path).batches()) == 1_000_000


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (hostile.gzip_header_of_300_million_columns, "header is larger than|more than 100,000 columns"),
        (hostile.gzip_long_cell, "a row is longer than 2,097,152 bytes; check that every quoted cell is closed"),
        pytest.param(
            hostile.gzip_malformed_rows, "it is malformed row number 1,000,001", marks=pytest.mark.long, id="malformed"
        ),
    ],
)
def test_the_users_own_files_have_limits_on_their_structure(write, build, reason):
    with pytest.raises(TableLimitError, match=reason):
        list(TableFile.open(write(build())).batches([]))


@pytest.mark.parametrize(
    "options", [{}, {"use_dictionary": False}, {"store_schema": False, "data_page_version": "2.0"}]
)
@pytest.mark.parametrize("limits", [{}, {"table_bytes": 10**6}])
def test_every_encoding_of_parquet_gives_the_same_cells_and_types(tmp_path, options, limits):
    path = tmp_path / "readings.parquet"
    table = pa.table({"id": ["a", None, "b"] * 100, "note": pa.array(["x", "y", "x"] * 100, pa.large_string())})
    for encoding in (None, "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"):
        given = options | ({"use_dictionary": False, "column_encoding": {"id": encoding}} if encoding else {})
        pq.write_table(table, path, **given)
        (batch,) = TableFile.open(path, limits=TableLimits(**limits)).batches()
        assert batch.column("id").to_pylist() == table.column("id").to_pylist()
        assert batch.schema.types == pq.read_schema(path).types


def test_only_the_given_columns_count(tmp_path):
    path = tmp_path / "readings.parquet"
    pq.write_table(pa.table({"a": ["1"], "b": ["x" * 1_000]}), path)
    assert read(path, ["a"], cell_bytes=10) == [{"a": "1"}]
    assert "row 1, column 'b'" in error(path, ["b"], cell_bytes=10)

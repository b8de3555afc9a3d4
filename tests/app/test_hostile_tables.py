"""Small bodies that unpack to very large tables are refused, with little memory and in a short time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import hostile_tables as hostile
from tests.paths import REPOSITORY

MAX_MEMORY_MIB = 200
MAX_CPU_SECONDS = 10

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure memory")

ANSWERS = {
    hostile.gzip_header_of_many_columns: (413, "the header is larger than 262,144 bytes"),
    hostile.gzip_header_of_300_million_columns: (413, "the header is larger than 262,144 bytes"),
    hostile.gzip_malformed_rows: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.gzip_blank_lines: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.gzip_long_cell: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.gzip_cells_of_a_mebibyte: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.gzip_many_members: (422, "the file is empty"),
    hostile.csv_header_with_brackets: (200, "1 rows"),
    hostile.csv_all_cells_bad: (200, "100000 rows"),
    hostile.csv_malformed_rows: (413, "row 10001: 1 cells where the header has 7"),
    hostile.parquet_cells_of_50_megabytes: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.parquet_with_false_metadata: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.parquet_repeated_long_cell: (413, "row 1, column 'UDI': a cell has 20,000 bytes"),
    hostile.parquet_category_of_a_long_cell: (413, "row 1, column 'UDI': a cell has 20,000 bytes"),
    hostile.parquet_repeated_cell_within_the_cell_limit: (413, "unpacks to more than 67,108,864 bytes"),
    hostile.parquet_common_prefixes: (413, "row 1, column 'UDI': a cell has 20,000 bytes"),
    hostile.parquet_wide_fixed_cells: (413, "column 'UDI': a cell has 1,000,000 bytes"),
    hostile.parquet_many_columns: (413, "the Parquet footer is larger than 262,144 bytes"),
    hostile.parquet_long_cell_in_unused_column: (200, "65000 rows"),
    hostile.arrow_zstd_buffers: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.arrow_file_zstd_buffers: (413, "unpacks to more than 67,108,864 bytes (PDM_MAX_TABLE_BYTES)"),
    hostile.arrow_dictionary_of_long_cells: (413, "row 1, column 'UDI': a cell has 20,000 bytes"),
    hostile.arrow_dictionary_within_the_cell_limit: (413, "unpacks to more than 67,108,864 bytes"),
    hostile.arrow_rows_without_bytes: (413, "more than 100,000 rows (PDM_MAX_ROWS)"),
    hostile.arrow_many_batches: (413, "more than 10,000 Arrow batches"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a process that reads each table answers, by name, with its peak memory and time."""
    folder = tmp_path_factory.mktemp("tables")
    for build, media_type in hostile.HOSTILE_TABLES.items():
        (folder / build.__name__).write_bytes(build())
        (folder / f"{build.__name__}.type").write_text(media_type)
    command = [sys.executable, "-m", "tests.app.read_tables", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {answer["name"]: answer for answer in map(json.loads, done.stdout.splitlines())}


def test_every_hostile_table_has_an_expected_answer():
    assert set(ANSWERS) == set(hostile.HOSTILE_TABLES)


@pytest.mark.parametrize("build", ANSWERS, ids=lambda build: build.__name__)
def test_a_hostile_table_is_answered_within_memory_and_time(answers, build):
    answer, (status, detail) = answers[build.__name__], ANSWERS[build]
    assert answer["status"] == status
    assert detail in answer["detail"]
    assert answer["peak_mib"] < MAX_MEMORY_MIB
    assert answer["cpu_seconds"] < MAX_CPU_SECONDS

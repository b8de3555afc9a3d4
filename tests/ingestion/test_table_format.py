"""Files without a detectable separator or header are read as the description's format says."""

import gzip

import pyarrow as pa
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.ingestion.table_reader import TableFile
from predictive_maintenance.ingestion.whitespace import TabSeparated
from predictive_maintenance.machine.table_format import TableFormat

SPACED = TableFormat(separator="whitespace", columns=("unit", "load", "oil"))


@pytest.fixture
def rows_of(tmp_path):
    """The rows of a file with some bytes, by header."""

    def rows(content: bytes, written: TableFormat | None, malformed: list | None = None, **limits: int) -> dict:
        path = tmp_path / "log.txt"
        path.write_bytes(content)
        table = TableFile.open(path, "log.txt", TableLimits(**limits), written)
        return pa.Table.from_batches(table.batches(malformed)).to_pydict()

    return rows


EXPECTED = {"unit": ["1", "2"], "load": ["0.5", "0.7"], "oil": ["30", "31"]}


@pytest.mark.parametrize(
    "content",
    [
        b"1 0.5 30\n2 0.7 31\n",
        b"  1   0.5\t30  \n2 0.7 31",
        b"1 0.5 30 \r\n2 0.7 31 \r\n",
        gzip.compress(b"1 0.5 30\n2 0.7 31\n", mtime=0),
    ],
    ids=["single spaces", "many spaces and tabs", "spaces at line ends", "compressed"],
)
def test_cells_are_separated_by_any_number_of_spaces(rows_of, content):
    assert rows_of(content, SPACED) == EXPECTED


def test_the_first_line_is_the_header_without_names(rows_of):
    assert rows_of(b"unit load oil\n1 0.5 30\n2 0.7 31\n", TableFormat(separator="whitespace")) == EXPECTED


@pytest.mark.parametrize(("separator", "mark"), [("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("pipe", "|")])
def test_a_file_without_header_has_the_names_of_the_format(rows_of, separator, mark):
    content = f"1{mark}0.5{mark}30\n2{mark}0.7{mark}31\n".encode()
    columns = ("unit", "load", "oil")
    assert rows_of(content, TableFormat(separator=separator, columns=columns)) == EXPECTED
    assert rows_of(content, TableFormat(columns=columns)) == EXPECTED


def test_a_table_with_a_limit_is_read_alike(rows_of):
    assert rows_of(b"1  0.5 30\n2 0.7 31\n", SPACED, table_bytes=10_000) == EXPECTED


def test_lines_longer_than_a_chunk_are_converted_whole(rows_of):
    content = b"".join(b"%d  0.5   %d \n" % (row, row) for row in range(200_000))
    rows = rows_of(content, SPACED)
    assert rows["unit"] == rows["oil"] == [str(row) for row in range(200_000)]


def test_a_row_with_another_number_of_cells_is_malformed_and_numbered_from_the_first_line(rows_of):
    malformed: list = []
    assert rows_of(b"1 0.5 30\n9 9\n2 0.7 31\n", SPACED, malformed) == EXPECTED
    assert [(bad.row, bad.reason) for bad in malformed] == [(2, "2 cells where the header has 3")]


def test_names_for_another_number_of_columns_are_an_error(rows_of):
    with pytest.raises(SourceError, match=r"log\.txt: the first row has 2 cells, but format\.columns .* has 3 names"):
        rows_of(b"1 0.5\n", SPACED)


def test_a_spaced_file_without_a_format_is_an_error_with_the_way_out(rows_of):
    with pytest.raises(SourceError, match=r"if spaces separate its cells, .* format: \{separator: whitespace\}"):
        rows_of(b"unit load\n1 0.5\n", None)


def test_decimal_commas_of_a_spaced_file_are_found(tmp_path):
    (tmp_path / "log.txt").write_text("1 0,5 30\n2 0,7 31\n")
    dialect = TableFile.open(tmp_path / "log.txt", written=SPACED).dialect
    assert dialect
    assert (dialect.decimal, dialect.is_spaced) == (",", True)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_reading_in_small_steps_gives_the_same_bytes(tmp_path, size):
    (tmp_path / "log.txt").write_bytes(b" a  b \nc\td\n\ne f")
    with TabSeparated((tmp_path / "log.txt").open("rb")) as file:
        assert b"".join(iter(lambda: file.read(size), b"")) == b"a\tb\nc\td\n\ne\tf"


def test_lines_of_rows_are_counted_from_the_first_line_without_a_header(tmp_path):
    (tmp_path / "log.txt").write_text("1 0.5 30\n\n2 0.7 31\n")
    assert TableFile.open(tmp_path / "log.txt", written=SPACED).line_numbers([1, 2]) == {1: 1, 2: 3}

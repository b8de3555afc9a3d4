"""A table is written completely or not at all, and an error names the file and the column."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.csv_reader import Dialect
from predictive_maintenance.ingestion.table_writer import writer

BATCH = pa.record_batch({"reading_id": ["1", "2"], "torque_nm": [42.8, 46.3]})


def write(output, *batches):
    with writer(output, Dialect(";")) as write_batch:
        for batch in batches:
            write_batch(batch)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_batches_are_written_after_one_header_in_the_given_dialect(tmp_path):
    write(tmp_path / "out.csv", BATCH, BATCH)
    assert (tmp_path / "out.csv").read_text() == "reading_id;torque_nm\n" + 2 * "1;42.8\n2;46.3\n"


@pytest.mark.parametrize("name", ["out.csv.gz", "OUT.CSV.GZ"])
def test_a_file_whose_name_ends_in_gz_is_compressed(tmp_path, name):
    write(tmp_path / name, BATCH)
    assert gzip.decompress((tmp_path / name).read_bytes()).startswith(b"reading_id;torque_nm\n1;42.8")


@pytest.mark.parametrize("name", ["out.parquet", "OUT.PARQUET"])
def test_a_file_whose_name_ends_in_parquet_is_parquet(tmp_path, name):
    write(tmp_path / name, BATCH, BATCH)
    assert pq.read_table(tmp_path / name) == pa.Table.from_batches([BATCH, BATCH])


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere", "No such file or directory"),
        ("a file", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_an_output_that_cannot_be_created_is_an_error_with_its_name(tmp_path, name, place, reason):
    (tmp_path / "a file").touch()
    with pytest.raises(SourceError, match=rf"{place}/{name}: cannot be written: .*{reason}"):
        write(tmp_path / place / name, BATCH)
    assert leftovers(tmp_path) == ["a file"]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_an_output_that_is_a_folder_is_an_error_before_the_first_batch(tmp_path, name):
    (tmp_path / name).mkdir()
    with (
        pytest.raises(SourceError, match=rf"{name}: cannot be written: Is a directory"),
        writer(tmp_path / name, Dialect()),
    ):
        pytest.fail("the block was entered")
    assert leftovers(tmp_path) == [name]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pa.array([[1.0, 2.0], None]), "list<item: double>"),
        (pa.array([{"shift": 1}, None]), "struct<shift: int64>"),
        (pa.array([b"\xff\xfe", None]), "binary"),
    ],
)
def test_a_column_type_that_csv_cannot_contain_is_an_error_that_suggests_parquet(tmp_path, cells, kind):
    batch = pa.record_batch({"reading_id": ["1, or so", "2"], "spectrum": cells})
    with pytest.raises(
        SourceError, match=rf"out\.csv: CSV cannot contain column 'spectrum' \({kind}\): .*write a \.parquet file"
    ):
        write(tmp_path / "out.csv", batch)
    assert leftovers(tmp_path) == []
    write(tmp_path / "out.parquet", batch)
    assert pq.read_table(tmp_path / "out.parquet") == pa.Table.from_batches([batch])

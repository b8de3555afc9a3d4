"""A file's format is recognised by its content, and its cells are read unchanged."""

import codecs
import gzip
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.csv_reader import Dialect
from predictive_maintenance.ingestion.table_reader import TableFile


def cells(path, malformed=None):
    """The rows of a file as lists of cells."""
    batches = TableFile.open(path).batches(malformed)
    return [list(row.values()) for batch in batches for row in batch.to_pylist()]


def test_the_cells_of_a_plain_csv_are_read_as_text(write):
    assert cells(write())[3] == ["4", "H29424", "H", "298.9", "309.1", "2861", "4.6", "143", "1"]


def test_a_byte_order_mark_is_not_part_of_the_first_header(write, csv_text):
    path = write(codecs.BOM_UTF8 + csv_text().encode())
    assert TableFile.open(path).headers[0] == "UDI"
    assert cells(path) == cells(write())


def test_a_decimal_comma_is_detected_with_semicolons(write, csv_text):
    path = write(csv_text(separator=";", decimal=","))
    assert TableFile.open(path).dialect == Dialect(";", ",", "utf-8")
    assert cells(path)[0][3] == "298,1"


def test_a_decimal_point_is_detected_with_semicolons(write, csv_text):
    assert TableFile.open(write(csv_text(separator=";"))).dialect == Dialect(";", ".", "utf-8")


@pytest.mark.parametrize("separator", ["\t", "|"])
def test_tabs_and_bars_are_separators(write, csv_text, separator):
    path = write(csv_text(separator=separator))
    assert TableFile.open(path).dialect == Dialect(separator)
    assert len(TableFile.open(path).headers) == 9


@pytest.mark.parametrize("name", ["readings.csv", "readings.csv.gz", "download"])
def test_gzip_is_recognised_for_any_file_name(write, csv_text, name):
    assert cells(write(gzip.compress(csv_text().encode()), name)) == cells(write())


def test_the_degree_sign_of_windows_code_page_1252_is_read(write, csv_text):
    headers = ("UDI", "Air temperature [°C]")
    path = write(csv_text([("1", "25.1")], headers).encode("cp1252"))
    assert TableFile.open(path).dialect == Dialect(",", ".", "cp1252")
    assert TableFile.open(path).headers == list(headers)
    assert cells(path) == [["1", "25.1"]]


def test_a_long_file_in_windows_code_page_1252_is_read_completely(write):
    rows = "".join(f"{number},Prüfstände Süd\n" for number in range(200_000))
    path = write(f"UDI,Ort\n{rows}".encode("cp1252"))
    read = cells(path)
    assert len(read) == 200_000
    assert read[-1] == ["199999", "Prüfstände Süd"]


def test_a_byte_that_is_invalid_in_both_encodings_is_an_error_that_names_the_file(write):
    path = write(b"UDI,Ort\n1,S\xfcd\n2,\x81\n")
    with pytest.raises(SourceError, match=r"readings\.csv"):
        cells(path)


def test_windows_line_ends_are_not_part_of_the_last_cell(write, csv_text):
    path = write(csv_text().replace("\n", "\r\n"))
    assert TableFile.open(path).headers[-1] == "Machine failure"
    assert cells(path) == cells(write())


def test_quoted_cells_are_unquoted_and_can_contain_the_separator(write):
    path = write('UDI,"Product, ID",Torque\n"1","a, ""b""","42.8"\n')
    assert TableFile.open(path).headers == ["UDI", "Product, ID", "Torque"]
    assert cells(path) == [["1", 'a, "b"', "42.8"]]


def test_a_quoted_header_can_contain_a_line_break(write):
    path = write('UDI,"Torque\n[Nm]",Type\n1,42.8,M\n')
    assert TableFile.open(path).headers == ["UDI", "Torque\n[Nm]", "Type"]
    assert cells(path) == [["1", "42.8", "M"]]


def test_a_trailing_empty_column_keeps_its_empty_name(write):
    path = write("UDI,Torque,\n1,42.8,\n")
    assert TableFile.open(path).headers == ["UDI", "Torque", ""]
    assert cells(path) == [["1", "42.8", ""]]


def test_empty_cells_and_null_words_stay_text(write):
    assert cells(write("UDI,Torque\n1,\n2,NULL\n3,NA\n")) == [["1", ""], ["2", "NULL"], ["3", "NA"]]


def test_rows_with_too_many_or_too_few_cells_are_collected_with_their_number(write):
    malformed = []
    assert cells(write("UDI,Torque\n1,10\n2,11,extra\n3,12\n4\n5,13\n"), malformed) == [
        ["1", "10"],
        ["3", "12"],
        ["5", "13"],
    ]
    assert [(bad.row, bad.text) for bad in malformed] == [(2, "2,11,extra"), (4, "4")]
    assert malformed[0].reason == "3 cells where the header has 2"


def test_a_malformed_row_at_the_end_may_end_within_a_character_of_utf_8(write):
    malformed = []
    assert cells(write(b"UDI,Torque\n1,10\n2,11,\xd8"), malformed) == [["1", "10"]]
    assert [(bad.row, bad.text) for bad in malformed] == [(2, "2,11,\u00d8")]


def test_a_malformed_row_in_a_later_batch_has_its_number_in_the_file(write):
    rows = [f"{number},{'x' * 60}\n" for number in range(1, 80_001)]
    rows[70_000 - 1] = "70000,x,x\n"
    malformed = []
    assert len(cells(write("UDI,Torque\n" + "".join(rows)), malformed)) == 79_999
    assert [bad.row for bad in malformed] == [70_000]


def test_without_a_list_malformed_rows_are_an_error_that_names_the_file(write):
    with pytest.raises(SourceError, match=r"readings\.csv: .*Expected 2 columns, got 3"):
        cells(write("UDI,Torque\n1,10\n2,11,extra\n"))


def test_the_headers_of_a_file_with_a_malformed_row_can_be_read(write):
    assert TableFile.open(write("UDI,Torque\n1,10\n2,11,extra\n")).headers == ["UDI", "Torque"]


def test_blank_lines_are_not_rows(write):
    assert cells(write("UDI,Torque\n1,10\n\n2,11\n\n")) == [["1", "10"], ["2", "11"]]


def test_parquet_is_recognised_for_any_file_name_and_keeps_its_types(tmp_path):
    path = tmp_path / "readings.csv"
    pq.write_table(pa.table({"UDI": [1, 2], "Torque": [10.5, None]}), path)
    assert TableFile.open(path).dialect is None
    assert TableFile.open(path).headers == ["UDI", "Torque"]
    assert cells(path) == [[1, 10.5], [2, None]]


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere\.csv: no such file"):
        TableFile.open(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"  \n\n", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        ("UDI,Torque\n1,10\n".encode("utf-16"), "UTF-16; save the file as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither CSV nor Parquet"),
        (b"<html>\n<p>Not found</p>\n", "no separator in its first line"),
        (b"\x1f\x8bnot really gzip", "cannot be read"),
    ],
)
def test_a_file_that_is_not_a_table_is_an_error_with_its_name(write, content, reason):
    with pytest.raises(SourceError, match=rf"readings\.csv: .*{reason}"):
        TableFile.open(write(content))


def test_a_damaged_parquet_file_is_an_error_with_its_name(write):
    with pytest.raises(SourceError, match=r"readings\.csv: not a readable Parquet file"):
        cells(write(b"PAR1 and then nothing"))


def compressed_rows():
    """A gzip file that is larger than the sample for format detection: 200 kB of digits."""
    digits = random.Random(1)
    text = "UDI,Torque\n" + "".join(f"{number},{digits.random()}\n" for number in range(10_000))
    return gzip.compress(text.encode())


def test_a_truncated_gzip_file_is_an_error_with_its_name(write):
    content = compressed_rows()
    with pytest.raises(SourceError, match=r"readings\.csv.*cannot be read"):
        cells(write(content[: len(content) * 3 // 4]))


def test_a_damaged_gzip_file_is_an_error_with_its_name(write):
    content = bytearray(compressed_rows())
    content[len(content) * 3 // 4 :] = b"\xff" * (len(content) - len(content) * 3 // 4)
    with pytest.raises(SourceError, match=r"readings\.csv.*cannot be read"):
        cells(write(bytes(content)))

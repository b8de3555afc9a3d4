"""The turbofan engine: the download of its data set, from a local web server."""

import io
import zipfile

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main

FILES = ("train_FD001.txt", "test_FD001.txt", "RUL_FD001.txt")


@pytest.fixture
def published(cmapss, web):
    """The address of the archive as it is published: with all parts of C-MAPSS in a folder, and Windows line ends."""
    url, contents = web
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.writestr(f"CMAPSSData/{name}", (cmapss / name).read_bytes().replace(b"\n", b"\r\n"))
        archive.writestr("CMAPSSData/train_FD002.txt", "another part")
    contents["/CMAPSSData.zip"] = buffer.getvalue()
    return f"{url}/CMAPSSData.zip"


def fetch(path, url):
    return CliRunner().invoke(main, ["fetch", "--machine", "turbofan", "--output", str(path), "--url", url])


def test_the_three_files_are_extracted_verified_and_normalised(published, cmapss, tmp_path):
    result = fetch(tmp_path / "raw" / FILES[0], published)
    assert result.exit_code == 0, result.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == {
        name: (cmapss / name).read_bytes() for name in FILES
    }
    again = fetch(tmp_path / "raw" / FILES[0], "http://127.0.0.1:1/nothing-answers-here")
    assert "already at" in again.output


def test_a_missing_file_is_fetched_and_another_one_is_not_overwritten(published, cmapss, tmp_path):
    assert fetch(tmp_path / FILES[0], published).exit_code == 0
    (tmp_path / FILES[2]).unlink()
    assert fetch(tmp_path / FILES[0], published).exit_code == 0
    assert (tmp_path / FILES[2]).read_bytes() == (cmapss / FILES[2]).read_bytes()
    (tmp_path / FILES[1]).write_text("my own readings")
    refused = fetch(tmp_path / FILES[0], published)
    assert refused.exit_code == 1
    assert f"{FILES[1]}: is not the C-MAPSS FD001 data set; move or remove it" in refused.output

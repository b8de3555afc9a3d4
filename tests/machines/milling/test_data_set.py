"""Download of the AI4I 2020 data set, from a local web server instead of its public address."""

import io
import zipfile

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main

BYTE_ORDER_MARK = "\ufeff"


@pytest.fixture
def published(ai4i_csv) -> bytes:
    """The file as it is published: with a byte-order mark and Windows line ends."""
    return (BYTE_ORDER_MARK + ai4i_csv.read_text()).replace("\n", "\r\n").encode()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def fetch(path, url):
    return CliRunner().invoke(main, ["fetch", "--machine", "milling", "--output", str(path), "--url", url])


def test_the_file_is_extracted_verified_and_normalised(web, published, ai4i_csv, tmp_path):
    url, contents = web
    contents["/home.zip"] = archive(ai4i2020_csv=published)
    contents["/mirror.csv"] = published
    for name in ("home.zip", "mirror.csv"):
        path = tmp_path / name / "raw" / "ai4i2020.csv"
        result = fetch(path, f"{url}/{name}")
        assert result.exit_code == 0, result.output
        assert f"written to {path}" in result.output
        assert "CC BY 4.0" in result.output
        assert path.read_bytes() == ai4i_csv.read_bytes()


def test_an_existing_file_is_not_downloaded_again(published, tmp_path):
    path = tmp_path / "by hand.csv"
    path.write_bytes(published)
    result = fetch(path, "http://127.0.0.1:1/nothing-answers-here")
    assert result.exit_code == 0, result.output
    assert f"already at {path}" in result.output


def test_another_file_of_the_same_name_is_not_overwritten(web, published, tmp_path):
    url, contents = web
    contents["/mirror.csv"] = published
    path = tmp_path / "ai4i2020.csv"
    path.write_text("my own readings")
    result = fetch(path, f"{url}/mirror.csv")
    assert result.exit_code == 1
    assert f"{path}: is not the AI4I 2020 data set" in result.output
    assert path.read_text() == "my own readings"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("changed.csv", "is not the AI4I 2020 data set: its sha256 is"),
        ("empty.zip", 'the ZIP archive is damaged or does not contain ai4i2020.csv: "There is no item'),
        ("cut.zip", "the ZIP archive is damaged"),
        ("large.csv", "is larger than 16 MiB"),
        ("absent.csv", "404"),
    ],
)
def test_any_other_content_is_an_error_and_no_file_is_written(web, published, tmp_path, name, reason):
    url, contents = web
    contents |= {
        "/changed.csv": published.replace(b"42.8", b"42.9", 1),
        "/empty.zip": archive(readme_txt=b"nothing"),
        "/cut.zip": archive(ai4i2020_csv=published)[:10_000],
        "/large.csv": b"x" * (17 * 2**20),
    }
    result = fetch(tmp_path / "raw" / "ai4i2020.csv", f"{url}/{name}")
    assert result.exit_code == 1
    assert reason in result.output
    assert f"{url}/{name}" in result.output
    assert list(tmp_path.iterdir()) == []

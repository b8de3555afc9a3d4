"""The AI4I 2020 data set, fetched over HTTP from a server that stands for its public home."""

import io
import zipfile

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main

HOME_VARIANT = "\ufeff"  # its public home has a byte-order mark and Windows' line ends


@pytest.fixture
def published(ai4i_csv) -> bytes:
    return (HOME_VARIANT + ai4i_csv.read_text()).replace("\n", "\r\n").encode()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def fetch(path, url):
    return CliRunner().invoke(main, ["fetch-ai4i", "--output", str(path), "--url", url])


def test_it_is_unpacked_checked_and_the_same_file_whatever_its_line_ends(web, published, ai4i_csv, tmp_path):
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


def test_what_is_already_there_is_not_fetched_again(published, tmp_path):
    path = tmp_path / "by hand.csv"
    path.write_bytes(published)
    result = fetch(path, "http://127.0.0.1:1/nothing-answers-here")
    assert result.exit_code == 0, result.output
    assert f"already at {path}" in result.output


def test_a_file_of_the_same_name_is_never_overwritten(web, published, tmp_path):
    url, contents = web
    contents["/mirror.csv"] = published
    path = tmp_path / "ai4i2020.csv"
    path.write_text("my own readings")
    result = fetch(path, f"{url}/mirror.csv")
    assert result.exit_code == 1
    assert f"{path}: is another file than AI4I 2020" in result.output
    assert path.read_text() == "my own readings"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("changed.csv", "is not the AI4I 2020 that is known here"),
        ("empty.zip", "a ZIP archive without ai4i2020.csv"),
        ("cut.zip", "or a damaged one"),
        ("large.csv", "is larger than the data set can be"),
        ("absent.csv", "404"),
    ],
)
def test_anything_else_is_an_error_and_nothing_is_written(web, published, tmp_path, name, reason):
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

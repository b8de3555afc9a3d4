"""Other machines read files that DVC tracks from its remote. S3 is a moto server."""

import hashlib

import boto3
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.ingest import check_sources, ingest
from predictive_maintenance.ingestion.locations import remote_copies
from predictive_maintenance.machine.milling import MILLING


@pytest.fixture
def remote(aws_url, monkeypatch):
    """The bucket of the DVC remote. Its endpoint is set in DVC's configuration only."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    client = boto3.client("s3", endpoint_url=aws_url)
    client.create_bucket(Bucket="plant")
    return client


@pytest.fixture
def tracked(tmp_path, remote, aws_url, monkeypatch):
    """(path, md5) of rows.csv, tracked by DVC and pushed to the remote."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, f"url = s3://plant/dvc\nendpointurl = {aws_url}")
    path = tmp_path / "rows.csv"
    simulate(300, 1).to_csv(path, index=False)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    (tmp_path / "rows.csv.dvc").write_text(f"outs:\n- md5: {md5}\n  path: rows.csv\n")
    remote.upload_file(str(path), "plant", f"dvc/files/md5/{md5[:2]}/{md5[2:]}")
    return path, md5


def configure(root, settings):
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / "config").write_text(f"[core]\n    remote = store\n['remote \"store\"']\n{settings}\n")


def test_a_tracked_file_is_read_from_the_remote_under_its_own_name(tracked):
    path, md5 = tracked
    source = Source(uri="rows.csv", copies=remote_copies("rows.csv"))
    path.unlink()
    check_sources([source], MILLING)
    ingested = ingest([source], MILLING)
    (record,) = ingested.records
    assert (record.name, record.rows, record.dvc_md5) == ("rows.csv", 300, md5)


def test_a_file_that_was_not_pulled_is_found_by_its_dvc_file(tracked):
    path, md5 = tracked
    path.unlink()
    (copy,) = remote_copies("rows.csv")
    assert copy.md5 == md5


def test_a_file_in_a_tracked_folder_is_found_by_its_content(tracked, tmp_path, remote):
    path, md5 = tracked
    (tmp_path / "raw").mkdir()
    path.rename(tmp_path / "raw" / "rows.csv")
    (tmp_path / "raw.dvc").write_text("outs:\n- md5: 0123.dir\n  path: raw\n")
    (copy,) = remote_copies("raw/*.csv")
    assert (copy.md5, copy.dvc_md5) == (md5, "0123.dir")


def test_a_damaged_file_in_the_remote_is_an_error(tracked, remote):
    _, md5 = tracked
    source = Source(uri="rows.csv", copies=remote_copies("rows.csv"))
    remote.put_object(Bucket="plant", Key=f"dvc/files/md5/{md5[:2]}/{md5[2:]}", Body=b"other")
    with pytest.raises(SourceError, match=r"rows.csv: the file in the DVC remote is damaged"):
        ingest([source], MILLING)


def test_a_changed_file_that_was_not_pushed_is_an_error_that_names_dvc_push(tracked):
    path, _ = tracked
    path.write_text(path.read_text() + "\n")
    with pytest.raises(SourceError, match=r"rows.csv: not in the DVC remote; run `dvc push`"):
        remote_copies("rows.csv")


def test_an_untracked_file_has_no_copy(tracked, tmp_path):
    simulate(10, 1).to_csv(tmp_path / "other.csv", index=False)
    assert remote_copies("other.csv") == ()
    assert remote_copies("*.csv") == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "url = /mnt/store",
            "DVC remote 'store': /mnt/store cannot be read from other machines; use s3:// or https://",
        ),
        ("url = https://me:hush@store.example/x", "DVC remote 'store': its URL contains a password"),
        ("", "no default remote; run `dvc remote add --default NAME s3://BUCKET/PREFIX`"),
        ("[", "not a valid DVC configuration"),
    ],
)
def test_a_remote_that_other_machines_cannot_read_is_an_error(tracked, tmp_path, settings, message):
    configure(tmp_path, settings)
    with pytest.raises(SourceError) as error:
        remote_copies("rows.csv")
    assert message in str(error.value)
    assert "hush" not in str(error.value)

"""Files in remote storage: Azurite, emulators of S3 and Google Cloud Storage, and a server with every kind of fault.

The faults are the same for all kinds of storage, so each test of them runs on all.
"""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from io import BytesIO

import boto3
import fsspec.config
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import ContainerClient

from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion import locations, parquet_footers, remote_files, remote_stores
from predictive_maintenance.ingestion.locations import list_files
from predictive_maintenance.ingestion.parquet_footers import remote_parquet_rows
from predictive_maintenance.ingestion.part_files import open_output
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.partitions.planning import number_of_parts
from tests.fixtures.storage_servers import azure_connection_string, unused_port

KINDS = ("s3", "abfs", "gs", "http")


def check(uri):
    locations.check(Source(uri=uri), MILLING)


def fetch(uri):
    """(name, sha256) of each file of `uri`."""
    with locations.fetch(Source(uri=uri), MILLING) as tables:
        return [(table.name, table.sha256) for table in tables]


ACTIONS = pytest.mark.parametrize("action", [fetch, check])


def error_of(uri, action):
    with pytest.raises(SourceError) as error:
        action(uri)
    assert str(error.value).startswith(f"{uri}: ")
    return error.value


@pytest.fixture
def anonymous_google(monkeypatch):
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})


@pytest.fixture
def point_to(monkeypatch, s3_account, anonymous_google, no_waits_between_retries):
    """Point the library of a kind of storage to a server, and return the URI of a file there."""

    def point(kind, url):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection_string(url))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        return f"{url}/readings.csv" if kind == "http" else f"{kind}://plant/readings.csv"

    return point


# The same files in each kind of storage


@pytest.fixture
def s3_files(aws_url, point_to):
    point_to("s3", aws_url)
    bucket = boto3.resource("s3").Bucket("line")
    bucket.create()
    yield lambda name, content: bucket.put_object(Key=name, Body=content)
    bucket.objects.delete()
    bucket.meta.client.close()


@pytest.fixture
def azure_files(azurite_url, point_to):
    point_to("abfs", azurite_url)
    with ContainerClient.from_connection_string(azure_connection_string(azurite_url), "line") as container:
        container.create_container()
        yield container.upload_blob
        container.delete_container()


@pytest.fixture
def google_files(google_url, point_to):
    point_to("gs", google_url)
    files = fsspec.filesystem("gs", skip_instance_cache=True)
    files.mkdir("line")
    yield lambda name, content: files.pipe_file(f"line/{name}", content)
    files.rm("line", recursive=True)


@pytest.fixture(
    params=["s3", pytest.param("abfs", marks=pytest.mark.long), "gs"],
)
def storage(request):
    """(kind, function that stores a file in the bucket or container `line`)."""
    fixtures = {"s3": "s3_files", "abfs": "azure_files", "gs": "google_files"}
    return request.param, request.getfixturevalue(fixtures[request.param])


def test_a_file_is_read_under_its_own_name(storage, csv_text):
    kind, put = storage
    content = csv_text().encode()
    put("2024/readings.csv", content)
    uri = f"{kind}://line/2024/readings.csv"
    check(uri)
    assert fetch(uri) == [(uri, hashlib.sha256(content).hexdigest())]


def test_a_pattern_names_the_files_that_match_it_in_order(storage, csv_text):
    kind, put = storage
    for name in ("telemetry/b.csv", "telemetry/a.csv", "telemetry/more/c.csv", "telemetry/a.txt", "other/d.csv"):
        put(name, csv_text().encode())
    uri = f"{kind}://line/telemetry/*.csv"
    check(uri)
    assert [name for name, _ in fetch(uri)] == [f"{kind}://line/telemetry/{name}.csv" for name in "ab"]
    assert len(fetch(f"{kind}://line/**/*.csv")) == 4


def test_the_only_match_of_a_pattern_has_its_own_name(storage, csv_text):
    kind, put = storage
    put("one/a.csv", csv_text().encode())
    assert [name for name, _ in fetch(f"{kind}://line/one/*.csv")] == [f"{kind}://line/one/a.csv"]


def test_a_file_whose_name_has_wildcards_is_not_a_pattern(storage, csv_text):
    kind, put = storage
    for name in ("odd/[12].csv", "odd/1.csv"):
        put(name, csv_text().encode())
    assert [name for name, _ in fetch(f"{kind}://line/odd/[12].csv")] == [f"{kind}://line/odd/[12].csv"]


def test_the_size_of_a_folder_is_that_of_all_files_below_it_and_of_no_other(storage):
    kind, put = storage
    folder = open_output(f"{kind}://line/parts")
    assert (folder.folders(), folder.size("1")) == ([], None)
    for name, content in (("1/a", b"12"), ("1/b/c", b"345"), ("17/a", b"6"), ("1-a", b"7")):
        put(f"parts/{name}", content)
    assert folder.folders() == ["1", "17"]
    size = folder.size("1")
    assert (size.files, size.bytes) == (2, 5)
    assert abs(datetime.now(UTC) - size.written) < timedelta(minutes=5)
    folder.delete("1")
    assert (folder.folders(), folder.size("1")) == (["17"], None)


def test_parquet_files_count_by_the_rows_in_their_footers(storage, monkeypatch):
    kind, put = storage
    for rows in (1000, 3000):
        file = BytesIO()
        pq.write_table(pa.table({"torque_nm": np.zeros(rows)}), file)  # far less than 16 bytes a row
        put(f"rows/{rows}.parquet", file.getvalue())
    put("rows/broken.parquet", b"PAR1 is no footer PAR1")
    files = list_files(Source(uri=f"{kind}://line/rows/*.parquet"), 0)
    assert remote_parquet_rows(files) == 4000
    assert number_of_parts(files, 1000, MILLING) == 4
    monkeypatch.setattr(parquet_footers, "_TAIL_BYTES", 12)  # less than a footer
    assert remote_parquet_rows(files) == 4000
    monkeypatch.setattr(parquet_footers, "MOST_FOOTERS", 1)
    (first, _, _) = files
    assert remote_parquet_rows(files) == pytest.approx(1000 * sum(file.bytes for file in files) / first.bytes)


@ACTIONS
def test_a_pattern_without_a_match_is_an_error(storage, action):
    kind, put = storage
    put("other/a.csv", b"x")
    uri = f"{kind}://line/nothing/*.csv"
    assert str(error_of(uri, action)) == f"{uri}: no file matches"


def test_a_folder_is_an_error_that_suggests_a_pattern(storage):
    kind, put = storage
    put("telemetry/a.csv", b"x")
    uri = f"{kind}://line/telemetry"
    assert str(error_of(uri, check)) == f"{uri}: is a folder; name its files, for example {uri}/*.csv"


@ACTIONS
def test_a_missing_file_is_a_permanent_error(storage, action):
    kind, put = storage
    put("other/a.csv", b"x")
    error = error_of(f"{kind}://line/gone.csv", action)
    assert ": no such " in str(error)
    assert not error.transient


@ACTIONS
def test_a_missing_bucket_or_container_is_a_permanent_error(storage, action):
    kind, _ = storage
    error = error_of(f"{kind}://nowhere/gone.csv", action)
    assert ": no such " in str(error)
    assert not error.transient


# Faults, in each kind of storage


@ACTIONS
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_down_is_a_transient_error(point_to, kind, action):
    error = error_of(point_to(kind, f"http://127.0.0.1:{unused_port()}"), action)
    assert error.transient
    assert "127.0.0.1" in str(error)


@ACTIONS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("status", "transient"), [(401, False), (403, False), (404, False), (503, True)])
def test_a_status_is_reported_and_only_a_failure_of_the_server_is_transient(
    point_to, faulty_server, kind, status, transient, action
):
    faulty_server.status = status
    error = error_of(point_to(kind, faulty_server.url), action)
    assert error.transient is transient
    reason = {401: "access denied", 403: "access denied", 404: "no such "}.get(status, f"HTTP {status}")
    assert (f"HTTP {status}" if kind == "http" else reason) in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_incomplete_download_is_a_transient_error(point_to, faulty_server, kind):
    faulty_server.sent = 10
    assert error_of(point_to(kind, faulty_server.url), fetch).transient


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", [fetch, check])
def test_a_server_that_does_not_answer_is_a_transient_error(point_to, faulty_server, kind, action, monkeypatch):
    monkeypatch.setattr(remote_stores, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(remote_files, "CHECK_SECONDS", 3)
    faulty_server.silent = True
    assert error_of(point_to(kind, faulty_server.url), action).transient


def test_a_download_that_takes_too_long_is_ended(point_to, faulty_server, monkeypatch):
    monkeypatch.setenv("PDM_DOWNLOAD_TIMEOUT_MINUTES", "0.005")
    faulty_server.silent = True
    error = error_of(point_to("http", faulty_server.url), fetch)
    assert str(error).endswith("cannot be reached: not finished after 0.3 s")
    assert error.transient


@pytest.mark.parametrize("minutes", ["soon", "0", "-1", "inf", "nan"])
def test_an_invalid_time_limit_is_an_error_with_its_setting(web, monkeypatch, minutes):
    monkeypatch.setenv("PDM_DOWNLOAD_TIMEOUT_MINUTES", minutes)
    with pytest.raises(SourceError, match=f"PDM_DOWNLOAD_TIMEOUT_MINUTES: '{minutes}' is not a number of minutes"):
        fetch(f"{web[0]}/readings.csv")


# Settings


def test_the_credentials_of_a_web_server_are_read_from_netrc(faulty_server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login reader password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    faulty_server.status = 404
    error_of(f"{faulty_server.url}/readings.csv", check)
    assert faulty_server.authorization == f"Basic {b64encode(b'reader:s3cret').decode()}"


def test_the_credentials_of_a_web_server_are_read_from_the_environment(faulty_server, monkeypatch):
    monkeypatch.setenv("PLANT_PASSWORD", "s3/cr:et")
    faulty_server.status = 404
    uri = faulty_server.url.replace("http://", "http://reader:${PLANT_PASSWORD}@") + "/readings.csv"
    with pytest.raises(SourceError, match="HTTP 404"):
        check(uri)
    assert faulty_server.authorization == f"Basic {b64encode(b'reader:s3/cr:et').decode()}"


@pytest.mark.parametrize(
    "uri",
    ["abfs://plant", "abfs:///a.csv", "gs://plant/", "abfss://plant@account.dfs.core.windows.net", "gs:///a.csv"],
)
@ACTIONS
def test_a_url_without_a_container_or_a_path_is_an_error(point_to, uri, action):
    point_to("abfs", f"http://127.0.0.1:{unused_port()}")
    assert ": not of the form " in str(error_of(uri, action))


@ACTIONS
@pytest.mark.parametrize("setting", [None, "AccountName=plant", "AccountName=plant;AccountKey=c2VjcmV0"])
def test_an_azure_account_that_is_not_named_is_an_error_with_its_settings(monkeypatch, setting, action):
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    if setting:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "Account" + setting)
    error = error_of("abfs://plant/readings.csv", action)
    assert "AZURE_STORAGE_CONNECTION_STRING" in str(error)
    assert "c2VjcmV0" not in str(error)
    assert not error.transient


@pytest.mark.long
@ACTIONS
def test_a_wrong_azure_key_is_a_permanent_error_without_the_key(azure_files, azurite_url, monkeypatch, action):
    azure_files("a.csv", b"x")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection_string(azurite_url, "d3Jvbmc="))
    error = error_of("abfs://line/a.csv", action)
    assert "access denied (check AZURE_STORAGE_CONNECTION_STRING" in str(error)
    assert "d3Jvbmc=" not in str(error)
    assert not error.transient


@ACTIONS
def test_storage_whose_package_is_not_installed_is_an_error_that_names_the_extra(monkeypatch, action):
    def not_installed(protocol):
        raise ImportError(f"Please install the package for {protocol}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", not_installed)
    error = error_of("gs://plant/readings.csv", action)
    assert str(error).endswith("needs the package gcsfs: pip install 'predictive-maintenance[gcs]'")
    assert not error.transient


def test_missing_aws_credentials_are_a_permanent_error(aws_url, s3_account, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    error = error_of("s3://plant/readings.csv", check)
    assert "check the AWS credentials" in str(error)
    assert not error.transient

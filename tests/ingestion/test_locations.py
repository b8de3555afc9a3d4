"""Every kind of place is reached for real: files, a web server, an S3 server and SQLite, all on this machine."""

import gzip
import hashlib
import socket
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from uuid import UUID

import boto3
import pandas as pd
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion import locations
from predictive_maintenance.ingestion.dvc import dvc_md5


def source(uri):
    """As it is, though it holds a secret, which the settings would refuse."""
    return uri if isinstance(uri, Source) else Source.model_construct(uri=str(uri))


def check(uri):
    locations.check(source(uri))


def arrivals(uri):
    """Name, number of rows, sha256 and the rest of what arrives; rows are counted while a download is still there."""
    found = []
    with locations.fetch(source(uri)) as coming:
        for arrival in coming:
            table = arrival.table
            rows = table.num_rows if hasattr(table, "num_rows") else sum(batch.num_rows for batch in table.batches())
            found.append(SimpleNamespace(**vars(arrival), rows=rows))
    return found


def refusal(uri, action=arrivals):
    """The text of the error that `uri` meets."""
    with pytest.raises(SourceError) as refused:
        action(str(uri))
    return str(refused.value)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Files


def test_a_file_arrives_with_its_path_its_hash_and_its_size(write):
    path = write()
    (arrival,) = arrivals(path)
    assert (arrival.name, arrival.rows, arrival.bytes) == (str(path), 4, path.stat().st_size)
    assert arrival.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_glob_gives_its_files_in_the_order_of_their_names(write, tmp_path):
    for name in ("b/2.csv", "a/1.csv", "a/3.txt"):
        write(name=name)
    assert [arrival.name for arrival in arrivals(tmp_path / "*" / "*.csv")] == [
        str(tmp_path / "a" / "1.csv"), str(tmp_path / "b" / "2.csv"),
    ]  # fmt: skip
    assert len(arrivals(tmp_path / "**" / "*.csv")) == 2


def test_a_file_whose_name_looks_like_a_glob_is_that_file(write):
    path = write(name="readings[1].csv")
    assert arrivals(path)[0].name == str(path)


def test_a_glob_that_matches_nothing_is_told_so(tmp_path):
    assert "*.csv: no file matches" in refusal(tmp_path / "*.csv")


def test_a_missing_file_is_named_with_the_folder_it_was_looked_for_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal("nowhere.csv") == f"nowhere.csv: no such file (from {tmp_path})"


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_folder_instead_of_a_file_is_refused_with_a_way_out(tmp_path, action):
    assert refusal(tmp_path, action) == f"{tmp_path}: a folder: name its files, such as {tmp_path / '*.csv'}"


def test_checking_a_file_refuses_what_is_no_table(write):
    check(str(write()))
    assert "the file is empty" in refusal(write(b""), check)


@pytest.mark.parametrize("name", ["a" * 300, "~nobody-of-that-name/readings.csv", "a\0b"])
def test_a_name_that_no_file_can_have_is_an_error(name):
    assert refusal(name).startswith(f"{name}: ")


# DVC


def test_the_md5_is_read_from_the_pointer_beside_a_file(write):
    path = write()
    write("outs:\n- md5: 0123abcd\n  path: readings.csv\n", "readings.csv.dvc")
    assert arrivals(path)[0].dvc_md5 == "0123abcd"


def test_the_md5_of_a_tracked_folder_stands_for_the_files_in_it(write):
    path = write(name="raw/2024/readings.csv")
    write("outs:\n- md5: 0123abcd.dir\n  path: raw\n", "raw.dvc")
    assert dvc_md5(path) == "0123abcd.dir"


def test_no_pointer_above_the_project_s_own_dvc_folder_counts(write, tmp_path):
    path = write(name="outer/project/readings.csv")
    (tmp_path / "outer" / "project" / ".dvc").mkdir()
    write("outs:\n- md5: 0123abcd\n", "outer.dvc")
    assert dvc_md5(path) is None


def test_a_file_that_dvc_does_not_track_has_no_md5(write):
    assert arrivals(write())[0].dvc_md5 is None


@pytest.mark.parametrize("action", [arrivals, check])
def test_where_only_the_pointer_is_there_dvc_pull_is_the_way_out(write, action):
    pointer = write("outs:\n- md5: 0123abcd\n", "readings.csv.dvc")
    path = pointer.with_suffix("")
    assert refusal(path, action) == f"{path}: no such file: DVC tracks it: run `dvc pull {path}`"


def test_a_pointer_that_is_not_yaml_is_named(write):
    path = write()
    write("outs: [", "readings.csv.dvc")
    assert "readings.csv.dvc" in refusal(path)


# The web


def test_a_file_on_the_web_arrives_under_its_url(web, csv_text):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    check(f"{url}/readings.csv")
    (arrival,) = arrivals(f"{url}/readings.csv")
    assert (arrival.name, arrival.rows) == (f"{url}/readings.csv", 4)
    assert arrival.sha256 == hashlib.sha256(csv_text().encode()).hexdigest()


def test_a_packed_file_on_the_web_is_hashed_as_it_lies_there(web, csv_text):
    url, contents = web
    contents["/download"] = gzip.compress(csv_text().encode())
    (arrival,) = arrivals(f"{url}/download")
    assert (arrival.rows, arrival.bytes) == (4, len(contents["/download"]))
    assert arrival.sha256 == hashlib.sha256(contents["/download"]).hexdigest()


def test_a_token_in_the_query_is_sent_but_not_in_the_name(web, csv_text):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    assert arrivals(f"{url}/readings.csv?token=s3cret")[0].name == f"{url}/readings.csv?token=***"


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_missing_page_is_named_with_its_status_and_without_its_token(web, action):
    url, _ = web
    assert refusal(f"{url}/gone.csv?token=s3cret", action) == f"{url}/gone.csv?token=***: the server answered 404"


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_refused_connection_is_told_without_the_token(action):
    url = f"http://127.0.0.1:{unused_port()}/readings.csv"
    told = refusal(f"{url}?token=s3cret", action)
    assert told.startswith(f"{url}?token=***: cannot be reached")
    assert "s3cret" not in told


def test_a_page_instead_of_a_table_is_refused_without_the_token(web):
    url, contents = web
    contents["/login"] = b"<html>\n<p>Please log in</p>\n</html>\n"
    told = refusal(f"{url}/login?token=s3cret")
    assert told.startswith(f"{url}/login?token=***: no separator in its first line")


def test_a_url_with_a_mistyped_port_is_named():
    assert refusal("http://127.0.0.1:eighty/readings.csv").startswith("http://127.0.0.1:eighty/readings.csv")


@pytest.mark.parametrize(
    "url",
    [
        "https://me:${TOKEN}@host:eighty/r.csv", "http://[::1/r.csv", "http://", "http://a..b/r.csv", "http://h\0/r.csv",
        "http://host:99999/r.csv",
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", [arrivals, check])
def test_a_malformed_url_is_an_error_that_names_it(monkeypatch, url, action):
    monkeypatch.setenv("TOKEN", "s3/cr:et")
    told = refusal(url, action)
    assert told.startswith(url.replace("me:${TOKEN}", "***:***"))
    assert "s3" not in told


@pytest.fixture
def breaking_off():
    """The URL of a server that promises 1000 bytes and hangs up after ten."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.send_header("ETag", '"0123"')
            self.end_headers()
            self.wfile.write(b"UDI,Torque" if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *parts): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_that_breaks_off_is_an_error_and_not_a_shorter_file(breaking_off):
    told = refusal(f"{breaking_off}/readings.csv")
    assert told.startswith(f"{breaking_off}/readings.csv: the answer broke off")


# S3


@pytest.fixture
def s3_account(monkeypatch, tmp_path):
    """Credentials that open nothing, one attempt, and no settings of whoever runs the tests."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def bucket(aws_url, s3_account, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    client = boto3.client("s3")
    client.create_bucket(Bucket="plant")
    yield client
    client.close()


def test_an_object_arrives_under_its_address(bucket, csv_text):
    bucket.put_object(Bucket="plant", Key="2024/readings.csv", Body=csv_text().encode())
    check("s3://plant/2024/readings.csv")
    (arrival,) = arrivals("s3://plant/2024/readings.csv")
    assert (arrival.name, arrival.rows) == ("s3://plant/2024/readings.csv", 4)
    assert arrival.sha256 == hashlib.sha256(csv_text().encode()).hexdigest()


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_missing_object_is_named(bucket, action):
    assert refusal("s3://plant/gone.csv", action) == "s3://plant/gone.csv: no such object"


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_missing_bucket_is_named(bucket, action):
    told = refusal("s3://no-such-plant/readings.csv", action)
    assert told.startswith("s3://no-such-plant/readings.csv: no such")
    assert "bucket" in told


@pytest.mark.parametrize("action", [arrivals, check])
def test_an_endpoint_that_cannot_be_reached_is_named_with_its_setting(s3_account, monkeypatch, action):
    endpoint = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    told = refusal("s3://plant/readings.csv", action)
    assert told.startswith("s3://plant/readings.csv: ")
    assert endpoint in told
    assert "AWS_ENDPOINT_URL" in told


@pytest.mark.parametrize("uri", ["s3://plant", "s3://plant/", "s3:///readings.csv"])
def test_an_address_without_bucket_or_key_is_refused(uri):
    assert refusal(uri) == f"{uri}: not of the form s3://bucket/key"


@pytest.mark.parametrize("action", [arrivals, check])
@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "localhost", "http://127.0.0.1:port"])
def test_an_endpoint_that_is_no_url_is_named_with_its_setting(s3_account, monkeypatch, endpoint, action):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    told = refusal("s3://plant/readings.csv", action)
    assert told.startswith("s3://plant/readings.csv: ")
    assert "AWS_ENDPOINT_URL" in told


def test_an_object_that_breaks_off_again_and_again_is_named(s3_account, breaking_off, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", breaking_off)
    assert refusal("s3://plant/readings.csv").startswith("s3://plant/readings.csv: ")


def test_a_server_that_goes_away_while_a_missing_object_is_looked_into_changes_nothing(bucket, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    def gone(**_):
        raise EndpointConnectionError(endpoint_url="http://plant")

    monkeypatch.setattr(bucket, "head_bucket", gone)
    monkeypatch.setattr(boto3, "client", lambda _, **settings: bucket)
    assert refusal("s3://plant/gone.csv", check) == "s3://plant/gone.csv: no such object"


def test_a_bucket_s_key_may_hold_any_mark(bucket, csv_text):
    bucket.put_object(Bucket="plant", Key="what?#[.csv", Body=csv_text().encode())
    assert arrivals("s3://plant/what?#[.csv")[0].rows == 4


# Databases


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "plant.db"
    with closing(sqlite3.connect(path)) as connection:
        pd.DataFrame({"UDI": [1, 2, 3], "Torque": [10.0, 11.0, 12.0]}).to_sql("readings", connection, index=False)
        pd.DataFrame({"UDI": []}).to_sql("nothing yet", connection, index=False)
    return f"sqlite:///{path}"


def test_a_table_arrives_whole(database):
    (arrival,) = arrivals(f"{database}?table=readings")
    assert (arrival.rows, arrival.bytes, arrival.name) == (3, None, f"{database}?table=readings")


def test_a_query_arrives_with_what_it_selects(database):
    uri = f"{database}?query=SELECT UDI FROM readings WHERE Torque > 10"
    check(uri)
    assert arrivals(uri)[0].rows == 2


def test_the_same_rows_of_a_database_have_the_same_hash_and_others_another(database):
    (whole,), (again,) = arrivals(f"{database}?table=readings"), arrivals(f"{database}?query=SELECT * FROM readings")
    (less,) = arrivals(f"{database}?query=SELECT * FROM readings LIMIT 2")
    assert whole.sha256 == again.sha256 != less.sha256


def test_a_text_among_a_column_s_numbers_arrives_with_the_rest(database):
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("INSERT INTO readings VALUES (4, 'broken')")
    (arrival,) = arrivals(f"{database}?table=readings")
    assert [str(cell) for cell in arrival.table["Torque"].to_pylist()] == ["10.0", "11.0", "12.0", "broken"]


def test_a_column_whose_type_changes_late_is_text_throughout(database, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.ingestion.databases._ROWS_AT_A_TIME", 2)
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("CREATE TABLE loose (whole, mixed, big, empty)")
        rows = [
            (1, 1, 1, None),
            (2, 2, 2, None),
            (3, "broken", 2**60 + 1, None),
            (None, None, 0.5, None),
            (5, 7, 0.5, 3),
        ]
        connection.executemany("INSERT INTO loose VALUES (?, ?, ?, ?)", rows)
    table = arrivals(f"{database}?table=loose")[0].table
    assert table["whole"].to_pylist() == [1, 2, 3, None, 5]
    assert table["mixed"].to_pylist() == ["1", "2", "broken", None, "7"]
    assert table["big"].to_pylist() == ["1", "2", str(2**60 + 1), "0.5", "0.5"]
    assert table["empty"].to_pylist() == [None, None, None, None, 3]


@pytest.mark.parametrize("action", [arrivals, check])
def test_two_columns_of_one_name_are_refused_with_the_way_out(database, action):
    told = refusal(f"{database}?query=SELECT a.UDI, b.UDI, 1 AS one FROM readings a, readings b", action)
    assert told.endswith(": more than one column is named UDI: tell them apart with AS")


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("decimal", Decimal("12345678901234567890.5"), Decimal("12345678901234567890.5")),
        ("date", date(2024, 1, 31), date(2024, 1, 31)),
        ("datetime", datetime(2024, 1, 31, 12, tzinfo=UTC), datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("uuid", UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ("bytes", b"L\xff", "L\\xff"),
        ("time", time(6, 30), "06:30:00"),
        ("list", [1, 2], "[1, 2]"),
    ],
)
def test_a_column_of_any_kind_arrives_as_what_it_is_or_as_text(database, kind, value, cell):
    sqlite3.register_converter(f"any_{kind}", lambda _: value)
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(f"CREATE TABLE kinds (it any_{kind})")
        connection.execute("INSERT INTO kinds VALUES (1), (NULL)")
    table = arrivals(f"{database}?detect_types=1&table=kinds")[0].table
    assert table["it"].to_pylist() == [cell, None]


@pytest.mark.parametrize("action", [arrivals, check])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("tiemout=5", "an option that the driver does not take: Query string argument(s) 'tiemout'"),
        ("timeout=long", "a value of the wrong kind"),
    ],
)
def test_an_option_that_the_driver_does_not_take_is_named(database, options, reason, action):
    assert reason in refusal(f"{database}?{options}&table=readings", action)


@pytest.mark.parametrize("place", ["host:eighty", "[::1:5432", "host:1:2"])
@pytest.mark.parametrize("action", [arrivals, check])
def test_a_malformed_address_of_a_database_is_named(place, action):
    uri = f"postgresql://{place}/plant?table=t"
    assert refusal(uri, action).startswith(f"{uri}: not a valid URL")


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_missing_database_file_is_named_and_not_made(tmp_path, action):
    path = tmp_path / "mistyped.db"
    assert refusal(f"sqlite:///{path}?table=readings", action).endswith(f": no such file: {path}")
    assert not path.exists()


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_missing_table_is_named(database, action):
    assert refusal(f"{database}?table=gone", action) == f"{database}?table=gone: no such table: gone"


def test_a_table_without_rows_is_told_so(database):
    assert "gives no rows" in refusal(f"{database}?table=nothing yet")


@pytest.mark.parametrize("options", ["", "?", "?tabel=readings", "?table=readings&query=SELECT 1"])
def test_a_database_needs_either_a_table_or_a_query(database, options):
    assert "needs either ?table=NAME or ?query=SELECT" in refusal(database + options, check)


@pytest.mark.parametrize("uri", ["nosuchdb://host/plant?table=readings", "ftp://host/readings.csv", "gs://b/r.csv"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(uri):
    told = refusal(uri, check)
    assert told.startswith(f"{uri}: not a source that is known")
    assert "s3://" in told


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [("postgresql+psycopg2", "psycopg2"), ("oracle+oracledb", "oracledb"), ("mysql+pymysql", "pymysql")],
)
def test_a_driver_that_is_not_installed_is_named_with_the_way_to_get_it(scheme, driver):
    told = refusal(f"{scheme}://me:s3cret@host/plant?table=readings", check)
    assert f"pip install {driver}" in told
    assert "s3cret" not in told


# Secrets


def test_a_name_in_braces_is_taken_from_the_environment(write, monkeypatch):
    path = write()
    monkeypatch.setenv("PLANT_FOLDER", str(path.parent))
    assert arrivals("${PLANT_FOLDER}/readings.csv")[0].rows == 4


@pytest.mark.parametrize("action", [arrivals, check])
def test_a_name_that_is_not_set_is_told(monkeypatch, action):
    monkeypatch.delenv("PLANT_PASSWORD", raising=False)
    told = refusal("postgresql://me:${PLANT_PASSWORD}@host/plant?table=readings", action)
    assert told.startswith("postgresql://me:***@host/plant?table=readings")
    assert "PLANT_PASSWORD is not set" in told


def test_a_secret_from_the_environment_is_in_no_name(web, csv_text, monkeypatch):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    monkeypatch.setenv("PLANT_TOKEN", "s3cret")
    assert arrivals(url + "/readings.csv?token=${PLANT_TOKEN}")[0].name == f"{url}/readings.csv?token=***"


@pytest.mark.parametrize("password", ["s3[cr]et", "s3[cret"])
def test_a_password_with_a_bracket_is_neither_shown_nor_a_crash(password):
    told = refusal(f"postgresql://me:{password}@host/plant?table=t", check)
    assert password not in told

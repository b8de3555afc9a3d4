"""Sources are fetched from real files, a web server, an S3 server and SQLite, all on this machine."""

import gzip
import hashlib
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
from sqlalchemy.exc import OperationalError, ProgrammingError

from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion import locations
from predictive_maintenance.ingestion.dvc import dvc_md5
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.storage_servers import unused_port


def source(uri):
    """A source without the validation of settings, which refuses a written-out secret."""
    return uri if isinstance(uri, Source) else Source.model_construct(uri=str(uri))


def check(uri):
    locations.check(source(uri), MILLING)


def fetch_all(uri):
    """The fields of the fetch_all tables, and their `rows`, counted before a download is deleted."""
    tables = []
    with locations.fetch(source(uri), MILLING) as fetched_tables:
        for fetched_table in fetched_tables:
            table = fetched_table.table
            rows = table.num_rows if hasattr(table, "num_rows") else sum(batch.num_rows for batch in table.batches())
            tables.append(SimpleNamespace(**vars(fetched_table), rows=rows))
    return tables


def error_text(uri, action=fetch_all):
    """The text of the error that `action` raises for `uri`."""
    with pytest.raises(SourceError) as error:
        action(str(uri))
    return str(error.value)


# Files


def test_a_file_has_its_path_hash_and_size(write):
    path = write()
    (table,) = fetch_all(path)
    assert (table.name, table.rows, table.bytes) == (str(path), 4, path.stat().st_size)
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_files_of_a_glob_are_sorted_by_name(write, tmp_path):
    for name in ("b/2.csv", "a/1.csv", "a/3.txt"):
        write(name=name)
    assert [table.name for table in fetch_all(tmp_path / "*" / "*.csv")] == [
        str(tmp_path / "a" / "1.csv"), str(tmp_path / "b" / "2.csv"),
    ]  # fmt: skip
    assert len(fetch_all(tmp_path / "**" / "*.csv")) == 2


def test_an_existing_file_is_not_treated_as_a_glob(write):
    path = write(name="readings[1].csv")
    assert fetch_all(path)[0].name == str(path)


def test_a_glob_without_a_match_is_an_error(tmp_path):
    assert "*.csv: no file matches" in error_text(tmp_path / "*.csv")


def test_a_missing_file_is_an_error_with_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert error_text("nowhere.csv") == f"nowhere.csv: no such file (in {tmp_path})"


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_folder_is_an_error_that_suggests_a_glob(tmp_path, action):
    assert error_text(tmp_path, action) == f"{tmp_path}: is a folder; name its files, for example {tmp_path / '*.csv'}"


def test_the_check_rejects_a_file_that_is_not_a_table(write):
    check(str(write()))
    assert "the file is empty" in error_text(write(b""), check)


@pytest.mark.parametrize("name", ["a" * 300, "~nobody-of-that-name/readings.csv", "a\0b"])
def test_an_invalid_file_name_is_an_error(name):
    assert error_text(name).startswith(f"{name}: ")


# DVC


def test_the_md5_is_read_from_the_dvc_file(write):
    path = write()
    write("outs:\n- md5: 0123abcd\n  path: readings.csv\n", "readings.csv.dvc")
    assert fetch_all(path)[0].dvc_md5 == "0123abcd"


def test_files_of_a_tracked_folder_have_the_md5_of_the_folder(write):
    path = write(name="raw/2024/readings.csv")
    write("outs:\n- md5: 0123abcd.dir\n  path: raw\n", "raw.dvc")
    assert dvc_md5(path) == "0123abcd.dir"


def test_dvc_files_outside_the_project_are_ignored(write, tmp_path):
    path = write(name="outer/project/readings.csv")
    (tmp_path / "outer" / "project" / ".dvc").mkdir()
    write("outs:\n- md5: 0123abcd\n", "outer.dvc")
    assert dvc_md5(path) is None


def test_an_untracked_file_has_no_md5(write):
    assert fetch_all(write())[0].dvc_md5 is None


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_tracked_file_that_is_missing_is_an_error_that_suggests_dvc_pull(write, action):
    dvc_file = write("outs:\n- md5: 0123abcd\n", "readings.csv.dvc")
    path = dvc_file.with_suffix("")
    assert error_text(path, action) == f"{path}: no such file; DVC tracks it: run `dvc pull {path}`"


def test_an_invalid_dvc_file_is_an_error_with_its_name(write):
    path = write()
    write("outs: [", "readings.csv.dvc")
    assert "readings.csv.dvc" in error_text(path)


# The web


def test_a_file_on_the_web_has_its_url_as_name(web, csv_text):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    check(f"{url}/readings.csv")
    (table,) = fetch_all(f"{url}/readings.csv")
    assert (table.name, table.rows) == (f"{url}/readings.csv", 4)
    assert table.sha256 == hashlib.sha256(csv_text().encode()).hexdigest()


def test_the_hash_of_a_compressed_file_on_the_web_is_that_of_the_compressed_bytes(web, csv_text):
    url, contents = web
    contents["/download"] = gzip.compress(csv_text().encode())
    (table,) = fetch_all(f"{url}/download")
    assert (table.rows, table.bytes) == (4, len(contents["/download"]))
    assert table.sha256 == hashlib.sha256(contents["/download"]).hexdigest()


def test_a_token_in_the_query_is_not_in_the_name(web, csv_text):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    assert fetch_all(f"{url}/readings.csv?token=s3cret")[0].name == f"{url}/readings.csv?token=***"


@pytest.mark.parametrize("action", [fetch_all, check])
def test_an_http_error_shows_the_status_and_no_token(web, action):
    url, _ = web
    assert (
        error_text(f"{url}/gone.csv?token=s3cret", action) == f"{url}/gone.csv?token=***: the server returned HTTP 404"
    )


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_refused_connection_is_an_error_without_the_token(action):
    url = f"http://127.0.0.1:{unused_port()}/readings.csv"
    message = error_text(f"{url}?token=s3cret", action)
    assert message.startswith(f"{url}?token=***: cannot be reached")
    assert "s3cret" not in message


def test_an_html_page_is_an_error_without_the_token(web):
    url, contents = web
    contents["/login"] = b"<html>\n<p>Please log in</p>\n</html>\n"
    message = error_text(f"{url}/login?token=s3cret")
    assert message.startswith(f"{url}/login?token=***: not a CSV file: no separator in its first line")


def test_a_url_with_an_invalid_port_is_an_error_with_its_name():
    assert error_text("http://127.0.0.1:eighty/readings.csv").startswith("http://127.0.0.1:eighty/readings.csv")


@pytest.mark.parametrize(
    "url",
    [
        "https://me:${TOKEN}@host:eighty/r.csv", "http://[::1/r.csv", "http://", "http://a..b/r.csv", "http://h\0/r.csv",
        "http://host:99999/r.csv",
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", [fetch_all, check])
def test_an_invalid_url_is_an_error_without_its_secret(monkeypatch, url, action):
    monkeypatch.setenv("TOKEN", "s3/cr:et")
    message = error_text(url, action)
    assert message.startswith(url.replace("me:${TOKEN}", "***:***"))
    assert "s3" not in message


@pytest.fixture
def incomplete_response():
    """The URL of a server that announces 1000 bytes and closes the connection after ten."""

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


def test_an_incomplete_download_is_an_error(incomplete_response):
    message = error_text(f"{incomplete_response}/readings.csv")
    assert message.startswith(f"{incomplete_response}/readings.csv: the response is incomplete or invalid")


# S3


@pytest.fixture
def bucket(aws_url, s3_account, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    client = boto3.client("s3")
    client.create_bucket(Bucket="plant")
    yield client
    client.close()


def test_an_object_has_its_uri_as_name(bucket, csv_text):
    bucket.put_object(Bucket="plant", Key="2024/readings.csv", Body=csv_text().encode())
    check("s3://plant/2024/readings.csv")
    (table,) = fetch_all("s3://plant/2024/readings.csv")
    assert (table.name, table.rows) == ("s3://plant/2024/readings.csv", 4)
    assert table.sha256 == hashlib.sha256(csv_text().encode()).hexdigest()


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_missing_object_is_an_error_with_its_name(bucket, action):
    assert error_text("s3://plant/gone.csv", action) == "s3://plant/gone.csv: no such object"


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_missing_bucket_is_an_error_with_its_name(bucket, action):
    message = error_text("s3://no-such-plant/readings.csv", action)
    assert message.startswith("s3://no-such-plant/readings.csv: no such")
    assert "bucket" in message


@pytest.mark.parametrize("action", [fetch_all, check])
def test_an_unreachable_endpoint_is_an_error_with_its_setting(s3_account, monkeypatch, action):
    endpoint = f"http://127.0.0.1:{unused_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    message = error_text("s3://plant/readings.csv", action)
    assert message.startswith("s3://plant/readings.csv: ")
    assert endpoint in message
    assert "AWS_ENDPOINT_URL" in message


@pytest.mark.parametrize("uri", ["s3://plant", "s3://plant/", "s3:///readings.csv"])
def test_a_uri_without_bucket_or_key_is_an_error(uri):
    assert error_text(uri) == f"{uri}: not of the form s3://bucket/key"


@pytest.mark.parametrize("action", [fetch_all, check])
@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "localhost", "http://127.0.0.1:port"])
def test_an_endpoint_that_is_not_a_url_is_an_error_with_its_setting(s3_account, monkeypatch, endpoint, action):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    message = error_text("s3://plant/readings.csv", action)
    assert message.startswith("s3://plant/readings.csv: ")
    assert "AWS_ENDPOINT_URL" in message


def test_an_object_with_incomplete_responses_is_an_error_with_its_name(s3_account, incomplete_response, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", incomplete_response)
    assert error_text("s3://plant/readings.csv").startswith("s3://plant/readings.csv: ")


def test_a_key_can_contain_special_characters(bucket, csv_text):
    bucket.put_object(Bucket="plant", Key="what?#[.csv", Body=csv_text().encode())
    assert fetch_all("s3://plant/what?#[.csv")[0].rows == 4


# Databases


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "plant.db"
    with closing(sqlite3.connect(path)) as connection:
        pd.DataFrame({"UDI": [1, 2, 3], "Torque": [10.0, 11.0, 12.0]}).to_sql("readings", connection, index=False)
        pd.DataFrame({"UDI": []}).to_sql("nothing yet", connection, index=False)
    return f"sqlite:///{path}"


def test_a_table_is_read_completely(database):
    (table,) = fetch_all(f"{database}?table=readings")
    assert (table.rows, table.bytes, table.name) == (3, None, f"{database}?table=readings")


def test_a_query_reads_the_selected_rows(database):
    uri = f"{database}?query=SELECT UDI FROM readings WHERE Torque > 10"
    check(uri)
    assert fetch_all(uri)[0].rows == 2


def test_the_hash_of_a_query_depends_on_its_rows_only(database):
    (whole,), (again,) = fetch_all(f"{database}?table=readings"), fetch_all(f"{database}?query=SELECT * FROM readings")
    (less,) = fetch_all(f"{database}?query=SELECT * FROM readings LIMIT 2")
    assert whole.sha256 == again.sha256 != less.sha256


def test_a_text_in_a_column_of_numbers_is_read(database):
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("INSERT INTO readings VALUES (4, 'broken')")
    (table,) = fetch_all(f"{database}?table=readings")
    assert [str(cell) for cell in table.table["Torque"].to_pylist()] == ["10.0", "11.0", "12.0", "broken"]


def test_a_column_whose_type_changes_in_a_later_chunk_is_text(database, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.ingestion.databases._CHUNK_ROWS", 2)
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
    table = fetch_all(f"{database}?table=loose")[0].table
    assert table["whole"].to_pylist() == [1, 2, 3, None, 5]
    assert table["mixed"].to_pylist() == ["1", "2", "broken", None, "7"]
    assert table["big"].to_pylist() == ["1", "2", str(2**60 + 1), "0.5", "0.5"]
    assert table["empty"].to_pylist() == [None, None, None, None, 3]


@pytest.mark.parametrize("action", [fetch_all, check])
def test_two_columns_of_the_same_name_are_an_error_that_suggests_as(database, action):
    message = error_text(f"{database}?query=SELECT a.UDI, b.UDI, 1 AS one FROM readings a, readings b", action)
    assert message.endswith(": more than one column is named UDI: rename them in the query with AS")


@pytest.mark.parametrize(
    ("type_name", "value", "cell"),
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
def test_a_column_of_any_type_is_read_as_that_type_or_as_text(database, type_name, value, cell):
    sqlite3.register_converter(f"any_{type_name}", lambda _: value)
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(f"CREATE TABLE types (it any_{type_name})")
        connection.execute("INSERT INTO types VALUES (1), (NULL)")
    table = fetch_all(f"{database}?detect_types=1&table=types")[0].table
    assert table["it"].to_pylist() == [cell, None]


@pytest.mark.parametrize("action", [fetch_all, check])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("tiemout=5", "the driver does not support an option: Query string argument(s) 'tiemout'"),
        ("timeout=long", "a value of the wrong type"),
    ],
)
def test_an_unsupported_option_of_the_driver_is_an_error_with_its_name(database, options, reason, action):
    assert reason in error_text(f"{database}?{options}&table=readings", action)


@pytest.mark.parametrize("place", ["host:eighty", "[::1:5432", "host:1:2"])
@pytest.mark.parametrize("action", [fetch_all, check])
def test_an_invalid_database_url_is_an_error_with_its_name(place, action):
    uri = f"postgresql://{place}/plant?table=t"
    assert error_text(uri, action).startswith(f"{uri}: not a valid URL")


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_missing_database_file_is_an_error_and_is_not_created(tmp_path, action):
    path = tmp_path / "mistyped.db"
    assert error_text(f"sqlite:///{path}?table=readings", action).endswith(f": no such file: {path}")
    assert not path.exists()


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_missing_table_is_an_error_with_its_name(database, action):
    assert error_text(f"{database}?table=gone", action) == f"{database}?table=gone: no such table: gone"


@pytest.mark.parametrize(("error_type", "transient"), [(OperationalError, True), (ProgrammingError, False)])
def test_a_database_error_is_transient_unless_it_is_about_the_query(database, monkeypatch, error_type, transient):
    def fail(*_):
        raise error_type("SELECT 1", {}, Exception("the reason"))

    monkeypatch.setattr("predictive_maintenance.ingestion.databases._connect", fail)
    with pytest.raises(SourceError, match="the reason") as error:
        check(f"{database}?table=readings")
    assert error.value.transient is transient


def test_a_table_without_rows_is_an_error(database):
    assert "the query returns no rows" in error_text(f"{database}?table=nothing yet")


@pytest.mark.parametrize("options", ["", "?", "?tabel=readings", "?table=readings&query=SELECT 1"])
def test_a_database_needs_either_a_table_or_a_query(database, options):
    assert "needs either ?table=NAME or ?query=SELECT" in error_text(database + options, check)


@pytest.mark.parametrize("uri", ["nosuchdb://host/plant?table=readings", "ftp://host/readings.csv", "gcs+x://b/r.csv"])
def test_an_unknown_scheme_is_an_error_that_lists_the_supported_ones(uri):
    message = error_text(uri, check)
    assert message.startswith(f"{uri}: unsupported source")
    assert "s3://" in message


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [("postgresql+psycopg2", "psycopg2"), ("oracle+oracledb", "oracledb"), ("mysql+pymysql", "pymysql")],
)
def test_a_driver_that_is_not_installed_is_an_error_with_the_install_command(scheme, driver):
    message = error_text(f"{scheme}://me:s3cret@host/plant?table=readings", check)
    assert f"pip install {driver}" in message
    assert "s3cret" not in message


# Secrets


def test_a_name_in_braces_is_replaced_from_the_environment(write, monkeypatch):
    path = write()
    monkeypatch.setenv("PLANT_FOLDER", str(path.parent))
    assert fetch_all("${PLANT_FOLDER}/readings.csv")[0].rows == 4


@pytest.mark.parametrize("action", [fetch_all, check])
def test_an_environment_variable_that_is_not_set_is_an_error(monkeypatch, action):
    monkeypatch.delenv("PLANT_PASSWORD", raising=False)
    message = error_text("postgresql://me:${PLANT_PASSWORD}@host/plant?table=readings", action)
    assert message.startswith("postgresql://me:***@host/plant?table=readings")
    assert "PLANT_PASSWORD is not set" in message


def test_a_secret_from_the_environment_is_in_no_name(web, csv_text, monkeypatch):
    url, contents = web
    contents["/readings.csv"] = csv_text().encode()
    monkeypatch.setenv("PLANT_TOKEN", "s3cret")
    assert fetch_all(url + "/readings.csv?token=${PLANT_TOKEN}")[0].name == f"{url}/readings.csv?token=***"


@pytest.mark.parametrize("password", ["s3[cr]et", "s3[cret"])
def test_a_password_with_a_bracket_is_not_shown(password):
    message = error_text(f"postgresql://me:{password}@host/plant?table=t", check)
    assert password not in message


@pytest.mark.parametrize("place", ["folder", "file", "glob"])
def test_a_path_from_the_environment_is_in_no_name_and_no_error(write, monkeypatch, place):
    path = write(name="plant-secrets/readings.csv")
    uris = {"folder": "${PLACE}/readings.csv", "file": "${PLACE}", "glob": "${PLACE}/*.csv"}
    monkeypatch.setenv("PLACE", str(path if place == "file" else path.parent))
    (table,) = fetch_all(uris[place])
    assert "plant-secrets" not in table.name
    assert "${PLACE}" in table.name
    path.unlink()
    for action in (check, fetch_all):
        text = error_text(uris[place], action)
        assert "plant-secrets" not in text
        assert "${PLACE}" in text
    path.write_bytes(b"\x00\x01 not a table")
    assert "plant-secrets" not in error_text(uris[place], check)


@pytest.mark.parametrize("uri", ["s3://${PLACE}/a.csv", "s3://a/${PLACE}/b.csv", "s3://${PLACE}"])
def test_a_bucket_or_a_key_from_the_environment_is_in_no_error(s3_account, monkeypatch, uri):
    for endpoint in (None, f"http://127.0.0.1:{unused_port()}"):
        if endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        for value in ("plant-secrets", "Plant Secrets!"):
            monkeypatch.setenv("PLACE", value)
            for action in (check, fetch_all):
                assert "secrets" not in error_text(uri, action).lower()


@pytest.mark.parametrize("action", [fetch_all, check])
def test_a_database_file_from_the_environment_is_in_no_error(tmp_path, monkeypatch, action):
    monkeypatch.setenv("PLACE", str(tmp_path / "plant-secrets.db"))
    assert error_text("sqlite:///${PLACE}?table=t", action) == "sqlite:///${PLACE}?table=t: no such file: ${PLACE}"


@pytest.mark.parametrize("action", [fetch_all, check])
@pytest.mark.parametrize(
    "uri",
    [
        *("http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "http://", "http:///x", "http://127.0.0.1:99999/x"),
        *("http://[::1/x", "https://exa mple/x", "http://xn--/x", "http://127.0.0.1:1/x\ny", "http:/127.0.0.1:1/x"),
        *("s3://", "s3://b", "s3://B d/x", "s3:///k", "simulator://?rows=1e9", "simulator://?rows=", "simulator://x"),
        *("simulator://?rows=99999999999999999999", f"simulator://?seed={'9' * 5000}", "simulator://?speed=1"),
        *("sqlite://", "sqlite:///x", "sqlite:///x?table=", "postgresql+foo://h/x?table=t", "mysql://h:x/d?table=t"),
        *("file:///etc/passwd", "ftp://h/x"),
    ],
)
def test_a_malformed_or_unreachable_source_is_an_error_with_its_name(s3_account, uri, action):
    assert error_text(uri, action).startswith(uri[:7])

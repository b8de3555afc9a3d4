"""The command doctor: one line for each check with how to fix it, and an exit code for scripts."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from predictive_maintenance.cli.setup_checks import check_setup
from predictive_maintenance.config.sources import Source
from predictive_maintenance.store.store import Store
from predictive_maintenance.tracking.connection import connect
from tests.paths import PARAMS_FILE, REPOSITORY


@pytest.fixture
def doctor(registry_uri, tmp_path):
    """Run the command in a new process, because Metaflow reads its settings once: (exit code, results by name)."""

    def run(*arguments, **settings):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW", "AWS", "PDM"))}
        here = dict.fromkeys(("METAFLOW_DATASTORE_SYSROOT_LOCAL", "METAFLOW_HOME", "PDM_PROJECT_DIR"), str(tmp_path))
        # Its own project folder: the DVC remote of this checkout must not be queried.
        shutil.copy(PARAMS_FILE, tmp_path)
        done = subprocess.run(
            [sys.executable, "-m", "predictive_maintenance", "doctor", *arguments],
            capture_output=True, text=True, cwd=REPOSITORY, env=kept | here | settings, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        found = re.findall(r"^(pass|FAIL|unset) +(.+?)  +(.*)$", done.stdout, re.MULTILINE)
        return done.returncode, {name: (state, text) for state, name, text in found}

    return run


@pytest.fixture
def check(registry_uri, params, tmp_path, monkeypatch):
    """Run the checks in this process, for those that do not depend on Metaflow's settings: results by name."""

    def run(**settings):
        monkeypatch.chdir(tmp_path)
        for name, value in ({"PDM_PROJECT_DIR": str(tmp_path)} | settings).items():
            monkeypatch.setenv(name, value)
        return {result.name: (result.state, result.text) for result in check_setup(params)}

    return run


@pytest.fixture
def unauthorized_server():
    """The URL of a server that answers every request with 401."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def aws(aws_url):
    """An S3 bucket and the settings for it."""
    settings = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    bucket = boto3.resource(
        "s3", endpoint_url=aws_url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    ).create_bucket(Bucket="results")
    yield bucket, settings | {
        "AWS_ENDPOINT_URL": aws_url, "METAFLOW_S3_ENDPOINT_URL": aws_url, "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://results/metaflow",
    }  # fmt: skip
    bucket.objects.all().delete()
    bucket.delete()


@pytest.mark.parametrize(
    ("config", "state", "text"),
    [
        ("[core]\n    analytics = false\n", "unset", "no default remote"),
        ("no settings at all", "FAIL", "not a valid DVC configuration"),
        ("[core]\n    remote = store\n", "FAIL", "no default remote"),
        (
            "[core]\n    remote = store\n['remote \"store\"']\n    url = /mnt/store\n",
            "FAIL",
            "cannot be read from other machines",
        ),
        ("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://results/dvc\n", "pass", "s3://results/dvc"),
        ("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://nowhere/dvc\n", "FAIL", "s3://nowhere/dvc"),
    ],
)
def test_the_dvc_remote_must_be_readable_from_other_machines(check, aws, tmp_path, config, state, text):
    _, settings = aws
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(config)
    found = check(**{name: value for name, value in settings.items() if name.startswith("AWS")})
    assert found["DVC"][0] == state
    assert text in found["DVC"][1]


def test_a_new_setup_passes_and_lists_what_is_not_configured(doctor):
    code, found = doctor()
    assert code == 0
    assert {name: state for name, (state, _) in found.items()} == {
        "tracking": "pass", "registry": "pass", "model": "unset", "results": "pass", "AWS Batch": "unset", "DVC": "unset",
        "store": "unset", "engine": "pass", "source": "pass",
    }  # fmt: skip
    assert found["model"][1] == "no version is in production: python flows/train_flow.py run"


def test_the_newest_version_is_offered_for_promotion_if_none_is_in_production(check, promoted, params):
    connect(params.registry).client.delete_registered_model_alias(params.registry.model_name, "production")
    assert check()["model"] == (
        "unset",
        "no version is in production: python flows/train_flow.py run, or predictive-maintenance promote 2 --force",
    )


def test_the_engine_is_checked(check):
    assert check()["engine"] == ("pass", "this process")
    state, text = check(PDM_ENGINE="dask")["engine"]
    assert (state, text.endswith("set DASK_SCHEDULER_ADDRESS to use a cluster")) == ("pass", True)
    state, text = check(PDM_ENGINE="dask", DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:9")["engine"]
    assert (state, "no Dask scheduler answers at tcp://127.0.0.1:9" in text) == ("FAIL", True)
    assert check(PDM_ENGINE="dusk")["engine"][0] == "FAIL"
    state, text = check(PDM_ENGINE="dask", PDM_DASK_WORKERS="many")["engine"]
    assert (state, text) == ("FAIL", "PDM_DASK_WORKERS: 'many' is not a number of workers from 1")


def test_the_store_is_checked_and_not_changed(check, tmp_path):
    assert check()["store"] == (
        "unset",
        f"no readings are kept yet: POST /readings creates sqlite:///{tmp_path / 'store.db'}",
    )
    assert not (tmp_path / "store.db").exists()
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    Store.open(url, timeout_seconds=1).close()
    assert check(PDM_STORE_URL=url)["store"] == ("pass", f"{url}, 0 machines, no readings")
    with closing(sqlite3.connect(tmp_path / "kept.db")) as connection:
        connection.execute("UPDATE pdm_store_version SET version_num = '0999'")
        connection.commit()
    assert "a newer release has changed the store" in check(PDM_STORE_URL=url)["store"][1]
    missing = f"sqlite:///{tmp_path / 'missing' / 'store.db'}"
    state, text = check(PDM_STORE_URL=missing)["store"]
    assert (state, "the folder of the store does not exist" in text) == ("FAIL", True)
    assert check(PDM_STORE_URL="plant:s3cret@host")["store"][0] == "FAIL"


def test_what_doctor_writes_is_removed_again(doctor, registry_uri, params, monkeypatch):
    code, found = doctor("--write")
    assert (code, found["tracking, writing"][0]) == (0, "pass")
    connection = connect(params.registry)
    assert connection.client.search_runs([connection.experiment_id]) == []


def test_an_unreachable_server_fails_and_the_other_checks_still_run(check):
    found = check(MLFLOW_TRACKING_URI="http://me:hush@127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert found["server"][0] == found["registry"][0] == "FAIL"
    assert "check MLFLOW_TRACKING_URI" in found["registry"][1]
    assert found["results"][0] == "pass"
    assert "hush" not in str(found)


def test_wrong_credentials_are_reported_with_their_settings(check, unauthorized_server):
    found = check(MLFLOW_TRACKING_URI=unauthorized_server)
    assert found["registry"][0] == "FAIL"
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in found["registry"][1]


@pytest.mark.long
def test_the_s3_datastore_is_listed_and_with_the_option_written(doctor, aws):
    bucket, settings = aws
    code, found = doctor(**settings)
    assert (code, found["results"]) == (0, ("pass", "s3://results/metaflow can be listed"))
    _, found = doctor("--write", **settings)
    assert found["results"] == ("pass", "s3://results/metaflow can be listed and written")
    assert list(bucket.objects.all()) == []


@pytest.mark.parametrize(
    ("url", "text"),
    [("s3://elsewhere/x", "The specified bucket does not exist"), ("", "METAFLOW_DATASTORE_SYSROOT_S3: not set")],
)
def test_a_missing_s3_datastore_fails(doctor, aws, url, text):
    code, found = doctor(**aws[1] | {"METAFLOW_DATASTORE_SYSROOT_S3": url})
    assert (code, found["results"][0]) == (1, "FAIL")
    assert text in found["results"][1]


def test_an_invalid_s3_endpoint_is_named_with_its_setting(doctor, aws):
    code, found = doctor(**aws[1] | {"METAFLOW_S3_ENDPOINT_URL": "minio:9000"})
    assert (code, found["results"][0]) == (1, "FAIL")
    assert "AWS_ENDPOINT_URL" in found["results"][1]


@pytest.mark.long
def test_a_missing_job_queue_is_named_with_its_setting(doctor, aws):
    code, found = doctor(**aws[1] | {"METAFLOW_BATCH_JOB_QUEUE": "nightly"})
    assert (code, found["AWS Batch"][0]) == (1, "FAIL")
    assert "METAFLOW_BATCH_JOB_QUEUE: the queue nightly does not exist" in found["AWS Batch"][1]


def sources_of(params, *uris):
    """`params` with other sources."""
    data = params.data.model_copy(update={"sources": tuple(Source(uri=uri) for uri in uris)})
    return params.model_copy(update={"data": data})


def check_sources(params, *uris):
    """The results of the checks of the sources `uris`."""
    results = [result for result in check_setup(sources_of(params, *uris)) if result.name == "source"]
    return [(result.state, result.text) for result in results]


def test_each_source_is_read(registry_uri, params, tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    results = check_sources(params, "simulator://?rows=10", str(tmp_path / "gone.csv"))
    assert results[0] == ("pass", "simulator://?rows=10 can be read")
    assert results[1][0] == "FAIL"
    assert "gone.csv: no such file" in results[1][1]


def test_a_source_in_remote_storage_is_named_with_its_credentials(
    registry_uri, params, tmp_path, monkeypatch, aws_url, s3_account
):
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    bucket = boto3.resource("s3").Bucket("doctors")
    bucket.create()
    bucket.put_object(Key="a.csv", Body=b"x")
    (found, missing) = check_sources(params, "s3://doctors/a.csv", "s3://doctors/gone.csv")
    assert found == ("pass", "s3://doctors/a.csv can be read, with AWS_ACCESS_KEY_ID")
    assert missing == ("FAIL", "s3://doctors/gone.csv: no such object")


def test_a_missing_azure_account_is_named_with_its_settings(registry_uri, params, tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    ((state, text),) = check_sources(params, "abfs://plant/a.csv")
    assert state == "FAIL"
    assert text.startswith("abfs://plant/a.csv: set AZURE_STORAGE_CONNECTION_STRING")

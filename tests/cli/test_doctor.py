"""The doctor: one finding a line, each with the way out, and an exit code for a script."""

import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from tests.paths import PARAMS_FILE, REPOSITORY


@pytest.fixture
def doctor(registry_uri, tmp_path):
    """Runs the command in a process of its own, as Metaflow reads its settings once: (exit code, findings by name)."""

    def run(*arguments, **settings):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW", "AWS", "PDM"))}
        here = dict.fromkeys(("METAFLOW_DATASTORE_SYSROOT_LOCAL", "METAFLOW_HOME", "PDM_PROJECT_DIR"), str(tmp_path))
        # A project of its own: the DVC remote of the clone that is being worked on must not be queried.
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
def refusing():
    """A server that asks for credentials whatever it is asked."""

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
    """Settings that lead to an S3 with one bucket."""
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
    ("config", "state", "said"),
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
def test_the_remote_of_dvc_is_one_that_another_machine_reads(doctor, aws, tmp_path, config, state, said):
    _, settings = aws
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(config)
    _, found = doctor(**settings)
    assert found["DVC"][0] == state
    assert said in found["DVC"][1]


def test_a_fresh_machine_passes_and_is_told_what_it_goes_without(doctor):
    code, found = doctor()
    assert code == 0
    assert {name: state for name, (state, _) in found.items()} == {
        "tracking": "pass", "registry": "pass", "model": "unset", "results": "pass", "AWS Batch": "unset", "DVC": "unset",
    }  # fmt: skip
    assert "python flows/train_flow.py run" in found["model"][1]


def test_what_it_writes_is_removed_again(doctor, registry_uri, params, monkeypatch):
    from predictive_maintenance.tracking.connection import connect

    code, found = doctor("--write")
    assert (code, found["tracking, writing"][0]) == (0, "pass")
    connection = connect(params.registry)
    assert connection.client.search_runs([connection.experiment_id]) == []


def test_a_server_that_is_away_fails_and_the_rest_is_examined_all_the_same(doctor):
    code, found = doctor(MLFLOW_TRACKING_URI="http://me:hush@127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert code == 1
    assert found["server"][0] == found["registry"][0] == "FAIL"
    assert "is MLFLOW_TRACKING_URI right" in found["registry"][1]
    assert found["results"][0] == "pass"
    assert "hush" not in str(found)


def test_refused_credentials_are_told_with_their_settings(doctor, refusing):
    code, found = doctor(MLFLOW_TRACKING_URI=refusing)
    assert code == 1
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in found["registry"][1]


def test_results_on_s3_are_looked_for_and_written_when_asked(doctor, aws):
    bucket, settings = aws
    code, found = doctor(**settings)
    assert (code, found["results"]) == (0, ("pass", "s3://results/metaflow can be listed"))
    _, found = doctor("--write", **settings)
    assert found["results"] == ("pass", "s3://results/metaflow can be listed and written")
    assert list(bucket.objects.all()) == []


@pytest.mark.parametrize(
    ("place", "said"),
    [("s3://elsewhere/x", "The specified bucket does not exist"), ("", "METAFLOW_DATASTORE_SYSROOT_S3: is not set")],
)
def test_results_that_have_no_place_fail(doctor, aws, place, said):
    code, found = doctor(**aws[1] | {"METAFLOW_DATASTORE_SYSROOT_S3": place})
    assert (code, found["results"][0]) == (1, "FAIL")
    assert said in found["results"][1]


def test_an_endpoint_that_is_none_fails_by_its_setting(doctor, aws):
    code, found = doctor(**aws[1] | {"METAFLOW_S3_ENDPOINT_URL": "minio:9000"})
    assert (code, found["results"][0]) == (1, "FAIL")
    assert "AWS_ENDPOINT_URL" in found["results"][1]


def test_a_queue_that_is_not_there_fails_by_its_setting(doctor, aws):
    code, found = doctor(**aws[1] | {"METAFLOW_BATCH_JOB_QUEUE": "nightly"})
    assert (code, found["AWS Batch"][0]) == (1, "FAIL")
    assert "METAFLOW_BATCH_JOB_QUEUE: there is no queue nightly" in found["AWS Batch"][1]

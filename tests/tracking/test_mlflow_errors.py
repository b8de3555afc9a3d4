"""Errors of MLflow, of its transport and of its stores: their text, and whether a retry can succeed."""

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from botocore.exceptions import ClientError, NoCredentialsError
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import UNAUTHENTICATED
from sqlalchemy.exc import OperationalError

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.mlflow_errors import as_registry_errors


def converted(error):
    with pytest.raises(RegistryError) as raised, as_registry_errors("http://host:4010", "reading"):
        raise error
    return raised.value


def text_of(error):
    return str(converted(error))


def http_error(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Client Error", response=response)


@pytest.mark.parametrize("error", [MlflowException("no", UNAUTHENTICATED), http_error(401)], ids=["API", "artifacts"])
def test_wrong_credentials_are_recognised_by_the_status(error):
    assert "wrong credentials (401): set MLFLOW_TRACKING_USERNAME" in text_of(error)


@pytest.mark.parametrize(
    "error",
    [RestException({"error_code": "PERMISSION_DENIED", "message": "no"}), http_error(403)],
    ids=["API", "artifacts"],
)
def test_missing_permission_is_recognised_by_the_status(error):
    assert "permission denied (403)" in text_of(error)


@pytest.mark.parametrize("text", ["/runs/4010/403: no such file", "version 401 is broken", "Unauthorized.csv: empty"])
def test_a_number_in_a_text_is_not_a_status(text):
    assert text_of(MlflowException(text)) == f"MLflow at http://host:4010, reading: {text}"
    assert text_of(OSError(text)) == f"MLflow at http://host:4010, reading: {text}"


def test_a_port_in_a_text_is_not_a_status():
    text = "HTTPConnectionPool(host='host', port=4010): Max retries exceeded with url: /api (Connection refused)"
    assert "the server does not answer" in text_of(MlflowException(text))


def test_missing_credentials_of_an_artifact_store_are_a_registry_error():
    assert text_of(NoCredentialsError()) == "MLflow at http://host:4010, reading: Unable to locate credentials"


def test_a_full_disk_is_named_with_the_file_that_does_not_fit(make_disk, tmp_path):
    disk = make_disk(64)
    (tmp_path / "model.onnx").write_bytes(bytes(2**20))
    with pytest.raises(RegistryError) as raised, as_registry_errors("sqlite:////plant/mlflow.db", "logging artifacts"):
        shutil.copy(tmp_path / "model.onnx", disk.path)
    assert str(raised.value) == (
        f"MLflow at sqlite:////plant/mlflow.db, logging artifacts: No space left on device at {disk.path / 'model.onnx'}: "
        "free space on the disk, then repeat the command or resume the run"
    )
    assert not raised.value.transient


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (MlflowException("no", UNAUTHENTICATED), False),
        (RestException({"error_code": "PERMISSION_DENIED", "message": "no"}), False),
        (RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}), False),
        (RestException({"error_code": "ENDPOINT_NOT_FOUND", "message": "failed with error code 404"}), False),
        (MlflowException("out-of-date database schema (found version 1, but expected 2)"), False),
        (ClientError({"ResponseMetadata": {"HTTPStatusCode": 403}}, "GetObject"), False),
        (RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}), True),
        (http_error(429), True),
        (http_error(503), True),
        (MlflowException("API request failed: Max retries exceeded with url: /api"), True),
        (OperationalError("select", {}, Exception("database is locked")), True),
        (ConnectionResetError(), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_is_transient_only_if_a_retry_can_succeed(error, transient):
    assert converted(error).transient is transient


@pytest.fixture
def serve(monkeypatch):
    """Start a server at MLFLOW_TRACKING_URI that answers every request with the given status and body."""
    servers = []

    def start(status, body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{servers[-1].server_port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [500, 502])
def test_a_server_that_always_answers_with_an_error_is_not_reported_as_silent(serve, params, status):
    serve(status, b"<html>oops</html>")
    with pytest.raises(RegistryError, match=f"the server answers HTTP {status} every time: see the server's log"):
        connect(params.registry)


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_site_that_is_not_an_mlflow_server_is_reported_as_such(serve, params, status):
    serve(status, b"<html>\nwelcome</html>")
    with pytest.raises(RegistryError, match="not an MLflow server"):
        connect(params.registry)

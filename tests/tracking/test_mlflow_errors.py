"""What a person reads when MLflow, the way to it or its stores fail."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from botocore.exceptions import NoCredentialsError
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import UNAUTHENTICATED

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.mlflow_errors import as_registry_errors


def text_of(error):
    with pytest.raises(RegistryError) as raised, as_registry_errors("http://host:4010", "looking"):
        raise error
    return str(raised.value)


def answered(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Client Error", response=response)


@pytest.mark.parametrize("error", [MlflowException("no", UNAUTHENTICATED), answered(401)], ids=["API", "artifacts"])
def test_refused_credentials_are_told_by_the_answer_of_the_server(error):
    assert "the credentials were refused (401): set MLFLOW_TRACKING_USERNAME" in text_of(error)


@pytest.mark.parametrize(
    "error",
    [RestException({"error_code": "PERMISSION_DENIED", "message": "no"}), answered(403)],
    ids=["API", "artifacts"],
)
def test_a_lack_of_permission_is_told_by_the_answer_of_the_server(error):
    assert "permission denied (403)" in text_of(error)


@pytest.mark.parametrize("text", ["/runs/4010/403: no such file", "version 401 is broken", "Unauthorized.csv: empty"])
def test_a_number_in_a_text_is_no_answer_of_a_server(text):
    assert text_of(MlflowException(text)) == f"MLflow at http://host:4010, looking: {text}"
    assert text_of(OSError(text)) == f"MLflow at http://host:4010, looking: {text}"


def test_a_server_that_cannot_be_reached_at_port_4010_refuses_no_credentials():
    text = "HTTPConnectionPool(host='host', port=4010): Max retries exceeded with url: /api (Connection refused)"
    assert "the server does not answer" in text_of(MlflowException(text))


def test_a_store_that_lacks_credentials_is_an_error_of_the_registry():
    assert text_of(NoCredentialsError()) == "MLflow at http://host:4010, looking: Unable to locate credentials"


@pytest.fixture
def answering(monkeypatch):
    """Make whatever MLFLOW_TRACKING_URI names answer each request with the status and body given."""
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
def test_a_server_that_answers_with_an_error_each_time_is_not_told_as_silent(answering, params, status):
    answering(status, b"<html>oops</html>")
    with pytest.raises(RegistryError, match=f"the server answers {status} each time: its log says why"):
        connect(params.registry)


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_site_that_is_no_mlflow_server_is_told_as_such(answering, params, status):
    answering(status, b"<html>\nwelcome</html>")
    with pytest.raises(RegistryError, match="what answers there is not an MLflow server"):
        connect(params.registry)

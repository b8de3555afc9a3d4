"""What a failing step does to its retries and to the flow's MLflow run, in flows without any other work."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.paths import REPOSITORY

from .in_process import import_flow

pytestmark = pytest.mark.flow

IMPORTS = """
import metaflow_setup
from metaflow import FlowSpec, current, retry, step

from metaflow_errors import plain_errors
from permanent_errors import exit_code_of_permanent_errors
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.errors import DataError, SourceError
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.runs import FlowRun
"""
FAILING_FLOW = f"""{IMPORTS}

class FailingFlow(FlowSpec):
    @plain_errors
    @step
    def start(self):
        self.params = load_params()
        self.mlflow_run_id = FlowRun.start(connect(self.params.registry), current.run_id, {{}}).run_id
        self.letters = ["a"]
        self.next(self.work, foreach="letters")

    @plain_errors
    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        print("work finds", self.status())
        if current.retry_count == 0:
            raise ZeroDivisionError("a fault of the code")
        self.next(self.join)

    @plain_errors
    @retry(times=1, minutes_between_retries=0)
    @step
    def join(self, inputs):
        if current.retry_count == 0:
            raise ZeroDivisionError("a fault of the code")
        self.params, self.mlflow_run_id = inputs[0].params, inputs[0].mlflow_run_id
        print("join finds", self.status())
        self.next(self.end)

    @plain_errors
    @step
    def end(self):
        print("end finds", self.status())
        raise ZeroDivisionError("a fault of the code")

    def status(self):
        return self.flow_mlflow_run.connection.client.get_run(self.mlflow_run_id).info.status

    @property
    def flow_mlflow_run(self):
        return FlowRun(connect(self.params.registry), self.mlflow_run_id)


if __name__ == "__main__":
    FailingFlow()
"""
RETRYING_FLOW = f"""{IMPORTS}

class RetryingFlow(FlowSpec):
    @plain_errors
    @retry(times=2, minutes_between_retries=0)
    @step
    def start(self):
        print("attempt", current.retry_count)
        BODY
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    with exit_code_of_permanent_errors():
        RetryingFlow()
"""
CONNECT = "connect(load_params().registry)"


@pytest.fixture
def run_flow(place, tmp_path):
    """Run the flow with the given source code: (exit code, output)."""

    def run(code, **environment):
        (tmp_path / "probe_flow.py").write_text(code)
        done = subprocess.run(
            [sys.executable, str(tmp_path / "probe_flow.py"), "run"],
            cwd=place.root,
            env={**place.variables(), "PYTHONPATH": f"{REPOSITORY / 'flows'}:{REPOSITORY}", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout

    return run


@pytest.fixture
def serve():
    """Start an HTTP server that answers every request with the given status: (its URL, the paths of the requests)."""
    servers = []

    def start(status):
        paths = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                paths.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return f"http://127.0.0.1:{servers[-1].server_port}", paths

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.long
def test_an_error_of_a_step_fails_the_mlflow_run_and_a_retry_continues_it(run_flow, place):
    code, output = run_flow(FAILING_FLOW)
    assert code == 1
    assert output.count("ZeroDivisionError: a fault of the code") == 3, output
    assert output.count("work finds RUNNING") == 2
    assert "join finds RUNNING" in output
    assert "end finds RUNNING" in output
    assert place.run_statuses() == ["FAILED"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "wrong credentials (401)"), (403, "permission denied (403)"), (404, "not an MLflow server")],
)
def test_a_server_that_refuses_a_request_is_asked_once(run_flow, serve, status, reason):
    url, requests = serve(status)
    code, output = run_flow(RETRYING_FLOW.replace("BODY", CONNECT), MLFLOW_TRACKING_URI=url)
    assert code == 1
    assert reason in output
    assert len(requests) == 1
    assert "attempt 1" not in output
    assert "a step failed and was not retried" in output
    assert "Internal error" not in output
    assert "Traceback" not in output


@pytest.mark.long
def test_a_server_that_is_overloaded_is_asked_again(run_flow, serve):
    url, requests = serve(503)
    settings = {"MLFLOW_TRACKING_URI": url, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    code, output = run_flow(RETRYING_FLOW.replace("BODY", CONNECT), **settings)
    assert code == 1
    assert len(requests) == 3
    assert "attempt 2" in output


@pytest.mark.parametrize(
    ("error", "attempts"),
    [("DataError('no failures')", 1), ("SourceError('no answer', transient=True)", 3)],
    ids=["permanent", "transient"],
)
def test_only_transient_errors_of_the_data_are_retried(run_flow, error, attempts):
    code, output = run_flow(RETRYING_FLOW.replace("BODY", f"raise {error}"))
    assert code == 1
    assert len([line for line in output.splitlines() if "] attempt " in line]) == attempts


@pytest.mark.parametrize(
    ("error", "command"),
    [("SourceError('no such file')", "run"), ("SourceError('no answer', transient=True)", "resume --origin-run-id")],
    ids=["permanent", "transient"],
)
def test_a_run_that_lost_its_storage_is_resumed_and_one_without_its_files_is_repeated(run_flow, error, command):
    failing_end = f"    @plain_errors\n    @step\n    def end(self):\n        raise {error}\n"
    flow = RETRYING_FLOW.replace("BODY", "pass").replace("    @step\n    def end(self):\n        pass\n", failing_end)
    code, output = run_flow(flow)
    assert code == 1
    assert f"after the fix: python flows/train_flow.py {command}" in output


@pytest.fixture(scope="module")
def arguments_to_repeat():
    import_flow()
    return sys.modules["metaflow_errors"].arguments_to_repeat


def test_a_failed_run_names_the_command_with_its_options(place):
    code, output = place.run("run", "--sources", "no such.csv", "--trials=2")
    assert code != 0
    assert "after the fix: python flows/train_flow.py run --sources 'no such.csv' --trials=2\n" in output


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["run"], "run"),
        (
            ["--config", "settings", "my params.yaml", "run", "--seed", "3"],
            "--config settings 'my params.yaml' run --seed 3",
        ),
        (["run", "--sources=a.csv,join:b.csv"], "run --sources=a.csv,join:b.csv"),
        (["run", "--sources", '["a.csv", "join:b.csv"]'], """run --sources '["a.csv", "join:b.csv"]'"""),
        (
            ["run", "--sources", "postgresql://me:${PW}@h/db?table=t"],
            "run --sources 'postgresql://me:***@h/db?table=t'",
        ),
        (["run", "--sources", "https://h/a.csv?key=${KEY}"], "run --sources 'https://h/a.csv?key=***'"),
        (["run", "--sources", "postgresql://me:written-out@h/db?table=t"], "run --sources '***'"),
        (["run", "--tag", "from=https://me:secret@h/x"], "run --tag 'from=https://***@h/x'"),
        (["run", "--sources", "a.csv," * 500], ""),
    ],
)
def test_the_arguments_of_a_run_are_repeated_without_secrets(arguments_to_repeat, given, shown):
    assert arguments_to_repeat(given) == shown

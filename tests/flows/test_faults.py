"""Faults, each one caused: what a person reads, what is lost (nothing), and how to go on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from predictive_maintenance.ingestion.simulator import simulate

SECRET = "postgresql://me:s3cret@host/plant?table=t"
STAR = "\N{ASTERISK OPERATOR}"
pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def readings():
    return simulate(6000, 3)


def stopped(place, quick_params, *arguments, **environment):
    """What a run prints that must stop by itself without a traceback."""
    code, output = place.run("run", *arguments, config=quick_params, **environment)
    assert code != 0, output
    assert "Traceback" not in output, output
    return output


def test_every_unreachable_source_is_told_before_any_work(place, quick_params, tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    names = ["nosuch.csv", str(tmp_path / "empty.csv"), str(tmp_path / "noise.csv")]
    output = stopped(place, quick_params, "--sources", ",".join(names))
    assert "nosuch.csv: no such file" in output
    assert "empty.csv: the file is empty" in output
    assert "noise.csv: neither CSV nor Parquet" in output
    assert "/ingest/" not in output


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.assign(machine_failure=0), "0 failures in 6000 rows; at least 15 are needed"),
        (lambda rows: rows.head(40), "failures in 40 rows; at least 15 are needed"),
        (lambda rows: rows.drop(columns="torque_nm"), "no column for torque_nm (a header such as 'Torque [Nm]'"),
        (
            lambda rows: rows.assign(air_temperature_k=rows["air_temperature_k"] - 273.15),
            "air_temperature_k is outside of the physical limits 230 to 350 K",
        ),
    ],
    ids=["no failures", "too few rows", "no torque", "celsius without a unit"],
)
def test_data_that_cannot_be_learned_from_stops_the_run_with_the_reason(
    place, quick_params, readings, tmp_path, spoil, message
):
    spoil(readings).to_csv(tmp_path / "readings.csv", index=False)
    assert message in stopped(place, quick_params, "--sources", str(tmp_path / "readings.csv"))
    assert place.run_statuses() == ["FAILED"]


def test_a_mistyped_setting_stops_the_launch(place, quick_params, tmp_path):
    broken = tmp_path / "params.yaml"
    broken.write_text(Path(quick_params).read_text().replace("min_recall", "min_recal"))
    assert "gate.min_recal is not a setting; did you mean 'min_recall'?" in stopped(place, broken)


def test_a_mistyped_hyperparameter_stops_the_run_before_any_work(place, quick_params, tmp_path):
    broken = tmp_path / "params.yaml"
    broken.write_text(Path(quick_params).read_text().replace("num_leaves", "num_leafs"))
    output = stopped(place, broken)
    assert "candidates.lightgbm.search.num_leafs: is not a hyperparameter; did you mean 'num_leaves'?" in output
    assert "/ingest/" not in output


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["run", "--sources", f"a.csv,{SECRET}"], {}),
        (["run"], {"METAFLOW_RUN_SOURCES": SECRET}),
        (["--config-value", "settings", json.dumps({"data": {"sources": [SECRET]}}), "run"], {}),
    ],
    ids=["the option", "the environment", "the settings"],
)
def test_a_password_in_a_source_stops_the_launch_and_is_neither_shown_nor_kept(place, arguments, environment):
    code, output = place.run(*arguments, **environment)
    assert code != 0
    assert f"postgresql://me:{STAR * 3}@host/plant?table=t contains a password" in output
    assert "Traceback" not in output
    assert "s3cret" not in output
    assert [path for path in place.root.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()] == []


def test_settings_that_are_not_utf_8_or_not_there_are_named(place, tmp_path):
    (tmp_path / "latin.yaml").write_bytes("currency: £".encode("cp1252"))
    assert "latin.yaml: not UTF-8 text (byte 11)" in stopped(place, tmp_path / "latin.yaml")
    assert "'nosuch.yaml' could not be read" in stopped(place, "nosuch.yaml")


def test_a_wait_that_is_no_number_of_minutes_is_named(place, quick_params):
    output = stopped(place, quick_params, PDM_RETRY_MINUTES="soon")
    assert output == "PDM_RETRY_MINUTES: must be a whole number of minutes, not 'soon'\n"


def test_a_registry_that_is_down_at_the_start_stops_the_run_before_any_work(place, quick_params):
    output = stopped(place, quick_params, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "MLflow at http://127.0.0.1:9, connecting: the server does not answer" in output
    assert "/ingest/" not in output


def test_a_folder_for_results_that_cannot_be_written_is_named_with_the_way_out(place, quick_params, tmp_path):
    (tmp_path / "file").touch()
    output = stopped(place, quick_params, METAFLOW_DATASTORE_SYSROOT_LOCAL=str(tmp_path / "file"))
    assert "file/.metaflow: Not a directory: set METAFLOW_DATASTORE_SYSROOT_LOCAL to a folder of yours" in output


class Server:
    """An MLflow server of one's own that can be stopped and started again on the same port and data."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.root / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self.root / "artifacts")]
        log = (self.root / "server.log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        log.close()
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.25)
        raise AssertionError((self.root / "server.log").read_text())

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_a_registry_that_is_down_at_the_end_loses_nothing_and_resume_finishes(place, quick_params):
    server = Server(place.root)
    place.uri = server.uri
    try:
        process = place.start("run", config=quick_params, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
        code, output = place.watch(process, r"/evaluate/.*Task finished successfully", lambda _: server.stop())
        assert code != 0
        assert "Traceback" not in output
        assert "the server does not answer" in output
        assert "python flows/train_flow.py resume" in output
        server.start()
        code, output = place.run("resume")
        assert code == 0, output
        assert "version 1 is in production" in output
        assert "/train/" not in re.sub(r".*Cloning.*", "", output)
        assert [version.version for version in place.versions().list_versions()] == ["1"]
        assert set(place.run_statuses()) == {"FINISHED"}
    finally:
        server.stop()


def kill(match):
    os.kill(int(match[1]), signal.SIGKILL)


def test_a_killed_training_is_retried_and_the_run_succeeds(place, quick_params):
    process = place.start("run", config=quick_params)
    code, output = place.watch(process, r"/train/.*\(pid (\d+)\)\] Task is starting\.", kill)
    assert code == 0, output
    assert "Task is starting (retry)" in output
    assert "version 1 is in production" in output
    assert set(place.run_statuses()) == {"FINISHED"}


def test_a_killed_step_without_retry_is_resumed_where_it_stopped(place, quick_params):
    process = place.start("run", config=quick_params)
    code, output = place.watch(process, r"/select/.*\(pid (\d+)\)\] Task is starting\.", kill)
    assert code != 0, output
    code, output = place.run("resume")
    assert code == 0, output
    assert "Cloning previously run task" in output
    assert "version 1 is in production" in output
    versions = place.versions()
    assert [version.version for version in versions.list_versions()] == ["1"]
    runs = versions._client.search_runs([versions.connection.experiment_id], "tags.flow_run != ''")
    assert len(runs) == 1


def test_two_flows_at_once_lose_and_mix_nothing(place, quick_params):
    first = place.start("run", "--seed", "1", config=quick_params)
    second = place.start("run", "--seed", "2", config=quick_params)
    outputs = [process.communicate(timeout=400)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    versions = place.versions()
    found = versions.list_versions()
    assert len(found) == 2
    assert len({version.tags["flow_run"] for version in found}) == 2
    for version in found:
        run = versions._client.get_run(version.run_id)
        assert run.data.tags["flow_run"] == version.tags["flow_run"]
        assert float(version.tags["threshold"]) == pytest.approx(versions.load_scorer(version.version).spec.threshold)
    assert versions.production_version().version in {"1", "2"}


def test_a_part_of_the_rows_that_is_bad_is_set_aside_and_kept(place, quick_params, readings, tmp_path):
    spoiled = readings.astype({"torque_nm": object, "machine_failure": object})
    spoiled.loc[10, "torque_nm"] = "broken <b>"
    spoiled.loc[20, "machine_failure"] = 7
    spoiled.to_csv(tmp_path / "readings.csv", index=False)
    code, output = place.run("run", "--sources", str(tmp_path / "readings.csv"), config=quick_params)
    assert code == 0, output
    assert "5,998 rows are clean, 2 in quarantine" in output
    quarantine: pd.DataFrame = place.data("clean").cleaned.quarantine
    assert set(quarantine["value"]) == {"broken <b>", "7.0"}
    assert set(quarantine["row"]) == {11, 21}

"""Faults: what the run reports, what is kept, and how the run is continued."""

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.errors import DataError, SourceError
from tests.fixtures.servers import MlflowServer

from .conftest import Place
from .in_process import run_steps

SECRET = "postgresql://me:s3cret@host/plant?table=t"
STAR = "\N{ASTERISK OPERATOR}"
pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def readings():
    return simulate(6000, 3)


def output_of_failed_run(place, config, *arguments, **environment):
    """The output of a run that must fail without a traceback."""
    code, output = place.run("run", *arguments, config=config, **environment)
    assert code != 0, output
    assert "Traceback" not in output, output
    return output


def test_all_unreadable_sources_are_reported_before_the_ingest_step(place, quick_params, tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    names = ["nosuch.csv", str(tmp_path / "empty.csv"), str(tmp_path / "noise.csv")]
    output = output_of_failed_run(place, quick_params, "--sources", ",".join(names))
    assert "nosuch.csv: no such file" in output
    assert "empty.csv: the file is empty" in output
    assert "noise.csv: neither CSV nor Parquet" in output
    assert "/ingest/" not in output


@pytest.mark.long
def test_a_run_on_unusable_data_fails_with_the_reason_and_so_does_its_mlflow_run(
    place, quick_params, readings, tmp_path
):
    celsius = readings.assign(air_temperature_k=readings["air_temperature_k"] - 273.15)
    celsius.to_csv(tmp_path / "readings.csv", index=False)
    output = output_of_failed_run(place, quick_params, "--sources", str(tmp_path / "readings.csv"))
    assert "air_temperature_k is outside of the physical limits 230 to 350 K" in output
    assert place.run_statuses() == ["FAILED"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda rows: rows.assign(machine_failure=0), DataError, "0 failures in 6000 rows; at least 15 are needed"),
        (lambda rows: rows.head(40), DataError, "failures in 40 rows; at least 15 are needed"),
        (
            lambda rows: rows.drop(columns="torque_nm"),
            SourceError,
            "no column for torque_nm (a header such as 'Torque [Nm]'",
        ),
    ],
    ids=["no failures", "too few rows", "no torque"],
)
def test_unusable_data_is_rejected_with_the_reason(
    registry_uri, quick_params, readings, tmp_path, monkeypatch, change, error, message
):
    change(readings).to_csv(tmp_path / "readings.csv", index=False)
    with pytest.raises(error) as rejected:
        run_steps(monkeypatch, quick_params, sources=str(tmp_path / "readings.csv"))
    assert message in str(rejected.value)


@pytest.mark.long
def test_a_full_disk_for_results_is_named_and_the_run_is_resumed_when_there_is_space(
    place, make_disk, quick_params, tmp_path
):
    disk = make_disk(600)
    results = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(disk.path)}
    output = output_of_failed_run(place, quick_params, **results)
    assert f"the results in {disk.path}, or " in output
    assert "No space left on device: free space on the disk" in output
    resume = re.search(r"train_flow.py (resume --origin-run-id \d+)", output)[1].split()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk.path)], check=True)
    code, output = place.run(*resume, **results)
    assert code == 0, output
    assert output.count("sources that can be read") == 0  # the step start is kept
    assert place.registry().production_version() is not None


@pytest.mark.long
def test_a_full_disk_of_the_registry_is_named_with_what_to_do(place, make_disk, quick_params, empty_database):
    disk = make_disk(2500)
    shutil.copy(empty_database, disk.path / "mlflow.db")
    disk.fill()
    output = output_of_failed_run(place, quick_params, MLFLOW_TRACKING_URI=f"sqlite:///{disk.path / 'mlflow.db'}")
    assert f"MLflow at sqlite:///{disk.path / 'mlflow.db'}, connecting: database or disk is full: free space" in output


def test_a_mistyped_setting_is_reported_before_the_run_starts(place, quick_params, tmp_path):
    broken = tmp_path / "params.yaml"
    broken.write_text(Path(quick_params).read_text().replace("min_recall", "min_recal"))
    assert "gate.min_recal is not a setting; did you mean 'min_recall'?" in output_of_failed_run(place, broken)


def test_a_mistyped_hyperparameter_is_reported_before_the_ingest_step(place, quick_params, tmp_path):
    broken = tmp_path / "params.yaml"
    broken.write_text(Path(quick_params).read_text().replace("num_leaves", "num_leafs"))
    output = output_of_failed_run(place, broken)
    assert "candidates.lightgbm.search.num_leafs: is not a hyperparameter; did you mean 'num_leaves'?" in output
    assert "/ingest/" not in output


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["run", "--sources", f"a.csv,{SECRET}"], {}),
        (["run"], {"METAFLOW_RUN_SOURCES": SECRET}),
        (["--config-value", "settings", json.dumps({"data": {"sources": [SECRET]}}), "run"], {}),
    ],
    ids=["option", "environment", "settings"],
)
def test_a_password_in_a_source_is_refused_and_neither_shown_nor_stored(place, arguments, environment):
    code, output = place.run(*arguments, **environment)
    assert code != 0
    assert f"postgresql://me:{STAR * 3}@host/plant?table=t contains a password" in output
    assert "Traceback" not in output
    assert "s3cret" not in output
    assert [path for path in place.root.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()] == []


def test_a_settings_file_that_is_missing_or_not_utf_8_is_named(place, tmp_path):
    (tmp_path / "latin.yaml").write_bytes("currency: £".encode("cp1252"))
    assert "latin.yaml: not UTF-8 text (byte 11)" in output_of_failed_run(place, tmp_path / "latin.yaml")
    assert "'nosuch.yaml' could not be read" in output_of_failed_run(place, "nosuch.yaml")


def test_retry_minutes_that_are_not_a_number_are_refused(place, quick_params):
    output = output_of_failed_run(place, quick_params, PDM_RETRY_MINUTES="soon")
    assert output == "PDM_RETRY_MINUTES: must be a whole number of minutes, not 'soon'\n"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("PDM_ENGINE", "spark", "PDM_ENGINE: 'spark' is not an engine; "),
        ("PDM_DASK_WORKERS", "many", "PDM_DASK_WORKERS: 'many' is not a number of workers from 1\n"),
        ("DASK_SCHEDULER_ADDRESS", "10.0.0.5", "DASK_SCHEDULER_ADDRESS: '10.0.0.5' is not an address such as "),
    ],
)
def test_wrong_settings_of_the_engine_are_reported_before_the_run_starts(place, quick_params, name, value, error):
    output = output_of_failed_run(place, quick_params, **({"PDM_ENGINE": "dask"} | {name: value}))
    assert output.startswith(error)
    assert place.run_statuses() == []


def test_a_folder_of_parts_that_cannot_be_written_is_reported_before_the_ingest_step(place, quick_params, tmp_path):
    (tmp_path / "file").touch()
    output = output_of_failed_run(place, quick_params, PDM_PARTS_FOLDER=str(tmp_path / "file"))
    assert re.search(
        r"file/TrainFlow/\d+: cannot be written: Not a directory: .* PDM_PARTS_FOLDER sets another", output
    )
    assert "/ingest/" not in output


@pytest.mark.long
def test_an_unreachable_registry_is_reported_before_the_ingest_step(place, quick_params):
    output = output_of_failed_run(place, quick_params, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "MLflow at http://127.0.0.1:9, connecting: the server does not answer" in output
    assert "/ingest/" not in output


def test_a_results_folder_that_cannot_be_written_is_named_with_how_to_fix_it(place, quick_params, tmp_path):
    (tmp_path / "file").touch()
    output = output_of_failed_run(place, quick_params, METAFLOW_DATASTORE_SYSROOT_LOCAL=str(tmp_path / "file"))
    assert (
        "file/.metaflow: Not a directory: set METAFLOW_DATASTORE_SYSROOT_LOCAL to a folder that you can write to"
        in output
    )


def kill(match):
    os.kill(int(match[1]), signal.SIGKILL)


@dataclass(frozen=True)
class InterruptedRun:
    """A run whose `train` and `select` processes were killed, and which was resumed twice. The outputs of each command."""

    place: Place
    killed: str
    without_registry: str
    finished: str


@pytest.fixture(scope="module")
def interrupted(make_place, quick_params):
    """Kill `train` and `select`; resume, and stop the registry before `end`; start the registry, and resume again."""
    place = make_place()
    server = MlflowServer.over(place.root)
    place.uri = server.url
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", server.url)
        environment.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        server.up()
        try:
            killings = {rf"/{step}/.*\(pid (\d+)\)\] Task is starting\.": kill for step in ("train", "select")}
            code, killed = place.watch(place.start("run", config=quick_params), killings)
            assert code != 0, killed
            stop = {r"/evaluate/.*Task finished successfully": lambda _: server.kill()}
            code, without_registry = place.watch(place.start("resume", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"), stop)
            assert code != 0, without_registry
            server.up()
            run_id = re.search(r"resume --origin-run-id (\d+)", without_registry)[1]
            code, finished = place.run("resume", "--origin-run-id", run_id)
            assert code == 0, finished
            yield InterruptedRun(place, killed, without_registry, finished)
        finally:
            server.kill()


@pytest.mark.long
def test_a_killed_training_is_retried(interrupted):
    assert re.search(r"/train/.*Task is starting \(retry\)", interrupted.killed)
    assert re.search(r"/train/.*Task finished successfully", interrupted.killed)


@pytest.mark.long
def test_a_killed_step_without_retries_fails_the_run_and_resume_continues_there(interrupted):
    assert not re.search(r"/select/.*Task is starting \(retry\)", interrupted.killed)
    assert "Cloning previously run task" in interrupted.without_registry
    assert not re.search(r"/train/.*Task is starting", interrupted.without_registry)
    assert re.search(r"/select/.*Task finished successfully", interrupted.without_registry)


@pytest.mark.long
def test_a_registry_that_stops_before_the_last_step_is_reported_with_how_to_continue(interrupted):
    assert "the server does not answer" in interrupted.without_registry
    assert "python flows/train_flow.py resume" in interrupted.without_registry
    assert "Traceback" not in interrupted.without_registry


@pytest.mark.long
def test_a_resumed_run_registers_one_version_in_one_mlflow_run(interrupted):
    assert "version 1 is in production" in interrupted.finished
    assert not re.search(r"/(train|select|evaluate)/.*Task is starting", interrupted.finished)
    registry = interrupted.place.registry()
    assert [version.version for version in registry.list_versions()] == ["1"]
    runs = registry._client.search_runs([registry.connection.experiment_id], "tags.flow_run != ''")
    assert len(runs) == 1
    assert set(interrupted.place.run_statuses()) == {"FINISHED"}


@pytest.mark.long
def test_two_runs_at_the_same_time_register_a_version_each(place, quick_params):
    first = place.start("run", "--seed", "1", config=quick_params)
    second = place.start("run", "--seed", "2", config=quick_params)
    outputs = [process.communicate(timeout=400)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    registry = place.registry()
    versions = registry.list_versions()
    assert len(versions) == 2
    assert len({version.tags["flow_run"] for version in versions}) == 2
    for version in versions:
        run = registry._client.get_run(version.run_id)
        assert run.data.tags["flow_run"] == version.tags["flow_run"]
        threshold = registry.load_scorer(version.version).spec.threshold
        assert float(version.tags["threshold"]) == pytest.approx(threshold)
    assert registry.production_version().version in {"1", "2"}

"""A version is checked in a process of its own before it serves: a bad one is refused, and the previous one serves on."""

import json
import os
import resource
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.child_process import child_environment
from app.serving.isolated_check import IsolatedCheck
from app.serving.model_cache import ModelCache
from app.serving.model_loader import ModelLoader
from app.serving.model_watcher import ModelWatcher
from app.settings import read_settings
from predictive_maintenance.errors import ConfigError, ModelError
from predictive_maintenance.tracking.entities import FILES_TAG, SCORER_TAG
from predictive_maintenance.tracking.packaging import scorer_sha256
from predictive_maintenance.tracking.signing import create_key_pair, signature_tags, signing_key
from tests.fixtures.onnx_models import loop_model, tree_model

from .conftest import READING, wait_until

MIB = 2**20
COUNTS = {"rows": 9, "failures": 2, "threshold": [0.1, 0.5], "true_positives": [2, 1], "false_positives": [3, 0]}


@pytest.fixture
def folder(small, tmp_path):
    """A folder with the files of the small model."""
    path = tmp_path / "version"
    path.mkdir()
    for name, content in small.files.items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture
def make_check(tmp_path):
    """A function that makes a check with its own records."""

    def make(seconds=60.0, memory_bytes=512 * MIB):
        return IsolatedCheck(seconds=seconds, memory_bytes=memory_bytes, records=tmp_path / "records")

    return make


@pytest.fixture
def version(registry):
    return registry.production_version()


def refusal(check, folder, version):
    with pytest.raises(ModelError) as error:
        check.run(folder, version)
    return str(error.value)


def running_checks():
    """The running checks of this process."""
    listed = subprocess.run(["ps", "-eo", "ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 1) for line in listed.splitlines()]
    return [command for parent, command in rows if int(parent) == os.getpid() and "app.version_check" in command]


def test_a_good_version_passes_once_and_its_files_are_not_checked_again(make_check, folder, version):
    make_check().run(folder, version)
    impossible = make_check(seconds=0.001)
    impossible.run(folder, version)
    (folder / "thresholds.json").write_text(json.dumps(COUNTS))
    assert refusal(impossible, folder, version) == "its check did not end within 0.001 s (PDM_MODEL_LOAD_SECONDS)"


def test_processes_that_start_together_check_a_version_once(make_check, folder, version):
    most = 0
    with ThreadPoolExecutor(3) as others:  # the lock is of a file: threads wait for it as processes do
        checks = [others.submit(make_check().run, folder, version) for _ in range(3)]
        while not all(check.done() for check in checks):
            most = max(most, len(running_checks()))
            time.sleep(0.02)
    assert most == 1
    assert [check.result() for check in checks] == [None] * 3
    make_check(seconds=0.001).run(folder, version)


def test_without_a_folder_for_records_a_version_is_still_checked(folder, version, tmp_path):
    (tmp_path / "a file").touch()
    check = IsolatedCheck(seconds=0.001, memory_bytes=512 * MIB, records=tmp_path / "a file" / "records")
    assert "did not end within 0.001 s" in refusal(check, folder, version)


def test_a_check_that_does_not_end_in_time_is_ended(make_check, folder, version):
    began = time.monotonic()
    assert "did not end within 0.2 s" in refusal(make_check(seconds=0.2), folder, version)
    assert time.monotonic() - began < 5
    assert running_checks() == []


def test_an_endless_loop_is_refused_within_the_deadline(make_check, folder, version):
    (folder / "model.onnx").write_bytes(loop_model(9))
    assert refusal(make_check(), folder, version).startswith("model.onnx has the operator Loop")


def test_a_model_that_needs_too_much_memory_is_refused(make_check, folder, version):
    (folder / "model.onnx").write_bytes(tree_model(9, targets=10**9))  # more than 200 GB for the golden rows
    reason = refusal(make_check(), folder, version)
    assert reason.startswith("it needs more than 536,870,912 bytes of memory (PDM_MODEL_LOAD_BYTES): ")


def test_a_file_without_an_end_is_refused(make_check, folder, version):
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    assert stat.S_ISFIFO((folder / "model.onnx").stat().st_mode)
    assert refusal(make_check(), folder, version) == "model.onnx is not a regular file"


@pytest.mark.parametrize("alarms", [False, True])
def test_golden_rows_with_one_decision_only_are_refused(make_check, small, folder, version, alarms):
    spec, golden = json.loads(small.files["scorer.json"]), json.loads(small.files["golden.json"])
    threshold = 0.0 if alarms else 1.0
    decisions = [alarms] * len(golden["decisions"])
    (folder / "scorer.json").write_text(json.dumps(spec | {"threshold": threshold}))
    (folder / "golden.json").write_text(json.dumps(golden | {"decisions": decisions}))
    reason = refusal(make_check(), folder, version)
    assert reason == f"golden.json: decisions: all are {alarms}: a wrong threshold would not be noticed"


def test_tags_that_the_model_card_cannot_show_are_refused(make_check, folder, version):
    reason = refusal(make_check(), folder, replace(version, tags={"metrics": "{"}))
    assert reason.startswith("GET /model answers 500 for a golden reading")


def test_the_process_gets_no_secret(make_check, folder, version, monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "a secret")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another")
    assert not {"a secret", "another"} & set(child_environment().values())
    make_check().run(folder, version)


def test_a_process_that_loses_its_parent_ends_by_its_cpu_limit():
    code = "from app.version_check import _limit_process\n_limit_process(1, 2**30)\nprint('limited', flush=True)"
    code += "\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "limited\n"
    assert done.returncode < 0


@pytest.fixture
def watcher(registry, tmp_path, checked_files):
    """A watcher that polls when a test calls `poll`, and checks versions as the service does."""
    loader = ModelLoader(
        model_name="predictive_maintenance",
        isolated_check=IsolatedCheck(seconds=60, memory_bytes=512 * MIB, records=checked_files),
        check_tags=lambda model: None,
    )
    return ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60, loader=loader)


def changed(content, **changes):
    return json.dumps(json.loads(content) | changes).encode()


DAMAGES = {
    "cost as text": ("scorer.json", {"missed_failure_cost": "5"}, "scorer.json is damaged: missed_failure_cost"),
    "infinite cost": ("scorer.json", {"false_alarm_cost": float("inf")}, "scorer.json is damaged: false_alarm_cost"),
    "limits as a list": ("scorer.json", {"limits": ["a", "b"]}, "scorer.json is damaged: limits"),
    "unknown output": ("scorer.json", {"output": "margin"}, "scorer.json is damaged: output"),
    "thresholds as text": ("thresholds.json", {"threshold": ["a", "b"]}, "thresholds.json is damaged: threshold.0"),
    "endless loop": ("model.onnx", loop_model(9), "model.onnx has the operator Loop"),
    "too much memory": ("model.onnx", tree_model(9, targets=10**9), "it needs more than 536,870,912 bytes"),
    "training rows": ("training_rows.npy", b"no array", "training_rows.npy is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_version_is_refused_and_the_previous_one_stays_served(watcher, registry, small, damage):
    name, change, reason = DAMAGES[damage]
    assert watcher.poll()
    files = small.files | {"thresholds.json": json.dumps(COUNTS).encode()}
    content = change if isinstance(change, bytes) else changed(files[name], **change)
    registry.versions["2"], registry.alias = files | {name: content}, "2"
    assert not watcher.poll()
    assert watcher.model.version.version == "1"
    assert watcher.warning.startswith(f"version 2 is refused: {reason}")


def test_files_that_differ_from_the_registered_ones_are_refused(watcher, registry, small, folder):
    watcher.poll()
    registry.tags["2"] = {SCORER_TAG: scorer_sha256(folder)}
    registry.versions["2"], registry.alias = small.files | {"thresholds.json": json.dumps(COUNTS).encode()}, "2"
    assert not watcher.poll()
    assert watcher.warning.startswith("version 2 is refused: its files differ from the registered ones")
    registry.versions["2"] = small.files
    assert watcher.poll()
    assert watcher.model.version.version == "2"


def test_damaged_new_tags_are_refused_and_the_served_model_keeps_its_own(make_client, registry):
    client = make_client()
    assert client.get("/model").status_code == 200
    registry.tags["1"] = {"metrics": "{"}
    wait_until(lambda: client.get("/health").json()["status"] == "degraded")
    reason = client.get("/model/status").json()["warning"]
    assert reason.startswith("the new tags of version 1 are refused: its tags are damaged")
    assert client.get("/model").status_code == 200
    assert client.post("/predict", json=READING).status_code == 200


def test_the_reason_of_a_refusal_is_shown_before_any_version_serves(make_client, registry, small):
    registry.versions["1"] = small.files | {"model.onnx": loop_model(9)}
    client = make_client()
    wait_until(lambda: "the operator Loop" in client.get("/model/status").json()["warning"])
    assert client.get("/ready").status_code == 503
    assert "version 1 is refused" in client.get("/health").json()["warning"]


def test_the_service_with_a_public_key_serves_signed_versions_only(
    make_client, registry, folder, tmp_path, monkeypatch
):
    create_key_pair(tmp_path / "signing.pem", tmp_path / "public.pem")
    client = make_client(model_public_key=(tmp_path / "public.pem").read_text())
    wait_until(lambda: "it is not signed" in client.get("/model/status").json()["warning"])
    monkeypatch.setenv("PDM_MODEL_SIGNING_KEY", str(tmp_path / "signing.pem"))
    hashes = {FILES_TAG: "0" * 64, SCORER_TAG: scorer_sha256(folder)}
    registry.tags["1"] = hashes | signature_tags(signing_key(), "predictive_maintenance", "run-of-1", hashes)
    wait_until(lambda: client.get("/ready").status_code == 200)
    assert client.post("/predict", json=READING).json()["model_version"] == "1"


def test_an_invalid_public_key_stops_the_start_without_showing_it(monkeypatch):
    monkeypatch.setenv("PDM_MODEL_PUBLIC_KEY", "a-value")
    with pytest.raises(ConfigError, match=r"^PDM_MODEL_PUBLIC_KEY: not an Ed25519 key: set it to"):
        read_settings()


def test_a_file_that_is_larger_than_memory_is_refused_without_reading_it_as_a_whole(make_check, folder, version):
    with (folder / "scorer.json").open("r+b") as sparse:
        sparse.truncate(2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(make_check(), folder, version) == "scorer.json has 1,073,741,824 bytes: the maximum is 33,554,432"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # in KiB


def test_a_version_with_history_passes(make_check, small_engine, folder, version):
    for name, content in small_engine.files.items():
        (folder / name).write_bytes(content)
    make_check().run(folder, replace(version, tags={}))


def test_a_golden_reading_is_sent_without_the_readings_in_the_windows_of_others(
    make_check, small_engine, folder, version
):
    for name, content in small_engine.files.items():
        (folder / name).write_bytes(content)
    golden = json.loads((folder / "golden.json").read_text())
    readings = golden["readings"]
    alarm = golden["rows"][golden["decisions"].index(True)]
    earlier = 2_000  # of the machine of the alarm, before its windows: more than 64 KiB in one request
    for values in readings.values():
        values += [values[alarm]] * earlier
    start = datetime.fromisoformat(min(readings["timestamp"])) - timedelta(days=300)
    readings["timestamp"][-earlier:] = [(start + timedelta(hours=hour)).isoformat() for hour in range(earlier)]
    (folder / "golden.json").write_text(json.dumps(golden))
    make_check().run(folder, replace(version, tags={}))

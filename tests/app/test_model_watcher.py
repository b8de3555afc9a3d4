"""The served model follows the production alias. The last good model is served whatever happens to the registry."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from app.serving.model_cache import ModelCache
from app.serving.model_watcher import ModelWatcher
from app.serving.served_model import ServedModel
from predictive_maintenance.errors import ModelError
from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE

from .conftest import READING, wait_until


@pytest.fixture(scope="session")
def other_files(small_forest):
    """The files of another model, with other probabilities."""
    return small_forest.files


@pytest.fixture
def watcher(registry, tmp_path):
    """A watcher that polls when a test calls `poll`, and the events that it reported."""
    events = []
    made = ModelWatcher(
        lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60, lambda event, _: events.append(event)
    )
    made.events = events
    return made


def serving(watcher):
    return watcher.model.version.version if watcher.model else None


def test_a_promotion_and_a_rollback_change_the_served_model(watcher, registry, other_files):
    registry.versions["2"] = other_files
    watcher.poll()
    assert serving(watcher) == "1"
    registry.alias = "2"
    watcher.poll()
    assert (serving(watcher), watcher.model.scorer.spec.algorithm) == ("2", "random_forest")
    registry.alias = "1"
    watcher.poll()
    assert serving(watcher) == "1"
    assert registry.downloads == 2  # version 1 is cached


def test_a_poll_without_a_promotion_downloads_and_swaps_nothing(watcher, registry):
    watcher.poll()
    model = watcher.model
    watcher.poll()
    assert watcher.model is model
    assert registry.downloads == 1


def test_a_poll_updates_the_tags_of_the_served_version(watcher, registry):
    watcher.poll()
    registry.tags["1"] = {"promoted_at": "today"}
    watcher.poll()
    assert watcher.model.version.tags == {"promoted_at": "today"}
    assert registry.downloads == 1


def damaged(files, damage):
    """Return a copy of `files` with this damage."""
    match damage:
        case "truncated model":
            return files | {"model.onnx": files["model.onnx"][:5000]}
        case "other answers":
            spec = json.loads(files["scorer.json"])
            return files | {"scorer.json": json.dumps(spec | {"threshold": spec["threshold"] / 100}).encode()}
        case "other columns":
            spec = json.loads(files["scorer.json"])
            return files | {
                "scorer.json": json.dumps(spec | {"features": ["vibration", *spec["features"][1:]]}).encode()
            }
        case "fewer columns":
            spec = json.loads(files["scorer.json"])
            return files | {"scorer.json": json.dumps(spec | {"features": spec["features"][:-1]}).encode()}
        case "no settings":
            return files | {"scorer.json": b"[]"}
        case "missing file":
            return {name: content for name, content in files.items() if name != "golden.json"}
    return files | {"reference.json": b"{}"}


@pytest.mark.parametrize(
    "damage",
    [
        "truncated model", "other answers", "other columns", "fewer columns", "no settings", "missing file",
        "damaged reference",
    ],
)  # fmt: skip
def test_a_damaged_version_is_refused_and_the_previous_one_stays_served(watcher, registry, other_files, damage):
    watcher.poll()
    registry.versions["2"], registry.alias = damaged(other_files, damage), "2"
    assert not watcher.poll()
    assert serving(watcher) == "1"
    assert watcher.state.warning.startswith("version 2 is refused: ")
    assert watcher.state.production == "2"
    assert "refused" in watcher.events
    registry.versions["2"] = other_files  # repaired in the registry
    assert watcher.poll()
    assert (serving(watcher), watcher.state.warning) == ("2", None)


def test_a_refused_version_stays_refused_while_it_is_downloaded_again(watcher, registry, other_files, monkeypatch):
    watcher.poll()
    registry.versions["2"], registry.alias = damaged(other_files, "truncated model"), "2"
    watcher.poll()
    warnings, download = [], registry.download

    def slow(*arguments):
        warnings.append(watcher.warning)
        return download(*arguments)

    monkeypatch.setattr(registry, "download", slow)
    watcher.poll()
    assert len(warnings) == 1
    assert warnings[0].startswith("version 2 is refused: ")
    registry.versions["3"], registry.alias = other_files, "3"
    watcher.poll()
    assert (warnings[1], watcher.warning) == (None, None)  # the refusal of version 2 does not concern version 3


@pytest.mark.parametrize("damage", ["truncated model", "fewer columns", "no settings", "damaged reference"])
def test_a_cached_model_that_is_damaged_is_not_restored_and_is_downloaded_again(
    watcher, registry, small, tmp_path, damage
):
    watcher.poll()
    (cached,) = tmp_path.glob("*/1-*")
    for name, content in damaged(small.files, damage).items():
        (cached / name).write_bytes(content)
    registry.down = "the server does not answer"
    restarted = ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60)
    restarted.start(wait_seconds=5)
    assert (serving(restarted), restarted.warning) == (None, "the server does not answer")
    registry.down = None
    assert restarted.poll()
    assert serving(restarted) == "1"
    restarted.stop()


def test_a_removed_alias_leaves_the_model_served_with_a_warning(watcher, registry):
    watcher.poll()
    registry.alias = None
    assert watcher.poll()
    assert serving(watcher) == "1"
    assert watcher.state.warning == "no version is in production: train or promote a version"


def test_without_a_version_in_production_a_warning_is_logged_once(watcher, registry):
    registry.alias = None
    with capture_logs() as logs:
        watcher.poll()
        watcher.poll()
        registry.alias = "1"
        watcher.poll()
    assert [entry["event"] for entry in logs] == [
        "no model to serve: no version is in production",
        "production model loaded",
    ]


LOST = "/data/mlflow.db contains no runs, but /data/mlartifacts contains models of earlier runs"


def test_without_a_version_in_production_a_lost_registry_is_the_reason_until_a_version_is_there(watcher, registry):
    registry.alias, registry.lost_reason = None, LOST
    with capture_logs() as logs:
        watcher.poll()
    assert [entry["event"] for entry in logs] == [f"no model to serve: {LOST}"]
    assert watcher.warning == LOST
    registry.alias = "1"
    watcher.poll()
    assert (serving(watcher), watcher.warning) == ("1", None)


def test_a_model_that_a_slow_poll_loads_is_not_logged_as_restored(registry, tmp_path, monkeypatch):
    ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60).poll()
    polling, release = threading.Event(), threading.Event()
    load = ServedModel.load

    def load_slowly_in_the_poll(folder, version):
        if threading.current_thread().name == "model-watcher":
            polling.set()
            release.wait(30)
        else:
            polling.wait(30)
        return load(folder, version)

    monkeypatch.setattr(ServedModel, "load", load_slowly_in_the_poll)
    again = ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60)
    with capture_logs() as logs:
        again.start(wait_seconds=0)
        assert serving(again) == "1"
        release.set()
        assert again._polled_once.wait(30)
    again.stop()
    assert [entry["event"] for entry in logs] == ["production model loaded"]
    assert not again.state.restored


def test_a_registry_that_does_not_answer_is_a_warning_until_it_answers_again(watcher, registry):
    watcher.poll()
    answered = watcher.state.last_success
    registry.down = "the server does not answer"
    assert not watcher.poll()
    assert (serving(watcher), watcher.state.warning) == ("1", "the server does not answer")
    assert watcher.state.last_success == answered
    registry.down = None
    assert watcher.poll()
    assert watcher.state.warning is None


def test_the_delay_doubles_with_each_failure_up_to_the_limit(watcher):
    delays = [watcher._delay(failures) for failures in (0, 1, 2, 3, 100)]
    expected = [10, 20, 40, 60, 60]
    assert all(0.9 * want <= got <= 1.1 * want for got, want in zip(delays, expected, strict=True))


def test_an_unexpected_error_is_a_warning_and_the_watcher_polls_again(registry, tmp_path):
    polls, second_poll = [], threading.Event()

    def open_registry():
        polls.append(None)
        if len(polls) == 1:
            raise ZeroDivisionError("a bug")
        assert second_poll.wait(30)
        return registry

    watcher = ModelWatcher(open_registry, ModelCache(tmp_path, "uri", "model"), 0.01, 0.02)
    watcher.start(wait_seconds=30)
    assert watcher.warning == "unexpected: ZeroDivisionError('a bug')"
    assert watcher.model is None
    second_poll.set()
    wait_until(lambda: serving(watcher) == "1")
    watcher.stop()
    assert watcher.state.error is None


def test_a_restart_without_registry_serves_the_last_good_model(make_client, registry):
    make_client()
    registry.down = "the server does not answer"
    again = make_client()
    health = again.get("/health").json()
    assert (health["status"], health["serving_version"]) == ("degraded", "1")
    assert health["restored_from_disk"]
    assert (
        health["warning"]
        == "the registry or PDM_MODEL_DIR cannot be read; the log and GET /model/status have the reason"
    )
    assert again.get("/model/status").json()["warning"] == "the server does not answer"
    assert again.get("/ready").status_code == 200
    assert again.post("/predict", json=READING).json()["model_version"] == "1"


def test_a_slow_registry_delays_the_start_only_by_the_wait(make_client, registry, monkeypatch):
    make_client()
    release = threading.Event()
    monkeypatch.setattr(type(registry), "_check", lambda _: release.wait(30))
    began = time.monotonic()
    again = make_client(registry_wait_seconds=0.2)
    assert time.monotonic() - began < 10
    assert again.get("/health").json()["warning"] == "the registry has not answered yet"
    assert again.post("/predict", json=READING).status_code == 200
    release.set()


def test_a_cached_model_that_is_damaged_is_not_served_without_registry(make_client, registry, tmp_path):
    make_client()
    (model,) = (tmp_path / "models").rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-100])
    registry.down = "the server does not answer"
    assert make_client().get("/ready").status_code == 503
    registry.down = None
    assert make_client().get("/ready").status_code == 200


def test_a_cached_model_that_is_damaged_is_downloaded_again(registry, tmp_path):
    ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60).poll()
    (model,) = tmp_path.rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-100])
    again = ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60)
    assert again.poll()
    assert (serving(again), registry.downloads) == ("1", 2)


def test_the_service_becomes_ready_when_a_first_version_is_promoted(make_client, registry):
    registry.alias = None
    client = make_client()
    assert client.get("/ready").status_code == 503
    registry.alias = "1"
    wait_until(lambda: client.get("/ready").status_code == 200)
    assert client.get("/ready").json()["serving_version"] == "1"


def test_the_cache_separates_registries_and_models(registry, tmp_path):
    first = ModelWatcher(lambda: registry, ModelCache(tmp_path, "one registry", "model"), 10, 60)
    first.poll()
    assert ModelCache(tmp_path, "one registry", "model").last_good() is not None
    assert ModelCache(tmp_path, "another registry", "model").last_good() is None
    assert ModelCache(tmp_path, "one registry", "another model").last_good() is None


def test_a_registry_that_was_set_up_again_serves_its_own_version_of_the_same_number(
    watcher, registry, other_files, monkeypatch
):
    watcher.poll()
    registry.versions["1"] = other_files
    original = type(registry)._version
    monkeypatch.setattr(
        type(registry), "_version", lambda self, version: replace(original(self, version), run_id="new run")
    )
    watcher.poll()
    assert watcher.model.scorer.spec.algorithm == "random_forest"


def test_the_cache_keeps_the_latest_three_versions(watcher, registry, small, tmp_path):
    for version in "123456":
        registry.versions[version], registry.alias = small.files, version
        watcher.poll()
    assert len(list(tmp_path.rglob("model.onnx"))) == 3
    assert serving(watcher) == "6"


def test_workers_that_download_the_same_version_at_once_share_it(registry, tmp_path):
    watchers = [ModelWatcher(lambda: registry, ModelCache(tmp_path, "uri", "model"), 10, 60) for _ in range(6)]
    threads = [threading.Thread(target=each.poll) for each in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [serving(each) for each in watchers] == ["1"] * 6
    assert len(list(tmp_path.rglob("model.onnx"))) == 1


def test_a_cache_that_is_not_writable_is_a_warning_and_the_model_is_served(registry, tmp_path):
    (tmp_path / "file").touch()
    watcher = ModelWatcher(lambda: registry, ModelCache(tmp_path / "file", "uri", "model"), 10, 60)
    with capture_logs() as logs:
        watcher.start(wait_seconds=30)
    assert serving(watcher) == "1"
    assert "models cannot be kept there (Not a directory); they are in a temporary folder" in watcher.warning
    assert [entry["event"] for entry in logs] == [watcher.warning, "production model loaded"]
    assert "set PDM_MODEL_CACHE to a writable folder" in watcher.warning
    watcher.stop()


def test_a_model_without_its_reference_sample_is_refused_by_file_name(small, tmp_path):
    for name, content in small.files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "reference.json").unlink()
    with pytest.raises(
        ModelError, match=r"reference.json: No such file or directory: the model's files are incomplete"
    ):
        ServedModel.load(tmp_path, None)


def test_concurrent_polls_wait_for_each_other_and_never_serve_a_refused_version(watcher, registry, small):
    watcher.poll()
    registry.versions["2"] = {**small.files, THRESHOLDS_FILE: b'{"rows": 9'}
    registry.alias = "2"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: watcher.poll(), range(40)))
    assert serving(watcher) == "1"
    assert not any(answers)

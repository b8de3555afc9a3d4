"""The champion follows production; whatever the registry does, the last good model serves on."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.serving.model_cache import ModelCache
from app.serving.model_watcher import ModelWatcher
from app.serving.served_model import ServedModel
from predictive_maintenance.errors import ModelError
from predictive_maintenance.scorer.scoring import THRESHOLDS_FILE
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import export_model

from .conftest import READING


@pytest.fixture(scope="session")
def other_files(small):
    """Another model, whose answers differ."""
    trained = train_untuned("random_forest", small.rows.train, small.rows.fold, small.params)
    return export_model(trained, small.rows.train, small.rows.test, small.params)


@pytest.fixture
def follower(shelf, tmp_path):
    """A follower that looks when it is told to."""
    events = []
    made = ModelWatcher(
        lambda: shelf, ModelCache(tmp_path, "uri", "model"), 10, 60, lambda event, _: events.append(event)
    )
    made.events = events
    return made


def serving(follower):
    return follower.champion.version.version if follower.champion else None


def test_a_promotion_and_a_rollback_are_followed(follower, shelf, other_files):
    shelf.versions["2"] = other_files
    follower.look()
    assert serving(follower) == "1"
    shelf.alias = "2"
    follower.look()
    assert (serving(follower), follower.champion.scorer.spec.algorithm) == ("2", "random_forest")
    shelf.alias = "1"
    follower.look()
    assert serving(follower) == "1"
    assert shelf.downloads == 2  # version 1 was still on disk


def test_an_alias_that_has_not_moved_costs_no_download_and_no_swap(follower, shelf):
    follower.look()
    champion = follower.champion
    follower.look()
    assert follower.champion is champion
    assert shelf.downloads == 1


def test_newer_tags_of_the_same_version_are_shown(follower, shelf):
    follower.look()
    shelf.tags["1"] = {"promoted_at": "today"}
    follower.look()
    assert follower.champion.version.tags == {"promoted_at": "today"}
    assert shelf.downloads == 1


def damaged(files, kind):
    match kind:
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
    "kind",
    [
        "truncated model", "other answers", "other columns", "fewer columns", "no settings", "missing file",
        "damaged reference",
    ],
)  # fmt: skip
def test_a_version_that_is_not_sound_is_refused_and_the_old_one_serves_on(follower, shelf, other_files, kind):
    follower.look()
    shelf.versions["2"], shelf.alias = damaged(other_files, kind), "2"
    assert not follower.look()
    assert serving(follower) == "1"
    assert follower.following.trouble.startswith("version 2 is refused: ")
    assert follower.following.production == "2"
    assert "refused" in follower.events
    shelf.versions["2"] = other_files  # mended in the registry
    assert follower.look()
    assert (serving(follower), follower.following.trouble) == ("2", None)


def test_a_refused_version_stays_refused_while_it_is_tried_again(follower, shelf, other_files, monkeypatch):
    follower.look()
    shelf.versions["2"], shelf.alias = damaged(other_files, "truncated model"), "2"
    follower.look()
    told, download = [], shelf.download

    def slow(*arguments):
        told.append(follower.trouble)
        return download(*arguments)

    monkeypatch.setattr(shelf, "download", slow)
    follower.look()
    assert len(told) == 1
    assert told[0].startswith("version 2 is refused: ")
    shelf.versions["3"], shelf.alias = other_files, "3"
    follower.look()
    assert (told[1], follower.trouble) == (None, None)  # nothing is known against version 3


@pytest.mark.parametrize("kind", ["truncated model", "fewer columns", "no settings", "damaged reference"])
def test_a_kept_model_that_was_damaged_on_disk_is_passed_over_and_brought_anew(follower, shelf, small, tmp_path, kind):
    follower.look()
    (kept,) = tmp_path.glob("*/1-*")
    for name, content in damaged(small.files, kind).items():
        (kept / name).write_bytes(content)
    shelf.down = "out to lunch"
    restarted = ModelWatcher(lambda: shelf, ModelCache(tmp_path, "uri", "model"), 10, 60)
    restarted.start(wait_seconds=5)
    assert (serving(restarted), restarted.trouble) == (None, "out to lunch")
    shelf.down = None
    assert restarted.look()
    assert serving(restarted) == "1"
    restarted.stop()


def test_an_alias_that_was_taken_away_leaves_the_champion_serving_and_says_so(follower, shelf):
    follower.look()
    shelf.alias = None
    assert follower.look()
    assert serving(follower) == "1"
    assert follower.following.trouble == "no version is in production: train one, or promote one"


def test_a_registry_that_is_away_is_told_and_forgotten_when_it_is_back(follower, shelf):
    follower.look()
    answered = follower.following.last_success
    shelf.down = "the server does not answer"
    assert not follower.look()
    assert (serving(follower), follower.following.trouble) == ("1", "the server does not answer")
    assert follower.following.last_success == answered
    shelf.down = None
    assert follower.look()
    assert follower.following.trouble is None


def test_failures_in_a_row_are_spaced_out_up_to_the_limit(follower):
    delays = [follower._delay(failures) for failures in (0, 1, 2, 3, 100)]
    expected = [10, 20, 40, 60, 60]
    assert all(0.9 * want <= got <= 1.1 * want for got, want in zip(delays, expected, strict=True))


def test_what_nobody_foresaw_does_not_end_the_following(shelf, small, tmp_path):
    calls = []

    def open_registry():
        calls.append(None)
        if len(calls) == 1:
            raise ZeroDivisionError("nobody foresaw this")
        return shelf

    follower = ModelWatcher(open_registry, ModelCache(tmp_path, "uri", "model"), 0.01, 0.02)
    follower.start(wait_seconds=5)
    assert "nobody foresaw this" in (follower.following.error or "") or follower.champion
    until = time.monotonic() + 10
    while follower.champion is None and time.monotonic() < until:
        time.sleep(0.01)
    follower.stop()
    assert serving(follower) == "1"


def test_a_restart_without_the_registry_starts_from_the_last_good_model(make_client, shelf):
    make_client()
    shelf.down = "the server does not answer"
    again = make_client()
    health = again.get("/health").json()
    assert (health["status"], health["serving_version"]) == ("degraded", "1")
    assert health["restored_from_disk"]
    assert health["trouble"] == "the server does not answer"
    assert again.get("/ready").status_code == 200
    assert again.post("/predict", json=READING).json()["model_version"] == "1"


def test_a_registry_that_is_slow_holds_the_start_no_longer_than_the_wait(make_client, shelf, monkeypatch):
    make_client()
    release = threading.Event()
    monkeypatch.setattr(type(shelf), "_answer", lambda _: release.wait(30))
    began = time.monotonic()
    again = make_client(registry_wait_seconds=0.2)
    assert time.monotonic() - began < 10
    assert again.get("/health").json()["trouble"] == "the registry has not answered yet"
    assert again.post("/predict", json=READING).status_code == 200
    release.set()


def test_a_model_on_disk_that_was_damaged_meanwhile_is_not_served(make_client, shelf, tmp_path):
    make_client()
    (model,) = (tmp_path / "models").rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-100])
    shelf.down = "the server does not answer"
    assert make_client().get("/ready").status_code == 503
    shelf.down = None
    assert make_client().get("/ready").status_code == 200


def test_a_model_damaged_on_disk_is_brought_anew(shelf, tmp_path):
    ModelWatcher(lambda: shelf, ModelCache(tmp_path, "uri", "model"), 10, 60).look()
    (model,) = tmp_path.rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-100])
    again = ModelWatcher(lambda: shelf, ModelCache(tmp_path, "uri", "model"), 10, 60)
    assert again.look()
    assert (serving(again), shelf.downloads) == ("1", 2)


def test_an_application_becomes_ready_by_itself_when_a_first_version_is_promoted(make_client, shelf):
    shelf.alias = None
    client = make_client()
    assert client.get("/ready").status_code == 503
    shelf.alias = "1"
    until = time.monotonic() + 10
    while client.get("/ready").status_code != 200 and time.monotonic() < until:
        time.sleep(0.02)
    assert client.get("/ready").json()["serving_version"] == "1"


def test_models_of_another_registry_are_never_taken_for_this_ones(shelf, tmp_path):
    first = ModelWatcher(lambda: shelf, ModelCache(tmp_path, "one registry", "model"), 10, 60)
    first.look()
    assert ModelCache(tmp_path, "one registry", "model").last_good() is not None
    assert ModelCache(tmp_path, "another registry", "model").last_good() is None
    assert ModelCache(tmp_path, "one registry", "another model").last_good() is None


def test_a_registry_that_was_set_up_anew_is_not_served_the_old_version_of_the_same_number(
    follower, shelf, other_files, monkeypatch
):
    follower.look()
    shelf.versions["1"] = other_files
    original = type(shelf)._version
    monkeypatch.setattr(
        type(shelf), "_version", lambda self, version: replace(original(self, version), run_id="new run")
    )
    follower.look()
    assert follower.champion.scorer.spec.algorithm == "random_forest"


def test_only_the_last_few_models_stay_on_disk(follower, shelf, small, tmp_path):
    for version in "123456":
        shelf.versions[version], shelf.alias = small.files, version
        follower.look()
    assert len(list(tmp_path.rglob("model.onnx"))) == 3
    assert serving(follower) == "6"


def test_workers_that_bring_the_same_version_at_once_share_it(shelf, tmp_path):
    followers = [ModelWatcher(lambda: shelf, ModelCache(tmp_path, "uri", "model"), 10, 60) for _ in range(6)]
    threads = [threading.Thread(target=each.look) for each in followers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [serving(each) for each in followers] == ["1"] * 6
    assert len(list(tmp_path.rglob("model.onnx"))) == 1


def test_a_disk_that_cannot_be_written_is_told_and_the_champion_serves_all_the_same(shelf, tmp_path):
    (tmp_path / "file").touch()
    follower = ModelWatcher(lambda: shelf, ModelCache(tmp_path / "file", "uri", "model"), 10, 60)
    follower.look()
    assert serving(follower) == "1"
    assert "models cannot be kept there (Not a directory)" in follower.trouble
    follower.stop()


def test_a_champion_without_its_reference_sample_is_refused_by_name(small, tmp_path):
    for name, content in small.files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "reference.json").unlink()
    with pytest.raises(ModelError, match=r"reference.json is missing or damaged"):
        ServedModel.load(tmp_path, None)


def test_who_looks_while_another_looks_waits_and_a_refused_version_is_not_loaded_in_between(follower, shelf, small):
    follower.look()
    shelf.versions["2"] = {**small.files, THRESHOLDS_FILE: b'{"rows": 9'}
    shelf.alias = "2"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: follower.look(), range(40)))
    assert serving(follower) == "1"
    assert not any(answers)

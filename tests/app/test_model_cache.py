"""The model cache on a disk without space: the service keeps serving and says why a restart needs the registry."""

import pytest

from app.serving import model_cache
from app.serving.model_cache import ModelCache
from app.serving.model_watcher import ModelWatcher

from .conftest import READING

NO_SPACE = "No space left on device"


@pytest.fixture
def watch(registry):
    """A function that makes a watcher with a cache in the given folder. It polls when the test calls `poll`."""
    made = []

    def make(folder):
        made.append(ModelWatcher(lambda: registry, ModelCache(folder, "uri", "model"), 10, 60))
        return made[-1]

    yield make
    for watcher in made:
        watcher.stop()


@pytest.fixture
def other_places(monkeypatch):
    """Use these folders as the temporary one and as the one in memory."""

    def use(temporary, memory):
        monkeypatch.setattr(model_cache.tempfile, "tempdir", str(temporary))
        monkeypatch.setattr(model_cache, "_MEMORY", memory)

    return use


def serving(watcher):
    return watcher.model.version.version if watcher.model else None


def test_a_full_disk_at_the_start_is_a_warning_and_the_model_is_served(watch, make_disk):
    disk = make_disk(64)
    disk.fill()
    watcher = watch(disk.path)
    assert watcher.poll()
    assert serving(watcher) == "1"
    assert (
        f"models cannot be kept there ({NO_SPACE}); they are in a temporary folder, and a restart needs the registry"
        in watcher.warning
    )
    assert watcher.summary == f"models cannot be kept on disk ({NO_SPACE})"


def test_a_disk_with_too_little_space_for_a_model_is_a_warning_and_the_model_is_served(watch, make_disk):
    watcher = watch(make_disk(16).path)
    assert watcher.warning == "the registry has not answered yet"
    watcher.poll()
    assert serving(watcher) == "1"
    assert NO_SPACE in watcher.warning


def test_a_disk_that_is_full_later_is_a_warning_until_a_version_fits_again(watch, make_disk, registry, small):
    disk = make_disk(4096)
    watcher = watch(disk.path)
    watcher.poll()
    disk.fill()
    registry.versions |= {"2": small.files, "3": small.files}
    registry.alias = "2"
    watcher.poll()
    assert serving(watcher) == "2"
    assert NO_SPACE in watcher.warning
    disk.free()
    registry.alias = "3"
    watcher.poll()
    assert (serving(watcher), watcher.warning) == ("3", None)
    assert serving_after_restart(watch, disk.path) == "3"


def serving_after_restart(watch, folder):
    watcher = watch(folder)
    watcher._restore()
    return serving(watcher)


def test_the_record_of_the_last_version_that_does_not_fit_is_a_warning(watch, make_disk):
    disk = make_disk(4096)
    watcher = watch(disk.path)
    load = watcher._load
    watcher._load = lambda version: (load(version), disk.fill())[0]
    assert watcher.poll()
    assert serving(watcher) == "1"
    assert NO_SPACE in watcher.warning


def test_memory_is_used_if_the_temporary_folder_is_on_the_same_full_disk(watch, make_disk, other_places, tmp_path):
    disk = make_disk(64)
    other_places(disk.path, tmp_path)
    disk.fill()
    watcher = watch(disk.path)
    watcher.poll()
    assert serving(watcher) == "1"
    assert len(list(tmp_path.glob("pdm-models-*"))) == 1
    watcher.stop()
    assert not list(tmp_path.glob("pdm-models-*"))


def test_without_any_space_the_reason_names_the_folders_and_the_model_is_served_when_there_is_space(
    make_client, make_disk, other_places
):
    disk = make_disk(4096)
    other_places(disk.path, disk.path)
    disk.fill()
    client = make_client(model_cache=disk.path / "models")
    refusal = client.get("/ready")
    assert refusal.status_code == 503
    assert refusal.json()["detail"] == (
        "no model is ready: the production version cannot be stored; the log and GET /model/status have the reason"
    )
    warning = client.get("/model/status").json()["warning"]
    assert warning.startswith("version 1 cannot be stored (")
    assert f"the temporary folder, TMPDIR: {NO_SPACE}, {disk.path}: {NO_SPACE}): free space" in warning
    assert "set PDM_MODEL_CACHE to a writable folder on a disk with free space" in warning
    disk.free()
    client.app.state.service.watcher.poll()
    assert client.post("/predict", json=READING).json()["model_version"] == "1"
    assert client.get("/health").json()["status"] == "ok"


def test_the_error_of_a_registry_is_not_taken_for_a_full_disk(watch, registry, tmp_path):
    watcher = watch(tmp_path)
    registry.down = "the server does not answer"
    assert not watcher.poll()
    assert watcher.warning == "the server does not answer"
    assert (
        watcher.summary == "the registry or PDM_MODEL_DIR cannot be read; the log and GET /model/status have the reason"
    )

"""Model versions in an MLflow registry: registered once, promoted and rolled back."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from mlflow.exceptions import RestException

from predictive_maintenance.errors import ModelError, RegistryError
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.tracking.entities import FILES_TAG, SCORER_TAG
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import files_sha256, package_version, scorer_sha256
from predictive_maintenance.tracking.promotion import register_and_promote
from predictive_maintenance.tracking.runs import FlowRun


def test_an_empty_registry_has_no_versions(registry):
    assert registry.production_version() is None
    assert registry.candidate_version() is None
    assert registry.baseline_model() is None
    assert registry.list_versions() == []


def test_a_first_model_that_passes_the_gate_is_promoted_with_its_tags(train, registry):
    outcome = train("TrainFlow/1")
    champion = registry.production_version()
    assert (outcome.level, outcome.version) == ("production", "1")
    assert champion is not None
    assert set(champion.aliases) == {"candidate", "production"}
    assert champion.tags["flow_run"] == "TrainFlow/1"
    assert champion.tags["previous_production_version"] == ""
    assert champion.verdict is not None
    assert champion.verdict.level == "production"
    assert "next: predictive-maintenance status" in outcome.text()


def test_a_retried_last_step_registers_no_second_version(train, registry):
    assert train("TrainFlow/1").version == train("TrainFlow/1").version == "1"
    assert [version.version for version in registry.list_versions()] == ["1"]


def test_a_retry_after_registration_promotes_the_version(connection, small, train, registry, tmp_path):
    run = FlowRun.start(connection, "TrainFlow/1", {})
    registry.register(run, package_version(small.files, small.rows.test.head(2), tmp_path), {})
    assert registry.production_version() is None
    assert train("TrainFlow/1").version == "1"
    assert registry.production_version().version == "1"


def test_changed_files_of_the_same_run_are_a_new_version(connection, small, evaluate_small, train, registry):
    """For example after a run is resumed with changed code: the files of the first version do not change."""
    train("TrainFlow/1")
    threshold = small.scorer.spec.threshold + 1e-9
    spec = json.loads(small.files["scorer.json"]) | {"threshold": threshold}
    evaluation = evaluate_small(registry.baseline_model())
    run = FlowRun.start(connection, "TrainFlow/1", {})
    changed = {**small.files, "scorer.json": json.dumps(spec).encode()}
    outcome = register_and_promote(
        run, changed, small.rows.test, evaluation, {"flow_run": "again"}, small.params.registry, True
    )
    assert outcome.version == "2"
    assert registry.load_scorer("2").spec.threshold == threshold
    assert registry.load_scorer("1").spec.threshold == small.scorer.spec.threshold
    assert registry.get_version("1").tags["flow_run"] == "TrainFlow/1"
    assert registry.get_version("1").tags["files_sha256"] != registry.get_version("2").tags["files_sha256"]


def test_a_step_that_was_killed_after_registration_finds_its_version_again(connection, train, registry, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(connection.client, "set_model_version_tag", killed)
        broken.setattr(connection.client, "set_registered_model_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            train("TrainFlow/1")
    assert train("TrainFlow/1").version == "1"
    assert registry.production_version().tags["flow_run"] == "TrainFlow/1"


def test_a_model_stays_a_candidate_when_promotion_is_switched_off(train, registry):
    outcome = train("TrainFlow/1", promote=False)
    assert (outcome.level, outcome.version) == ("candidate", "1")
    assert registry.candidate_version().version == "1"
    assert registry.production_version() is None
    assert "promote 1   (to promote it anyway)" in outcome.text()


def test_a_rejected_model_leaves_the_registry_unchanged(connection, small, evaluate_small, registry):
    strict = small.params.model_copy(update={"gate": small.params.gate.model_copy(update={"min_f1": 1.0})})
    evaluation = evaluate_small(params=strict)
    run = FlowRun.start(connection, "TrainFlow/1", {})
    outcome = register_and_promote(run, small.files, small.rows.test, evaluation, {}, strict.registry, True)
    assert (outcome.level, outcome.version) == (None, None)
    assert "nothing was registered" in outcome.text()
    assert connection.client.search_registered_models() == []


def test_an_equal_model_does_not_replace_the_champion(train, registry):
    train("TrainFlow/1")
    outcome = train("TrainFlow/2", champion=registry.baseline_model())
    assert (outcome.level, outcome.version) == ("candidate", "2")
    assert "Improves on the champion" in outcome.summary
    assert "promote 2 --force   (to promote it anyway)" in outcome.text()
    assert registry.production_version().version == "1"


def test_a_champion_that_changed_during_the_run_is_not_replaced(train, registry):
    train("TrainFlow/1")
    outcome = train("TrainFlow/2", champion=None)  # evaluated before version 1 existed
    assert outcome.level == "candidate"
    assert "production changed from version none to 1 during the run" in outcome.summary
    assert "resume evaluate" in outcome.summary
    assert registry.production_version().version == "1"


def test_rollback_returns_to_the_previous_version_and_marks_the_other(train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    assert registry.promote("2", "1").previous == "1"
    result = registry.rollback()
    assert (result.previous, result.production, result.rolled_back) == ("2", "1", True)
    assert registry.production_version().version == "1"
    assert "rolled_back_at" in registry.get_version("2").tags
    with pytest.raises(
        RegistryError, match="version 1 was the first in production: there is no version to roll back to"
    ):
        registry.rollback()


def test_a_version_in_production_names_who_moved_production_to_it(train, registry, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ana")
    train("TrainFlow/1")
    assert registry.production_version().tags["production_by"] == "TrainFlow/1"
    train("TrainFlow/2", champion=registry.baseline_model())
    registry.promote("2", "1")
    assert registry.production_version().tags["production_by"] == "ana"
    monkeypatch.setenv("LOGNAME", "ben")
    registry.rollback()
    assert registry.production_version().tags["production_by"] == "ben"


def test_promotion_of_an_older_version_marks_the_newer_one_as_rolled_back(train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    assert not registry.promote("2", "1").rolled_back
    assert "rolled_back_at" not in registry.get_version("1").tags
    assert registry.promote("1", "2").rolled_back
    assert "rolled_back_at" in registry.get_version("2").tags
    assert list(registry.baseline_model().rolled_back.values()) == ["2"]


def test_rollback_to_a_newer_version_marks_no_version_as_rolled_back(train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    registry.promote("2", "1")
    registry.promote("1", "2")
    result = registry.rollback()
    assert (result.previous, result.production, result.rolled_back) == ("1", "2", False)
    assert registry.baseline_model().rolled_back == {}


def test_a_resumed_run_whose_older_version_passes_the_gate_marks_no_version_as_rolled_back(train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    registry.promote("2", "1")
    assert not registry.promote("1", "2", by_gate=True).rolled_back
    assert "rolled_back_at" not in registry.get_version("2").tags


def test_a_model_trained_on_the_rows_of_a_rolled_back_version_is_not_promoted(connection, train, registry):
    train("TrainFlow/1")
    connection.client.set_model_version_tag("predictive_maintenance", "1", "training_fingerprint", "other rows")
    train("TrainFlow/2", champion=registry.baseline_model())
    assert registry.production_version().version == "2"
    registry.rollback()
    outcome = train("TrainFlow/3", champion=registry.baseline_model())
    assert outcome.level == "candidate"
    assert "version 2 was trained on the same rows and rolled back" in outcome.summary
    assert registry.production_version().version == "1"


def test_a_version_that_is_promoted_again_is_no_longer_marked_as_rolled_back(train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    registry.promote("2", "1")
    registry.rollback()
    assert list(registry.baseline_model().rolled_back.values()) == ["2"]
    registry.promote("2", "1")
    assert "rolled_back_at" not in registry.get_version("2").tags
    assert registry.baseline_model().rolled_back == {}


def test_rollback_to_a_deleted_version_lists_the_existing_versions(connection, train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    registry.promote("2", "1")
    connection.client.delete_model_version("predictive_maintenance", "1")
    with pytest.raises(RegistryError, match="has no version '1'; existing versions: 2"):
        registry.rollback()
    assert registry.production_version().version == "2"


def test_rollback_without_production_is_an_error(registry):
    with pytest.raises(RegistryError, match="no version in production"):
        registry.rollback()


def test_an_unknown_version_lists_the_existing_versions(train, registry):
    train("TrainFlow/1")
    for unknown in ("7", "v1", "production"):
        with pytest.raises(RegistryError, match=f"has no version '{unknown}'; existing versions: 1"):
            registry.get_version(unknown)


def refuse(*arguments, **options):
    raise AssertionError("more requests than needed")


def test_one_version_takes_one_request_and_the_list_takes_two(connection, train, registry, monkeypatch):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    with monkeypatch.context() as frugal:
        frugal.setattr(connection.client, "search_model_versions", refuse)
        assert registry.get_version("2").aliases == ("candidate",)
    monkeypatch.setattr(connection.client, "get_model_version", refuse)
    found = {version.version: version for version in registry.list_versions()}
    assert {number: version.aliases for number, version in found.items()} == {"2": ("candidate",), "1": ("production",)}
    assert found["1"].tags["flow_run"] == "TrainFlow/1"


def test_versions_on_later_pages_are_found(connection, train, registry, monkeypatch):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    one_a_page = partial(connection.client.search_model_versions, max_results=1)
    monkeypatch.setattr(connection.client, "search_model_versions", one_a_page)
    assert [version.version for version in registry.list_versions()] == ["2", "1"]
    assert train("TrainFlow/1").version == "1"


def test_an_invalid_alias_is_an_error_and_not_an_empty_registry(connection, train):
    train("TrainFlow/1")
    wrong = connection.settings.model_copy(update={"production_alias": "pro duction"})
    with pytest.raises(RegistryError, match="looking up the alias pro duction: Invalid alias name: 'pro duction'"):
        ModelRegistry(replace(connection, settings=wrong)).production_version()


@pytest.mark.parametrize(
    "answer",
    [
        {"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias production not found."},
        {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered model alias production not found."},
        {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model with name=x not found"},
    ],
)
def test_every_answer_for_a_missing_alias_means_no_champion(connection, registry, monkeypatch, answer):
    def missing(*arguments):
        raise RestException(answer)

    monkeypatch.setattr(connection.client, "get_model_version_by_alias", missing)
    assert registry.production_version() is None


def scorer_folder(connection, version):
    source = connection.client.get_model_version("predictive_maintenance", version).source
    return Path(unquote(urlparse(source).path), "artifacts", "scorer")


def test_a_version_whose_files_are_damaged_is_not_promoted(connection, train, registry):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=registry.baseline_model())
    model = scorer_folder(connection, "2") / "model.onnx"
    model.write_bytes(model.read_bytes()[:500])
    with pytest.raises(
        ModelError, match="version 2 of predictive_maintenance: its files differ from the registered ones"
    ):
        registry.promote("2", "1")
    assert registry.production_version().version == "1"


def test_a_champion_whose_files_cannot_be_read_has_the_reason_in_place_of_a_scorer(connection, train, registry):
    train("TrainFlow/1")
    folder = scorer_folder(connection, "1")
    for name, content, reason in (
        ("machine.json", b"{}", "machine.json is damaged"),
        ("machine.json", b'{"format": 2}', "machine.json has format 2, this program reads up to 1: update the program"),
        ("training_rows.npy", b"?", "training_rows.npy is damaged"),
    ):
        (folder / name).write_bytes(content)
        assert "its files differ from the registered ones" in registry.baseline_model().unreadable
        # As another release would have registered them.
        registry.tag("1", {FILES_TAG: files_sha256(folder.parents[1]), SCORER_TAG: scorer_sha256(folder)})
        champion = registry.baseline_model()
        assert (champion.version, champion.scorer, len(champion.training_rows)) == ("1", None, 0)
        assert reason in champion.unreadable


def test_a_version_whose_files_are_gone_is_named_with_the_folder_and_a_way_out(connection, train, registry):
    train("TrainFlow/1")
    folder = scorer_folder(connection, "1").parents[1]
    shutil.rmtree(folder)
    reason = (
        f"version 1 of predictive_maintenance: its files are missing: {folder} does not exist: restore it from a backup, or "
        "promote another version"
    )
    with pytest.raises(ModelError, match=re.escape(reason)):
        registry.load_scorer("1")
    champion = registry.baseline_model()
    assert (champion.scorer, champion.unreadable) == (None, reason)


def test_a_champion_that_cannot_be_read_stays_in_production_until_a_person_promotes_another_version(
    connection, train, registry
):
    train("TrainFlow/1")
    (scorer_folder(connection, "1") / "machine.json").write_text("{}")
    outcome = train("TrainFlow/2", champion=registry.baseline_model())
    assert (outcome.level, outcome.version) == ("candidate", "2")
    assert (
        "not comparable with version 1: its files cannot be used: version 1 of predictive_maintenance"
        in outcome.summary
    )
    assert "predictive-maintenance promote 2 --force" in outcome.text()
    assert registry.promote("2", "1").promoted
    with pytest.raises(ModelError, match="version 1 of predictive_maintenance: its files differ"):
        registry.rollback()
    assert registry.production_version().version == "2"


def test_only_the_files_that_scoring_needs_are_sent_to_other_processes(train, registry, small):
    train("TrainFlow/1")
    files = registry.scorer_files("1")
    assert set(files) == {"model.onnx", "scorer.json", "golden.json", "machine.json"}
    np.testing.assert_array_equal(
        Scorer.from_files(files).probabilities(small.rows.test), small.scorer.probabilities(small.rows.test)
    )


def test_the_champion_is_loaded_with_the_ids_of_its_training_rows(train, registry, small):
    train("TrainFlow/1")
    champion = registry.baseline_model()
    assert len(champion.training_rows) == len(small.rows.train)
    assert champion.training_fingerprint == training_fingerprint(small.rows.train, small.params.machine)
    np.testing.assert_array_equal(
        champion.scorer.probabilities(small.rows.test), small.scorer.probabilities(small.rows.test)
    )

"""Versions on a real MLflow: registered once, promoted and rolled back."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from mlflow.exceptions import RestException

from predictive_maintenance.errors import ModelError, RegistryError
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.evaluation.evaluate import evaluate
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import package_version
from predictive_maintenance.tracking.promotion import register_and_promote
from predictive_maintenance.tracking.runs import FlowRun


def test_an_empty_registry_has_no_champion(versions):
    assert versions.production_version() is None
    assert versions.candidate_version() is None
    assert versions.baseline_model() is None
    assert versions.list_versions() == []


def test_a_first_good_model_is_promoted_with_its_tags(train, versions):
    outcome = train("TrainFlow/1")
    champion = versions.production_version()
    assert (outcome.level, outcome.version) == ("production", "1")
    assert champion is not None
    assert set(champion.aliases) == {"candidate", "production"}
    assert champion.tags["flow_run"] == "TrainFlow/1"
    assert champion.tags["previous_production_version"] == ""
    assert champion.verdict is not None
    assert champion.verdict.level == "production"
    assert "next: python -m predictive_maintenance status" in outcome.text()


def test_a_retried_last_step_makes_no_second_version(train, versions):
    assert train("TrainFlow/1").version == train("TrainFlow/1").version == "1"
    assert [version.version for version in versions.list_versions()] == ["1"]


def test_a_retry_after_registering_but_before_promoting_finishes_the_work(connection, small, train, versions, tmp_path):
    run = FlowRun.start(connection, "TrainFlow/1", {})
    versions.register(run, package_version(small.files, small.rows.test.head(2), tmp_path), {})
    assert versions.production_version() is None
    assert train("TrainFlow/1").version == "1"
    assert versions.production_version().version == "1"


def test_other_files_of_the_same_run_are_a_version_of_their_own(connection, small, train, versions):
    """Such as those of a run that was resumed after its code was mended: the first version keeps what it was judged by."""
    train("TrainFlow/1")
    threshold = small.scorer.spec.threshold + 1e-9
    spec = json.loads(small.files["scorer.json"]) | {"threshold": threshold}
    evaluation = evaluate(small.trained, small.out_of_fold, small.scorer, small.rows, versions.baseline_model(), small.params)
    run = FlowRun.start(connection, "TrainFlow/1", {})
    changed = {**small.files, "scorer.json": json.dumps(spec).encode()}
    outcome = register_and_promote(
        run, changed, small.rows.test, evaluation, {"flow_run": "again"}, small.params.registry, True
    )
    assert outcome.version == "2"
    assert versions.load_scorer("2").spec.threshold == threshold
    assert versions.load_scorer("1").spec.threshold == small.scorer.spec.threshold
    assert versions.get_version("1").tags["flow_run"] == "TrainFlow/1"
    assert versions.get_version("1").tags["files_sha256"] != versions.get_version("2").tags["files_sha256"]


def test_a_step_that_is_killed_after_registering_finds_its_version_again(connection, train, versions, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(connection.client, "set_model_version_tag", killed)
        broken.setattr(connection.client, "set_registered_model_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            train("TrainFlow/1")
    assert train("TrainFlow/1").version == "1"
    assert versions.production_version().tags["flow_run"] == "TrainFlow/1"


def test_a_model_not_to_be_promoted_is_a_candidate(train, versions):
    outcome = train("TrainFlow/1", promote=False)
    assert (outcome.level, outcome.version) == ("candidate", "1")
    assert versions.candidate_version().version == "1"
    assert versions.production_version() is None
    assert "promote 1   (if" in outcome.text()


def test_a_rejected_model_leaves_the_registry_untouched(connection, small, versions):
    strict = small.params.model_copy(update={"gate": small.params.gate.model_copy(update={"min_f1": 1.0})})
    evaluation = evaluate(small.trained, small.out_of_fold, small.scorer, small.rows, None, strict)
    run = FlowRun.start(connection, "TrainFlow/1", {})
    outcome = register_and_promote(run, small.files, small.rows.test, evaluation, {}, strict.registry, True)
    assert (outcome.level, outcome.version) == (None, None)
    assert "nothing was registered" in outcome.text()
    assert connection.client.search_registered_models() == []


def test_the_same_rows_do_not_replace_an_equal_champion(train, versions):
    train("TrainFlow/1")
    outcome = train("TrainFlow/2", champion=versions.baseline_model())
    assert (outcome.level, outcome.version) == ("candidate", "2")
    assert "Earns the place" in outcome.summary
    assert "promote 2 --force   (if you decide otherwise)" in outcome.text()
    assert versions.production_version().version == "1"


def test_a_champion_that_moved_meanwhile_is_not_overwritten(train, versions):
    train("TrainFlow/1")
    outcome = train("TrainFlow/2", champion=None)  # judged before version 1 was there
    assert outcome.level == "candidate"
    assert "production moved from version none to 1 during the run" in outcome.summary
    assert "resume evaluate" in outcome.summary
    assert versions.production_version().version == "1"


def test_rollback_goes_back_to_the_version_that_production_left(train, versions):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.baseline_model())
    assert versions.promote("2", "1").previous == "1"
    assert versions.rollback() == ("2", "1")
    assert versions.production_version().version == "1"
    assert "rolled_back_at" in versions.get_version("2").tags
    with pytest.raises(RegistryError, match="version 1 is the first in production: there is none to roll back to"):
        versions.rollback()


def test_a_twin_of_a_version_that_was_rolled_back_is_not_promoted_by_itself(connection, train, versions):
    train("TrainFlow/1")
    connection.client.set_model_version_tag("predictive_maintenance", "1", "training_fingerprint", "other rows")
    train("TrainFlow/2", champion=versions.baseline_model())
    assert versions.production_version().version == "2"
    versions.rollback()
    outcome = train("TrainFlow/3", champion=versions.baseline_model())
    assert outcome.level == "candidate"
    assert "version 2 was trained on the same rows and rolled back" in outcome.summary
    assert versions.production_version().version == "1"


def test_a_version_that_is_promoted_again_is_no_longer_rolled_back(train, versions):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.baseline_model())
    versions.promote("2", "1")
    versions.rollback()
    assert list(versions.baseline_model().rolled_back.values()) == ["2"]
    versions.promote("2", "1")
    assert "rolled_back_at" not in versions.get_version("2").tags
    assert versions.baseline_model().rolled_back == {}


def test_a_version_to_roll_back_to_that_was_deleted_is_named_with_those_there_are(connection, train, versions):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.baseline_model())
    versions.promote("2", "1")
    connection.client.delete_model_version("predictive_maintenance", "1")
    with pytest.raises(RegistryError, match="has no version '1'; it has: 2"):
        versions.rollback()
    assert versions.production_version().version == "2"


def test_rollback_without_production_is_an_error(versions):
    with pytest.raises(RegistryError, match="no version in production"):
        versions.rollback()


def test_an_unknown_version_is_named_with_the_known_ones(train, versions):
    train("TrainFlow/1")
    for unknown in ("7", "v1", "production"):
        with pytest.raises(RegistryError, match=f"has no version '{unknown}'; it has: 1"):
            versions.get_version(unknown)


def refuse(*arguments, **options):
    raise AssertionError("more requests than needed")


def test_one_version_is_one_request_and_all_are_two(connection, train, versions, monkeypatch):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.baseline_model())
    with monkeypatch.context() as frugal:
        frugal.setattr(connection.client, "search_model_versions", refuse)
        assert versions.get_version("2").aliases == ("candidate",)
    monkeypatch.setattr(connection.client, "get_model_version", refuse)
    found = {version.version: version for version in versions.list_versions()}
    assert {number: version.aliases for number, version in found.items()} == {"2": ("candidate",), "1": ("production",)}
    assert found["1"].tags["flow_run"] == "TrainFlow/1"


def test_versions_on_later_pages_are_found(connection, train, versions, monkeypatch):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.baseline_model())
    one_a_page = partial(connection.client.search_model_versions, max_results=1)
    monkeypatch.setattr(connection.client, "search_model_versions", one_a_page)
    assert [version.version for version in versions.list_versions()] == ["2", "1"]
    assert train("TrainFlow/1").version == "1"


def test_an_alias_that_the_registry_refuses_is_no_empty_registry(connection, train):
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
def test_whatever_a_server_says_of_a_missing_alias_means_no_champion(connection, versions, monkeypatch, answer):
    def missing(*arguments):
        raise RestException(answer)

    monkeypatch.setattr(connection.client, "get_model_version_by_alias", missing)
    assert versions.production_version() is None


def scorer_folder(connection, version):
    source = connection.client.get_model_version("predictive_maintenance", version).source
    return Path(unquote(urlparse(source).path), "artifacts", "scorer")


def test_a_version_whose_files_are_damaged_is_not_promoted(connection, train, versions):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.baseline_model())
    model = scorer_folder(connection, "2") / "model.onnx"
    model.write_bytes(model.read_bytes()[:500])
    with pytest.raises(ModelError, match="not a model that the ONNX runtime can run"):
        versions.promote("2", "1")
    assert versions.production_version().version == "1"


def test_a_damaged_champion_is_named_with_the_way_out(connection, train, versions):
    train("TrainFlow/1")
    (scorer_folder(connection, "1") / "training_rows.npy").unlink()
    with pytest.raises(ModelError, match=r"version 1, which is in production, cannot be compared with[\s\S]*rollback"):
        versions.baseline_model()


def test_the_champion_knows_the_rows_it_was_trained_on(train, versions, small):
    train("TrainFlow/1")
    champion = versions.baseline_model()
    assert len(champion.training_rows) == len(small.rows.train)
    assert champion.training_fingerprint == training_fingerprint(small.rows.train)
    np.testing.assert_array_equal(
        champion.scorer.probabilities(small.rows.test), small.scorer.probabilities(small.rows.test)
    )

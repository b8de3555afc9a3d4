"""params.yaml is strict: what is wrong is named, with what was probably meant."""

from pathlib import Path

import pytest
import yaml

from predictive_maintenance.config import PARAMS_FILE, Source, load_params, parse_params, read_yaml
from predictive_maintenance.errors import ConfigError


@pytest.fixture
def raw():
    return yaml.safe_load(PARAMS_FILE.read_text())


def test_the_shipped_file_is_valid(params):
    assert set(params.candidates) == {"random_forest", "lightgbm"}
    assert (params.gate.min_recall, params.gate.min_f1) == (0.7, 0.6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["gate"].update(min_recal=0.7), "gate.min_recal is not a setting; did you mean 'min_recall'?"),
        (lambda raw: raw.update(gates={}), "gates is not a setting; did you mean 'gate'?"),
        (
            lambda raw: raw["candidates"].update(xgboost={"trials": 3, "fixed": {}, "search": {}}),
            "candidates.xgboost is not an algorithm; known here: random_forest, lightgbm",
        ),
        (
            lambda raw: raw["candidates"]["lightgbm"].update(trails=3),
            "candidates.lightgbm.trails is not a setting; did you mean 'trials'?",
        ),
        (
            lambda raw: raw["candidates"]["lightgbm"]["search"].update(num_leaves={"low": 3, "hihg": 9}),
            "candidates.lightgbm.search.num_leaves.hihg is not a setting; did you mean 'high'?",
        ),
        (
            lambda raw: raw["candidates"]["lightgbm"]["search"].update(num_leaves={"low": 9, "high": 3}),
            "low 9 is not below high 3",
        ),
        (lambda raw: raw["candidates"]["lightgbm"]["fixed"].update(num_leaves=3), "both fixed and searched"),
        (
            lambda raw: raw["data"]["sources"][0].update(ur="x"),
            "data.sources.0.ur is not a setting; did you mean 'uri'?",
        ),
        (lambda raw: raw["data"].update(sources=[]), "sources: at least one is needed"),
        (lambda raw: raw["data"].update(sources=["join:a.csv"]), "the first source must be 'append'"),
        (lambda raw: raw["columns"]["limits"].pop("torque_nm"), "limits: 'torque_nm' is missing"),
        (lambda raw: raw["columns"]["limits"].update(torque_nm=[9.0, 1.0]), "limits.torque_nm: 9.0 is not below 1.0"),
        (lambda raw: raw["columns"]["aliases"].update(torqe_nm=["M"]), "did you mean 'torque_nm'?"),
        (lambda raw: raw["gate"].update(min_f1="high"), "gate.min_f1: Input should be a valid number (it is 'high')"),
        (lambda raw: raw["gate"].update(min_f1=1.5), "gate.min_f1: Input should be less than or equal to 1"),
        (lambda raw: raw["split"].pop("salt"), "split.salt is missing"),
        (lambda raw: raw["threshold"].update(optimise="f2"), "threshold.optimise"),
    ],
)
def test_a_wrong_setting_is_named(raw, change, message):
    change(raw)
    with pytest.raises(ConfigError) as error:
        parse_params(raw, "params.yaml")
    assert message in str(error.value)
    assert str(error.value).startswith("params.yaml: ")


def test_every_wrong_setting_is_told_at_once(raw):
    raw["gate"]["min_f1"] = raw["gate"]["min_recall"] = "high"
    with pytest.raises(ConfigError) as error:
        parse_params(raw, "params.yaml")
    assert len(str(error.value).splitlines()) == 2


def test_text_that_is_no_yaml_is_an_error():
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml("a: [1")


def test_a_missing_file_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nosuch\.yaml: cannot be read: No such file"):
        load_params(tmp_path / "nosuch.yaml")


def test_a_run_overrides_sources_trials_and_seed(params):
    own = params.override("a.csv, join:b.csv", trials=3, seed=9)
    assert own.data.sources == (Source(uri="a.csv"), Source(uri="b.csv", merge="join"))
    assert {candidate.trials for candidate in own.candidates.values()} == {3}
    assert own.training.seed == 9
    assert own.gate == params.gate


def test_a_wrong_override_is_an_error(params):
    with pytest.raises(ConfigError, match="trials: Input should be greater than or equal to 1"):
        params.override(trials=0)


def test_parameters_cannot_be_changed(params):
    with pytest.raises(ValueError, match="frozen"):
        params.gate.min_f1 = 0.1

"""params.yaml is validated strictly: an error names each invalid setting and suggests a valid one."""

from pathlib import Path

import pytest
import yaml

from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.config.params import parse_params
from predictive_maintenance.config.params_file import load_params, read_yaml
from predictive_maintenance.config.sources import Source, parse_sources
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.changed_machines import changed, with_sensor
from tests.paths import PARAMS_FILE


@pytest.fixture
def raw():
    return yaml.safe_load(PARAMS_FILE.read_text())


def test_the_default_params_file_is_valid(params):
    assert set(params.candidates) == {"random_forest", "lightgbm"}
    assert (params.gate.min_recall, params.gate.min_f1) == (0.7, 0.6)


def test_a_file_without_the_minimums_above_trivial_models_has_their_defaults(raw, params):
    del raw["gate"]["min_mcc"], raw["gate"]["min_f1_gain"]
    assert parse_params(raw, "params.yaml").gate == params.gate
    assert (params.gate.min_mcc, params.gate.min_f1_gain) == (0.1, 0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["gate"].update(min_recal=0.7), "gate.min_recal is not a setting; did you mean 'min_recall'?"),
        (lambda raw: raw.update(gates={}), "gates is not a setting; did you mean 'gate'?"),
        (
            lambda raw: raw["candidates"].update(xgboost={"trials": 3, "fixed": {}, "search": {}}),
            "candidates.xgboost is not an algorithm; valid names: random_forest, lightgbm",
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
        (lambda raw: raw["data"].update(sources=[]), "sources: at least one source is required"),
        (lambda raw: raw["data"].update(sources=["join:a.csv"]), "the first source must be 'append'"),
        (
            lambda raw: raw["columns"]["limits"].update(torqe_nm=[1.0, 9.0]),
            "'torqe_nm' is not a sensor of the milling machine",
        ),
        (
            lambda raw: raw["columns"]["aliases"].update(torque_nm=["tool wear"]),
            "the header 'tool wear' already belongs to",
        ),
        (lambda raw: raw.update(machine="mill"), "machine: 'mill' is not the description of a machine"),
        (lambda raw: raw["columns"]["limits"].update(torque_nm=[9.0, 1.0]), "limits.torque_nm: 9.0 is not below 1.0"),
        (lambda raw: raw["columns"]["aliases"].update(torqe_nm=["M"]), "did you mean 'torque_nm'?"),
        (lambda raw: raw["gate"].update(min_f1="high"), "gate.min_f1: Input should be a valid number (got 'high')"),
        (lambda raw: raw["gate"].update(min_f1=1.5), "gate.min_f1: Input should be less than or equal to 1"),
        (lambda raw: raw["gate"].update(min_mcc=-1.5), "gate.min_mcc: Input should be greater than or equal to -1"),
        (lambda raw: raw["gate"].update(min_f1=float("nan")), "gate.min_f1: Input should be a finite number"),
        (
            lambda raw: raw["costs"].update(missed_failure=float("inf")),
            "costs.missed_failure: Input should be a finite",
        ),
        (lambda raw: raw["split"].pop("salt"), "split.salt is missing"),
        (lambda raw: raw["registry"].update(experiment=" "), "registry.experiment: is blank"),
        (lambda raw: raw["registry"].update(model_name="plant/7"), "registry.model_name: 'plant/7'"),
        (lambda raw: raw["registry"].update(model_name="it's"), "must not contain a slash, a colon or a quote"),
        (lambda raw: raw["registry"].update(candidate_alias="next one"), "registry.candidate_alias: 'next one'"),
        (lambda raw: raw["registry"].update(candidate_alias="V2"), "'V2' is reserved for versions"),
        (lambda raw: raw["registry"].update(candidate_alias="latest"), "'latest' is reserved for versions"),
        (
            lambda raw: raw["registry"].update(candidate_alias="production"),
            "candidate_alias and production_alias are both",
        ),
        (lambda raw: raw["candidates"]["lightgbm"]["search"].update(num_leaves=[]), "search.num_leaves: "),
        (lambda raw: raw["threshold"].update(optimise="f2"), "threshold.optimise"),
        (
            lambda raw: raw["threshold"].update(at_most_false_alarms=-1),
            "threshold.at_most_false_alarms: Input should be greater than or equal to 0",
        ),
        (
            lambda raw: raw["gate"].update(min_failures_caught=1.1),
            "gate.min_failures_caught: Input should be less than",
        ),
        (
            lambda raw: raw["gate"].update(max_false_alarm_rate=-0.1),
            "gate.max_false_alarm_rate: Input should be greater",
        ),
    ],
)
def test_an_invalid_setting_is_named(raw, change, message):
    change(raw)
    with pytest.raises(ConfigError) as error:
        parse_params(raw, "params.yaml")
    assert message in str(error.value)
    assert str(error.value).startswith("params.yaml: ")


def test_all_invalid_settings_are_reported_together(raw):
    raw["gate"]["min_f1"] = raw["gate"]["min_recall"] = "high"
    with pytest.raises(ConfigError) as error:
        parse_params(raw, "params.yaml")
    assert len(str(error.value).splitlines()) == 2


SECRET = "postgresql://me:s3cret@host/plant?table=t"


@pytest.mark.parametrize(
    "data",
    [
        {"sources": [{"uri": SECRET}]},
        {"sources": [SECRET]},
        {"sources": ["a.csv", f"join:{SECRET}"]},
        {"sources": [{"uri": SECRET, "merge": "apend"}]},
        {"sources": [{"uri": [SECRET]}]},
        {"sources": [{SECRET: "append"}]},
        {"sources": [[SECRET]]},
        {"sources": SECRET},
        {"source": SECRET},
        SECRET,
    ],
)
def test_an_error_about_a_source_does_not_show_its_password(raw, data):
    raw["data"] = data
    with pytest.raises(ConfigError, match=r"^params.yaml: data") as error:
        parse_params(raw, "params.yaml")
    assert "s3cret" not in str(error.value)


def test_a_written_out_password_in_a_source_is_refused_with_the_fix():
    with pytest.raises(ConfigError) as error:
        parse_sources(f"a.csv,{SECRET}")
    assert str(error.value) == (
        "--sources: sources.1.uri: postgresql://me:***@host/plant?table=t contains a password, which would be stored "
        "with the run: set an environment variable and write ${NAME} instead"
    )


def test_a_source_created_in_code_refuses_a_password_too():
    with pytest.raises(ValueError, match="contains a password") as error:
        Source(uri=SECRET)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "params.yaml, line 1: not valid YAML: "),
        ("data:\n  uri: 'postgresql://me:s3cret@host", "params.yaml, line 2: not valid YAML: "),
        ("data: 1\ngate: 2\ndata: 3", "line 3: not valid YAML: duplicate key 'data', first in line 1"),
        ("split:\n  salt: a\n  salt: b", "line 3: not valid YAML: duplicate key 'salt', first in line 2"),
        ("salt: !!binary aGk=", "line 1: not valid YAML: could not determine a constructor for the tag"),
        (
            "seed: " + "9" * 5000,
            "line 1: not valid YAML: a value that does not match its tag, or a number with too many",
        ),
        ("data: \x01", "params.yaml: not valid YAML: unacceptable character"),
        ("data: &all\n  sources: [*all]", "params.yaml: a list or a mapping contains itself"),
        ("[" * 5000, "params.yaml: not valid YAML: nested too deeply"),
        ("", "params.yaml: the file is empty: start from a copy of"),
        ("# nothing\n---\n", "params.yaml: the file is empty: start from a copy of"),
        ("postgresql://me:s3cret@host", "params.yaml: the file: Input should be an object"),
    ],
)
def test_an_error_about_invalid_yaml_names_the_line_and_shows_none_of_its_text(text, message):
    with pytest.raises(ConfigError) as error:
        read_yaml(text)
    assert message in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_date_is_read_as_text():
    text = PARAMS_FILE.read_text().replace("salt: predictive-maintenance", "salt: 2024-01-31")
    assert read_yaml(text)["split"]["salt"] == "2024-01-31"


def test_a_key_may_override_a_merged_one():
    text = PARAMS_FILE.read_text().replace(
        "  max_mode_recall_loss: 0.05 ", "  <<: {min_f1: 0.1, max_mode_recall_loss: 0.05} "
    )
    assert read_yaml(text)["gate"]["min_f1"] == 0.6


def test_a_missing_file_a_folder_and_a_file_that_is_not_utf_8_are_errors(tmp_path: Path):
    (tmp_path / "latin.yaml").write_bytes("currency: £".encode("cp1252"))
    for name, message in {
        "nosuch.yaml": "cannot be read: No such file",
        ".": "cannot be read: Is a directory",
        "latin.yaml": "not UTF-8 text (byte 11): save it as UTF-8",
    }.items():
        with pytest.raises(ConfigError) as error:
            load_params(tmp_path / name)
        assert f"{tmp_path / name}: {message}" in str(error.value)


def test_override_replaces_sources_trials_and_seed(params):
    own = params.override("a.csv, join:b.csv", trials=3, seed=9)
    assert own.data.sources == (Source(uri="a.csv"), Source(uri="b.csv", merge="join"))
    assert {candidate.trials for candidate in own.candidates.values()} == {3}
    assert own.training.seed == 9
    assert own.gate == params.gate


def test_another_description_of_the_same_machine_keeps_the_settings_that_belong_to_the_machine(raw):
    raw["columns"] = {"aliases": {"torque_nm": ["Moment"]}, "limits": {"torque_nm": [0, 90]}}
    own = parse_params(raw, "params.yaml")
    more = own.override(machine=to_plain(with_sensor(MILLING, "vibration_mm_s", range=[0, 40]))).machine
    assert more.ranges == own.machine.ranges | {"vibration_mm_s": (0, 40)}
    assert "Moment" in more.columns["torque_nm"].headers


def test_another_description_names_the_registered_model_unless_the_settings_do(raw):
    described = to_plain(changed(MILLING, lambda plain: plain.update(model_name="mill")))
    registry = parse_params(raw, "params.yaml").override(machine=described).registry
    assert (registry.model_name, registry.experiment) == ("mill", "mill")
    raw["registry"] = raw.get("registry", {}) | {"model_name": "ours"}
    assert parse_params(raw, "params.yaml").override(machine=described).registry.model_name == "ours"


def test_a_source_in_a_json_list_may_contain_commas(params):
    own = params.override(
        '["sqlite:///p.db?query=SELECT a, b FROM t", "join:b.csv", {"uri": "c.csv", "merge": "join"}]'
    )
    assert own.data.sources == (
        Source(uri="sqlite:///p.db?query=SELECT a, b FROM t"),
        Source(uri="b.csv", merge="join"),
        Source(uri="c.csv", merge="join"),
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"trials": 0}, "trials: Input should be greater than or equal to 1"),
        ({"seed": -1}, "training.seed: Input should be greater than or equal to 0"),
        ({"sources": ","}, "sources: at least one source is required"),
        ({"sources": "join:"}, "sources.0.uri: String should have at least 1 character"),
        ({"sources": "[ab]*.csv"}, "--sources: starts with [ but is not a JSON list"),
        ({"sources": "[1]"}, "--sources: sources.0: Input should be an object"),
    ],
)
def test_an_invalid_override_is_an_error(params, override, message):
    with pytest.raises(ConfigError) as error:
        params.override(**override)
    assert message in str(error.value)


def test_parameters_cannot_be_changed(params):
    with pytest.raises(ValueError, match="frozen"):
        params.gate.min_f1 = 0.1


def test_a_file_without_the_settings_for_failure_events_has_their_defaults(raw, params):
    del raw["gate"]["min_failures_caught"], raw["gate"]["max_false_alarm_rate"]
    del raw["evaluation"]["min_lead"], raw["threshold"]["at_most_false_alarms"]
    assert parse_params(raw, "params.yaml") == params


@pytest.mark.parametrize(("min_lead", "hours"), [(0, 0), ("0", 0), ("6h", 6), ("90min", 1.5)])
def test_the_minimal_lead_time_is_a_span_of_the_machines_time(engine_params, min_lead, hours):
    raw = engine_params.model_dump(mode="json")
    raw["evaluation"]["min_lead"] = min_lead
    assert event_rules(parse_params(raw, "params.yaml")).min_lead.length == hours * 3.6e9


@pytest.mark.parametrize(
    ("min_lead", "message"),
    [
        ("6", "evaluation.min_lead: '6' is not a span of time: write 24h, 7d, 30min, or 0"),
        ("5 readings", "evaluation.min_lead: '5 readings' is not a span of time"),
        ("1d", "evaluation.min_lead: 1 d is not shorter than the label's horizon of 24 h"),
    ],
)
def test_a_minimal_lead_time_that_the_machine_cannot_have_is_refused(engine_params, min_lead, message):
    raw = engine_params.model_dump(mode="json")
    raw["evaluation"]["min_lead"] = min_lead
    with pytest.raises(ConfigError) as error:
        parse_params(raw, "params.yaml")
    assert message in str(error.value)


def test_a_limit_of_false_alarms_needs_machines_that_are_not_split(engine_params):
    raw = engine_params.model_dump(mode="json")
    raw["threshold"]["at_most_false_alarms"] = 1
    assert parse_params(raw, "params.yaml").threshold.at_most_false_alarms == 1
    raw["machine"]["description"]["group"] = {"falls": "heat"}
    with pytest.raises(ConfigError, match="at_most_false_alarms needs group: machine"):
        parse_params(raw, "params.yaml")


def test_the_minimal_lead_time_is_ignored_if_the_label_has_no_horizon(raw):
    raw["evaluation"]["min_lead"] = "24h"
    assert event_rules(parse_params(raw, "params.yaml")) is None

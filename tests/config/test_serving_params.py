"""The service finds the registered model by its machine or by its name."""

import shutil

import pytest

from predictive_maintenance.config.serving_params import load_serving_params
from predictive_maintenance.errors import ConfigError
from tests.paths import PARAMS_FILE, REPOSITORY


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with params.yaml, whose machine has an alias, and the description of a compressor."""
    settings = PARAMS_FILE.read_text().replace("aliases: {}", "aliases: {torque_nm: [drehmoment]}")
    (tmp_path / "params.yaml").write_text(settings)
    shutil.copytree(REPOSITORY / "tests" / "machines" / "compressor", tmp_path / "machines" / "compressor")
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    return tmp_path


def test_the_model_is_that_of_the_machine_in_the_settings(project):
    params = load_serving_params()
    assert params.registry.model_name == "predictive_maintenance"
    assert params.aliases == {"torque_nm": ("drehmoment",)}


def test_the_variable_names_another_machine_without_the_headers_of_the_first(project, monkeypatch):
    monkeypatch.setenv("PDM_MACHINE", "compressor")
    params = load_serving_params()
    assert params.registry.model_name == params.registry.experiment == "compressor_bearing"
    assert params.aliases == {}


def test_a_model_is_served_by_its_name_without_a_description(project, monkeypatch):
    monkeypatch.setenv("PDM_MACHINE", "not-described-here")
    monkeypatch.setenv("PDM_MODEL_NAME", "pump_seals")
    params = load_serving_params()
    assert params.registry.model_name == "pump_seals"
    assert params.aliases == {}


def test_an_unknown_machine_and_an_impossible_name_are_errors_that_name_the_variable(project, monkeypatch):
    monkeypatch.setenv("PDM_MACHINE", "compresor")
    with pytest.raises(ConfigError, match=r"PDM_MACHINE: machine 'compresor': .*; did you mean 'compressor'\?"):
        load_serving_params()
    monkeypatch.setenv("PDM_MODEL_NAME", "a/b")
    with pytest.raises(ConfigError, match=r"with PDM_MODEL_NAME: registry\.model_name"):
        load_serving_params()

"""The settings of a run are those that the commands have, such as the monitor that starts it."""

import sys

import pytest

from predictive_maintenance.config.params import parse_params
from predictive_maintenance.config.params_file import load_params
from tests.paths import PARAMS_FILE

from .in_process import import_flow

pytestmark = pytest.mark.flow


@pytest.fixture
def settings_of_run(monkeypatch):
    """Returns the settings of `train_flow.py run --machine NAME`, as its first step has them."""
    import_flow()
    module = sys.modules["metaflow_errors"]

    def read(arguments, machine):
        monkeypatch.setattr(sys, "argv", ["train_flow.py", "run", *arguments])
        settings = parse_params(module.read_settings(PARAMS_FILE.read_text()), "settings")
        return settings.override("", None, None, *module.described_machine(module.read_machine(None, None, machine)))

    return read


@pytest.mark.parametrize("arguments", [["--machine", "{}"], ["--machine={}", "--seed", "7"]])
@pytest.mark.parametrize(("variable", "option"), [("fleet", "milling"), ("fleet", "turbofan"), ("turbofan", "fleet")])
def test_a_run_of_one_machine_has_no_settings_of_another(settings_of_run, monkeypatch, arguments, variable, option):
    monkeypatch.setenv("PDM_MACHINE", variable)
    found = settings_of_run([argument.format(option) for argument in arguments], option)
    assert found == load_params(machine=option)


def test_a_run_without_the_option_has_the_settings_of_the_variable(settings_of_run, monkeypatch):
    monkeypatch.setenv("PDM_MACHINE", "fleet")
    assert settings_of_run([], "") == load_params(machine="fleet")


def test_a_run_has_the_machine_of_the_variable_for_its_option(settings_of_run, monkeypatch):
    """As the workflow on GitHub sets it for a training that the monitor requests."""
    monkeypatch.setenv("PDM_MACHINE", "fleet")
    monkeypatch.setenv("METAFLOW_RUN_MACHINE", "turbofan")
    assert settings_of_run([], "turbofan") == load_params(machine="turbofan")
    assert settings_of_run(["--machine", "milling"], "milling") == load_params(machine="milling")
    monkeypatch.setenv("METAFLOW_RUN_MACHINE", "")
    assert settings_of_run([], "") == load_params(machine="fleet")

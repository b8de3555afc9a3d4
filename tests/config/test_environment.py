"""A misspelt environment variable is reported, and the list of known ones is complete."""

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

import app.__main__
import dashboard.__main__
from app.settings import Settings as ServiceSettings
from dashboard.settings import Settings as DashboardSettings
from predictive_maintenance.cli.main import main as command
from predictive_maintenance.config.environment import KNOWN_VARIABLES, unknown_variables
from tests.paths import REPOSITORY

PARTS = ("predictive_maintenance", "app", "dashboard", "flows", "deploy", "docker", "docs", "notebooks", "tests")
FILES = ("compose.yaml", "Dockerfile", "Makefile", "README.md", "CONTRIBUTING.md", ".ci/run")
THIS_FILE = "tests/config/test_environment.py"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PDM_POL_SECONDS", "did you mean PDM_POLL_SECONDS?"),
        ("PDM_PROJECTDIR", "did you mean PDM_PROJECT_DIR?"),
        ("pdm_mlflow_ulr", "did you mean PDM_MLFLOW_URL?"),
        ("PDM_XYZ", "docs/reference/environment.md lists the known ones"),
    ],
)
def test_an_unknown_variable_is_reported_with_the_closest_known_one_and_without_its_value(monkeypatch, name, hint):
    monkeypatch.setenv(name, "hush")
    assert unknown_variables() == [f"{name} is not a variable of this project; {hint}"]


def test_known_variables_and_those_of_others_are_not_reported(monkeypatch):
    for name in (*KNOWN_VARIABLES, "pdm_log_level", "PDMX", "MLFLOW_TRACKING_URL"):
        monkeypatch.setenv(name, "1")
    assert unknown_variables() == []


def test_the_settings_of_the_service_and_the_dashboard_are_known():
    for name in {**ServiceSettings.model_fields, **DashboardSettings.model_fields}:
        assert f"PDM_{name.upper()}" in KNOWN_VARIABLES


def test_every_known_variable_is_in_the_reference():
    documents = ("docs/reference/environment.md", "docs/how-to/deploy-with-containers.md")
    text = "".join((REPOSITORY / document).read_text() for document in documents)
    assert [name for name in KNOWN_VARIABLES if f"`{name}`" not in text] == []


def test_every_variable_that_the_project_names_is_known_and_every_known_one_is_used():
    files = [
        path for part in PARTS for path in (REPOSITORY / part).rglob("*") if path.suffix in (".py", ".md", ".ipynb")
    ]
    texts = [
        path.read_text()
        for path in (*files, *(REPOSITORY / name for name in FILES))
        if path.exists() and path.relative_to(REPOSITORY).as_posix() != THIS_FILE
    ]
    named = {name for text in texts for name in re.findall(r"\bPDM_[A-Z0-9]+(?:_[A-Z0-9]+)*\b", text)}
    assert named - set(KNOWN_VARIABLES) == set()
    settings = {f"PDM_{name.upper()}" for name in {**ServiceSettings.model_fields, **DashboardSettings.model_fields}}
    assert set(KNOWN_VARIABLES) - settings - named == set()


def test_the_service_the_dashboard_and_the_commands_warn_once_at_the_start(monkeypatch):
    monkeypatch.setenv("PDM_POL_SECONDS", "5")
    monkeypatch.setenv("PDM_API_KEY", "")  # ends the service and the dashboard
    for main, arguments in (
        (app.__main__.main, []),
        (dashboard.__main__.main, []),
        (command, ["signing-key", "-o", "/dev/null"]),
    ):
        output = CliRunner().invoke(main, arguments).output
        assert output.startswith("warning: PDM_POL_SECONDS is not a variable of this project; did you mean PDM_POLL")
        assert output.count("PDM_POL_SECONDS") == 1


@pytest.mark.parametrize(("of_a_step", "warnings"), [({}, 1), ({"PDM_LAUNCHER": "host machine 1 2"}, 0)])
def test_the_flow_warns_and_the_processes_of_its_steps_do_not(of_a_step, warnings):
    result = subprocess.run(
        [sys.executable, "flows/train_flow.py", "--help"],
        cwd=REPOSITORY,
        env=os.environ | {"PDM_TRIAL": "3"} | of_a_step,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert (
        result.stderr.count("warning: PDM_TRIAL is not a variable of this project; did you mean PDM_TRIALS?")
        == warnings
    )

"""Texts name the commands that a person can run, also where the project runs in containers."""

import pytest

from predictive_maintenance.config.commands import PREFIX_VARIABLE, flow_command, program_command, show_card

IN_CONTAINERS = "docker compose --profile train run --rm train"


@pytest.fixture
def in_containers(monkeypatch):
    """As compose.yaml starts its containers."""
    monkeypatch.setenv(PREFIX_VARIABLE, IN_CONTAINERS)


def test_without_containers_a_command_is_as_it_is():
    assert flow_command("run --machine pump") == "python flows/train_flow.py run --machine pump"
    assert program_command("status") == "predictive-maintenance status"
    assert show_card("evaluate") == "python flows/train_flow.py card view evaluate"


@pytest.mark.usefixtures("in_containers")
def test_in_containers_a_command_says_how_to_start_it_there():
    assert flow_command("run") == f"{IN_CONTAINERS} python flows/train_flow.py run"
    assert program_command("status") == f"{IN_CONTAINERS} predictive-maintenance status"


@pytest.mark.usefixtures("in_containers")
def test_in_containers_which_have_no_browser_a_card_is_a_page_in_mlflow():
    assert show_card("clean") == "open cards/clean.html among the artifacts of the run in MLflow"

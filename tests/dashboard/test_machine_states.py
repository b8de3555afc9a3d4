"""The latest state of the machines in the store: order, risk levels and silence."""

from types import SimpleNamespace

import pytest

from app.schemas.machines import MachineSummary
from app.serving import assessment
from dashboard.machine_states import filter_states, ranked_states, risk_level
from tests.fixtures.run_to_failure import engine

from .stored_machines import summary, turbofan

CARD = SimpleNamespace(threshold=0.5, missed_failure_cost=1000.0, false_alarm_cost=100.0)


def states(*machines, machine=None):
    parsed = [MachineSummary.model_validate(found) for found in machines]
    return ranked_states(parsed, CARD, machine or engine())


def test_machines_without_a_prediction_are_last_and_equal_risks_are_ordered_by_id():
    shown = states(
        summary("C", failure_probability=None, predicted_failure=None),
        summary("B"),
        summary("A"),
        summary("D", failure_probability=0.2),
    )
    assert shown["machine_id"].tolist() == ["D", "A", "B", "C"]
    assert shown["level"].tolist() == ["elevated", "elevated", "elevated", "unknown"]


@pytest.mark.parametrize("probability", [0.0, 0.0999, 0.1, 0.4999, 0.5, 1.0])
def test_the_risk_level_is_that_of_the_api(probability):
    found = MachineSummary.model_validate(
        summary("A", failure_probability=probability, predicted_failure=probability >= CARD.threshold)
    )
    assert risk_level(found, CARD) == assessment.risk_level(probability, CARD)


def test_machines_with_a_counter_are_silent_by_the_clock_of_the_service():
    shown = states(
        summary("A", time=9.0, received="2024-05-01T10:00:00Z"),
        summary("B", time=200.0, received="2024-05-01T12:30:00Z"),
        machine=turbofan(),
    )
    assert shown.set_index("machine_id")["hours_behind"].to_dict() == {"A": 2.5, "B": 0.0}


def test_an_alarm_of_a_machine_with_a_counter_has_an_age_in_its_unit():
    shown = states(summary("A", time=120.0, alarm={"opened": 117.0, "failure_probability": 0.8}), machine=turbofan())
    assert shown["open_for"].tolist() == ["3\N{NO-BREAK SPACE}cycle"]


def test_a_filter_text_is_not_a_pattern():
    shown = states(summary("press [1]"), summary("press 1"))
    found = filter_states(shown, text="[1]", only_alarms=False, levels=[])
    assert found["machine_id"].tolist() == ["press [1]"]

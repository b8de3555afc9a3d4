"""Explanations and what-if analyses of machines with few and with many sensors: what is shown and what is left out."""

import pytest
from streamlit.testing.v1 import AppTest

from app.schemas.prediction import Contribution, ContributionPart, Explanation, WhatIf
from dashboard.components import charts
from tests.fixtures.pumps import pump
from tests.fixtures.wide_machines import wide_machine

from .conftest import page_text

MACHINE = wide_machine(101)


def contribution(number, **fields):
    part = {
        "sensor": f"s{number}",
        "label": f"Sensor {number}",
        "value": 1.5,
        "unit": "bar",
        "contribution": 0.5 / number,
    }
    return part | fields


def explanation(count, **fields):
    parts = [contribution(number, **fields) for number in range(1, count + 1)]
    values = {"base_probability": 0.01, "reference": "64 healthy readings", "contributions": parts, "limits": []}
    return Explanation.model_validate(values)


def what_if(count):
    """Curves of sensors whose change of the decision is the closer, and whose effect the larger, the higher the number."""
    curves = [
        {
            "sensor": f"s{number}",
            "label": f"Sensor {number}",
            "unit": "bar",
            "value": 0.0,
            "values": [0.0, 1000.0 - number, 1000.0],
            "probabilities": [0.1, 0.5 + number / 300, 0.5],
            "turning_point": {"value": 1000.0 - number, "failure_probability": 0.5} if number % 2 else None,
        }
        for number in range(1, count + 1)
    ]
    values = {"predicted_failure": False, "failure_probability": 0.1, "threshold": 0.4, "model_version": "1"}
    return WhatIf.model_validate(values | {"curves": curves})


def shown(component, answer, *further):
    """The page with one component of an answer."""

    def script(component, model, content, further):
        import app.schemas.prediction
        import dashboard.components.explanation

        answer = getattr(app.schemas.prediction, model).model_validate_json(content)
        getattr(dashboard.components.explanation, component)(answer, *further)

    arguments = (component, type(answer).__name__, answer.model_dump_json(), further)
    page = AppTest.from_function(script, args=arguments, default_timeout=30).run()
    assert not page.exception
    return page


def bars(shown_parts, others=()):
    """The names of the bars with their lengths in percentage points."""
    (data,) = charts.contributions(shown_parts, MACHINE, others).to_dict()["datasets"].values()
    return {row["sensor"]: row["points"] for row in data}


def test_few_contributions_are_all_shown_and_exact():
    text = page_text(shown("contributions_chart", explanation(11), MACHINE))
    assert "Exact Shapley values. Reference: 64 healthy readings" in text
    assert "not shown" not in text


def test_of_many_contributions_the_number_of_those_left_out_and_the_largest_error_are_shown():
    text = page_text(shown("contributions_chart", explanation(100, standard_error=0.0123), MACHINE))
    assert "Estimated Shapley values with standard errors of at most 1.2 percentage points." in text
    assert "90 smaller contributions are not shown one by one." in text


def test_the_parts_of_contributions_name_sensor_and_window_together():
    parts = [
        {"name": f"s1_mean_{hours}h", "label": f"Sensor 1, mean of {hours} h", "value": value, "unit": "bar",
         "contribution": 0.4 / hours, "standard_error": 0.01}
        for hours, value in ((1, 5.25), (24, None))
    ]  # fmt: skip
    answer = explanation(3)
    divided = [answer.contributions[0].model_copy(update={"parts": [ContributionPart(**part) for part in parts]})]
    text = page_text(shown("history_parts", answer.model_copy(update={"contributions": divided}), MACHINE))
    assert "Sensor 1, mean of 1 h | 5.25\u00a0bar | +40.0" in text
    assert "Sensor 1, mean of 24 h | not measured | +1.7" in text
    assert "the 2 largest of 2, estimated with standard errors of at most 1.0 percentage points." in text
    assert page_text(shown("history_parts", answer, MACHINE)) == ""


def test_a_table_of_events_has_no_value_in_the_chart():
    part = Contribution(sensor="errors", label="Errors", value=None, unit="", contribution=0.1)
    (data,) = charts.contributions([part], pump()).to_dict()["datasets"].values()
    assert [row["sensor"] for row in data] == ["Errors"]


def test_the_chart_has_one_bar_for_all_contributions_that_are_left_out():
    (chart,) = shown("contributions_chart", explanation(20), MACHINE).get("vega_lite_chart")
    assert b"the 10 others together" in chart.proto.SerializeToString()


def test_the_bars_add_up_to_all_contributions():
    parts = explanation(100).contributions
    found = bars(parts[:10], parts[10:])
    assert len(found) == 11
    assert sum(found.values()) == pytest.approx(100 * sum(part.contribution for part in parts))
    assert "the 90 others together" in found


def test_a_bar_names_the_value_of_a_category_and_a_missing_value():
    parts = explanation(1, value="worn", unit="").contributions + explanation(1, value=None).contributions
    assert set(bars(parts)) == {"Sensor 1: worn", "Sensor 1: not measured"}


def test_all_turning_points_of_few_sensors_are_shown():
    text = page_text(shown("turning_points", what_if(5), MACHINE))
    assert [f"| Sensor {number} |" in text for number in range(1, 6)] == [True, False, True, False, True]
    assert "does not change the decision: sensor 2, sensor 4." in text


def test_of_many_turning_points_the_closest_are_shown():
    text = page_text(shown("turning_points", what_if(100), MACHINE))
    assert "| Sensor 99 |" in text
    assert "| Sensor 81 |" in text
    assert "| Sensor 79 |" not in text
    assert "40 more sensors change the decision." in text
    assert "sensor 40 and 30 more." in text


def test_of_many_curves_those_with_the_largest_effect_are_shown():
    few, many = shown("sensor_curves", what_if(5)), shown("sensor_curves", what_if(100))
    assert (len(few.get("vega_lite_chart")), len(many.get("vega_lite_chart"))) == (5, 9)
    titles = [f"Sensor {number} (bar)" for number in range(92, 101)]
    assert all(any(title in chart.proto.spec for chart in many.get("vega_lite_chart")) for title in titles)
    assert "91 more are not shown" in page_text(many)
    assert "not shown" not in page_text(few)


def test_the_contributions_of_few_sensors_have_one_bar_each():
    expected = {f"Sensor {number}: 1.5 bar": pytest.approx(50 / number) for number in range(1, 6)}
    assert bars(explanation(5).contributions) == expected

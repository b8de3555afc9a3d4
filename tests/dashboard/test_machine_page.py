"""The page of one machine."""

import httpx

from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.machine.milling import MILLING

from .conftest import page_text
from .test_every_page import NOT_REACHABLE

OVERSTRAINED = {"product_type": "L", "torque_nm": "61.3", "tool_wear_min": "208", "rotational_speed_rpm": "1455"}


def test_an_alarm_has_an_action_an_explanation_and_the_changes_that_clear_it(open_page):
    page = open_page("machine", machine="press 4", **OVERSTRAINED)
    text = page_text(page)
    assert "Recommended action for press 4" in text
    assert "Stop and inspect now" in text
    assert "Changes that clear the alarm" in text
    assert "❌ exceeded | Strain (min Nm) | 12,750.4 | at most 11,000 | -1,750.4" in text
    assert "| Torque | 61.3\N{NO-BREAK SPACE}Nm |" in text
    assert len(page.get("vega_lite_chart")) == 6


def test_a_change_in_the_form_changes_the_prediction_and_the_link(open_page):
    page = open_page("machine")
    assert "None: no alarm" in page_text(page)
    page.number_input(key="torque_nm").set_value(70.0).run()
    assert "inspect" in page_text(page)
    assert "torque_nm=70&" in page.code[0].value
    assert page.query_params["torque_nm"] == "70"


def test_a_link_fills_the_form(open_page):
    page = open_page("machine", machine="press 4", **OVERSTRAINED)
    query = dict(httpx.URL(page.code[0].value).params)
    again = open_page("machine", **query)
    assert again.number_input(key="torque_nm").value == 61.3
    assert again.selectbox(key="product_type").value == "L"
    assert again.text_input(key="machine").value == "press 4"
    assert again.code[0].value == page.code[0].value


def test_invalid_values_in_a_link_are_reported_with_the_values_used_instead(open_page):
    text = page_text(open_page("machine", torque_nm="9999", product_type="X", tool_wear_min="nan"))
    assert "torque_nm: '9999' is not valid, 42.8 is used instead" in text
    assert "product_type: 'X' is not valid, M is used instead" in text
    assert "tool_wear_min: 'nan' is not valid, 0.0 is used instead" in text


def test_an_example_fills_the_whole_form(open_page):
    page = open_page("machine")
    next(button for button in page.button if "worn tool" in button.label).click().run()
    assert page.number_input(key="tool_wear_min").value == 208.0
    assert "Changes that clear the alarm" in page_text(page)


def test_the_form_accepts_the_physical_limits_of_the_served_version(open_page, small):
    page = open_page("machine")
    for name, (low, high) in small.scorer.machine.ranges.items():
        field = page.number_input(key=name)
        assert (field.min, field.max) == (low, high)


def test_a_value_outside_the_limits_of_a_new_version_is_replaced_and_reported(open_page, monitor):
    page = open_page("machine")
    page.number_input(key="torque_nm").set_value(80.0).run()
    card = monitor.snapshot().model_card
    machine = to_plain(MILLING.adjusted(ranges={"torque_nm": (1.0, 75.0)}))
    monitor.api.model_card = lambda: card.model_copy(update={"machine": machine})
    monitor._registry_polled_at = float("-inf")
    text = page_text(page.run())
    assert "Torque: 80 Nm is outside the physical limits 1 to 75 Nm. The nearest limit is used instead" in text
    assert page.number_input(key="torque_nm").value == 75.0


def test_a_reading_is_not_scored_while_the_service_is_not_reachable(open_page, transport):
    page = open_page("machine")
    transport.fault = NOT_REACHABLE
    assert "The reading could not be scored" in page_text(page.run())

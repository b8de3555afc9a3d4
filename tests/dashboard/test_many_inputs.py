"""The form of a machine with 100 sensors, of which 20 are optional and empty at first, and 10 categories."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from tests.fixtures.wide_machines import wide_machine


def _script(machine):
    import streamlit as st

    from dashboard.components.machine import reading_form

    st.json(reading_form(machine))


def _reading(page):
    return json.loads(page.json[0].value)


@pytest.fixture
def page():
    page = AppTest.from_function(_script, args=(wide_machine(100, categories=10),), default_timeout=60).run()
    assert not page.exception
    return page


def test_all_inputs_are_shown_at_first_and_are_part_of_the_reading(page):
    assert len(page.number_input) == 100
    assert len(page.selectbox) == 10
    assert "110 of 110 inputs are shown" in page.caption[0].value
    assert len(_reading(page)) == 90


def test_a_filter_shows_the_inputs_with_its_text_and_keeps_the_values_of_the_others(page):
    page.number_input(key="s7").set_value(0.25).run()
    page.text_input(key="filter of inputs").set_value("sensor 9").run()
    assert [field.key for field in page.number_input] == ["s9", *(f"s{number}" for number in range(90, 100))]
    assert not page.selectbox
    page.number_input(key="s95").set_value(0.5).run()
    assert _reading(page)["s7"] == 0.25
    assert _reading(page)["s95"] == 0.5
    page.text_input(key="filter of inputs").set_value("").run()
    assert page.number_input(key="s7").value == 0.25
    page.number_input(key="s95").set_value(None).run()
    assert "s95" not in _reading(page)


def test_a_filter_that_nothing_matches_keeps_the_reading(page):
    page.text_input(key="filter of inputs").set_value("torque").run()
    assert "0 of 110 inputs are shown" in page.caption[0].value
    assert len(_reading(page)) == 90

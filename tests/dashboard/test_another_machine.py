"""The pages show a machine unlike milling: optional sensors, no category, values of 1e-4 and 1e6."""

import pytest

from .conftest import page_text


@pytest.fixture
def small(small_compressor):
    return small_compressor


def test_the_form_has_the_sensors_of_the_served_version_in_order(open_page, small):
    page = open_page("machine")
    described = small.scorer.machine.description.sensors
    assert [field.key for field in page.number_input] == list(described)
    assert not page.selectbox
    for field in page.number_input:
        assert (field.min, field.max) == described[field.key].range


def test_a_small_value_can_be_typed_and_read(open_page):
    page = open_page("machine")
    field = page.number_input(key="clearance_m")
    assert field.step == pytest.approx(1e-6)
    assert field.proto.format == "%.6f"
    field.set_value(0.000123).run()
    assert "clearance_m=0.000123" in page.code[0].value


def test_an_optional_sensor_may_be_empty(open_page):
    page = open_page("machine")
    page.number_input(key="oil_degc").set_value(None).run()
    page_text(page)
    assert "oil_degc" not in page.query_params
    (chart, *_) = page.get("vega_lite_chart")
    assert b"Oil temperature: not measured" in chart.proto.SerializeToString()


def test_an_example_of_the_description_fills_the_form_and_shows_its_limits(open_page):
    page = open_page("machine")
    next(button for button in page.button if "worn bearing" in button.label).click().run()
    text = page_text(page)
    assert "❌ exceeded | Strokes (stroke) | 2,100,000,000 | at most 2,000,000,000 | -100,000,000 |" in text
    assert "❌ exceeded | Bearing clearance (m) | 0.0004 | at most 0.00035 | -0.00005 |" in text


def test_a_formula_without_a_value_is_named_instead_of_a_score(open_page):
    page = open_page("machine")
    page.number_input(key="outlet_pa").set_value(page.number_input(key="inlet_pa").value).run()
    assert "1 / rise_pa is not a finite number" in page_text(page).replace("\\", "")


def test_the_fleet_page_names_the_columns_of_the_served_version_and_offers_no_sample(open_page):
    page = open_page("fleet")
    assert not page.toggle
    assert (
        "Required columns: bearing clearance, inlet pressure, outlet pressure, strokes. Optional columns: "
        "oil temperature, vibration, humidity."
    ) in page_text(page)

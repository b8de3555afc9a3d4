"""The fleet page."""

import json
import shutil

import pytest

from predictive_maintenance.config.machine_extras import sample_fleet_of
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.version_files import MACHINE_FILE
from tests.paths import PARAMS_FILE

from .conftest import page_text

HEADER = "machine,timestamp,Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],Tool wear [min]"


def upload(page, name, content):
    page.file_uploader[0].set_value((name, content, "")).run()
    return page


def upload_rows(page, rows):
    return upload(page, "plant.csv", f"{HEADER}\n{rows}".encode())


def test_without_a_file_the_page_lists_the_required_columns(open_page):
    assert "Upload a file with the latest readings" in page_text(open_page("fleet"))


def test_the_sample_is_named_and_ranked_by_failure_probability(open_page):
    page = open_page("fleet")
    assert page.toggle(key="sample").label == "Use the sample file of the milling machine"
    page.toggle(key="sample").set_value(True).run()
    ranking = page.dataframe[0].value
    assert len(ranking) == 120
    assert ranking["probability"].is_monotonic_decreasing
    assert ranking["risk"].iloc[0].endswith("Alarm")
    assert "120" in page_text(page)


def test_filters_reduce_the_ranking_and_may_match_nothing(open_page):
    page = open_page("fleet")
    page.toggle(key="sample").set_value(True).run()
    page.multiselect[0].set_value(["high"]).run()
    alarms = page.dataframe[0].value
    assert 0 < len(alarms) < 120
    assert all(risk.endswith("Alarm") for risk in alarms["risk"])
    page.text_input[0].set_value("no such machine").run()
    assert "No readings match the filters" in page_text(page)


def test_an_uploaded_file_is_scored_and_rejected_rows_have_a_reason(open_page):
    rows = "press 1,2026-11-20 08:00,L,298.8,308.9,1455,61.3,208\npress 2,2026-11-20 08:00,M,298.1,308.6,1551,no,0\n"
    page = upload_rows(open_page("fleet"), rows)
    assert page.dataframe[0].value["machine_id"].tolist() == ["press 1"]
    rejected = page.dataframe[1].value
    assert rejected["machine_id"].tolist() == ["press 2"]
    assert "torque_nm" in rejected["rejected"].iloc[0]
    assert "1 rejected" in page_text(page)


def test_only_the_latest_reading_of_each_machine_is_ranked_by_default(open_page):
    rows = "".join(f"press {n % 2},2026-11-20 0{n}:00,M,298.1,308.6,1551,42.8,{n}\n" for n in range(6))
    page = upload_rows(open_page("fleet"), rows)
    assert sorted(page.dataframe[0].value["tool_wear_min"]) == [4.0, 5.0]
    page.toggle[0].set_value(False).run()
    assert len(page.dataframe[0].value) == 6


def test_a_file_without_a_required_column_is_rejected_with_the_columns_name(open_page):
    page = upload(open_page("fleet"), "plant.csv", b"machine,Type\npress 1,L\n")
    text = page_text(page)
    assert "plant.csv could not be scored" in text
    assert "torque_nm" in text


def test_a_damaged_file_is_rejected(open_page):
    page = upload(open_page("fleet"), "plant.parquet", b"not parquet")
    assert "plant.parquet could not be scored" in page_text(page)


def test_a_promotion_scores_the_file_again(open_page, transport, full_registry):
    page = upload(open_page("fleet"), "plant.csv", sample_fleet_of(MILLING).read_bytes())
    assert "scored by version 1" in page_text(page)
    full_registry.alias = "2"
    transport.poll_registry()
    assert "scored by version 2" in page_text(page.run())


def test_a_file_with_rejected_rows_only_shows_the_reasons(open_page):
    page = upload_rows(open_page("fleet"), "press 1,,L,298.8,308.9,1455,no,208\n")
    assert "No row of plant.csv could be scored" in page_text(page)
    assert page.dataframe[0].value["machine_id"].tolist() == ["press 1"]


def test_the_name_of_a_file_is_not_rendered_as_markdown(open_page):
    page = upload(open_page("fleet"), "![x](y).csv", b"machine,Type\npress 1,L\n")
    assert "![x](y).csv could not be scored" in page_text(page)
    assert "![x]" not in page.error[0].value


@pytest.fixture
def plant_press(full_registry, tmp_path, monkeypatch):
    """A version of a plant's own machine, which the project folder describes. Returns the machine's folder."""
    press = to_plain(MILLING)
    press["description"]["name"] = "plant press"
    files = full_registry.versions["1"] | {MACHINE_FILE: json.dumps(press).encode()}
    full_registry.versions["1"] = files
    folder = tmp_path / "machines" / "press"
    folder.mkdir(parents=True)
    (folder / "machine.yaml").write_text("name: plant press\n")
    shutil.copy(PARAMS_FILE, tmp_path)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_machine_without_a_sample_offers_none(plant_press, open_page):
    page = open_page("fleet")
    assert "Upload a file with the latest readings" in page_text(page)
    assert not page.toggle


def test_the_sample_is_that_of_the_served_machine(plant_press, open_page):
    rows = "press 1,2026-11-20 08:00,L,298.8,308.9,1455,61.3,208\n"
    (plant_press / "sample_fleet.csv").write_text(f"{HEADER}\n{rows}")
    page = open_page("fleet")
    assert page.toggle(key="sample").label == "Use the sample file of the plant press"
    page.toggle(key="sample").set_value(True).run()
    assert page.dataframe[0].value["machine_id"].tolist() == ["press 1"]

"""Each page as a person finds it: with the service up, away, slow, and without a model."""

import json

import httpx
import pandas as pd
import pytest

from dashboard.api_client import ApiError
from dashboard.components.fleet_table import _csv
from dashboard.fleet import SAMPLE
from predictive_maintenance.scorer.scoring import THRESHOLDS_FILE

from .conftest import READING, training, words

PAGES = ["status", "fleet", "machine", "models"]
SLOW = httpx.ReadTimeout("read timed out")
AWAY = httpx.ConnectError("[Errno 111] Connection refused")
STRAINED = {"product_type": "L", "torque_nm": "61.3", "tool_wear_min": "208", "rotational_speed_rpm": "1455"}
HEADER = "machine,timestamp,Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],Tool wear [min]"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_which_version_serves(open_page, name):
    assert "Version 1 serves** and is what `production` points to" in words(open_page(name))


@pytest.mark.parametrize("name", PAGES)
def test_with_the_service_away_every_page_says_so_and_what_to_do(open_page, line, name):
    line.fault = AWAY
    told = words(open_page(name))
    assert "The service is away" in told
    assert "http://plant:8000 does not answer: Connection refused" in told
    assert "Nothing is known of it yet" in told
    assert "make serve" in told
    assert "serves**" not in told


@pytest.mark.parametrize("name", PAGES)
def test_a_slow_service_is_told_from_one_that_is_away(open_page, line, name):
    line.fault = SLOW
    assert "took too long to answer (PDM_API_TIMEOUT_SECONDS)" in words(open_page(name))


@pytest.mark.parametrize("name", PAGES)
def test_without_a_model_every_page_says_how_to_make_one(open_page, complete_shelf, name):
    complete_shelf.versions, complete_shelf.alias, complete_shelf.trained = {}, None, []
    told = words(open_page(name))
    assert "No model serves yet" in told
    assert "make train" in told


# Status


def test_status_shows_metrics_with_intervals_rows_and_what_the_gate_asks(open_page):
    told = words(open_page("status"))
    assert "0.850" in told
    assert "0.750 to 0.900; the gate asks for >= 0.7" in told
    assert "1,505 held-out rows with 39 failures" in told
    assert "Recall on held-out rows | 0.850 | >= 0.7 | it is *enough*" in told
    assert "plant*.csv, 9,000 rows, DVC md5 0a; and 2 more" in told


def test_status_shows_the_last_training_and_its_verdict(open_page, complete_shelf, clock):
    page = open_page("status")
    assert "is rejected: F1 on held-out rows" in words(page)
    complete_shelf.trained.insert(0, training(4, "RUNNING", None, None))
    clock.now += 31
    assert "Under way" in words(page.run())


def test_status_counts_readings_alarms_and_rejected_inputs(open_page, line, clock):
    page = open_page("status")
    assert "No reading has been rejected" in words(page)
    clock.now += 60
    line.service.post("/predict", json=READING)
    assert line.service.post("/predict", json=READING | {"torque_nm": 900.0}).status_code == 422
    told = words(page.run())
    assert "2.0 a minute" in told
    assert "2 in the last 1 minute watched" in told
    assert "| Torque | 1 |" in told
    assert "1 and 0" in told


def test_the_last_known_state_stays_with_its_age_when_the_service_goes_away(open_page, line):
    page = open_page("status")
    line.fault = AWAY
    told = words(page.run())
    assert "The service is away" in told
    assert "s old" in told
    assert "Version 1" in told
    assert "0.850" in told
    line.fault = None
    assert "Version 1 serves" in words(page.run())


def test_a_promotion_shows_without_a_new_session(open_page, line, complete_shelf):
    page = open_page("status")
    complete_shelf.alias = "2"
    line.service.app.state.service.follower.look()
    told = words(page.run())
    assert "Version 2 serves" in told
    assert "0.650" in told


def test_a_registry_that_is_away_is_told_and_the_version_serves_on(open_page, line, complete_shelf):
    page = open_page("status")
    complete_shelf.down = "out to lunch"
    line.service.app.state.service.follower.look()
    told = words(page.run())
    assert "Version 1 serves, but" in told
    assert "out to lunch" in told
    assert "Troubled" in told


def test_a_version_that_tells_little_is_said_to(open_page, complete_shelf):
    complete_shelf.tags["1"] = {}
    told = words(open_page("status"))
    assert "This version does not tell how it did on held-out rows" in told
    assert "no version that it tells of" in told


def test_a_page_that_got_only_a_part_is_drawn_again_when_the_rest_is_there(open_page, watch, line):
    history = watch.api.history
    watch.api.history = lambda: (_ for _ in ()).throw(ApiError("too long"))
    page = open_page("models")
    assert "Versions are here as soon as the service tells of them" in words(page)
    assert "too long" in words(page)
    watch.api.history = history
    assert "fit for production" in words(page.run())


def test_a_registry_that_never_told_is_not_called_well(open_page, complete_shelf, watch):
    watch.api.history = watch.api.trainings = lambda: (_ for _ in ()).throw(ApiError("the registry is away"))
    assert "Troubled" in words(open_page("status"))


def test_text_from_the_registry_is_shown_as_it_is(open_page, complete_shelf):
    complete_shelf.tags["1"]["verdict"] = complete_shelf.trained[0].__dict__["verdict"] = (
        "![x](http://evil/x.png) # big"
    )
    page = open_page("models")
    written = "\n".join(element.value for element in page.markdown)
    assert "![x]" not in written
    assert "![x](http://evil/x.png) # big" in words(page)


# Fleet


def test_an_empty_fleet_says_what_to_upload(open_page):
    assert "Upload the latest readings" in words(open_page("fleet"))


def test_the_sample_is_ranked_by_risk_and_says_that_it_is_simulated(open_page):
    page = open_page("fleet")
    assert "simulated" in page.toggle(key="sample").label
    page.toggle(key="sample").set_value(True).run()
    told = words(page)
    ranking = page.dataframe[0].value
    assert len(ranking) == 120
    assert ranking["probability"].is_monotonic_decreasing
    assert ranking["risk"].iloc[0].endswith("Alarm")
    assert "120" in told


def test_filters_narrow_the_ranking_and_can_leave_nothing(open_page):
    page = open_page("fleet")
    page.toggle(key="sample").set_value(True).run()
    page.multiselect[0].set_value(["high"]).run()
    alarms = page.dataframe[0].value
    assert 0 < len(alarms) < 120
    assert all(risk.endswith("Alarm") for risk in alarms["risk"])
    page.text_input[0].set_value("no such machine").run()
    assert "No reading meets all of these filters" in words(page)


def upload(page, name, content):
    page.file_uploader[0].set_value((name, content, "")).run()
    return page


def test_an_uploaded_file_is_scored_and_bad_rows_are_kept_with_their_reason(open_page):
    rows = "press 1,2026-11-20 08:00,L,298.8,308.9,1455,61.3,208\npress 2,2026-11-20 08:00,M,298.1,308.6,1551,no,0\n"
    page = upload(open_page("fleet"), "plant.csv", f"{HEADER}\n{rows}".encode())
    told = words(page)
    assert page.dataframe[0].value["machine_id"].tolist() == ["press 1"]
    rejected = page.dataframe[1].value
    assert rejected["machine_id"].tolist() == ["press 2"]
    assert "torque_nm" in rejected["rejected"].iloc[0]
    assert "1 more could not be scored" in told


def test_only_the_newest_reading_of_each_machine_is_ranked_until_all_are_asked_for(open_page):
    rows = "".join(f"press {n % 2},2026-11-20 0{n}:00,M,298.1,308.6,1551,42.8,{n}\n" for n in range(6))
    page = upload(open_page("fleet"), "plant.csv", f"{HEADER}\n{rows}".encode())
    assert sorted(page.dataframe[0].value["tool_wear_min"]) == [4.0, 5.0]
    page.toggle[0].set_value(False).run()
    assert len(page.dataframe[0].value) == 6


def test_a_file_without_a_sensor_is_refused_by_the_columns_name(open_page):
    page = upload(open_page("fleet"), "plant.csv", b"machine,Type\npress 1,L\n")
    told = words(page)
    assert "plant.csv could not be scored" in told
    assert "torque_nm" in told


def test_a_file_that_is_no_table_is_refused(open_page):
    assert "plant.parquet could not be scored" in words(upload(open_page("fleet"), "plant.parquet", b"not parquet"))


def test_another_version_scores_the_fleet_anew(open_page, line, complete_shelf):
    page = upload(open_page("fleet"), "plant.csv", SAMPLE.read_bytes())
    assert "by version 1" in words(page)
    complete_shelf.alias = "2"
    line.service.app.state.service.follower.look()
    assert "by version 2" in words(page.run())


def test_a_file_of_which_no_row_can_be_scored_shows_the_reasons_only(open_page):
    page = upload(open_page("fleet"), "plant.csv", f"{HEADER}\npress 1,,L,298.8,308.9,1455,no,208\n".encode())
    assert "No row of plant.csv could be scored" in words(page)
    assert page.dataframe[0].value["machine_id"].tolist() == ["press 1"]


def test_the_name_of_a_file_is_shown_as_it_is(open_page):
    page = upload(open_page("fleet"), "![x](y).csv", b"machine,Type\npress 1,L\n")
    assert "![x](y).csv could not be scored" in words(page)
    assert "![x]" not in page.error[0].value


def test_a_name_that_is_a_formula_is_text_in_the_download():
    frame = pd.DataFrame({"machine_id": ["=HYPERLINK(1)", "press 1"], "torque_nm": [-1.0, 2.0]})
    assert _csv(frame, ["machine_id"]).decode().splitlines() == [
        "machine_id,torque_nm",
        "'=HYPERLINK(1),-1.0",
        "press 1,2.0",
    ]


# One machine


def test_a_machine_is_judged_explained_and_told_what_would_clear_its_alarm(open_page):
    page = open_page("machine", machine="press 4", **STRAINED)
    told = words(page)
    assert "What to do with press 4" in told
    assert "Stop and inspect now" in told
    assert "What would clear the alarm" in told
    assert "❌ broken | Strain (min Nm) | 12,750.4 | at most 11,000 | -1,750.4" in told
    assert "| Torque | 61.3\N{NO-BREAK SPACE}Nm |" in told
    assert len(page.get("vega_lite_chart")) == 6


def test_a_change_of_the_form_changes_the_answer_and_the_link(open_page):
    page = open_page("machine")
    assert "Nothing: no alarm" in words(page)
    page.number_input(key="torque_nm").set_value(70.0).run()
    assert "inspect" in words(page)
    assert "torque_nm=70&" in page.code[0].value
    assert page.query_params["torque_nm"] == "70"


def test_a_link_reproduces_the_form(open_page):
    page = open_page("machine", machine="press 4", **STRAINED)
    query = dict(httpx.URL(page.code[0].value).params)
    again = open_page("machine", **query)
    assert again.number_input(key="torque_nm").value == 61.3
    assert again.selectbox(key="product_type").value == "L"
    assert again.text_input(key="machine").value == "press 4"
    assert again.code[0].value == page.code[0].value


def test_a_link_with_impossible_values_says_what_was_taken_instead(open_page):
    told = words(open_page("machine", torque_nm="9999", product_type="X", tool_wear_min="nan"))
    assert "torque_nm cannot be '9999'; taken as 42.8" in told
    assert "product_type cannot be 'X'; taken as M" in told
    assert "tool_wear_min cannot be 'nan'; taken as 0.0" in told


def test_an_example_fills_the_whole_form(open_page):
    page = open_page("machine")
    next(button for button in page.button if button.label.startswith("A worn tool")).click().run()
    assert page.number_input(key="tool_wear_min").value == 208.0
    assert "What would clear the alarm" in words(page)


def test_the_form_stays_within_the_physical_limits(open_page, small):
    page = open_page("machine")
    for name, (low, high) in small.scorer.spec.limits.items():
        field = page.number_input(key=name)
        assert (field.min, field.max) == (low, high)


def test_a_value_that_the_version_which_serves_takes_for_impossible_is_told(open_page, watch):
    page = open_page("machine")
    page.number_input(key="torque_nm").set_value(80.0).run()
    card = watch.snapshot().card
    limits = card.limits | {"torque_nm": (1.0, 75.0)}
    watch.api.card = lambda: card.model_copy(update={"limits": limits})
    watch._told = float("-inf")
    told = words(page.run())
    assert "Torque cannot be 80 Nm: taken as the nearest possible value" in told
    assert page.number_input(key="torque_nm").value == 75.0


def test_a_machine_cannot_be_checked_while_the_service_is_away(open_page, line):
    page = open_page("machine")
    line.fault = AWAY
    assert "This reading could not be checked" in words(page.run())


# Models


def test_versions_are_told_with_verdict_intervals_and_names(open_page):
    told = words(open_page("models"))
    assert "| **1** (serves) | production | fit for production: passes every check | 0.850 [0.750, 0.900]" in told
    assert "candidate: stays a candidate: Recall | 0.650 [0.550, 0.700]" in told


def test_the_challengers_gate_is_shown_check_by_check(open_page):
    told = words(open_page("models"))
    assert "What the gate said of version 2" in told
    assert "❌ | Recall on held-out rows | 0.650 | >= 0.7 | too low" in told


def test_another_threshold_is_counted_on_the_held_out_rows(open_page):
    page = open_page("models")
    page.select_slider[0].set_value(0.01).run()
    told = words(page)
    assert "9 of 9 failures caught" in told
    assert "30 of 39 alarms false" in told
    assert "900 held-out rows" in told
    assert "To look, not to choose by" in told


def test_costs_of_ones_own_change_the_cost_at_a_threshold(open_page):
    page = open_page("models")
    page.select_slider[0].set_value(0.5).run()
    page.number_input[0].set_value(9000.0).run()
    page.number_input[1].set_value(900.0).run()
    assert "11,000 EUR" in words(page)  # (1 missed x 9,000 + 1 false x 900) / 900 rows x 1,000


def test_every_threshold_to_choose_from_looks_different(open_page, complete_shelf, small):
    counts = {"threshold": [0.11111, 0.11112, 0.5], "true_positives": [9, 9, 1], "false_positives": [4, 3, 0]}
    files = {**small.files, THRESHOLDS_FILE: json.dumps({"rows": 900, "failures": 9} | counts).encode()}
    complete_shelf.versions["1"] = files
    slider = open_page("models").select_slider[0]
    assert len(set(slider.options)) == len(slider.options) == 3


def test_a_version_without_thresholds_says_so(open_page, complete_shelf, small):
    complete_shelf.versions["1"] = small.files
    assert "made without them" in words(open_page("models"))


def test_trainings_lead_to_their_runs_and_the_champion_to_its_card_where_mlflow_is_a_server(open_page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    page = open_page("models")
    assert "[TrainFlow/3](http://mlflow:5000/#/experiments/1/runs/run-of-3)" in words(page)
    assert [button.proto.url for button in page.get("link_button")] == [
        "http://mlflow:5000/#/experiments/1/runs/run-of-1",
        "http://mlflow:5000/#/experiments/1/runs/run-of-1/artifacts/cards/evaluate.html",
        "http://mlflow:5000/#/models/predictive_maintenance/versions/1",
    ]


def test_with_an_embedded_registry_the_way_to_its_pages_is_a_command(open_page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert "mlflow ui --backend-store-uri" in words(open_page("models"))

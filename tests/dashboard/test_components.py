"""What the pages are made of: settings, words, the client's errors, thresholds, the fleet's ranking."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner

from app.schemas.model import Thresholds
from dashboard.__main__ import main
from dashboard.api_client import Api, ApiError, ApiRefusedError, ApiUnreachableError
from dashboard.components import charts
from dashboard.components.machine import ask_about, query_of, read_query
from dashboard.fleet import filtered, latest_of_each_machine, name_of
from dashboard.formatting import ago, duration, money, percent, within
from dashboard.settings import Settings, read_settings
from dashboard.thresholds import at, table
from dashboard.traffic import read_counters
from predictive_maintenance.errors import ConfigError

from .conftest import READING


def api_that(answer):
    return Api(Settings(api_url="http://plant:8000/"), httpx.MockTransport(answer))


def test_every_wrong_setting_is_named_at_once(monkeypatch):
    monkeypatch.setenv("PDM_API_URL", "plant:8000")
    monkeypatch.setenv("PDM_DASHBOARD_POLL_SECONDS", "never")
    with pytest.raises(ConfigError, match=r"PDM_API_URL: (.|\n)*PDM_DASHBOARD_POLL_SECONDS: "):
        read_settings()


def test_a_wrong_setting_ends_the_command_without_a_traceback(monkeypatch):
    monkeypatch.setenv("PDM_API_URL", "plant:8000")
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert "Error: PDM_API_URL" in result.output


def test_the_key_is_in_no_text_of_the_settings(monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "hush")
    assert "hush" not in repr(read_settings())


@pytest.mark.parametrize("key", ["h\u00fcsh", "hu\nsh"])
def test_a_key_that_no_request_can_carry_is_refused_without_being_told(monkeypatch, key):
    monkeypatch.setenv("PDM_API_KEY", key)
    with pytest.raises(ConfigError, match=r"PDM_API_KEY: .*printable ASCII") as refused:
        read_settings()
    assert key not in str(refused.value)


def test_a_key_from_a_file_may_end_with_a_line(monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "hush\n")
    assert read_settings().api_key.get_secret_value() == "hush"


@pytest.mark.parametrize("name", ["PDM_API_URL", "PDM_MLFLOW_URL"])
def test_an_address_with_a_password_is_refused_since_pages_show_it(monkeypatch, name):
    monkeypatch.setenv(name, "https://me:hush@plant")
    with pytest.raises(ConfigError, match=f"{name}: .*no password") as refused:
        read_settings()
    assert "hush" not in str(refused.value)


def test_scores_that_are_no_table_are_told_as_another_release():
    with pytest.raises(ApiError, match="both must be of the same release"):
        api_that(lambda _: httpx.Response(200, content=b"[]")).score(b"", "text/csv")


def test_metrics_of_something_else_are_a_gap_and_no_crash():
    for text in ("<html>", 'pdm_http_requests_total{status="200"} 1'):
        with pytest.raises(ApiError, match="cannot be read"):
            read_counters(text, 0)


def test_two_answers_of_different_versions_are_asked_for_again():
    class Promoted:
        asked = 0

        def predict(self, _):
            self.asked += 1
            return SimpleNamespace(model_version=str(self.asked))

        def what_if(self, _):
            return SimpleNamespace(model_version="2")

    answer, what_if = ask_about(Promoted(), READING)
    assert answer.model_version == what_if.model_version == "2"


def test_an_answer_of_another_release_is_told_as_such():
    with pytest.raises(ApiError, match=r"/health does not answer as this dashboard expects \(status\)"):
        api_that(lambda _: httpx.Response(200, json={})).health()


def test_an_answer_of_something_else_at_that_address_is_told_by_its_status():
    with pytest.raises(ApiRefusedError, match="http://plant:8000/model answered 404, and not as this API does"):
        api_that(lambda _: httpx.Response(404, text="<html>")).card()


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x")])
def test_a_broken_connection_is_an_api_that_is_away(error):
    def broken(_):
        raise error

    with pytest.raises(ApiUnreachableError, match="http://plant:8000 does not answer: x"):
        api_that(broken).health()


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0.0 %"), (0.0004, "< 0.1 %"), (0.0312, "3.1 %"), (0.93, "93.0 %"), (0.9996, "> 99.9 %"), (1, "100.0 %")],
)
def test_a_probability_is_never_rounded_to_certainty(share, told):
    assert percent(share) == told


def test_times_and_money_read_as_a_person_says_them():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert ago(now - timedelta(minutes=3), now) == "3 minutes ago"
    assert ago("2026-11-18T12:00:00+00:00", now) == "2 days ago"
    assert ago(None) == "never"
    assert duration(3601) == "1 hour"
    assert (money(4945.2, "EUR"), money(1.5, "EUR"), money(0, "EUR")) == ("4,945 EUR", "1.50 EUR", "0 EUR")
    assert (within(0.0025), within(2.5)) == ("within 2.5 ms", "within 2.5 s")
    assert within(float("inf")) == "beyond what is counted"


TOLD = Thresholds(
    version="1",
    rows=1000,
    failures=10,
    threshold=[0.1, 0.5, 0.9],
    true_positives=[10, 8, 1],
    false_positives=[40, 2, 0],
)


def test_a_threshold_has_the_counts_of_the_lowest_one_listed_that_is_not_below_it():
    lines = table(TOLD, 5000, 250)
    point = at(lines, 0.3)
    assert (point.threshold, point.caught, point.missed, point.false_alarms) == (0.5, 8, 2, 2)
    assert point.cost == 2 * 5000 + 2 * 250
    assert (point.recall.value, point.precision.value) == (0.8, 0.8)
    assert point.recall.low < 0.8 < point.recall.high


def test_from_one_on_there_is_no_alarm_and_no_precision():
    point = at(table(TOLD, 5000, 250), 0.95)
    assert (point.threshold, point.caught, point.missed, point.precision) == (1.0, 0, 10, None)


def test_the_models_own_threshold_is_found_among_those_listed():
    assert at(table(TOLD, 1, 1), 0.5).threshold == 0.5


RANKED = pd.DataFrame(
    {
        "machine_id": ["a", "b", "a"],
        "reading_id": ["1", "2", None],
        "timestamp": ["2026-11-20 08:00", "2026-11-20 08:00", "2026-11-20T09:00:00Z"],
        "risk_level": ["high", "elevated", "low"],
        "product_type": ["L", "M", "H"],
        "broken_limits": ["strain; tool_wear", "tool_wear", ""],
    }
)


def test_the_latest_reading_of_each_machine_keeps_its_rank():
    assert latest_of_each_machine(RANKED)["risk_level"].tolist() == ["elevated", "low"]


@pytest.mark.parametrize("spoil", [{"timestamp": "yesterday"}, {"machine_id": None}])
def test_without_machines_or_readable_times_there_is_no_latest(spoil):
    assert latest_of_each_machine(RANKED.assign(**spoil)) is None
    assert latest_of_each_machine(RANKED.drop(columns=list(spoil))) is None


def test_filters_are_met_all_together():
    assert filtered(RANKED, [], [], [], "").equals(RANKED)
    assert filtered(RANKED, ["high", "elevated"], [], ["tool_wear"], "")["machine_id"].tolist() == ["a", "b"]
    assert filtered(RANKED, [], [], ["strain", "tool_wear"], "")["machine_id"].tolist() == ["a"]
    assert filtered(RANKED, [], ["M", "H"], [], "09:00")["product_type"].tolist() == ["H"]
    assert filtered(RANKED, [], [], [], "(").empty


def test_a_reading_is_named_by_its_machine_or_else_by_itself():
    assert name_of({"machine_id": "press", "reading_id": "7"}) == "press"
    assert name_of({"machine_id": None, "reading_id": "7"}) == "7"
    assert name_of({"timestamp": "2026"}) == ""


def test_an_address_holds_a_reading_to_the_last_digit(small):
    reading = READING | {"rotational_speed_rpm": 1455.123456}
    query = query_of(reading, "press & Co")
    assert read_query(query, READING, small.scorer.spec.limits) == ({**reading}, [])
    assert query["machine"] == "press & Co"


def test_charts_are_drawn_of_one_version_too():
    from app.schemas.model import Scores

    rates = {"recall": {"value": 0.8, "low": 0.7, "high": 0.9}}
    scores = Scores.model_validate({"rows": 10, "failures": 2, "metrics": rates})
    assert charts.scores({"version 1": scores}).to_dict()["layer"]

"""The watch asks once for all who watch, keeps what it knows while the service is away, and invents nothing."""

import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from dashboard.service_monitor import ServiceMonitor
from dashboard.traffic import between, is_restart, read_counters

from .conftest import READING

AWAY = httpx.ConnectError("refused")


@pytest.fixture
def watch(api, clock):
    return ServiceMonitor(api=api, poll_seconds=5, clock=clock)


def test_however_many_watch_the_service_is_asked_once_in_a_while(watch, line, clock):
    for _ in range(5):
        watch.snapshot()
    assert line.asked.count("/health") == 1
    clock.now += 5
    watch.snapshot()
    assert line.asked.count("/health") == 2


def test_the_registry_is_not_asked_as_often_as_the_service(watch, line, clock):
    for _ in range(7):
        watch.snapshot()
        clock.now += 5
    assert line.asked.count("/health") == 7
    assert line.asked.count("/model/history") == 2


def test_another_version_is_asked_about_at_once(watch, line, clock, complete_shelf):
    assert watch.snapshot().card.version == "1"
    complete_shelf.alias = "2"
    line.service.app.state.service.follower.look()
    clock.now += 5
    assert watch.snapshot().card.version == "2"


def test_what_was_known_stays_with_its_age_while_the_service_is_away(watch, line, clock):
    known = watch.snapshot()
    line.fault = AWAY
    clock.now += 5
    later = watch.snapshot()
    assert "does not answer" in later.trouble
    assert (later.card, later.history, later.answered) == (known.card, known.history, known.answered)
    assert later.age_seconds(known.answered + timedelta(seconds=90)) == 90


def test_who_comes_while_another_asks_gets_what_is_known(watch, line, clock):
    known = watch.snapshot()
    asking, go_on = threading.Event(), threading.Event()
    health = watch.api.health

    def slow_health():
        asking.set()
        assert go_on.wait(10)
        return health()

    watch.api.health = slow_health
    clock.now += 5
    other = threading.Thread(target=watch.snapshot)
    other.start()
    assert asking.wait(10)
    assert watch.snapshot() is known
    go_on.set()
    other.join()
    assert watch.snapshot() is not known


def test_a_wrong_key_is_told_with_the_setting(make_client, clock, complete_shelf):
    from dashboard.api_client import Api
    from dashboard.settings import Settings

    from .conftest import Line

    line = Line(lambda: make_client(api_key="right"))
    wrong = ServiceMonitor(
        api=Api(Settings(api_url="http://plant", api_key="wrong"), line), poll_seconds=0, clock=clock
    ).snapshot()
    assert wrong.health.serving_version == "1"
    assert wrong.card is None
    assert wrong.gaps == ("the API asks for a key: set PDM_API_KEY to the one it was started with",)
    right = ServiceMonitor(
        api=Api(Settings(api_url="http://plant", api_key="right"), line), poll_seconds=0, clock=clock
    ).snapshot()
    assert (right.card.version, right.gaps) == ("1", ())


def test_traffic_is_only_what_was_observed(watch, line, clock):
    assert watch.snapshot().observed is None
    clock.now += 30
    for _ in range(3):
        line.service.post("/predict", json=READING)
    line.service.post("/predict", json={})
    line.service.get("/model")
    observed = watch.snapshot().observed
    assert (observed.seconds, observed.answers) == (30, 4)
    assert watch.snapshot().counters.refused == 1
    assert 0 < observed.typical_seconds <= observed.slow_seconds


def test_a_restart_of_the_service_begins_the_observation_anew(watch, line, clock, make_client):
    watch.snapshot()
    line.service.post("/predict", json=READING)
    clock.now += 5
    assert watch.snapshot().observed.answers == 1
    line.service = make_client()
    clock.now += 5
    restarted = watch.snapshot()
    assert restarted.observed is None
    assert restarted.counters.answers == 0


def test_an_observation_forgets_what_is_older_than_a_quarter_of_an_hour(watch, line, clock):
    watch.snapshot()
    line.service.post("/predict", json=READING)
    for _ in range(4):
        clock.now += 300
        watch.snapshot()
    assert watch.snapshot().observed.seconds == 900
    assert watch.snapshot().observed.answers == 0


TEXT = """# TYPE pdm_http_requests counter
pdm_http_requests_total{{route="/predict",method="POST",status="200"}} {ok}
pdm_http_requests_total{{route="/predict/batch",method="POST",status="503"}} {failed}
pdm_http_requests_total{{route="/health",method="GET",status="200"}} 900
# TYPE pdm_http_request_seconds histogram
pdm_http_request_seconds_bucket{{route="/predict",le="0.001"}} {fast}
pdm_http_request_seconds_bucket{{route="/predict",le="0.01"}} {ok}
pdm_http_request_seconds_bucket{{route="/predict",le="+Inf"}} {all}
"""


def test_latencies_are_bounds_of_the_answers_in_between_and_not_of_those_before():
    first = read_counters(TEXT.format(ok=100, failed=0, fast=0, all=100), 0)
    last = read_counters(TEXT.format(ok=200, failed=2, fast=90, all=202), 10)
    seen = between(first, last)
    assert (seen.answers, last.failed) == (102, 2)
    assert (seen.typical_seconds, seen.slow_seconds) == (0.001, 0.01)


def test_answers_beyond_the_last_bound_are_not_given_a_number():
    first = read_counters(TEXT.format(ok=0, failed=0, fast=0, all=0), 0)
    last = read_counters(TEXT.format(ok=1, failed=0, fast=0, all=100), 10)
    assert between(first, last).typical_seconds == float("inf")
    assert between(first, first).typical_seconds is None


def test_counters_that_fall_are_a_restart():
    few = read_counters(TEXT.format(ok=1, failed=0, fast=0, all=1), 0)
    many = read_counters(TEXT.format(ok=2, failed=0, fast=0, all=2), 0)
    assert is_restart(many, few)
    assert not is_restart(few, many)


def test_the_snapshot_says_when_the_service_answered(watch):
    assert datetime.now(UTC) - watch.snapshot().answered < timedelta(seconds=5)

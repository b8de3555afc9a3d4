"""Traffic computed from Prometheus metrics."""

import pytest

from dashboard.api_client import ApiError
from dashboard.traffic import LogCounters, is_restart, parse_counters, traffic_between

METRICS = """# TYPE pdm_http_requests counter
pdm_http_requests_total{{route="/predict",method="POST",status="200"}} {ok}
pdm_http_requests_total{{route="/predict/batch",method="POST",status="503"}} {failed}
pdm_http_requests_total{{route="/health",method="GET",status="200"}} 900
# TYPE pdm_http_request_seconds histogram
pdm_http_request_seconds_bucket{{route="/predict",le="0.001"}} {fast}
pdm_http_request_seconds_bucket{{route="/predict",le="0.01"}} {ok}
pdm_http_request_seconds_bucket{{route="/predict",le="+Inf"}} {all}
"""


def counters(at, **values):
    return parse_counters(METRICS.format(**values), at)


def test_latencies_are_those_of_the_requests_in_between():
    first = counters(0, ok=100, failed=0, fast=0, all=100)
    last = counters(10, ok=200, failed=2, fast=90, all=202)
    traffic = traffic_between(first, last)
    assert (traffic.requests, last.server_errors) == (102, 2)
    assert (traffic.median_seconds, traffic.p95_seconds) == (0.001, 0.01)


def test_readings_for_the_store_are_traffic():
    text = METRICS.replace('route="/predict"', 'route="/readings"').format(ok=3, failed=0, fast=2, all=3)
    assert parse_counters(text, 0).requests == 3


def test_latencies_above_the_largest_bucket_are_infinite():
    first = counters(0, ok=0, failed=0, fast=0, all=0)
    last = counters(10, ok=1, failed=0, fast=0, all=100)
    assert traffic_between(first, last).median_seconds == float("inf")


def test_there_is_no_latency_without_requests():
    same = counters(0, ok=0, failed=0, fast=0, all=0)
    assert traffic_between(same, same).median_seconds is None


def test_decreasing_counters_are_a_restart():
    few = counters(0, ok=1, failed=0, fast=0, all=1)
    many = counters(0, ok=2, failed=0, fast=0, all=2)
    assert is_restart(many, few)
    assert not is_restart(few, many)


LOG = """# TYPE pdm_predictions_logged counter
pdm_predictions_logged_total 7
# TYPE pdm_predictions_not_logged counter
pdm_predictions_not_logged_total{reason="queue full"} 2
pdm_predictions_not_logged_total{reason="shutdown"} 1
# TYPE pdm_predictions_waiting gauge
pdm_predictions_waiting 4
"""


def test_the_log_of_predictions_is_counted_if_there_is_one():
    assert parse_counters(LOG, 0).log == LogCounters(written=7, waiting=4, lost=3)
    assert parse_counters("# TYPE pdm_predictions_logged counter\npdm_predictions_logged_total 0\n", 0).log is None


@pytest.mark.parametrize("text", ["<html>", 'pdm_http_requests_total{status="200"} 1'])
def test_metrics_of_another_service_are_an_error(text):
    with pytest.raises(ApiError, match="the response of /metrics is not valid"):
        parse_counters(text, 0)

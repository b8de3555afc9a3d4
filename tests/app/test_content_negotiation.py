"""Media types of answers: the precedence rules of Accept headers (RFC 9110, section 12.5.1)."""

import pytest
from starlette.requests import Request

from app.http.media_types import ARROW_STREAM, CSV, JSON, MEDIA_TYPES, PARQUET, response_media_type
from app.problems import Problem


def negotiate(*accept, default=JSON):
    headers = [(b"accept", value.encode()) for value in accept]
    return response_media_type(Request({"type": "http", "headers": headers}), MEDIA_TYPES, default)


@pytest.mark.parametrize("default", MEDIA_TYPES)
@pytest.mark.parametrize("accept", [[], [""], ["*/*"], ["*"], ["*/*;q=0.1"], ["text/html, */*"]])
def test_the_answer_has_the_format_of_the_request_if_the_client_accepts_any(accept, default):
    assert negotiate(*accept, default=default) == default


@pytest.mark.parametrize(
    ("accept", "default", "expected"),
    [
        # A specific media range takes precedence over a wildcard.
        ("text/csv;q=0, */*", CSV, JSON),
        ("text/*;q=0, */*", CSV, JSON),
        ("application/*;q=0.2, application/json;q=0.9, */*;q=0.5", CSV, JSON),
        ("application/json;q=0.1, */*;q=0.5", JSON, CSV),
        ("text/csv;q=0.3, text/*;q=0.9", CSV, CSV),
        # A wildcard matches every type of its group, whatever the format of the request.
        ("text/*", JSON, CSV),
        ("text/*;q=0.9", JSON, CSV),
        ("application/*", CSV, JSON),
        ("application/*", PARQUET, PARQUET),
        # The higher quality wins, whatever the order.
        ("text/csv;q=0.5, application/json", CSV, JSON),
        ("application/json, text/csv;q=0.5", CSV, JSON),
        (f"{PARQUET};q=0.4, {ARROW_STREAM};q=0.8", JSON, ARROW_STREAM),
        # Among equal qualities, an explicit type wins over a wildcard, then the format of the request.
        ("text/csv, */*", JSON, CSV),
        ("application/json, text/csv", CSV, CSV),
        ("application/json, text/csv", JSON, JSON),
        # Names are case-insensitive; unsupported types and an invalid quality are ignored.
        ("Text/CSV;Q=0.9", JSON, CSV),
        ("text/html, application/xhtml+xml, text/csv;q=0.5", JSON, CSV),
        ("text/csv;q=high", JSON, CSV),
        ("text/csv;charset=utf-8", JSON, CSV),
    ],
)
def test_the_most_specific_range_sets_the_quality_and_the_highest_quality_wins(accept, default, expected):
    assert negotiate(accept, default=default) == expected


def test_several_accept_headers_are_one_list():
    assert negotiate("application/json;q=0.2", "text/csv") == CSV


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/json;q=0", "*/*;q=0", "text/html, application/json;q=0, text/csv;q=0.0", "a/b/c", "csv"],
)
def test_a_request_that_accepts_no_supported_type_is_refused(accept):
    with pytest.raises(Problem) as refusal:
        negotiate(accept)
    assert refusal.value.status == 406
    assert f"no supported media type matches 'Accept: {accept}'" in refusal.value.detail

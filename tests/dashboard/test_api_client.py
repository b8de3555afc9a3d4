"""Errors of the API client, and responses of different model versions."""

from types import SimpleNamespace

import httpx
import pytest

from dashboard.api_client import ApiClient, ApiError, ApiStatusError, ApiUnreachableError
from dashboard.settings import Settings

from .conftest import READING


def client_of(handler):
    return ApiClient(Settings(api_url="http://plant:8000/"), httpx.MockTransport(handler))


def test_scores_in_an_unknown_format_are_reported_as_a_different_release():
    with pytest.raises(ApiError, match=r"/predict/batch\?\S+ \(not an Arrow stream\): run .* the same release"):
        client_of(lambda _: httpx.Response(200, content=b"[]")).score_table(b"", "text/csv")


def test_an_unknown_response_is_reported_as_a_different_release_with_the_field():
    with pytest.raises(ApiError, match=r"unexpected response from http://plant:8000/health \(field status\)"):
        client_of(lambda _: httpx.Response(200, json={})).health()


def test_an_error_without_problem_details_is_reported_by_its_status():
    with pytest.raises(ApiStatusError, match="http://plant:8000/model returned HTTP 404 without problem details"):
        client_of(lambda _: httpx.Response(404, text="<html>")).model_card()


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x.")])
def test_a_failed_connection_is_reported_as_not_reachable(error):
    def fail(_):
        raise error

    with pytest.raises(ApiUnreachableError, match=r"http://plant:8000 is not reachable: x$"):
        client_of(fail).health()


def test_a_prediction_is_repeated_if_the_what_if_is_from_another_version(api, monkeypatch):
    versions = iter("12")
    monkeypatch.setattr(api, "predict", lambda _: SimpleNamespace(model_version=next(versions)))
    monkeypatch.setattr(api, "what_if", lambda _: SimpleNamespace(model_version="2"))
    prediction, what_if = api.predict_with_what_if(READING)
    assert prediction.model_version == what_if.model_version == "2"

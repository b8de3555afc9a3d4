"""Hosts that the API answers for, and paths with a slash at their end."""

import pytest

from app.settings import read_settings
from predictive_maintenance.errors import ConfigError

from .conftest import READING


@pytest.fixture
def client(make_client):
    """An application for two names and an IPv6 address."""
    return make_client(allowed_hosts="plant.example, localhost,[::1]")


@pytest.mark.parametrize("host", ["plant.example", "Plant.Example:8443", "localhost:8000", "[::1]", "[::1]:8000"])
def test_an_allowed_host_is_answered_with_and_without_port(client, host):
    assert client.post("/predict", json=READING, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "plant.example.attacker.example", "sub.plant.example", "127.0.0.1:8000", "[::2]", "", "*"],
)
@pytest.mark.parametrize("path", ["/predict", "/model", "/docs", "/metrics", "/nowhere"])
def test_another_host_is_refused_with_a_problem_that_names_the_setting(client, host, path):
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert "PDM_ALLOWED_HOSTS" in answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/ping"])
def test_probes_are_answered_for_every_host(client, path):
    assert client.get(path, headers={"host": "10.1.2.3:8080"}).status_code == 200


@pytest.mark.parametrize("settings", [{}, {"allowed_hosts": "*"}])
def test_every_host_is_answered_without_a_list_or_with_a_star(make_client, settings):
    assert make_client(**settings).get("/model", headers={"host": "anything.example"}).status_code == 200


@pytest.mark.parametrize("host", ["http://plant.example", "plant.example:8000", "plant.example/api", "a b", ""])
def test_a_setting_that_is_no_host_is_refused(monkeypatch, host):
    monkeypatch.setenv("PDM_ALLOWED_HOSTS", f"localhost,{host}")
    with pytest.raises(ConfigError, match=r"PDM_ALLOWED_HOSTS: .* is not a host name or IP address"):
        read_settings()


@pytest.mark.parametrize("path", ["/health/", "/predict/", "/model/history/"])
def test_a_path_with_a_slash_at_its_end_is_not_redirected_by_host(make_client, path):
    answer = make_client().get(path, headers={"host": "attacker.example"}, follow_redirects=False)
    assert answer.status_code == 404
    assert "location" not in answer.headers

"""Settings from the environment, and the dashboard command."""

import pytest
from click.testing import CliRunner

from dashboard.__main__ import main
from dashboard.settings import read_settings
from predictive_maintenance.errors import ConfigError


def test_the_error_names_every_invalid_setting(monkeypatch):
    monkeypatch.setenv("PDM_API_URL", "plant:8000")
    monkeypatch.setenv("PDM_DASHBOARD_POLL_SECONDS", "never")
    with pytest.raises(ConfigError, match=r"PDM_API_URL: (.|\n)*PDM_DASHBOARD_POLL_SECONDS: "):
        read_settings()


def test_an_invalid_setting_ends_the_command_without_a_traceback(monkeypatch):
    monkeypatch.setenv("PDM_API_URL", "plant:8000")
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert "Error: PDM_API_URL" in result.output


def test_the_api_key_is_not_in_the_settings_repr(monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "hush")
    assert "hush" not in repr(read_settings())


@pytest.mark.parametrize("key", ["h\u00fcsh", "hu\nsh"])
def test_an_api_key_that_a_header_cannot_contain_is_rejected_without_showing_it(monkeypatch, key):
    monkeypatch.setenv("PDM_API_KEY", key)
    with pytest.raises(ConfigError, match=r"PDM_API_KEY: .*printable ASCII") as raised:
        read_settings()
    assert key not in str(raised.value)


def test_an_empty_api_key_is_an_error(monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "")
    with pytest.raises(ConfigError, match=r"^PDM_API_KEY is empty: unset it or set a key$"):
        read_settings()


def test_an_api_key_may_end_with_a_newline(monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "hush\n")
    assert read_settings().api_key.get_secret_value() == "hush"


@pytest.mark.parametrize("name", ["PDM_API_URL", "PDM_MLFLOW_URL"])
def test_a_url_with_a_password_is_rejected_because_pages_show_it(monkeypatch, name):
    monkeypatch.setenv(name, "https://me:hush@plant")
    with pytest.raises(ConfigError, match=f"{name}: .*must not contain a user name or a password") as raised:
        read_settings()
    assert "hush" not in str(raised.value)

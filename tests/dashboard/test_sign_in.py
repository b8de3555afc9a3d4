"""Sign-in: what is shown without a provider, and how a person is named. A browser signs in in tests/e2e/test_sign_in.py."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import shared, sign_in
from dashboard.settings import read_settings
from predictive_maintenance.errors import ConfigError

from .conftest import MAIN


@pytest.fixture
def sign_in_is_on(monkeypatch):
    monkeypatch.setenv("PDM_DASHBOARD_SIGN_IN", "true")
    monkeypatch.setenv("PDM_API_KEY", "key")
    shared.settings.clear()
    yield
    shared.settings.clear()


def test_sign_in_needs_a_key(monkeypatch):
    monkeypatch.setenv("PDM_DASHBOARD_SIGN_IN", "true")
    with pytest.raises(
        ConfigError, match=r"^PDM_DASHBOARD_SIGN_IN needs PDM_API_KEY, a key with the role operate\+people"
    ):
        read_settings()


@pytest.mark.usefixtures("sign_in_is_on")
def test_without_a_provider_nothing_but_the_reason_is_shown(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert not page.exception
    assert ["Sign-in is not set up" in error.value for error in page.error] == [True]
    assert not page.title
    assert not page.button


@pytest.mark.usefixtures("sign_in_is_on")
@pytest.mark.parametrize(
    ("claims", "person"),
    [
        ({"name": "Ana Ruíz", "email": "ana@plant.example", "sub": "17"}, "Ana Ruíz <ana@plant.example>"),
        ({"email": "ana@plant.example", "sub": "17"}, "ana@plant.example"),
        ({"name": "Ana\nRuíz", "sub": "17"}, "AnaRuíz"),
        ({"sub": "17"}, "17"),
        ({"name": "a" * 300}, "a" * 200),
    ],
)
def test_a_person_is_named_by_what_the_provider_says(monkeypatch, claims, person):
    monkeypatch.setattr(sign_in, "st", SimpleNamespace(user=claims))
    assert sign_in.person() == person


def test_nobody_is_named_without_sign_in():
    assert sign_in.person() is None

"""Sign-in: what is shown without a provider, who may use the dashboard, and how a person is named.

A browser signs in in tests/e2e/test_sign_in.py.
"""

from types import SimpleNamespace

import httpx
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import shared, sign_in
from dashboard.settings import read_settings
from predictive_maintenance.errors import ConfigError

from .conftest import MAIN, page_text

ANA = {"name": "Ana Ruíz", "email": "ana@plant.example", "email_verified": True, "sub": "17"}


class SignedIn:
    """Streamlit with a person who is signed in."""

    def __init__(self, claims, cookie_secret="0123456789abcdef" * 2):
        self.secrets, self.user = Secrets(auth={"cookie_secret": cookie_secret}), Claims(claims)

    def __getattr__(self, name):
        return getattr(st, name)


class Claims(dict):
    is_logged_in = True


class Secrets(dict):
    def load_if_toml_exists(self):
        return True


@pytest.fixture
def sign_in_is_on(monkeypatch):
    monkeypatch.setenv("PDM_DASHBOARD_SIGN_IN", "true")
    monkeypatch.setenv("PDM_API_KEY", "key")
    shared.settings.clear()
    yield
    shared.settings.clear()


@pytest.fixture
def open_as(sign_in_is_on, api, monitor, transport, monkeypatch):
    """Opens the dashboard as a person with these claims, with a list of those who may."""
    monkeypatch.setenv("PDM_DASHBOARD_ALLOWED_EMAILS", "ben@other.example, @Plant.example")
    monkeypatch.setattr(shared, "api", lambda: api)
    monkeypatch.setattr(shared, "monitor", lambda: monitor)
    transport.answers["/audit/refusals"] = 200, {"noted": True}

    def open_as(claims):
        monkeypatch.setattr(sign_in, "st", SignedIn(claims))
        return AppTest.from_file(str(MAIN), default_timeout=30).run()

    return open_as


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
        (ANA, "Ana Ruíz <ana@plant.example>"),
        ({"email": "ana@plant.example", "sub": "17"}, "ana@plant.example"),
        ({"name": "Ana\nRuíz", "sub": "17"}, "AnaRuíz <17>"),
        ({"sub": "17"}, "17"),
    ],
)
def test_a_person_is_named_by_what_the_provider_says(monkeypatch, claims, person):
    monkeypatch.setattr(sign_in, "st", SimpleNamespace(user=claims))
    assert sign_in.person() == person


@pytest.mark.usefixtures("sign_in_is_on")
@pytest.mark.parametrize(
    ("claims", "person"),
    [
        (ANA | {"name": "Ben <ben@plant.example>" + " " * 300}, "Ben ben@plant.example <ana@plant.example>"),
        (ANA | {"name": "a" * 300}, f"{'a' * 180} <ana@plant.example>"),
        ({"name": "ben@plant.example", "sub": "17"}, "ben@plant.example <17>"),
        ({"name": "\u200b", "email": "\u202e", "sub": "17"}, "17"),
        (ANA | {"email": "ben@plant.example", "email_verified": False}, "Ana Ruíz <17>"),
    ],
)
def test_nobody_is_named_like_somebody_else_by_the_name_that_they_chose(monkeypatch, claims, person):
    monkeypatch.setattr(sign_in, "st", SimpleNamespace(user=claims))
    assert sign_in.person() == person
    assert len(person) <= 200


def test_nobody_is_named_without_sign_in():
    assert sign_in.person() is None


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (ANA, None),
        (ANA | {"email": "BEN@Other.Example"}, None),
        (ANA | {"email_verified": "true"}, None),
        (ANA | {"email": "ana@other.example"}, "not allowed"),
        (ANA | {"email": "ana@sub.plant.example"}, "not allowed"),
        (ANA | {"email": "ana@plant.example@evil.example"}, "not allowed"),
        (ANA | {"email": "plant.example"}, "not allowed"),
        (ANA | {"email": "ana@plant.example "}, "not allowed"),
        (ANA | {"email": "ben@other.example\n"}, "not allowed"),
        (ANA | {"email": "\u017fam@plant.example"}, "not allowed"),  # a long s, which is S in upper case
        (ANA | {"email_verified": False}, "e-mail address not verified"),
        (ANA | {"email_verified": "false"}, "e-mail address not verified"),
        ({"email": "ana@plant.example"}, "e-mail address not verified"),
        (ANA | {"email": None}, "e-mail address not verified"),
        ({"email_verified": True, "name": "ana@plant.example"}, "e-mail address not verified"),
    ],
)
def test_only_verified_addresses_of_the_list_are_let_in(monkeypatch, claims, reason):
    monkeypatch.setattr(sign_in, "st", SimpleNamespace(user=claims))
    assert sign_in.refusal(("ben@other.example", "@plant.example")) == reason
    assert sign_in.refusal(None) is None


@pytest.mark.usefixtures("sign_in_is_on")
@pytest.mark.parametrize("secret", ["...", "", "a" * 31])
def test_a_cookie_secret_that_can_be_guessed_lets_nobody_in(monkeypatch, secret):
    monkeypatch.setattr(sign_in, "st", SignedIn(ANA, secret))
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert "`cookie_secret` in `[auth]` has fewer than 32 characters" in page.error[0].value
    assert not page.button
    assert not page.title


def test_who_is_on_the_list_sees_the_pages(open_as):
    page = open_as(ANA)
    assert "Signed in as Ana Ruíz <ana@plant.example>" in page_text(page)
    assert "Version 1 is served" in page_text(page)


def test_who_is_not_on_the_list_sees_the_reason_only_and_the_audit_log_gets_it_once(open_as, transport):
    page = open_as(ANA | {"name": "<b>Eve</b> [x](http://evil)", "email": "eve@evil.example"})
    page.run()
    text = page_text(page)
    assert "Eve" in text
    assert "<eve@evil.example> **may not use this dashboard.**" in text
    assert "[x](http" not in page.error[0].value
    assert "served" not in text
    assert "Signed in" not in text
    assert [button.label for button in page.button] == ["Sign out"]
    assert transport.requested_paths == ["/audit/refusals"]


def test_who_has_no_verified_address_sees_that_it_is_the_reason(open_as, transport):
    text = page_text(open_as(ANA | {"email_verified": None}))
    assert "The e-mail address of** Ana Ruíz <ana@plant.example> **is not verified**" in text
    assert transport.requested_paths == ["/audit/refusals"]


def test_a_service_that_cannot_record_a_refusal_lets_nobody_in(open_as, transport, caplog):
    transport.fault = httpx.ConnectError("[Errno 111] Connection refused")
    text = page_text(open_as(ANA | {"email": "eve@evil.example"}))
    assert "may not use this dashboard" in text
    assert "the audit log does not have the refused sign-in of Ana Ruíz <eve@evil.example>" in caplog.text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "^PDM_DASHBOARD_ALLOWED_EMAILS is empty: unset it or set e-mail addresses and domains$"),
        (" ", "^PDM_DASHBOARD_ALLOWED_EMAILS is empty"),
        ("ana@plant.example,", "PDM_DASHBOARD_ALLOWED_EMAILS: .*'' is neither an e-mail address nor a domain"),
        ("plant.example", "'plant.example' is neither .* write ana@plant.example or @plant.example"),
        ("*@plant.example", "neither"),
        ("@plant.\u212aample", "neither"),  # the Kelvin sign, which is k in lower case
        ("ana@plant.example;ben@plant.example", "neither"),
    ],
)
@pytest.mark.usefixtures("sign_in_is_on")
def test_a_list_that_cannot_be_meant_ends_the_start(monkeypatch, value, reason):
    monkeypatch.setenv("PDM_DASHBOARD_ALLOWED_EMAILS", value)
    with pytest.raises(ConfigError, match=reason):
        read_settings()


def test_a_list_without_sign_in_is_an_error(monkeypatch):
    monkeypatch.setenv("PDM_DASHBOARD_ALLOWED_EMAILS", "@plant.example")
    with pytest.raises(ConfigError, match=r"PDM_DASHBOARD_ALLOWED_EMAILS needs PDM_DASHBOARD_SIGN_IN=true"):
        read_settings()

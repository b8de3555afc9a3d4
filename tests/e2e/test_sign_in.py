"""Sign-in on the dashboard by OpenID Connect, in a real browser and with a real provider on this machine."""

import json
import sys

import httpx
import pytest
from playwright.sync_api import expect

from predictive_maintenance.config.api_keys import new_api_key
from tests.app.test_kept_events import hot
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for

from .conftest import Server, write_version
from .test_dashboard import SCREENSHOTS, browser, make_dashboard

__all__ = ["browser", "make_dashboard"]

pytestmark = pytest.mark.browser

STYLE_OF_PROVIDER = "https://cdn.jsdelivr.net/"
"""Where the pages of the provider load their style from, if they can."""

PERSON = {"sub": "ana", "name": "Ana Ruíz", "email": "ana@plant.example", "email_verified": True}
STRANGER = {"sub": "eve", "name": "<b>Eve</b>", "email": "eve@evil.example", "email_verified": True}
SECRETS = """
[auth]
redirect_uri = "{dashboard}/oauth2callback"
cookie_secret = "a-random-text-of-a-test-0123456789abcdef"
client_id = "dashboard"
client_secret = "not-a-secret"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""


@pytest.fixture
def provider(tmp_path):
    """An OpenID Connect provider that knows PERSON and STRANGER."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for person in (PERSON, STRANGER):
        command += ["--user-claims", json.dumps(person)]
    process = Process(command, tmp_path / "provider.log", clean_environment())
    process.start()
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: httpx.get(f"{url}/.well-known/openid-configuration").status_code == 200)
    yield url
    process.kill()


@pytest.fixture
def keys():
    return {"board": new_api_key("board", "operate", speaks_for_people=True), "gate": new_api_key("gate", "write")}


@pytest.fixture
def service(small_pump, keys, tmp_path):
    """The pumps' service with named keys. Its store has an open alarm of P1."""
    (tmp_path / "model").mkdir()
    port = free_port()
    environment = clean_environment(
        PDM_MODEL_DIR=str(write_version(small_pump.files, tmp_path / "model")),
        PDM_MODEL_CACHE=str(tmp_path / "cache"),
        PDM_STORE_URL=f"sqlite:///{tmp_path / 'store.db'}",
        PDM_API_KEYS=";".join(known.line for _, known in keys.values()),
        PDM_AUDIT_SECONDS="0.5",
    )
    server = Server([sys.executable, "-m", "app", "--port", str(port)], tmp_path / "server.log", environment, port=port)
    server.ready()
    for hour in range(3):
        httpx.post(f"{server.url}/readings", json=hot(hour), headers={"x-api-key": keys["gate"][0]}).raise_for_status()
    yield server
    server.kill()


@pytest.fixture
def dashboard(make_dashboard, provider, service, keys, tmp_path):
    secrets = tmp_path / "secrets.toml"
    started = make_dashboard(
        service.url,
        PDM_API_KEY=keys["board"][0],
        PDM_DASHBOARD_SIGN_IN="true",
        PDM_DASHBOARD_ALLOWED_EMAILS="@plant.example",
        STREAMLIT_SECRETS_FILES=str(secrets),
    )
    secrets.write_text(SECRETS.format(dashboard=started.url, provider=provider))
    started.up()
    return started


def sign_in(page, person=PERSON):
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/oauth2/authorize**")
    page.get_by_role("button", name=person["sub"]).click()


def test_nothing_is_shown_before_sign_in_and_the_audit_log_names_who_acknowledged(
    browser, dashboard, service, provider, keys
):
    for path in ("/", "/history?machine=P1", "/audit", "/models"):
        page = dashboard.open(browser, path)
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        text = page.locator("body").inner_text()
        assert "P1" not in text
        assert "Version" not in text
        assert "Fleet" not in text
        page.close()
    page = dashboard.open(browser, "/history?machine=P1")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.get_by_role("button", name="Sign in").wait_for()
    page.screenshot(path=SCREENSHOTS / "signed-out.png")
    sign_in(page)
    expect(page.get_by_text("Signed in as Ana Ruíz <ana@plant.example>")).to_be_visible()
    page.goto(f"{dashboard.url}/history?machine=P1")
    page.get_by_role("button", name="Acknowledge the alarm").click()
    expect(page.get_by_text("Acknowledged by Ana Ruíz").first).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "acknowledged.png")
    page.goto(f"{dashboard.url}/audit")
    expect(page.get_by_role("button", name="Download as CSV")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    exported = download.value.path().read_text()
    assert "Alarm acknowledged,Ana Ruíz <ana@plant.example>,board," in exported
    page.screenshot(path=SCREENSHOTS / "audit-of-people.png")
    headers = {"x-api-key": keys["board"][0]}
    (entry,) = httpx.get(f"{service.url}/audit?action=acknowledgement", headers=headers).json()["entries"]
    assert (entry["key"], entry["person"]) == ("board", "Ana Ruíz <ana@plant.example>")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()  # of the provider
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    of_provider = (provider, STYLE_OF_PROVIDER)
    assert [problem for problem in dashboard.problems if not any(place in problem for place in of_provider)] == []


def test_a_person_who_is_not_on_the_list_sees_the_reason_and_is_in_the_audit_log(browser, dashboard, service, keys):
    page = dashboard.open(browser, "/history?machine=P1")
    sign_in(page, STRANGER)
    for path in ("/", "/history?machine=P1", "/audit"):
        page.goto(f"{dashboard.url}{path}")
        expect(page.get_by_text("bEve/b <eve@evil.example> may not use this dashboard.")).to_be_visible()
        text = page.locator("body").inner_text()
        assert "P1" not in text
        assert "Fleet" not in text
    page.screenshot(path=SCREENSHOTS / "refused.png")
    headers = {"x-api-key": keys["board"][0]}

    def entries():
        return httpx.get(f"{service.url}/audit?action=refusal", headers=headers).json()["entries"]

    wait_for(entries)
    entry = entries()[0]
    assert (entry["key"], entry["person"], entry["subject"]) == ("board", "bEve/b <eve@evil.example>", "sign-in")
    assert entry["detail"]["reason"] == "not allowed"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()  # of the provider
    sign_in(page)
    expect(page.get_by_text("Signed in as Ana Ruíz <ana@plant.example>")).to_be_visible()


def test_a_file_of_failures_is_uploaded_by_the_person_who_is_signed_in(browser, dashboard, service, keys, tmp_path):
    page = dashboard.open(browser, "/feedback")
    sign_in(page)
    expect(page.get_by_text("Signed in as Ana")).to_be_visible()
    page.goto(f"{dashboard.url}/feedback")
    file = tmp_path / "failures.csv"
    file.write_text("machine_id,timestamp,type\nP1,2024-03-01T05:00:00Z,seal\n=P1,yesterday,seal\n")
    expect(page.get_by_text("Required columns")).to_be_visible()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Send 2 rows").click()
    expect(page.get_by_text("The service has kept 1 row.")).to_be_visible()
    expect(page.get_by_text("1 row not kept.")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "upload.png")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download these rows as CSV").click()
    assert (
        download.value.path().read_text().splitlines()[1]
        == "'=P1,yesterday,seal,timestamp: 'yesterday' is not a time in ISO 8601"
    )
    headers = {"x-api-key": keys["board"][0]}
    assert httpx.get(f"{service.url}/alarms", headers=headers).json()["alarms"] == []
    wait_for(lambda: httpx.get(f"{service.url}/audit?action=events", headers=headers).json()["entries"])


def test_a_dashboard_with_sign_in_and_without_a_provider_shows_nothing(
    browser, make_dashboard, service, keys, tmp_path
):
    started = make_dashboard(
        service.url,
        PDM_API_KEY=keys["board"][0],
        PDM_DASHBOARD_SIGN_IN="true",
        STREAMLIT_SECRETS_FILES=str(tmp_path / "missing.toml"),
    )
    started.up()
    page = started.open(browser, "/history?machine=P1")
    expect(page.get_by_text("Sign-in is not set up.")).to_be_visible()
    assert "Fleet" not in page.locator("body").inner_text()

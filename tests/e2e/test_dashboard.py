"""The dashboard in a real browser, with a real API and a real registry. Screenshots are in build/screenshots."""

import contextlib
import os
import re
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard.navigation import PAGES
from machines.milling.simulator import simulate
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.evaluation.evaluate import thresholds_file
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.reporting.run_log import version_tags
from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import package_version
from predictive_maintenance.tracking.runs import FlowRun
from tests.fixtures.evaluations import evaluated
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for
from tests.paths import REPOSITORY

from .conftest import write_version

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)  # milliseconds; a page takes seconds on a busy machine

CHROMIUM = Path(os.environ.get("PDM_CHROMIUM", "/usr/bin/chromium"))
SCREENSHOTS = REPOSITORY / "build" / "screenshots"
PATHS = {page.name: "/" if page is PAGES[0] else f"/{page.name}" for page in PAGES}
HEADINGS = {page.name: page.title for page in PAGES} | {"status": "System status"}
SIZES = {"desktop": (1280, 1800), "phone": (390, 2600)}


@pytest.fixture(scope="module")
def registered(mlflow_server, small, small_forest, params):
    """Two versions with the tags of a training run: 1, a LightGBM, in production; 2, a random forest."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", mlflow_server.url)
        connection = connect(params.registry)
    versions = ModelRegistry(connection)
    for name, model in (("1", small), ("2", small_forest)):
        judged = evaluated(model)
        tags = version_tags(
            judged, training_fingerprint(small.rows.train, small.params.machine), (), f"TrainFlow/{name}", "c0ffee"
        )
        run = FlowRun.start(
            connection, f"TrainFlow/{name}", {"gate_level": tags["gate_level"], "verdict": tags["verdict"]}
        )
        with tempfile.TemporaryDirectory() as work:
            complete = {**model.files, THRESHOLDS_FILE: thresholds_file(judged)}
            versions.register(run, package_version(complete, small.rows.test.head(5), Path(work)), tags)
        run.finish()
    versions.promote("1", None)
    return versions


@pytest.fixture(scope="module")
def browser(steady_network):
    if not CHROMIUM.is_file():
        pytest.fail(f"Chromium not found at {CHROMIUM}: run apt-get install chromium, or set PDM_CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Dashboard(Process):
    """The process `python -m dashboard`. `problems` are the browser's errors and its requests to other hosts."""

    url: str = ""
    problems: list[str] = field(default_factory=list)

    def up(self) -> None:
        self.start()
        wait_for(lambda: httpx.get(f"{self.url}/_stcore/health").status_code == 200)

    def open(self, browser: Browser, path: str = "/", size=SIZES["desktop"], scheme: str = "light") -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        page.on("request", lambda request: self._note_request(request.url))
        page.on("console", lambda message: self._note_message(message))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.goto(self.url + path)
        return page

    def _note_request(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.problems.append(f"request: {url}")

    def _note_message(self, message) -> None:
        # Streamlit requests its server below the page's own path first, then at the root.
        probe = "/_stcore/" in message.location["url"] and "404" in message.text
        if message.type == "error" and not probe:
            self.problems.append(f"console: {message.text} {message.location}")


@pytest.fixture
def make_dashboard(tmp_path):
    dashboards = []

    def make(api_url: str, *arguments: str, **settings: str) -> Dashboard:
        port = free_port()
        command = [sys.executable, "-m", "dashboard", "--port", str(port), *arguments]
        environment = clean_environment(PDM_API_URL=api_url, PDM_DASHBOARD_POLL_SECONDS="1") | settings
        dashboards.append(Dashboard(command, tmp_path / "dashboard.log", environment, url=f"http://127.0.0.1:{port}"))
        return dashboards[-1]

    yield make
    for dashboard in dashboards:
        dashboard.kill()


@pytest.fixture
def service(make_service, in_production):
    started = make_service()
    started.ready()
    return started


@pytest.fixture
def dashboard(make_dashboard, service):
    started = make_dashboard(service.url)
    started.up()
    yield started
    assert started.problems == []


def save_screenshot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def wait_until_drawn(page: Page) -> None:
    """Wait until Streamlit has stopped running and charts are drawn."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=30_000)
    page.wait_for_timeout(700)


def expect_to_fit_the_width(page: Page) -> None:
    """Wait until no element extends beyond the right edge. A wide table scrolls horizontally inside the page."""
    page.wait_for_function(
        "[...document.querySelectorAll('h1, p, table, canvas, input, button')]"
        ".every(part => part.getBoundingClientRect().right <= innerWidth + 1)",
        timeout=10_000,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_the_screen_and_requests_nothing_from_other_hosts(dashboard, browser, size, scheme):
    for name, path in PATHS.items():
        page = dashboard.open(browser, path, SIZES[size], scheme)
        expect(page.get_by_role("heading", name=HEADINGS[name], exact=True)).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Version 1 is served")).to_be_visible(timeout=30_000)
        wait_until_drawn(page)
        assert page.get_by_test_id("stException").count() == 0
        expect_to_fit_the_width(page)
        save_screenshot(page, f"{name}-{size}-{scheme}")
        page.close()


def test_a_link_opens_the_machine_page_with_the_same_reading(dashboard, browser):
    page = dashboard.open(browser, "/machine")
    page.get_by_role("button", name="Example: a worn tool under a high load").click()
    expect(page.get_by_text("Stop and inspect now")).to_be_visible()
    expect(page.get_by_text("Changes that clear the alarm")).to_be_visible()
    page.get_by_label("Machine", exact=True).fill("press 4")
    page.get_by_label("Machine", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Recommended action for press 4")).to_be_visible()
    expect(page).to_have_url(re.compile("machine=press"))
    page.get_by_text("Link to this reading").click()
    code = page.get_by_test_id("stCode")
    expect(code).to_contain_text("machine=press+4")
    link = code.inner_text().strip()
    wait_until_drawn(page)
    save_screenshot(page, "machine-alarm")
    again = dashboard.open(browser, link.removeprefix(dashboard.url))
    expect(again.get_by_role("heading", name="Recommended action for press 4")).to_be_visible()
    expect(again.get_by_role("spinbutton", name="Torque (Nm)")).to_have_value("61.3")
    torque = again.get_by_role("spinbutton", name="Torque (Nm)")
    torque.fill("40")
    torque.press("Enter")
    expect(again).to_have_url(re.compile("torque_nm=40(&|$)"))


def test_a_file_of_10000_readings_is_ranked_and_one_of_its_machines_is_checked(dashboard, browser, tmp_path):
    fleet = simulate(10_000, 5)[list(MILLING.input_names)]
    fleet.insert(0, "machine_id", [f"press {number}" for number in range(len(fleet))])
    fleet.to_csv(tmp_path / "plant.csv", index=False)
    page = dashboard.open(browser, "/fleet")
    page.locator("input[type=file]").set_input_files(tmp_path / "plant.csv")
    expect(page.get_by_text("10,000", exact=True)).to_be_visible(timeout=30_000)
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    wait_until_drawn(page)
    save_screenshot(page, "fleet-10000")
    start = time.monotonic()
    page.get_by_label("Machine, reading or time").fill("press 77")
    page.get_by_label("Machine, reading or time").press("Enter")
    expect(page.get_by_role("button", name="Download 111 rows as CSV")).to_be_visible()
    print(f"a filter over 10,000 rows took {time.monotonic() - start:.2f} s")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download 111 rows as CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 112
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 52)
    page.get_by_role("button", name="Check this machine").click()
    expect(page.get_by_role("heading", name="Check a machine")).to_be_visible()
    expect(page.get_by_label("Machine", exact=True)).to_have_value(re.compile("^press 77"))
    page.go_back()
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()


def test_readings_that_are_posted_appear_on_the_fleet_and_on_the_page_of_their_machine(
    make_dashboard, make_server, small_engine, browser, tmp_path
):
    (folder := tmp_path / "engine").mkdir()
    write_version(small_engine.files, folder)
    service = make_server(PDM_MODEL_DIR=str(folder), PDM_STORE_URL=f"sqlite:///{tmp_path / 'store.db'}")
    dashboard = make_dashboard(service.url)
    dashboard.up()
    page = dashboard.open(browser, "/fleet")
    expect(page.get_by_text("The store has no readings yet")).to_be_visible()
    for hour in range(12):
        reading = {"machine_id": "engine <7>", "timestamp": f"2024-05-01T{hour:02}:00:00Z", "heat": 500.0 + 3 * hour}
        assert httpx.post(f"{service.url}/readings", json=reading).status_code == 200
    expect(page.get_by_text("12 readings in the store")).to_be_visible()
    table = page.get_by_test_id("stDataFrame")
    wait_until_drawn(page)
    expect_to_fit_the_width(page)
    save_screenshot(page, "fleet-stored")
    box = table.bounding_box()
    page.mouse.click(box["x"] + 60, box["y"] + 52)
    page.get_by_role("link", name="History of engine <7>").click()
    expect(page.get_by_role("heading", name="Machine history")).to_be_visible()
    expect(page).to_have_url(re.compile("history.machine=engine"))
    expect(page.get_by_text("The latest 12 of 12 readings are shown.")).to_be_visible()
    wait_until_drawn(page)
    expect_to_fit_the_width(page)
    save_screenshot(page, "history-stored")
    assert (
        httpx.post(f"{service.url}/readings", json=reading | {"timestamp": "2024-05-01T12:00:00Z"}).status_code == 200
    )
    expect(page.get_by_text("The latest 13 of 13 readings are shown.")).to_be_visible()
    assert page.get_by_test_id("stException").count() == 0
    assert dashboard.problems == []


def test_a_banner_is_shown_from_the_end_of_the_service_to_its_restart(dashboard, service, browser):
    page = dashboard.open(browser)
    expect(page.get_by_text("Version 1 is served")).to_be_visible(timeout=30_000)
    service.kill()
    expect(page.get_by_text("The service is not reachable.")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("The data shown is")).to_be_visible()
    expect(page.get_by_text("Evaluation of version 1")).to_be_visible()
    wait_until_drawn(page)
    save_screenshot(page, "status-away")
    service.ready()
    expect(page.get_by_text("Version 1 is served")).to_be_visible(timeout=15_000)


def test_a_promotion_is_shown_on_every_page_without_a_reload(dashboard, in_production, browser):
    details = {"machine": "version {}", "models": "{} (served)"}
    served, other = "1", "2"
    for name, path in PATHS.items():
        page = dashboard.open(browser, path)
        expect(page.get_by_text(f"Version {served} is served")).to_be_visible(timeout=30_000)
        assert in_production.promote(other, served).promoted
        expect(page.get_by_text(f"Version {other} is served")).to_be_visible(timeout=60_000)
        if name in details:
            expect(page.get_by_text(details[name].format(other), exact=True)).to_be_visible()
        page.close()
        served, other = other, served


@pytest.mark.parametrize(("host", "status"), [("evil.example", 403), ("localhost", 101)])
def test_requests_with_another_host_name_are_refused(dashboard, host, status):
    handshake = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    )
    address = httpx.URL(dashboard.url)
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(handshake.encode())
        assert connection.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_without_a_model_the_pages_show_how_to_train_one(make_dashboard, make_service, registry_uri, browser):
    service = make_service(MLFLOW_TRACKING_URI=registry_uri)
    service.up()
    dashboard = make_dashboard(service.url)
    dashboard.up()
    for name, path in PATHS.items():
        page = dashboard.open(browser, path)
        expect(page.get_by_text("No model is served")).to_be_visible(timeout=30_000)
        wait_until_drawn(page)
        save_screenshot(page, f"{name}-empty")
        page.close()
    assert dashboard.problems == []


def test_start_api_starts_the_service_and_stops_it_with_the_dashboard(
    make_dashboard, mlflow_server, in_production, tmp_path
):
    api_url = f"http://127.0.0.1:{free_port()}"
    dashboard = make_dashboard(
        api_url, "--start-api", MLFLOW_TRACKING_URI=mlflow_server.url, PDM_MODEL_CACHE=str(tmp_path / "models")
    )
    dashboard.up()
    wait_for(lambda: httpx.get(f"{api_url}/ready").status_code == 200)
    assert dashboard.stop(signal.SIGTERM) == 0, dashboard.log.read_text()
    with contextlib.suppress(httpx.TransportError):
        pytest.fail(f"the service still responds: {httpx.get(api_url + '/health')}")

"""Take the screenshots of the documentation: make screenshots

Trains models in a temporary registry, starts the API and the dashboard, and opens each page in Chromium. The milling machine
shows the pages about readings and versions: the models page is taken after a second training run, which gives a challenger. The
fleet of pumps shows the pages about machines over time: `replay` sends its readings, the last of them with a drift.
"""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
import yaml
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
OUTPUT = PROJECT / "docs" / "assets" / "screenshots"
SAMPLE = PROJECT / "machines" / "milling" / "sample_fleet.csv"
MAX_BYTES = 250_000
API_PORT, DASHBOARD_PORT = 8000, 8501
SECOND_TRAINING = ("--trials", "1", "--sources", "simulator://?rows=10000&seed=8")

FLEET = "simulator://fleet?machines=30&days=270"
FLEET_TRAINING = ("--sources", f"{FLEET}&until=250")
BEFORE_DRIFT = ("--start", "2025-09-08", "--days", "10", "--speed", "7200")
WITH_DRIFT = (
    "--start", "2025-09-18", "--days", "10", "--speed", "3600", "--past-days", "0", "--shift", "vibration_mm_s=+2",
)  # fmt: skip
TRAINING_SETTINGS = {"gate": {"min_recall": 0.3, "min_f1": 0.3}, "evaluation": {"bootstrap_samples": 200}}
"""Those of docs/how-to/try-the-loop.md: 30 pumps are too few for the default gate."""
MONITORING_SETTINGS = {"monitoring": {"window_days": 0.0005, "windows": 4, "least": 2}}
"""Windows are of 43 s, in which `replay` sends the readings of some days. Not for the training: its windows of that length have
too few readings to show what differs usually."""
FAILURES = "machine_id,timestamp,type\nP001,2025-09-17T14:20:00Z,seal\nP002,17.09.2025,seal\nP003,2025-09-16T08:00:00Z,gearbox\n"
"""Failures for the upload. The second row has no time in ISO 8601, the third an unknown type."""

DESKTOP = 1280, 900
"""Width and height in pixels. The window grows to the height of the page."""
MARGIN_BELOW = 24
START_SECONDS = 300
"""For the start of a server, also on a busy machine."""

READING = {
    "product_type": "L", "air_temperature_k": 298.8, "process_temperature_k": 308.9, "rotational_speed_rpm": 1455.0,
    "torque_nm": 61.3, "tool_wear_min": 208.0,
}  # fmt: skip
IMPOSSIBLE_TORQUE_NM = 900.0


@dataclass(frozen=True, kw_only=True)
class Servers:
    """The URLs of the running API and dashboard."""

    api: str
    dashboard: str


@click.command()
@click.option("--registry", help="MLflow tracking URI of an existing registry. Skips the training runs.")
@click.option("--chromium", default="/usr/bin/chromium", show_default=True, help="Path of the Chromium executable.")
def main(registry: str | None, chromium: str) -> None:
    """Take the screenshots of the documentation."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        environment = os.environ | {
            "MLFLOW_TRACKING_URI": registry or f"sqlite:///{work}/mlflow.db",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": work,
            "PDM_MODEL_CACHE": f"{work}/models",
            "PDM_MODEL_LOAD_SECONDS": str(START_SECONDS),
            "PDM_BATCH_DEADLINE_SECONDS": "60",
        }
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take_milling(browser, environment, trains=registry is None)
        take_fleet(browser, environment, Path(work), trains=registry is None)
        browser.close()


def take_milling(browser: Browser, environment: Mapping[str, str], *, trains: bool) -> None:
    """Take the pages about readings and versions."""
    if trains:
        train(environment)
    with servers(environment) as running:
        with open_page(browser, running.dashboard):
            send_traffic(running.api)  # the dashboard counts requests from its first poll on
        screenshot_ranking(browser, running)
        screenshot_machine(browser, running)
        screenshot_status(browser, running)
    if trains:
        train(environment, *SECOND_TRAINING)
    with servers(environment) as running:
        screenshot_models(browser, running)


def take_fleet(browser: Browser, environment: Mapping[str, str], work: Path, *, trains: bool) -> None:
    """Take the pages about machines over time."""
    project = work / "project"
    fleet = shutil.copytree(PROJECT / "machines" / "fleet", project / "machines" / "fleet")
    shutil.copy(PROJECT / "params.yaml", project)
    environment = {
        **environment,
        "PDM_MACHINE": "fleet",
        "PDM_PROJECT_DIR": str(project),
        "PDM_STORE_URL": f"sqlite:///{work}/store.db",
    }
    if trains:
        change_settings(fleet / "params.yaml", TRAINING_SETTINGS)
        train(environment, *FLEET_TRAINING)
    change_settings(fleet / "params.yaml", MONITORING_SETTINGS)
    with servers(environment) as running:
        replay = ["replay", "--url", running.api, "--sources", FLEET]
        click.echo("replay: 2 min")
        with package([*replay, *BEFORE_DRIFT], environment) as process:
            if process.wait():
                raise click.ClickException(f"replay ended with exit code {process.returncode}")
        machine_id = note_alarm(running.api)
        screenshot_fleet(browser, running)
        screenshot_history(browser, running, machine_id)
        click.echo("replay with a drift: some minutes")
        with (
            package([*replay, *WITH_DRIFT], environment),
            package(["monitor", "--watch", "--every", "0.1"], environment),
        ):
            wait_for_drift(running.api)
        screenshot_monitoring(browser, running)
        screenshot_feedback(browser, running)
        screenshot_audit(browser, running)


def change_settings(file: Path, changes: Mapping[str, Mapping[str, object]]) -> None:
    """Replace single settings of a params.yaml."""
    settings = yaml.safe_load(file.read_text())
    changed = {name: {**settings.get(name, {}), **values} for name, values in changes.items()}
    file.write_text(yaml.safe_dump({**settings, **changed}))


def train(environment: Mapping[str, str], *arguments: str) -> None:
    click.echo(f"training: flows/train_flow.py run {' '.join(arguments)}")
    command = [sys.executable, "flows/train_flow.py", "run", *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


@contextlib.contextmanager
def package(arguments: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of the package until the end of the block."""
    command = [sys.executable, "-m", "predictive_maintenance", *arguments]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def servers(environment: Mapping[str, str]) -> Iterator[Servers]:
    """Run the API and the dashboard, and wait until both respond."""
    api_port, dashboard_port = free_port(API_PORT), free_port(DASHBOARD_PORT)
    running = Servers(api=f"http://127.0.0.1:{api_port}", dashboard=f"http://127.0.0.1:{dashboard_port}")
    environment = {**environment, "PDM_API_URL": running.api}
    with (
        server(["app", "--port", str(api_port)], f"{running.api}/ready", environment),
        server(["dashboard", "--port", str(dashboard_port)], f"{running.dashboard}/_stcore/health", environment),
    ):
        yield running


@contextlib.contextmanager
def server(module: list[str], ready_url: str, environment: Mapping[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(  # noqa: S603
        command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while (answer := fault(ready_url)) is not None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise click.ClickException(f"{' '.join(command)} is not ready at {ready_url}: {answer}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()


def fault(url: str) -> str | None:
    """Why a server is not ready; None if it is."""
    try:
        answer = httpx.get(url)
    except httpx.TransportError as error:
        return str(error)
    return None if answer.is_success else answer.text


def free_port(preferred: int) -> int:
    """Return `preferred`, which the documentation uses, or any other port if that one is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def send_traffic(api: str) -> None:
    """Send valid and invalid readings, so that the status page has traffic to show."""
    with httpx.Client(base_url=api) as client:
        client.post("/predict/batch", content=SAMPLE.read_bytes(), headers={"content-type": "text/csv"})
        for torque_nm in range(20, 80):
            client.post("/predict", json=READING | {"torque_nm": float(torque_nm)})
        for _ in range(3):
            client.post("/predict", json=READING | {"torque_nm": IMPOSSIBLE_TORQUE_NM})


def note_alarm(api: str) -> str:
    """Acknowledge the latest alarm and report on it, so that the audit log has entries. Returns its machine."""
    with httpx.Client(base_url=api) as client:
        alarms = client.get("/alarms").json()["alarms"]
        if not alarms:
            raise click.ClickException("the replayed readings of the fleet have opened no alarm that is still open")
        subject = {"machine_id": alarms[0]["machine_id"], "alarm": alarms[0]["opened"]}
        client.post("/acknowledgements", json={**subject, "comment": "seal ordered"}).raise_for_status()
        report = {**subject, "verdict": "partly", "by": "A. Smith", "comment": "seal is worn, but tight"}
        client.post("/feedback", json=[report]).raise_for_status()
    return str(subject["machine_id"])


def wait_for_drift(api: str, timeout_seconds: float = 600) -> None:
    """Wait until monitoring has found a lasting difference."""
    deadline = time.monotonic() + timeout_seconds
    while not httpx.get(f"{api}/monitoring").json()["lasting"]:
        if time.monotonic() > deadline:
            raise click.ClickException(f"monitoring has found no difference within {timeout_seconds:g} s")
        time.sleep(1)


def screenshot_status(browser: Browser, running: Servers) -> None:
    with open_page(browser, running.dashboard) as page:
        expect(page.get_by_text("Evaluation of version")).to_be_visible(timeout=60_000)
        save(page, "status")


def screenshot_ranking(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/fleet") as page:
        page.get_by_text("Use the sample file").click(timeout=60_000)
        expect(page.get_by_text("Ranked by failure probability")).to_be_visible(timeout=60_000)
        save(page, "ranking")


def screenshot_machine(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/machine") as page:
        page.get_by_role("button", name="Example: a worn tool under a high load").click(timeout=60_000)
        expect(page.get_by_text("Changes that clear the alarm")).to_be_visible(timeout=60_000)
        save(page, "machine")


def screenshot_models(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/models") as page:
        expect(page.get_by_text("Training runs", exact=True)).to_be_visible(timeout=60_000)
        save(page, "models")


def screenshot_fleet(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/fleet") as page:
        expect(page.get_by_text("readings in the store").first).to_be_visible(timeout=60_000)
        save(page, "fleet")


def screenshot_history(browser: Browser, running: Servers, machine_id: str) -> None:
    with open_page(browser, f"{running.dashboard}/history?machine={machine_id}") as page:
        expect(page.get_by_text("Acknowledged by").first).to_be_visible(timeout=60_000)
        save(page, "history")


def screenshot_monitoring(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/monitoring") as page:
        expect(page.get_by_text("Differences in the newest window")).to_be_visible(timeout=60_000)
        save(page, "monitoring")


def screenshot_feedback(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/feedback") as page:
        page.locator("input[type=file]").set_input_files(
            {"name": "failures.csv", "mimeType": "text/csv", "buffer": FAILURES.encode()}, timeout=60_000
        )
        page.get_by_role("button", name="Send 3 rows").click(timeout=60_000)
        expect(page.get_by_text("2 rows not kept")).to_be_visible(timeout=60_000)
        save(page, "feedback")


def screenshot_audit(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/audit") as page:
        expect(page.get_by_text("Times are in UTC")).to_be_visible(timeout=60_000)
        save(page, "audit")


@contextlib.contextmanager
def open_page(browser: Browser, url: str) -> Iterator[Page]:
    width, height = DESKTOP
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(url)
    expect(page.get_by_text("is served.")).to_be_visible(timeout=60_000)
    yield page
    page.close()


def save(page: Page, name: str) -> None:
    """Save the page. Streamlit scrolls inside the window, so the window gets the height of the content.

    What lies below the window may only be drawn when the window reaches it, so the height is measured until it stays.
    """
    wait_until_drawn(page)
    height = DESKTOP[1]
    while (found := content_height(page) + MARGIN_BELOW) != height:
        height = found
        page.set_viewport_size({"width": DESKTOP[0], "height": height})
        wait_until_drawn(page)
    content = compress(page.screenshot())
    (OUTPUT / f"{name}.png").write_bytes(content)
    click.echo(f"{OUTPUT.relative_to(PROJECT) / name}.png: {len(content) / 1000:.0f} kB")


def content_height(page: Page) -> int:
    """Return the height of the page's content in pixels, without Streamlit's padding below it."""
    return int(
        page.evaluate(
            "(block => block.scrollHeight - parseFloat(getComputedStyle(block).paddingBottom))"
            "(document.querySelector('[data-testid=stMainBlockContainer]'))"
        )
    )


def wait_until_drawn(page: Page) -> None:
    """Wait until the page's script has ended, and no element is loading, outdated or without its chart."""
    page.wait_for_timeout(1500)  # animations
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')"
        " && !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]')"
        " && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(chart => chart.querySelector('canvas, svg'))",
        timeout=60_000,
    )


def compress(png: bytes) -> bytes:
    """Optimise a PNG. Reduces its colours only if it is larger than MAX_BYTES otherwise."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (None, 256, 128, 64):
        reduced = image if colours is None else image.quantize(colours, kmeans=1, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        reduced.save(buffer, "PNG", optimize=True)
        if buffer.tell() < MAX_BYTES:
            return buffer.getvalue()
    raise click.ClickException(f"the screenshot is larger than {MAX_BYTES:,} bytes with {colours} colours")


if __name__ == "__main__":
    main()

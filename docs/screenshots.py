"""Take the screenshots of the documentation: make screenshots

Trains a model in a temporary registry, starts the API and the dashboard, and opens each page in Chromium. The models page is
taken after a second training run, which gives a challenger.
"""

import contextlib
import io
import os
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
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
OUTPUT = PROJECT / "docs" / "assets" / "screenshots"
SAMPLE = PROJECT / "machines" / "milling" / "sample_fleet.csv"
MAX_BYTES = 250_000
API_PORT, DASHBOARD_PORT = 8000, 8501
SECOND_TRAINING = ("--trials", "1", "--sources", "simulator://?rows=10000&seed=8")

DESKTOP, PHONE = (1280, 900), (390, 844)
"""Width and height in pixels. On the desktop, the window grows to the height of the page."""
MARGIN_BELOW = 24

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
        }
        if registry is None:
            train(environment)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with servers(environment) as running:
            with open_page(browser, running.dashboard):
                send_traffic(running.api)  # the dashboard counts requests from its first poll on
            screenshot_fleet(browser, running)
            screenshot_machine(browser, running)
            screenshot_status(browser, running)
        if registry is None:
            train(environment, *SECOND_TRAINING)
        with servers(environment) as running:
            screenshot_models(browser, running)
        browser.close()


def train(environment: Mapping[str, str], *arguments: str) -> None:
    click.echo(f"training: flows/train_flow.py run {' '.join(arguments)}")
    command = [sys.executable, "flows/train_flow.py", "run", *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


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
def server(
    module: list[str], ready_url: str, environment: Mapping[str, str], timeout_seconds: float = 120
) -> Iterator[None]:
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(  # noqa: S603
        command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + timeout_seconds
            while not is_ready(ready_url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise click.ClickException(f"{' '.join(command)} does not respond at {ready_url}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == httpx.codes.OK
    return False


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


def screenshot_status(browser: Browser, running: Servers) -> None:
    for name, size in (("status", DESKTOP), ("status-phone", PHONE)):
        with open_page(browser, running.dashboard, size) as page:
            expect(page.get_by_text("Evaluation of version")).to_be_visible(timeout=60_000)
            save(page, name)


def screenshot_fleet(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/fleet") as page:
        page.get_by_text("Use the sample file").click(timeout=60_000)
        expect(page.get_by_text("Ranked by failure probability")).to_be_visible(timeout=60_000)
        save(page, "fleet")


def screenshot_machine(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/machine") as page:
        page.get_by_role("button", name="Example: a worn tool under a high load").click(timeout=60_000)
        expect(page.get_by_text("Changes that clear the alarm")).to_be_visible(timeout=60_000)
        save(page, "machine")


def screenshot_models(browser: Browser, running: Servers) -> None:
    with open_page(browser, f"{running.dashboard}/models") as page:
        expect(page.get_by_text("Training runs", exact=True)).to_be_visible(timeout=60_000)
        save(page, "models")


@contextlib.contextmanager
def open_page(browser: Browser, url: str, size: tuple[int, int] = DESKTOP) -> Iterator[Page]:
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(url)
    expect(page.get_by_text("is served.")).to_be_visible(timeout=60_000)
    yield page
    page.close()


def save(page: Page, name: str) -> None:
    """Save the page. Streamlit scrolls inside the window, so on the desktop the window gets the height of the content."""
    wait_until_drawn(page)
    width = page.viewport_size["width"]
    if width == DESKTOP[0]:
        page.set_viewport_size({"width": width, "height": content_height(page) + MARGIN_BELOW})
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
    """Wait until no element is loading, outdated or without its chart."""
    page.wait_for_timeout(1500)  # animations
    page.wait_for_function(
        "!document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]')"
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

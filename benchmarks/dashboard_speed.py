"""Time to first paint of the dashboard, compared with a Streamlit page that has only a title.

    python benchmarks/dashboard_speed.py

Each round opens a browser without a cache on servers that run already. The first visit is reported separately, because it
imports the modules of the page. The API serves a model trained on 6,000 simulated readings, from a registry made for the
benchmark.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
TITLE_ONLY = 'import streamlit as st\n\nst.title("Title only")\n'
API_PORT, DASHBOARD_PORT, TITLE_ONLY_PORT = 8711, 8712, 8713


@contextlib.contextmanager
def server(command: list[str], ready: str, environment: dict[str, str]) -> Iterator[None]:
    """Run `command` for the block, which starts once the URL `ready` returns 200."""
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(ready).status_code == 200:
                        break
                if time.monotonic() > deadline or process.poll() is not None:
                    raise click.ClickException(f"{' '.join(command)} does not serve {ready}: run it by hand to see why")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def first_paint_seconds(browser: Browser, url: str, text: str) -> float:
    """Time from the request until `text` is on the page, in a new browser context."""
    context = browser.new_context()
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url)
    page.get_by_text(text).first.wait_for()
    taken = time.perf_counter() - start
    context.close()
    return taken


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1), help="Visits after the first one.")
@click.option("--chromium", default="/usr/bin/chromium", show_default=True, help="Path of the browser.")
def main(rounds: int, chromium: str) -> None:
    """Print the time to first paint of the status page and of a title-only page, and their ratio."""
    with tempfile.TemporaryDirectory() as work:
        title_only = Path(work) / "title_only.py"
        title_only.write_text(TITLE_ONLY)
        environment = os.environ | {
            "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": work,
            "PDM_MODEL_CACHE": work,
            "PDM_API_URL": f"http://127.0.0.1:{API_PORT}",
        }
        train = [
            sys.executable,
            "flows/train_flow.py",
            "run",
            "--trials",
            "1",
            "--sources",
            "simulator://?rows=6000&seed=3",
        ]
        subprocess.run(
            train, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        streamlit = [
            sys.executable, "-m", "streamlit", "run", str(title_only), "--server.port", str(TITLE_ONLY_PORT), "--server.address",
            "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false",
        ]  # fmt: skip
        pages = {
            "status page": (f"http://127.0.0.1:{DASHBOARD_PORT}", "Evaluation of version 1"),
            "title-only page": (f"http://127.0.0.1:{TITLE_ONLY_PORT}", "Title only"),
        }
        with (
            server(
                [sys.executable, "-m", "app", "--port", str(API_PORT)],
                f"http://127.0.0.1:{API_PORT}/ready",
                environment,
            ),
            server(
                [sys.executable, "-m", "dashboard", "--port", str(DASHBOARD_PORT)],
                f"http://127.0.0.1:{DASHBOARD_PORT}/_stcore/health",
                environment,
            ),
            server(streamlit, f"http://127.0.0.1:{TITLE_ONLY_PORT}/_stcore/health", environment),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            taken: dict[str, list[float]] = {name: [] for name in pages}
            for _ in range(rounds + 1):
                for name, (url, text) in pages.items():
                    taken[name].append(first_paint_seconds(browser, url, text))
            browser.close()
    print("| | first visit | median of later visits | slowest later visit |\n|---|---|---|---|")
    for name, (first, *rest) in taken.items():
        print(f"| {name} | {first:.2f} s | {statistics.median(rest):.2f} s | {max(rest):.2f} s |")
    ratio = statistics.median(taken["status page"][1:]) / statistics.median(taken["title-only page"][1:])
    print(f"\nthe status page takes {ratio:.1f} times as long as a page with only a title, {rounds} rounds each")


if __name__ == "__main__":
    main()

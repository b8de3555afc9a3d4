"""The dashboard's first paint beside that of a bare page of the same framework: python benchmarks/dashboard.py

Both servers are up; each round opens a browser without a cache. The first visit to a server is told apart: it imports what the
pages are made of. The service is a real one, with a model of a few thousand simulated readings in a registry of its own.
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
BARE = 'import streamlit as st\n\nst.title("Bare")\n'
API_PORT, DASHBOARD_PORT, BARE_PORT = 8711, 8712, 8713


@contextlib.contextmanager
def server(command: list[str], ready: str, environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 60
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(ready).status_code == 200:
                        break
                if time.monotonic() > until or process.poll() is not None:
                    raise click.ClickException(f"{' '.join(command)} does not serve {ready}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def first_paint_seconds(browser: Browser, url: str, text: str) -> float:
    """From the request until `text` is on the page, in a browser context of its own."""
    context = browser.new_context()
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url)
    page.get_by_text(text).first.wait_for()
    taken = time.perf_counter() - start
    context.close()
    return taken


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1))
@click.option("--chromium", default="/usr/bin/chromium", show_default=True)
def main(rounds: int, chromium: str) -> None:
    """Print the first paint of the status page and of a bare page, and their ratio."""
    with tempfile.TemporaryDirectory() as work:
        bare = Path(work) / "bare.py"
        bare.write_text(BARE)
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
            sys.executable, "-m", "streamlit", "run", str(bare), "--server.port", str(BARE_PORT), "--server.address",
            "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false",
        ]  # fmt: skip
        pages = {
            "status page": (f"http://127.0.0.1:{DASHBOARD_PORT}", "Evaluation of version 1"),
            "bare page": (f"http://127.0.0.1:{BARE_PORT}", "Bare"),
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
            server(streamlit, f"http://127.0.0.1:{BARE_PORT}/_stcore/health", environment),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            taken: dict[str, list[float]] = {name: [] for name in pages}
            for _ in range(rounds + 1):
                for name, (url, text) in pages.items():
                    taken[name].append(first_paint_seconds(browser, url, text))
            browser.close()
    print("| | first visit | median of the next | slowest of them |\n|---|---|---|---|")
    for name, (first, *rest) in taken.items():
        print(f"| {name} | {first:.2f} s | {statistics.median(rest):.2f} s | {max(rest):.2f} s |")
    ratio = statistics.median(taken["status page"][1:]) / statistics.median(taken["bare page"][1:])
    print(f"\nthe status page takes {ratio:.1f} times as long as a page with nothing but a title, {rounds} rounds each")


if __name__ == "__main__":
    main()

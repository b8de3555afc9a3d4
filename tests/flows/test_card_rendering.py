"""Cards are rendered in the process of their step, whose own timeout stays and which does not fail because of a card."""

import subprocess
import sys

import pytest

from tests.fixtures.cards import text_of_card
from tests.paths import REPOSITORY

FLOW = """
import os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, os.environ["FLOWS"])
import metaflow_setup
import card_rendering
from metaflow import FlowSpec, card, current, step, timeout
from metaflow.cards import Markdown

class CardFlow(FlowSpec):
    @timeout(minutes=10)
    @card(type="blank", id="progress")
    @step
    def start(self):
        current.card["progress"].append(Markdown("half of the work"))
        current.card["progress"].refresh()
        (page,) = Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"]).rglob("steps/start/**/*.html")
        shutil.copy(page, "during the step.html")
        print("seconds until the timeout:", signal.alarm(0) > 0)
        self.next(self.end)

    @card(type="blank", id="lost")
    @step
    def end(self):
        cards = Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow", "mf.cards")
        shutil.rmtree(cards)
        cards.touch()

CardFlow()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cards")


@pytest.fixture(scope="module")
def output(folder):
    """The output of a flow in `folder`, whose first card is updated during its step and whose second cannot be stored."""
    (folder / "card_flow.py").write_text(FLOW)
    environment = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "METAFLOW_USER": "tester"}
    done = subprocess.run(
        [sys.executable, "card_flow.py", "run"], cwd=folder, capture_output=True, text=True, timeout=100,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "FLOWS": str(REPOSITORY / "flows")} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_card_is_updated_during_its_step(output, folder):
    assert "half of the work" in text_of_card((folder / "during the step.html").read_text())


def test_the_timeout_of_the_step_stays(output):
    assert "seconds until the timeout: True" in output


def test_a_card_that_cannot_be_stored_is_reported_and_does_not_fail_the_step(output):
    assert "Card render failed with error" in output
    assert "NotADirectoryError: " in output
    assert "Traceback" not in output
    assert "Done!" in output

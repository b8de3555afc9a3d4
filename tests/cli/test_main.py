"""The command line as a whole: help, names of the program and of options, errors, start-up."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from predictive_maintenance.cli.main import main
from predictive_maintenance.cli.shared import count
from tests.paths import PARAMS_FILE

COMMANDS = sorted(main.commands)
LAUNCHERS = {
    "predictive-maintenance": [Path(sys.executable).with_name("predictive-maintenance")],
    "python -m predictive_maintenance": [sys.executable, "-m", "predictive_maintenance"],
}


def test_help_lists_every_command(run):
    code, output = run("--help")
    assert code == 0
    for word in ("status", "score", "simulate", "promote", "rollback", "export", "check", "flows/train_flow.py run"):
        assert word in output


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(run, command):
    code, output = run(command, "--help")
    assert code == 0
    assert f"\n    predictive-maintenance {command}" in output


@pytest.mark.parametrize("program", LAUNCHERS)
def test_help_names_the_program_as_it_was_started(program):
    done = subprocess.run([*LAUNCHERS[program], "status", "--help"], check=True, capture_output=True, text=True)
    assert f"Usage: {program} status" in done.stdout
    assert f"    {program} status --json" in done.stdout


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        ("status", "--require", "--fail-without-production"),
        ("report", "--require", "--fail-below"),
        ("report", "--base", "--compare-to"),
    ],
)
def test_the_old_name_of_an_option_works_and_is_not_in_the_help(run, command, old, new):
    _, output = run(command, "--help")
    assert new in output
    assert f"{old} " not in output
    parser = main.commands[command].make_parser(click.Context(main.commands[command]))
    values = [] if command == "status" else ["production"]
    assert parser.parse_args([old, *values])[0] == parser.parse_args([new, *values])[0] != {}


def test_a_mistyped_setting_is_named(run, tmp_path):
    shutil.copy(PARAMS_FILE, tmp_path / "own.yaml")
    text = (tmp_path / "own.yaml").read_text().replace("min_f1", "min_f")
    (tmp_path / "own.yaml").write_text(text)
    code, output = run("--params", tmp_path / "own.yaml", "check", "x.csv")
    assert code == 1
    assert "gate.min_f is not a setting; did you mean 'min_f1'?" in output


def test_the_command_line_starts_without_heavy_imports():
    code = "import sys, predictive_maintenance.__main__; print([n for n in ('mlflow', 'pandas', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("number", "text"), [(0, "0 versions"), (1, "1 version"), (2000, "2,000 versions")])
def test_a_noun_is_singular_only_after_one(number, text):
    assert count(number, "version") == text


@pytest.mark.parametrize("process", [1, 2])
def test_process_1_of_a_container_ends_with_sigterm(run, monkeypatch, process):
    former = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "getpid", lambda: process)
    try:
        assert run("describe", "--machine", "milling")[0] == 0
        handler = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)
    if process != 1:
        assert handler is former
        return
    with pytest.raises(SystemExit) as ended:
        handler(signal.SIGTERM, None)
    assert ended.value.code == 143

"""The scripts of the workflows other than train.sh. Shell scripts stand in for `cml` and `gh`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.paths import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "reporting" / "golden" / "report_second.md"


@pytest.fixture
def comment(tmp_path):
    """Run comment.sh with tools that return the given exit codes. Returns (exit code, output, calls, path of the comment)."""
    (tmp_path / ".github").mkdir()
    shutil.copy(REPOSITORY / ".github" / "comment.sh", tmp_path / ".github")
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()

    def run(target: str, **codes: int) -> tuple[int, str, list[str], Path]:
        for name, code in codes.items():
            (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{calls}"\nexit {code}\n')
            (tools / name).chmod(0o755)
        done = subprocess.run(
            [tmp_path / ".github" / "comment.sh", GOLDEN, target],
            env={
                "PATH": f"{tools}:{os.environ['PATH']}", "GH_TOKEN": "a-token", "GITHUB_REPOSITORY": "plant/models",
                "RUN_URL": "https://github.example/runs/7",
            },
            capture_output=True,
            text=True,
        )  # fmt: skip
        called = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, done.stdout + done.stderr, called, tmp_path / "build" / "comment.md"

    return run


def test_cml_posts_the_report_without_its_charts(comment):
    code, output, called, text = comment("pr/12", cml=0, gh=1)
    assert code == 0, output
    assert called == ["cml comment create --publish=false --target=pr/12 build/comment.md"]
    report = GOLDEN.read_text()
    assert "![" in report
    assert text.read_text().startswith(report.partition("<details><summary>Charts")[0])
    assert "![" not in text.read_text()
    assert text.read_text().endswith("(https://github.example/runs/7)\n")


@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("pr/12", "gh pr comment 12 --body-file build/comment.md"),
        ("commit/c0ffee", "gh api repos/plant/models/commits/c0ffee/comments --field body=@build/comment.md"),
    ],
)
def test_if_cml_fails_gh_posts_the_comment(comment, target, call):
    code, output, called, _ = comment(target, cml=1, gh=0)
    assert code == 0, output
    assert called[-1] == call


def test_if_both_fail_the_job_fails(comment):
    code, _, called, _ = comment("pr/12", cml=1, gh=4)
    assert code == 4
    assert [call.split()[0] for call in called] == ["cml", "gh"]


def test_an_invalid_target_is_reported(comment):
    code, output, _, _ = comment("elsewhere", cml=1, gh=0)
    assert code == 2
    assert "elsewhere: expected pr/NUMBER or commit/SHA" in output


def test_a_workflow_step_runs_one_command():
    """Each step runs a make target, a script or a command that can also be run outside GitHub."""
    targets = subprocess.run(
        ["make", "--directory", REPOSITORY, "help"], check=True, capture_output=True, text=True
    ).stdout
    for path in (REPOSITORY / ".github" / "workflows").glob("*.yaml"):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for command in [step["run"] for step in job["steps"] if "run" in step]:
                where = f"{path.name}, {name}: {command}"
                assert "\n" not in command.strip(), where
                words = command.split()
                if words[0] == "make":
                    assert f"  make {words[1]} " in targets, where
                for word in (word for word in words if word.startswith(".github/")):
                    assert os.access(REPOSITORY / word, os.X_OK), where

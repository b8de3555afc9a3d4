"""Where a model comes from, as tags that a registry takes."""

import json
import subprocess

import pytest

from predictive_maintenance.ingestion.ingest import SourceRecord
from predictive_maintenance.tracking import lineage


def records(count):
    return [
        SourceRecord(
            name=f"readings-{number:06}.csv",
            merge="append",
            rows=10,
            sha256=f"{number:064}",
            bytes=900,
            dvc_md5=None,
            ignored_columns=(),
        )
        for number in range(count)
    ]


def test_a_few_sources_are_all_in_the_tag():
    assert [source["name"] for source in json.loads(lineage.sources_tag(records(2)))] == [
        "readings-000000.csv",
        "readings-000001.csv",
    ]


@pytest.mark.parametrize("count", [40, 500, 100_000])
def test_as_many_sources_as_fit_are_in_the_tag_and_the_others_are_counted(count):
    text = lineage.sources_tag(records(count))
    *shown, last = json.loads(text)
    assert len(text) <= 4500
    assert [source["name"] for source in shown] == [f"readings-{number:06}.csv" for number in range(len(shown))]
    assert last["name"] == f"and {count - len(shown)} more, see lineage/sources.json of the run"
    assert len(text) + len(json.dumps(shown[0])) > 4400


def test_a_tag_of_many_sources_costs_each_of_them_once(monkeypatch):
    dumped = []
    dumps = json.dumps
    monkeypatch.setattr(lineage.json, "dumps", lambda value: dumped.append(value) or dumps(value))
    lineage.sources_tag(records(2000))
    assert sum(len(value) if isinstance(value, list) else 1 for value in dumped) < 3 * 2000


@pytest.mark.parametrize(
    "error",
    [OSError("no git"), subprocess.CalledProcessError(128, "git"), subprocess.TimeoutExpired("git", 10)],
    ids=["no git", "no checkout", "a slow disk"],
)
def test_where_git_gives_no_commit_it_is_unknown(monkeypatch, error):
    def run(*arguments, **options):
        raise error

    monkeypatch.delenv("PDM_GIT_COMMIT", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    assert lineage.git_commit() == "unknown"


def test_what_a_run_writes_is_no_change_of_the_code_and_a_changed_file_is(tmp_path, monkeypatch):
    def git(*arguments):
        account = ["-c", "user.name=tester", "-c", "user.email=tester@example.com"]
        return subprocess.run(["git", "-C", tmp_path, *account, *arguments], check=True, capture_output=True, text=True)

    git("init", "--quiet")
    (tmp_path / "plots").mkdir()
    written = [tmp_path / name for name in ("code.py", "dvc.lock", "metrics.json", "plots/trials.csv")]
    for path in written:
        path.write_text("1")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    commit = git("rev-parse", "HEAD").stdout.strip()
    monkeypatch.delenv("PDM_GIT_COMMIT", raising=False)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    for path in written[1:]:
        path.write_text("2")
    assert lineage.git_commit() == commit
    written[0].write_text("2")
    assert lineage.git_commit() == f"{commit}+changes"

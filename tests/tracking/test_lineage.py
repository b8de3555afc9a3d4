"""The lineage of a model as tags of limited length."""

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


def test_the_tag_lists_a_few_sources_completely():
    assert [source["name"] for source in json.loads(lineage.sources_tag(records(2)))] == [
        "readings-000000.csv",
        "readings-000001.csv",
    ]


@pytest.mark.parametrize("count", [40, 500, 100_000])
def test_the_tag_lists_as_many_sources_as_fit_and_counts_the_others(count):
    tag = lineage.sources_tag(records(count))
    *shown, last = json.loads(tag)
    assert len(tag) <= 4500
    assert [source["name"] for source in shown] == [f"readings-{number:06}.csv" for number in range(len(shown))]
    assert last["name"] == f"and {count - len(shown)} more, see lineage/sources.json of the run"
    one_more = {**shown[0], "name": f"readings-{len(shown):06}.csv"}
    assert len(json.dumps([*shown, one_more, last])) > 4500


def test_the_tag_serializes_each_of_many_sources_once(monkeypatch):
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
def test_the_commit_is_unknown_when_git_fails(monkeypatch, error):
    def run(*arguments, **options):
        raise error

    monkeypatch.delenv("PDM_GIT_COMMIT", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    assert lineage.git_commit() == "unknown"


def test_only_files_that_a_run_does_not_write_count_as_changes_of_the_code(tmp_path, monkeypatch):
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

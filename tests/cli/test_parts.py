"""The command parts: what it lists and deletes, on this machine and in remote storage."""

import os
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import boto3
import pandas as pd
import pytest

from predictive_maintenance.errors import PartError
from predictive_maintenance.partitions.location import parts_of_run
from predictive_maintenance.partitions.part_folder import StoredTable
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.launcher import LAUNCHER_VARIABLE, Launcher
from predictive_maintenance.tracking.runs import FlowRun
from tests.fixtures.storage_proxies import storage_proxy

OLD_DAYS = 40


@pytest.fixture
def parts_folder(tmp_path, monkeypatch):
    folder = tmp_path / "parts"
    monkeypatch.setenv("PDM_PARTS_FOLDER", str(folder))
    return folder


@pytest.fixture
def start(registry_uri, params, monkeypatch):
    """Start an MLflow run of a flow run so many days ago, and end it then with a status."""

    def make(flow_run, status=None, days=OLD_DAYS, launcher=""):
        monkeypatch.setenv(LAUNCHER_VARIABLE, launcher)
        run = FlowRun.start(connect(params.registry), flow_run, {})
        if status:
            run.connection.client.set_terminated(run.run_id, status)
        time = int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000)
        with sqlite3.connect(registry_uri.removeprefix("sqlite:///")) as database:
            database.execute("UPDATE runs SET start_time = ? WHERE run_uuid = ?", (time, run.run_id))
            if status:
                database.execute("UPDATE runs SET end_time = ? WHERE run_uuid = ?", (time, run.run_id))

    return make


def write_part(flow_run: str, days: float = OLD_DAYS) -> StoredTable:
    """Write a part of a run. A local one is so many days old."""
    tables = []

    def make(writer):
        tables.append(writer.write("train", pd.DataFrame({"x": range(1000)})))

    folder = parts_of_run(flow_run)
    folder.once("features/00000", "", type(None), make)
    if "://" not in folder.uri:
        time = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        for name in (tables[0].name, "features/00000/record.json"):
            os.utime(folder.location(StoredTable(name=name, rows=0, bytes=0, sha256="")), (time, time))
    return tables[0]


def kept(folder):
    return sorted(path.name for path in (folder / "TrainFlow").iterdir() if any(path.rglob("*.parquet")))


def test_parts_lists_the_runs_with_bytes_and_state_and_deletes_nothing(run, parts_folder, start):
    start("TrainFlow/1", "FINISHED")
    start("TrainFlow/2", "FAILED")
    for flow_run in ("TrainFlow/1", "TrainFlow/2", "TrainFlow/3"):
        table = write_part(flow_run)
    code, output = run("parts")
    first, second, third, total = output.splitlines()
    assert code == 0
    assert first.split()[:1] + first.split()[-1:] == ["TrainFlow/1", "finished"]
    assert second.endswith("failed")
    assert third.endswith("not in this registry: kept, unless --run names it")
    size = sum(path.stat().st_size for path in parts_folder.rglob("*") if path.is_file())
    assert size > 3 * table.bytes
    assert total == f"3 runs with {size / 1000:.1f} KB in {parts_folder}"
    assert kept(parts_folder) == ["1", "2", "3"]


def test_delete_removes_the_parts_of_older_runs_and_says_what_they_can_no_longer_do(run, parts_folder, start):
    start("TrainFlow/1", "FINISHED")
    start("TrainFlow/2", "KILLED")
    start("TrainFlow/3", "FINISHED", days=1)
    for flow_run, days in (("TrainFlow/1", 40), ("TrainFlow/2", 40), ("TrainFlow/3", 1)):
        write_part(flow_run, days)
    dry = run("parts", "--older-than", 30)[1]
    assert re.search(
        r"^to delete [\d.]+ KB of 2 runs: predictive-maintenance parts --older-than 30 --delete$", dry, re.M
    )
    assert kept(parts_folder) == ["1", "2", "3"]
    code, output = run("parts", "--older-than", 30, "--delete")
    assert code == 0
    assert "deleted the parts of TrainFlow/1: its rows can no longer be exported" in output
    assert (
        "deleted the parts of TrainFlow/2: it can only be resumed from the beginning: "
        "python flows/train_flow.py resume ingest --origin-run-id 2" in output
    )
    assert kept(parts_folder) == ["3"]


def test_the_parts_of_a_run_in_progress_are_kept_even_if_they_are_named(run, parts_folder, start):
    start("TrainFlow/1", launcher=str(Launcher.this_process()))
    write_part("TrainFlow/1")
    for chosen, exit_code in ((("--older-than", 30), 0), (("--run", 1), 1)):
        code, output = run("parts", *chosen, "--delete")
        assert code == exit_code
        assert "in progress: kept" in output
        assert "deleted 0 bytes of 0 runs" in output
        assert ("Error: TrainFlow/1 is in progress: its parts are kept" in output) == bool(exit_code)
    assert kept(parts_folder) == ["1"]


def test_a_named_run_that_is_not_old_enough_is_an_error(run, parts_folder, start):
    start("TrainFlow/1", "FINISHED")
    write_part("TrainFlow/1")
    code, output = run("parts", "--run", 1, "--older-than", 50, "--delete")
    assert code == 1
    assert "Error: TrainFlow/1 was changed less than 50 days ago: its parts are kept" in output
    assert kept(parts_folder) == ["1"]
    assert run("parts", "--run", 1, "--older-than", 30, "--delete")[0] == 0
    assert kept(parts_folder) == []


def test_parts_that_cannot_be_deleted_are_an_error_that_names_them_and_the_others_are_deleted(
    run, parts_folder, start, tmp_path
):
    for number in (1, 2, 3):
        start(f"TrainFlow/{number}", "FINISHED")
        write_part(f"TrainFlow/{number}")
    folder = parts_folder / "TrainFlow" / "2"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")  # a link is not followed to delete files
    code, output = run("parts", "--older-than", 30, "--delete")
    assert code == 1
    problem = f"{folder}: 2 files cannot be deleted: check the permissions"
    assert f"Error: the parts of TrainFlow/2 are not deleted: {problem}\n" in output
    for number in (1, 3):
        assert f"deleted the parts of TrainFlow/{number}: its rows can no longer be exported" in output
    assert re.search(r"^deleted [\d.]+ KB of 2 runs$", output, re.M)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--older-than", "0"], "0 is not in the range x>=1"),
        (["--older-than", "soon"], "'soon' is not a valid integer"),
        (["--delete", "17"], "Got unexpected extra argument (17)"),
        (["--remove"], "No such option"),
    ],
)
def test_wrong_options_are_an_error(run, parts_folder, arguments, problem):
    write_part("TrainFlow/17")
    code, output = run("parts", *arguments)
    assert code == 2
    assert problem in output
    assert kept(parts_folder) == ["17"]


def test_a_folder_of_parts_that_cannot_be_read_is_an_error(run, registry_uri, tmp_path, monkeypatch):
    (tmp_path / "TrainFlow").touch()
    monkeypatch.setenv("PDM_PARTS_FOLDER", str(tmp_path))
    assert run("parts") == (1, f"Error: {tmp_path}/TrainFlow: cannot be read: Not a directory\n")


def test_a_bucket_that_refuses_to_delete_is_an_error(run, start, aws_url, s3_account, monkeypatch):
    bucket = boto3.resource("s3", endpoint_url=aws_url).create_bucket(Bucket="kept")
    with storage_proxy(aws_url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("PDM_PARTS_FOLDER", "s3://kept/parts")
        start("TrainFlow/1", "FINISHED")
        write_part("TrainFlow/1")
        proxy.fault = lambda number, method, path: 403 if method in ("DELETE", "POST") else None
        code, output = run("parts", "--run", 1, "--delete")
    assert code == 1
    assert "Error: the parts of TrainFlow/1 are not deleted: s3://kept/parts/TrainFlow/1: " in output
    assert "deleted 0 bytes of 0 runs" in output
    assert len(list(bucket.objects.all())) == 2
    bucket.objects.delete()
    bucket.delete()


def test_a_failed_run_whose_process_still_trains_another_candidate_is_in_progress(run, parts_folder, start):
    start("TrainFlow/1", "FAILED", launcher=str(Launcher.this_process()))
    write_part("TrainFlow/1")
    run("parts", "--older-than", 30, "--delete")
    assert kept(parts_folder) == ["1"]


def test_a_run_of_another_machine_is_in_progress_until_it_counts_as_abandoned(run, parts_folder, start):
    start("TrainFlow/1", days=1)
    start("TrainFlow/2", days=10)
    write_part("TrainFlow/1")
    write_part("TrainFlow/2")
    run("parts", "--older-than", 1, "--delete")
    assert kept(parts_folder) == ["1"]


def test_a_run_that_ended_lately_is_not_old_though_its_parts_are(run, parts_folder, start):
    start("TrainFlow/1", "FAILED", days=1)
    write_part("TrainFlow/1", days=40)
    run("parts", "--older-than", 30, "--delete")
    assert kept(parts_folder) == ["1"]


def test_a_run_that_the_registry_does_not_know_is_deleted_only_by_its_name(run, parts_folder, start):
    write_part("TrainFlow/1")
    write_part("TrainFlow/17")
    run("parts", "--older-than", 30, "--delete")
    assert kept(parts_folder) == ["1", "17"]
    run("parts", "--run", "TrainFlow/1", "--delete")
    assert kept(parts_folder) == ["17"]


def test_only_the_folders_of_runs_are_touched(run, parts_folder, start):
    start("TrainFlow/1", "FINISHED")
    write_part("TrainFlow/1")
    other = parts_folder / "telemetry" / "readings.parquet"
    other.parent.mkdir()
    other.touch()
    os.utime(other, (0, 0))
    run("parts", "--older-than", 30, "--delete")
    assert other.exists()


def test_delete_needs_a_choice_of_runs(run, parts_folder, start):
    code, output = run("parts", "--delete")
    assert (code, "--delete needs --older-than DAYS or --run ID" in output) == (2, True)


def test_a_run_without_parts_is_an_error(run, parts_folder, start):
    code, output = run("parts", "--run", 9)
    assert (code, output) == (1, f"Error: TrainFlow/9 has no parts in {parts_folder}\n")


def test_a_deleted_part_names_the_step_that_writes_it_again(run, parts_folder, start):
    start("TrainFlow/1", "FINISHED")
    table = write_part("TrainFlow/1")
    run("parts", "--run", 1, "--delete")
    with pytest.raises(PartError, match="is missing: the step features wrote it, and has to be repeated"):
        parts_of_run("TrainFlow/1").read(table)


def test_parts_in_s3_are_listed_and_deleted(run, start, aws_url, s3_account, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    monkeypatch.setenv("PDM_PARTS_FOLDER", "s3://kept/parts")
    bucket = boto3.resource("s3", endpoint_url=aws_url).create_bucket(Bucket="kept")
    assert run("parts") == (0, "0 runs with 0 bytes in s3://kept/parts\n")
    for number in (1, 17):
        start(f"TrainFlow/{number}", "FINISHED")
        write_part(f"TrainFlow/{number}")
    bucket.put_object(Key="parts/TrainFlow-1/other", Body=b"")
    sizes = {
        number: sum(found.size for found in bucket.objects.filter(Prefix=f"parts/TrainFlow/{number}/"))
        for number in (1, 17)
    }
    assert f"2 runs with {sum(sizes.values()) / 1000:.1f} KB in s3://kept/parts" in run("parts")[1]
    assert run("parts", "--older-than", 1)[1] == "0 runs with 0 bytes in s3://kept/parts\n"
    output = run("parts", "--run", 1, "--delete")[1]
    assert f"deleted {sizes[1] / 1000:.1f} KB of 1 run" in output
    left = {"/".join(found.key.split("/")[:3]) for found in bucket.objects.all()}
    assert left == {"parts/TrainFlow/17", "parts/TrainFlow-1/other"}
    bucket.objects.delete()
    bucket.delete()

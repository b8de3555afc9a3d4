"""Scoring of data sets in several files: each result is that of the whole table, on any engine, and after interruptions."""

import dataclasses
import glob
import io
import json
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import fsspec
import numpy as np
import pandas as pd
import pytest
from azure.storage.blob import ContainerClient

from predictive_maintenance.config.sources import parse_tables
from predictive_maintenance.engine.dask_engine import open_cluster
from predictive_maintenance.engine.engine import InProcess
from predictive_maintenance.errors import SourceError
from predictive_maintenance.inference import part_job, part_plan, shuffled_history
from predictive_maintenance.inference.files import score_file
from predictive_maintenance.inference.further_tables import NO_TABLES, read_further_tables
from predictive_maintenance.inference.part_job import ScoringJob
from predictive_maintenance.inference.part_scoring import score_parts
from predictive_maintenance.ingestion.part_files import list_parts
from predictive_maintenance.ingestion.patterns import names_file
from predictive_maintenance.partitions.part_folder import PartWriter
from tests.fixtures.pumps import pump_tables
from tests.fixtures.run_to_failure import runs_to_failure
from tests.fixtures.storage_servers import azure_connection_string


@pytest.fixture
def table() -> pd.DataFrame:
    """Readings of engines, two of them invalid and two of one engine and time."""
    rows = runs_to_failure(6, seed=9).astype({"heat": object})
    rows.loc[5, "heat"] = "broken"
    rows.loc[6, "heat"] = 5000
    rows.loc[8, ["machine_id", "timestamp"]] = rows.loc[7, ["machine_id", "timestamp"]]
    return rows


def by_day(rows):
    return rows["timestamp"].dt.strftime("%Y-%m-%d")


def by_engine(rows):
    return rows["machine_id"]


def at_random(rows):
    return pd.Series(np.random.default_rng(3).integers(0, 7, len(rows)), index=rows.index)


def by_weeks_and_engine(rows):
    return rows["timestamp"].dt.strftime("week %V/") + rows["machine_id"]


@pytest.fixture
def write(tmp_path):
    """Write rows into files by a key of each row: the pattern of the files."""

    def write_files(rows, key, suffix=".csv"):
        for name, own in rows.groupby(key(rows)):
            path = tmp_path / "readings" / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            own.to_csv(path, index=False) if suffix == ".csv" else own.to_parquet(path)
        return str(tmp_path / "readings" / "**" / f"*{suffix}")

    return write_files


@pytest.fixture
def job(tmp_path):
    """Make the job that scores with a small model into the folder `scored`."""

    def make(small, tables=NO_TABLES, **options):
        return ScoringJob(
            model_files=small.files, version="1", aliases={}, output=str(tmp_path / "scored"), tables=tables, **options
        )

    return make


def read(folder: Path, suffix=".csv") -> pd.DataFrame:
    """The results in a folder."""
    files = [path for path in sorted(folder.rglob(f"*{suffix}")) if "_scored" not in path.parts]
    return pd.concat(
        [pd.read_csv(path, dtype={"heat": str}) if suffix == ".csv" else pd.read_parquet(path) for path in files]
    )


def in_order(scored):
    """Results in an order that does not depend on the files."""
    names = [name for name in scored.columns if name not in ("failure_probability", "predicted_failure", "rejected")]
    return scored.astype({"rejected": object}).sort_values(names, ignore_index=True)


@pytest.mark.parametrize("key", [by_day, by_engine, at_random, by_weeks_and_engine])
def test_the_files_of_a_table_get_the_results_of_the_table(small_engine, table, write, job, tmp_path, key):
    table.to_csv(tmp_path / "table.csv", index=False)
    whole = score_file(tmp_path / "table.csv", tmp_path / "whole.csv", small_engine.scorer, "1", {})
    scored = score_parts(list_parts([write(table, key)]), job(small_engine), InProcess())
    assert (scored.rows, scored.alarms, scored.rejected) == (whole.rows, whole.alarms, whole.rejected)
    assert scored.reasons == whole.reasons
    assert scored.rejected == 4
    pd.testing.assert_frame_equal(
        in_order(read(tmp_path / "scored")),
        in_order(pd.read_csv(tmp_path / "whole.csv", dtype={"heat": str})),
        check_exact=True,
    )


def test_features_from_events_and_attributes_are_those_of_the_whole_table(small_pump, write, job, tmp_path):
    tables = pump_tables(pumps=3, hours=120, seed=9)
    for name, rows in tables.items():
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    sources = ",".join(f"{name}:{tmp_path / name}.csv" for name in ("errors", "service", "pumps"))
    further = read_further_tables(parse_tables(sources), small_pump.scorer.machine)
    readings = tables["readings"].rename(columns={"pump": "machine_id"})
    readings.to_csv(tmp_path / "table.csv", index=False)
    score_file(tmp_path / "table.csv", tmp_path / "whole.csv", small_pump.scorer, "1", {}, tables=further)
    pattern = write(pd.read_csv(tmp_path / "table.csv", parse_dates=["timestamp"]), by_day)
    scored = score_parts(list_parts([pattern]), job(small_pump, further), InProcess())
    assert scored.parts > 3
    assert scored.warnings == []
    columns = ["machine_id", "timestamp", "failure_probability", "rejected"]
    found, whole = (
        frame[columns].assign(timestamp=pd.to_datetime(frame["timestamp"])).sort_values(columns[:2], ignore_index=True)
        for frame in (read(tmp_path / "scored"), pd.read_csv(tmp_path / "whole.csv"))
    )
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_what_a_missing_table_means_is_not_repeated_for_each_file(small_pump, write, job):
    further = read_further_tables((), small_pump.scorer.machine)
    assert any("errors" in warning for warning in further.warnings)
    readings = pump_tables(pumps=2, hours=60, seed=9)["readings"].assign(make="A", age=3.0)
    scored = score_parts(list_parts([write(readings, by_day)]), job(small_pump, further), InProcess())
    assert (scored.errors, scored.warnings) == ({}, [])


def test_a_cluster_gives_the_results_of_this_process(small_engine, table, write, job, tmp_path):
    parts = list_parts([write(table, by_day)])
    alone = score_parts(parts, job(small_engine), InProcess())
    results = {path.name: path.read_bytes() for path in (tmp_path / "scored").glob("*.csv")}
    (tmp_path / "scored").rename(tmp_path / "before")
    with open_cluster(None) as cluster:
        scored = score_parts(parts, job(small_engine), cluster)
    assert scored == alone
    assert {path.name: path.read_bytes() for path in (tmp_path / "scored").glob("*.csv")} == results


def test_a_machine_without_time_is_scored_file_by_file(small, write, job, tmp_path):
    rows = small.rows.test.head(50)[list(small.params.machine.input_names)]
    scored = score_parts(list_parts([write(rows, at_random, ".parquet")]), job(small), InProcess())
    assert (scored.rows, scored.parts, scored.rejected) == (50, 7, 0)
    found = read(tmp_path / "scored", ".parquet")
    np.testing.assert_array_equal(found["failure_probability"], small.scorer.probabilities(found))


class Interrupted(InProcess):
    """An engine that is lost after some files."""

    def __init__(self, after):
        self._after = after

    def map(self, work, shared, items):
        for place, result in super().map(work, shared, items):
            yield place, result
            self._after -= 1
            if not self._after:
                raise KeyboardInterrupt


def test_a_run_goes_on_where_it_was_interrupted(small, write, job, tmp_path):
    rows = small.rows.test.head(50)[list(small.params.machine.input_names)]
    parts = list_parts([write(rows, at_random, ".parquet")])
    with pytest.raises(KeyboardInterrupt):
        score_parts(parts, job(small), Interrupted(after=3))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "scored").glob("*.parquet")}
    assert len(times) == 3
    scored = score_parts(parts, job(small), InProcess())
    assert (scored.parts, scored.former, scored.rows) == (7, 3, 50)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert score_parts(parts, job(small), InProcess()).former == 7


def test_a_result_whose_record_was_not_completed_is_made_again(small, write, job, tmp_path):
    rows = small.rows.test.head(50)[list(small.params.machine.input_names)]
    parts = list_parts([write(rows, at_random, ".parquet")])
    score_parts(parts, job(small), InProcess())
    record = tmp_path / "scored" / "_scored" / "0.parquet.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"finished": False}))
    assert score_parts(parts, job(small), InProcess()).former == 6


@pytest.fixture
def scattered(write):
    """Write rows into files that each have rows of all machines and times. It gives the files."""
    return lambda rows: list_parts([write(rows, at_random)])


def small_past_parts(monkeypatch):
    """Divide the rows by machine into parts of 40 rows."""
    monkeypatch.setattr(shuffled_history, "ROWS_PER_PART", 40)


@pytest.mark.parametrize("most_reads", [0, 4, 1000])
def test_results_do_not_depend_on_whether_rows_are_divided_by_machine(
    small_engine, table, scattered, job, tmp_path, monkeypatch, most_reads
):
    small_past_parts(monkeypatch)
    monkeypatch.setattr(part_plan, "_MOST_READS", most_reads)
    table.to_csv(tmp_path / "table.csv", index=False)
    whole = score_file(tmp_path / "table.csv", tmp_path / "whole.csv", small_engine.scorer, "1", {})
    stages = []
    scored = score_parts(
        scattered(table), job(small_engine), InProcess(), on_stage=lambda done: stages.append(done.stage)
    )
    assert ("features" in stages) == (most_reads < 6)
    assert (scored.rows, scored.alarms, scored.rejected, scored.reasons) == (
        whole.rows, whole.alarms, whole.rejected, whole.reasons
    )  # fmt: skip
    found, expected = read(tmp_path / "scored"), pd.read_csv(tmp_path / "whole.csv", dtype={"heat": str})
    pd.testing.assert_frame_equal(in_order(found), in_order(expected), check_exact=True)
    assert not (tmp_path / "scored" / "_scored" / "past").exists()


def test_scattered_files_are_read_three_times_and_not_once_with_each_other_file(
    small_engine, table, scattered, job, monkeypatch
):
    reads = []
    copy = part_job.local_copy
    monkeypatch.setattr(part_job, "local_copy", lambda part: reads.append(part.name) or copy(part))
    scored = score_parts(scattered(table), job(small_engine), InProcess())
    assert scored.parts == 7
    assert len(reads) == 3 * 7


@pytest.mark.parametrize("after", [16, 20, 24, 31, 35])
def test_a_run_goes_on_where_dividing_by_machine_was_interrupted(
    small_engine, table, scattered, job, tmp_path, monkeypatch, after
):
    small_past_parts(monkeypatch)
    parts = scattered(table)
    expected = score_parts(parts, job(small_engine), InProcess())
    results = {path.name: path.read_bytes() for path in (tmp_path / "scored").glob("*.csv")}
    (tmp_path / "scored").rename(tmp_path / "before")
    with pytest.raises(KeyboardInterrupt):
        score_parts(parts, job(small_engine), Interrupted(after))
    past = tmp_path / "scored" / "_scored" / "past"
    finished = len(list(past.rglob("*.parquet")))
    rewritten = []
    move = PartWriter._moved
    monkeypatch.setattr(PartWriter, "_moved", lambda writer, *given: rewritten.append(given) or move(writer, *given))
    scored = score_parts(parts, job(small_engine), InProcess())
    assert dataclasses.replace(scored, former=0) == expected
    tables = 2 * 7 * 10  # the rows and the features of 7 files in 10 parts
    assert 0 < finished <= tables
    assert finished + len(rewritten) == tables
    assert {path.name: path.read_bytes() for path in (tmp_path / "scored").glob("*.csv")} == results


def test_finished_files_are_not_divided_again(small_engine, table, scattered, job, tmp_path):
    parts = scattered(table)
    score_parts(parts, job(small_engine), InProcess())
    stages = []
    again = score_parts(parts, job(small_engine), InProcess(), on_stage=lambda done: stages.append(done.stage))
    assert again.former == 7
    assert set(stages) == {"reading times"}


def test_a_result_that_was_damaged_is_named_and_made_again_if_it_may_be_replaced(small, write, job, tmp_path):
    rows = small.rows.test.head(50)[list(small.params.machine.input_names)]
    parts = list_parts([write(rows, at_random, ".parquet")])
    score_parts(parts, job(small), InProcess())
    damaged = tmp_path / "scored" / "3.parquet"
    intact = damaged.read_bytes()
    damaged.write_bytes(intact[:-100])
    scored = score_parts(parts, job(small), InProcess())
    assert scored.former == 6
    assert list(scored.errors) == ["3.parquet"]
    assert (
        f"{damaged}: was changed or damaged after it was scored: delete it to score it again"
        in scored.errors["3.parquet"]
    )
    again = score_parts(parts, job(small, overwrite=True), InProcess())
    assert (again.former, again.errors) == (6, {})
    assert damaged.read_bytes() == intact


def test_readings_that_have_changed_are_scored_again_only_if_the_result_may_be_replaced(
    small_engine, table, write, job
):
    pattern = write(table, by_engine)
    score_parts(list_parts([pattern]), job(small_engine), InProcess())
    write(table[table["machine_id"] == "E2"].assign(heat=400), by_engine)
    parts = list_parts([pattern])
    scored = score_parts(parts, job(small_engine), InProcess())
    assert list(scored.errors) == ["E2.csv"]
    assert (
        "was made from other readings or by another version: choose another --output, or add --overwrite"
        in scored.errors["E2.csv"]
    )
    assert score_parts(parts, job(small_engine, overwrite=True), InProcess()).errors == {}


def test_a_change_in_the_past_of_a_file_is_a_change_of_its_result(small_engine, table, write, job):
    pattern = write(table, by_day)
    score_parts(list_parts([pattern]), job(small_engine), InProcess())
    first = min(by_day(table))
    rows = table[by_day(table) == first]
    rows.assign(heat=400).to_csv(Path(pattern).parents[1] / f"{first}.csv", index=False)
    scored = score_parts(list_parts([pattern]), job(small_engine), InProcess())
    assert list(scored.errors) == [f"{day}.csv" for day in sorted(by_day(table).unique())[:2]]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(small_engine, table, write, job, tmp_path):
    pattern = write(table, by_engine)
    (tmp_path / "readings" / "damaged.csv").write_bytes(b"PAR1 no table")
    scored = score_parts(list_parts([pattern]), job(small_engine), InProcess())
    assert scored.parts == 6
    assert list(scored.errors) == ["damaged.csv"]
    assert str(tmp_path / "readings" / "damaged.csv") in scored.errors["damaged.csv"]


def test_a_file_that_is_not_a_result_is_not_replaced(small, write, job, tmp_path):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "2.csv").write_text("mine")
    scored = score_parts(list_parts([write(rows, at_random)]), job(small), InProcess())
    assert list(scored.errors) == ["2.csv"]
    assert "exists and is not a result of scoring" in scored.errors["2.csv"]
    assert (tmp_path / "scored" / "2.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("plant/*.csv", ["a.csv"]),
        ("plant/**/*.csv", ["2024/01/b.csv", "a.csv"]),
        ("plant/**/b.csv", ["2024/01/b.csv"]),
        ("pl*t/20[0-9][0-9]/*/?.csv", ["plant/2024/01/b.csv"]),
        ("plant/2024/01/b.csv", ["b.csv"]),
        ("./plant/../plant/*.csv", ["a.csv"]),
    ],
)
@pytest.mark.parametrize("others", [(), ("c.csv", "2023/12/c.csv")])
def test_a_name_depends_on_the_file_and_the_pattern_only(tmp_path, monkeypatch, pattern, names, others):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "2024/01/b.csv", *others):
        path = tmp_path / "plant" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for given in (pattern, str(tmp_path / pattern)):
        found = {part.name for part in list_parts([given])}
        assert {name for name in found if not name.endswith("c.csv")} == set(names)


def test_a_second_run_scores_only_what_was_added_also_in_another_folder(small, write, job, tmp_path):
    rows = small.rows.test.head(40)[list(small.params.machine.input_names)]
    pattern = write(rows, lambda rows: pd.Series("2024/" + at_random(rows).astype(str)))
    assert score_parts(list_parts([pattern]), job(small), InProcess()).former == 0
    write(rows.head(5), lambda rows: pd.Series("new", index=rows.index))
    scored = score_parts(list_parts([pattern]), job(small), InProcess())
    assert (scored.former, scored.parts) == (7, 8)
    found = {path.relative_to(tmp_path / "scored").as_posix() for path in (tmp_path / "scored").rglob("*.csv")}
    assert found == {"new.csv", *(f"2024/{number}.csv" for number in range(7))}


@pytest.mark.parametrize(
    ("address", "name"),
    [("/plant/a.csv", "a.csv"), ("/plant/a.csv?to=2024/01", "a.csv"), ("/export/?format=csv", "export")],
)
def test_a_web_address_names_its_file_without_the_query(web, address, name):
    web[1][address.partition("?")[0]] = b"heat\n1\n"
    assert [part.name for part in list_parts([web[0] + address])] == [name]


def test_a_changed_file_of_a_web_server_has_another_fingerprint_also_with_the_same_size(tmp_path):
    class Handler(SimpleHTTPRequestHandler):  # sends Last-Modified, and no ETag
        def log_message(self, *parts): ...

    def fingerprint(content, time):
        (tmp_path / "a.csv").write_text(content)
        os.utime(tmp_path / "a.csv", (time, time))
        (part,) = list_parts([f"http://127.0.0.1:{server.server_port}/a.csv"])
        return part.fingerprint

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            first = fingerprint("heat\n1\n", 1e9)
            assert fingerprint("heat\n1\n", 1e9) == first
            assert fingerprint("heat\n2\n", 1e9 + 60) != first
        finally:
            server.shutdown()


def test_files_that_would_have_one_result_are_refused(tmp_path):
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").touch()
    files = [str(tmp_path / name / "a.csv") for name in ("north", "south")]
    with pytest.raises(SourceError) as refused:
        list_parts(files)
    assert str(refused.value).startswith(f"{files[0]} and {files[1]}: both would have the result a.csv: ")
    assert [part.name for part in list_parts([str(tmp_path / "*" / "a.csv")])] == ["north/a.csv", "south/a.csv"]
    assert len(list_parts([files[0], files[0], str(tmp_path / "north" / "*.csv")])) == 1


@pytest.mark.parametrize(
    ("pattern", "output", "is_refused"),
    [
        ("readings/**/*.csv", "readings/scored", True),
        ("readings/**/*.csv", "readings/../readings/scored", True),
        ("readings/**/*.csv", "link/scored", True),
        ("link/**/*.csv", "readings/scored", True),
        ("./**/[0-9].csv", "scored", True),
        ("rea**/*.csv", "scored", False),
        ("readings/*.csv", "readings/scored", False),
        ("readings/**/*.csv", "scored", False),
        ("readings/**", "readings/scored", True),
        ("readings/**/*.csv", "readings/.scored", False),
        ("rea*/**/*.csv", "readings/.scored/pumps", False),
        ("readings/*.csv", "readings-scored", False),
    ],
)
def test_a_result_that_the_pattern_would_name_is_refused(
    small, write, tmp_path, monkeypatch, pattern, output, is_refused
):
    monkeypatch.chdir(tmp_path)
    write(small.rows.test.head(20)[list(small.params.machine.input_names)], at_random)
    (tmp_path / "link").symlink_to("readings")
    job = ScoringJob(model_files=small.files, version="1", aliases={}, output=output)
    if not is_refused:
        assert score_parts(list_parts([pattern]), job, InProcess()).errors == {}
        assert score_parts(list_parts([pattern]), job, InProcess()).former == 7
        return
    with pytest.raises(SourceError) as refused:
        score_parts(list_parts([pattern]), job, InProcess())
    assert str(refused.value).startswith(f"{output}: {pattern} would name the result ")
    assert "choose a folder for the results that the pattern does not reach" in str(refused.value)
    assert not Path(output).exists()


@pytest.mark.parametrize(
    ("uri", "location", "is_named"),
    [
        ("abfs://plant@account.dfs.core.windows.net/readings/**/*.csv", "az://plant/readings/scored/a.csv", True),
        ("az://plant/readings/*.csv", "abfs://plant/readings/scored/a.csv", False),
        ("s3://plant/readings/**", "readings/a.csv", False),
        ("readings/**", "s3://plant/readings/a.csv", False),
        ("s3://${LINE}/**/*.csv", "s3://plant/scored/a.csv", True),
        ("s3://plant/**/*.csv", "s3://plant/.scored/a.csv", True),
    ],
)
def test_a_pattern_names_files_of_its_own_storage(monkeypatch, uri, location, is_named):
    monkeypatch.setenv("LINE", "plant")
    assert names_file(uri, location) == is_named


@pytest.mark.parametrize(
    "pattern",
    [
        "**", "**/*.csv", "*/*.csv", "data/**", "data/*/a.csv", "data/**/a.csv", "data/.*/*.csv", "data/.*/**/*.csv",
        "data/**/.scored/*", "**/.scored/**", "data/.scored/**", "data/[.]scored/*.csv", "data/?scored/*.csv",
        "data/**/**/a.csv", "data/.**/*.csv", "data/.scored/.*", "**/.a.csv", "data/./**/a.c?v", "[!x]*/**/a*",
    ],
)  # fmt: skip
def test_a_pattern_names_the_local_files_that_it_finds(tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    folders = ("", "data", "data/2024", "data/.scored", "data/.scored/2024", "data/2024/.scored", "data/_scored", ".x")
    files = [Path(folder, name) for folder in folders for name in ("a.csv", ".a.csv", "b.txt")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  what list_parts uses
    found = {Path(match) for match in matches} & set(files)
    assert {file for file in files if names_file(pattern, str(file.absolute()))} == found


def test_the_folder_of_the_readings_cannot_be_the_output(small, write, tmp_path):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    parts = list_parts([write(rows, at_random)])
    job = ScoringJob(model_files=small.files, version="1", aliases={}, output=str(tmp_path / "readings"))
    with pytest.raises(SourceError, match="is the folder of the readings"):
        score_parts(parts, job, InProcess())


@pytest.mark.parametrize("output", ["link", "readings/../readings"])
def test_another_name_of_the_folder_of_the_readings_cannot_be_the_output_either(small, write, tmp_path, output):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    write(rows, at_random)
    (tmp_path / "link").symlink_to("readings")
    parts = list_parts([str(path) for path in (tmp_path / "readings").glob("*.csv")])
    before = [Path(part.url).read_bytes() for part in parts]
    job = ScoringJob(model_files=small.files, version="1", aliases={}, output=str(tmp_path / output), overwrite=True)
    with pytest.raises(SourceError, match="is the folder of the readings"):
        score_parts(parts, job, InProcess())
    assert [Path(part.url).read_bytes() for part in parts] == before


def test_no_unfinished_file_is_left(small, write, job, tmp_path):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    score_parts(list_parts([write(rows, at_random)]), job(small), InProcess())
    assert not [path.name for path in (tmp_path / "scored").iterdir() if path.name.startswith(".")]


@pytest.fixture
def bucket(aws_url, s3_account, monkeypatch):
    """The URL of a bucket on a server that stands in for S3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    boto3.client("s3", endpoint_url=aws_url).create_bucket(Bucket="plant")
    yield "s3://plant"
    objects = boto3.resource("s3", endpoint_url=aws_url).Bucket("plant")
    objects.objects.delete()
    objects.delete()


def test_files_are_scored_from_a_bucket_into_a_bucket_and_once_only(small_engine, table, job, bucket, tmp_path):
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    table = table[table["machine_id"].isin(["E0", "E1"])]
    table = table[by_day(table) < "2024-01-03"]
    for day, rows in table.groupby(by_day(table)):
        files.pipe_file(f"plant/readings/day={day}/part 0.csv", rows.to_csv(index=False).encode())
    remote = dataclasses.replace(job(small_engine), output=f"{bucket}/scored")
    pattern = f"{bucket}/readings/**/*.csv"
    scored = score_parts(list_parts([pattern]), remote, InProcess())
    table.to_csv(tmp_path / "table.csv", index=False)
    whole = score_file(tmp_path / "table.csv", tmp_path / "whole.csv", small_engine.scorer, "1", {})
    assert (scored.rows, scored.alarms, scored.rejected) == (whole.rows, whole.alarms, whole.rejected)
    first = min(by_day(table))
    result = pd.read_csv(io.BytesIO(files.cat_file(f"plant/scored/day={first}/part 0.csv")))
    assert len(result) == (by_day(table) == first).sum()
    assert score_parts(list_parts([pattern]), remote, InProcess()).former == scored.parts


def test_a_bucket_that_does_not_exist_is_named(small, write, job, bucket):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    remote = dataclasses.replace(job(small), output="s3://elsewhere/scored")
    scored = score_parts(list_parts([write(rows, at_random)])[:1], remote, InProcess())
    assert list(scored.errors.values()) == ["s3://elsewhere/scored/_scored/0.csv.json: no such bucket"]


def test_results_cannot_be_written_to_the_web(small, write):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    parts = list_parts([write(rows, at_random)])
    job = ScoringJob(model_files=small.files, version="1", aliases={}, output="https://127.0.0.1/scored")
    with pytest.raises(SourceError, match="results cannot be written there: give a folder, or s3://, abfs://, gs://"):
        score_parts(parts, job, InProcess())


def test_files_in_different_storage_are_scored_together(small, job, tmp_path, bucket):
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    files.pipe_file("plant/a.csv", rows.to_csv(index=False).encode())
    rows.to_csv(tmp_path / "b.csv", index=False)
    scored = score_parts(list_parts([f"{bucket}/a.csv", str(tmp_path / "b.csv")]), job(small), InProcess())
    assert (scored.parts, scored.rows) == (2, 40)
    assert sorted(path.name for path in (tmp_path / "scored").glob("*.csv")) == ["a.csv", "b.csv"]


def test_a_result_below_the_pattern_of_a_bucket_is_refused(small, job, bucket):
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    files.pipe_file("plant/telemetry/2024/a.csv", b"heat")
    for pattern in ("s3://plant/telemetry/**/*.csv", "s3://plant/**/a.*"):
        remote = dataclasses.replace(job(small), output="s3://plant/telemetry/scored")
        with pytest.raises(SourceError, match=r"s3://plant/telemetry/scored: .* would name the result .*2024/a.csv in"):
            score_parts(list_parts([pattern]), remote, InProcess())
    assert [part.name for part in list_parts(["s3://plant/telemetry/**/*.csv"])] == ["2024/a.csv"]
    assert [part.name for part in list_parts(["s3://plant/tele*/2024/a.csv"])] == ["telemetry/2024/a.csv"]
    assert [part.name for part in list_parts(["s3://plant/telemetry/2024/a.csv"])] == ["a.csv"]


@pytest.mark.long
def test_files_are_scored_from_azure_into_azure(small, job, azurite_url, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection_string(azurite_url))
    rows = small.rows.test.head(20)[list(small.params.machine.input_names)]
    with ContainerClient.from_connection_string(azure_connection_string(azurite_url), "scoring") as container:
        container.create_container()
        container.upload_blob("readings/a.csv", rows.to_csv(index=False))
        remote = dataclasses.replace(job(small), output="abfs://scoring/scored")
        for former in (0, 1):
            scored = score_parts(list_parts(["abfs://scoring/readings/*.csv"]), remote, InProcess())
            assert (scored.rows, scored.former, scored.errors) == (20, former, {})
        result = pd.read_csv(io.BytesIO(container.download_blob("scored/a.csv").readall()))
    np.testing.assert_array_equal(result["failure_probability"], small.scorer.probabilities(rows))

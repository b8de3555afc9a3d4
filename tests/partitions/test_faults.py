"""Interruptions, damaged files, lost workers and runs at the same time: the result is right, or one error says what to do."""

import os
import resource
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.config.uris import redact
from predictive_maintenance.engine.dask_engine import open_cluster
from predictive_maintenance.engine.engine import InProcess
from predictive_maintenance.errors import DataError, EngineError, PartError, SourceError
from predictive_maintenance.ingestion import databases
from predictive_maintenance.partitions import feature_parts, ingested_parts
from predictive_maintenance.partitions.cleaned_parts import clean_parts
from predictive_maintenance.partitions.ingested_parts import ingest_parts
from predictive_maintenance.partitions.part_folder import PartFolder
from tests.fixtures.pumps import pump_tables
from tests.paths import REPOSITORY

from .conftest import EndingWorkers, run_in_one_table, run_in_parts
from .test_equal_results import assert_equal


@pytest.fixture
def rows():
    """Readings of nine milling machines, one with a bad cell."""
    rows = simulate(3000, 5).astype({"torque_nm": object})
    rows.loc[7, "torque_nm"] = "broken"
    return rows.assign(machine_id=np.random.default_rng(1).integers(0, 9, 3000).astype(str))


@pytest.fixture
def sources(rows, cut):
    return cut(rows, np.arange(len(rows)) % 2)


@pytest.fixture
def fleet_params():
    params = load_params(REPOSITORY / "params.yaml", "fleet")
    return params.model_copy(update={"split": params.split.model_copy(update={"by": "group", "folds": 2})})


def times(folder):
    """The time of the last change of each file below a folder."""
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*") if path.is_file()}


class Interrupted(InProcess):
    """An engine that is lost after some results of all its work."""

    def __init__(self, after):
        self._after = after

    def map(self, work, shared, items):
        for place, result in super().map(work, shared, items):
            self._after -= 1
            if not self._after:
                raise KeyboardInterrupt
            yield place, result


def test_a_file_with_bad_cells_in_many_parts_needs_more_open_files_than_a_process_may_have_at_first(
    rows, cut, params, tmp_path
):
    rows = rows.assign(machine_id=np.arange(len(rows)).astype(str))
    rows.loc[::2, "torque_nm"] = "broken"
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_already = len(list(Path("/proc/self/fd").iterdir()))  # also by the tests before
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_already + 100, before[1]))
    try:
        found = ingest_parts(
            cut(rows, np.zeros(len(rows))), params.machine, PartFolder(str(tmp_path / "parts")), InProcess(), 10
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(found.parts) > 256
    assert found.rows == len(rows)


class Elsewhere:
    """An engine whose workers have another file system."""

    def map(self, work, shared, items):
        yield from InProcess().map(work, PartFolder(f"{shared.uri}-elsewhere"), items)


def test_workers_that_do_not_reach_the_folder_of_the_parts_are_refused_before_anything_is_read(
    sources, params, tmp_path
):
    with pytest.raises(EngineError, match=r"the workers do not see .*parts, .* set PDM_PARTS_FOLDER"):
        ingest_parts(sources, params.machine, PartFolder(str(tmp_path / "parts")), Elsewhere(), 1000)


@pytest.mark.parametrize("after", [1, 2, 4, 6, 9, 12, 14])
def test_a_run_goes_on_where_it_was_interrupted(sources, params, tmp_path, after):
    folder = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        run_in_parts(sources, params, folder, 1000, Interrupted(after))
    temporary = {*folder.glob("shuffle/**/*"), *folder.glob("features/*/rows.*")}
    before = {path: time for path, time in times(folder).items() if path not in temporary}
    parts = run_in_parts(sources, params, folder, 1000)
    assert before.items() <= times(folder).items()
    assert_equal(run_in_one_table(sources, params), parts)
    assert not list(folder.glob("shuffle/**/*.parquet"))
    assert not list(folder.glob("features/*/rows.*"))


def test_a_finished_split_is_taken_over_without_its_features_and_a_damaged_part_of_it_is_made_again(
    sources, params, tmp_path, monkeypatch
):
    folder = tmp_path / "parts"
    parts = run_in_parts(sources, params, folder, 1000)
    computed, compute = [], feature_parts.labelled_rows
    monkeypatch.setattr(feature_parts, "labelled_rows", lambda *given: computed.append(1) or compute(*given))
    assert run_in_parts(sources, params, folder, 1000).rows == parts.rows
    assert not computed
    next(folder.glob("features/split/00001/train.*")).write_bytes(b"PAR1")
    assert run_in_parts(sources, params, folder, 1000).rows == parts.rows
    assert len(computed) == 1
    assert_equal(run_in_one_table(sources, params), parts)


def damage(folder, step):
    """Change a byte in the middle of a file of each part's rows that a step has written."""
    path = sorted(path for path in folder.glob(f"{step}/*/**/*.parquet") if path.stat().st_size > 10_000)[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def test_a_damaged_part_is_named_with_its_step_which_makes_only_this_part_again(sources, params, tmp_path):
    folder, engine = PartFolder(str(tmp_path / "parts")), InProcess()
    ingested = ingest_parts(sources, params.machine, folder, engine, 1000)
    before = times(tmp_path / "parts" / "ingest")
    damaged = damage(tmp_path / "parts", "ingest")
    with pytest.raises(PartError, match="is damaged: its content was changed") as error:
        clean_parts(ingested, params.machine, params.cleaning, engine)
    assert str(damaged) in str(error.value)
    assert error.value.step == "ingest"
    again = ingest_parts(sources, params.machine, folder, engine, 1000)
    assert again.parts == ingested.parts
    changed = {path for path, time in times(tmp_path / "parts" / "ingest").items() if before[path] != time}
    assert {path.relative_to(folder.uri).parts[:2] for path in changed} == {damaged.relative_to(folder.uri).parts[:2]}


@pytest.mark.parametrize("step", ["clean", "features"])
def test_a_missing_file_of_a_later_step_is_made_again_by_that_step(sources, params, tmp_path, step):
    parts = run_in_parts(sources, params, tmp_path / "parts", 1000)
    for path in (tmp_path / "parts" / step).rglob("*.parquet"):
        path.unlink()
    with pytest.raises(PartError, match="is missing: the step features wrote it" if step == "features" else "clean"):
        _ = parts.rows.load() if step == "features" else parts.cleaned.frame
    assert_equal(run_in_one_table(sources, params), run_in_parts(sources, params, tmp_path / "parts", 1000))


def test_parts_of_other_readings_are_not_taken_over(sources, rows, params, cut, tmp_path):
    run_in_parts(sources, params, tmp_path / "parts", 1000)
    changed = cut(rows.assign(rotational_speed_rpm=1500), np.arange(len(rows)) % 2)
    assert_equal(run_in_one_table(changed, params), run_in_parts(changed, params, tmp_path / "parts", 1000))


def _run(arguments):
    return run_in_parts(*arguments).rows


def test_two_runs_at_once_on_the_same_parts_do_no_harm(sources, params, tmp_path):
    arguments = (sources, params, tmp_path / "parts", 1000)
    with ProcessPoolExecutor(2) as processes:
        first, second = processes.map(_run, [arguments, arguments])
    assert first.training_fingerprint == second.training_fingerprint
    for rows in (first, second):
        pd.testing.assert_frame_equal(rows.load().train, run_in_one_table(sources, params).rows.train)


def test_no_unfinished_file_is_left(sources, params, tmp_path):
    run_in_parts(sources, params, tmp_path / "parts", 1000)
    assert not list((tmp_path / "parts").glob(".*"))


def test_bad_rows_of_all_parts_are_counted_together(rows, params, cut, tmp_path):
    rows.loc[:299, "torque_nm"] = "broken"
    sources = cut(rows, np.arange(len(rows)) % 2)
    with pytest.raises(DataError) as expected:
        run_in_one_table(sources, params)
    with pytest.raises(DataError) as found:
        run_in_parts(sources, params, tmp_path / "parts", 1000)
    first = "first bad cell"
    assert str(found.value).partition(first)[0] == str(expected.value).partition(first)[0]
    assert "300 of 3000 rows (10.0%) are bad" in str(found.value)


def test_a_machine_with_too_many_readings_for_a_part_is_named_with_the_way_out(rows, params, cut, tmp_path):
    rows.loc[:2399, "machine_id"] = "7"
    sources = cut(rows, np.zeros(len(rows)))
    with pytest.raises(DataError, match=r"machine_id '7' has 2,\d+ readings, which cannot be divided") as error:
        run_in_parts(sources, params, tmp_path / "parts", 500)
    assert "increase data.rows_per_part in params.yaml from 500 to" in str(error.value)


@pytest.mark.parametrize("name", "ABCDEFGH")
def test_machines_that_are_not_too_large_are_divided_evenly(rows, params, cut, tmp_path, name):
    rows["machine_id"] = [f"{name}{number % 10}" for number in range(len(rows))]
    sources = cut(rows, np.arange(len(rows)) % 2)
    parts = run_in_parts(sources, params, tmp_path / "parts", 200)  # 15 parts for 10 machines of 300 readings
    sizes = [part.readings.rows for part in parts.ingested.parts]
    assert max(sizes) <= 2 * 300
    assert_equal(run_in_one_table(sources, params), parts)
    again = ingest_parts(sources, params.machine, PartFolder(str(tmp_path / "again")), InProcess(), 200)
    assert [part.readings for part in again.parts] == [part.readings for part in parts.ingested.parts]


def test_more_readings_than_parts_can_have_are_refused_with_the_way_out(sources, params, tmp_path, monkeypatch):
    monkeypatch.setattr(ingested_parts, "number_of_parts", lambda files, rows, machine: 2)
    with pytest.raises(DataError, match=r"3,000 readings are too many for 2 parts.* from 360 to 1,500"):
        run_in_parts(sources, params, tmp_path / "parts", 360)


def test_readings_without_machine_are_of_one_machine_and_cannot_be_divided(rows, params, cut, tmp_path):
    sources = cut(rows.drop(columns="machine_id"), np.zeros(len(rows)))
    with pytest.raises(DataError, match="the readings have no column 'Machine', so all 3,000 are of one machine"):
        run_in_parts(sources, params, tmp_path / "parts", 500)


def ingested_from(uris, params, tmp_path, rows_per_part):
    sources = tuple(Source(uri=uri) for uri in uris)
    return ingest_parts(sources, params.machine, PartFolder(str(tmp_path / "parts")), InProcess(), rows_per_part)


@pytest.fixture
def database(rows, tmp_path):
    """The URL of a database with 3,000 readings."""
    with closing(sqlite3.connect(tmp_path / "plant.db")) as connection:
        rows.to_sql("readings", connection, index=False)
    return f"sqlite:///{tmp_path / 'plant.db'}"


def test_a_query_of_too_many_rows_is_refused_while_it_is_read(database, params, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_CHUNK_ROWS", 1000)
    query = (
        "WITH RECURSIVE n(torque) AS (SELECT 1 UNION ALL SELECT torque % 60 %2B 1 FROM n) SELECT * FROM n"  # never ends
    )
    with pytest.raises(SourceError, match=r"plant.db\?query=.*: more than 4,000 rows, which are read whole") as error:
        ingested_from([f"{database}?query={query}"], params, tmp_path, 1000)
    assert "write them to Parquet files" in str(error.value)
    assert "increase data.rows_per_part in params.yaml" in str(error.value)
    assert ingested_from([f"{database}?table=readings"], params, tmp_path, 1000).rows == 3000


def test_several_queries_with_too_many_readings_for_one_part_are_refused(database, params, tmp_path):
    uris = [f"{database}?query=SELECT * FROM readings WHERE rowid % 2 = {place}" for place in (0, 1)]
    assert ingested_from(uris, params, tmp_path, 750).rows == 3000
    with pytest.raises(
        DataError, match=r"with it, 3,000 readings are in one part, of at most 4 times data.rows_per"
    ) as error:
        ingested_from(uris, params, tmp_path, 749)
    assert str(error.value).startswith(f"{redact(uris[1])}: ")
    assert "Write them to Parquet files" in str(error.value)
    assert "increase data.rows_per_part in params.yaml from 749 if" in str(error.value)


def test_a_query_beside_files_is_divided_with_them(database, rows, cut, params, tmp_path):
    sources = (
        Source(uri=f"{database}?table=readings"),
        *cut(rows.assign(reading_id=rows["reading_id"] + "b"), [0] * 3000),
    )
    parts = run_in_parts(sources, params, tmp_path / "parts", 1000)
    assert len(parts.ingested.parts) == 3
    assert_equal(run_in_one_table(sources, params), parts)


def test_a_simulated_fleet_is_divided(fleet_params, tmp_path):
    sources = (Source(uri="simulator://?machines=12&days=60&seed=5"),)
    parts = run_in_parts(sources, fleet_params, tmp_path / "parts", 5000)
    assert len(parts.ingested.parts) == 4
    assert max(part.readings.rows for part in parts.ingested.parts) < 10_000
    assert_equal(run_in_one_table(sources, fleet_params), parts)


def test_a_file_is_divided_into_a_file_for_each_part_that_it_has_rows_of(rows, params, cut, tmp_path):
    sources = cut(rows.drop(7), rows.drop(7)["machine_id"].to_numpy())
    with pytest.raises(KeyboardInterrupt):
        run_in_parts(sources, params, tmp_path / "parts", 400, Interrupted(len(sources)))
    folders = list((tmp_path / "parts" / "shuffle").glob("0*/readings"))
    assert len(folders) == len(sources)
    for folder in folders:
        kinds = [path.name.split(".")[0] for path in folder.rglob("*.parquet")]
        assert sorted(kinds) == ["buckets", "rows"]


def test_malformed_rows_of_a_file_without_rows_of_the_first_part_are_counted(rows, params, cut, tmp_path):
    rows = rows.drop(7)
    sources = cut(rows, rows["machine_id"].to_numpy())
    for source in sources:
        with Path(source.uri).open("a") as file:
            file.write(",".join(["1"] * (len(rows.columns) + 1)) + "\n")
    one, parts = run_in_one_table(sources, params), run_in_parts(sources, params, tmp_path / "parts", 400)
    assert len(parts.ingested.parts) > 1
    assert parts.cleaned.quarantined_rows == one.cleaned.quarantined_rows == len(sources)
    assert_equal(one, parts)


def test_a_join_that_brings_the_machine_is_refused(rows, params, cut, tmp_path):
    sources = (
        *cut(rows.drop(columns="machine_id"), np.zeros(len(rows))),
        *cut(rows[["reading_id", "machine_id"]], np.zeros(len(rows)), ".parquet", merge="join"),
    )
    with pytest.raises(SourceError, match="the column 'Machine' is in a join"):
        run_in_parts(sources, params, tmp_path / "parts", 1000)


def test_errors_of_a_source_name_it_as_in_one_table(rows, params, cut, tmp_path):
    sources = cut(rows, np.arange(len(rows)) % 2)
    others = cut(rows.drop(columns="torque_nm"), np.zeros(len(rows)), ".parquet")
    for wrong in ((*sources, *others), (*sources, Source(uri=str(tmp_path / "nosuch.csv")))):
        with pytest.raises(SourceError) as expected:
            run_in_one_table(wrong, params)
        with pytest.raises(SourceError) as found:
            run_in_parts(wrong, params, tmp_path / "parts", 1000)
        assert str(found.value) == str(expected.value)


@pytest.fixture(scope="module")
def cluster():
    """The engine on a local cluster."""
    with open_cluster(None) as engine:
        yield engine


def test_a_cluster_whose_workers_end_in_each_stage_gives_the_results_of_one_table(cluster, pump_params, cut, tmp_path):
    tables = pump_tables(30, 400, 5)
    sources = [*cut(tables["readings"], np.arange(len(tables["readings"])) % 3)]
    for name in ("errors", "service", "failures", "pumps"):
        sources += cut(tables[name], np.zeros(len(tables[name])), table=name)
    done = []
    engine = EndingWorkers(cluster, tmp_path)
    parts = run_in_parts(tuple(sources), pump_params, tmp_path / "parts", 900, engine, done.append)
    assert len(list(tmp_path.glob("*-ended"))) == 5
    assert_equal(run_in_one_table(tuple(sources), pump_params), parts)
    stages = ["reading files", "merging", "cleaning", "features", "splitting"]
    assert list(dict.fromkeys(part.stage for part in done)) == stages
    assert [part.number for part in done if part.stage == "cleaning"] == list(range(1, len(parts.ingested.parts) + 1))


@pytest.fixture
def bucket(aws_url, s3_account, monkeypatch):
    """The URL of a bucket on a server that stands in for S3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    boto3.client("s3", endpoint_url=aws_url).create_bucket(Bucket="parts")
    yield "s3://parts"
    objects = boto3.resource("s3", endpoint_url=aws_url).Bucket("parts")
    objects.objects.delete()
    objects.delete()


def test_parts_are_in_a_bucket(sources, params, bucket):
    parts = run_in_parts(sources, params, f"{bucket}/runs/TrainFlow/1", 2000)
    assert_equal(run_in_one_table(sources, params), parts)
    with parts.rows.row_parts() as found:
        assert all(file.startswith("s3://parts/runs/TrainFlow/1/features/split/") for file in found.shared)
    objects = boto3.resource("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).Bucket("parts").objects.all()
    assert not [found.key for found in objects if "/shuffle/" in found.key]
    (found,) = [found for found in objects if found.key.endswith(parts.ingested.parts[0].readings.frame.name)]
    found.put(Body=b"PAR1")
    with pytest.raises(PartError, match=r"s3://parts/runs/TrainFlow/1/ingest/00000/.* is damaged: it has 4 bytes"):
        _ = parts.ingested.frame

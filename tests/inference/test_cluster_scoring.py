"""Files are scored from S3 into Azure by a cluster that is reached by its address, with faults of processes and storage."""

import dataclasses
import io
import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.engine.dask_engine import open_cluster
from predictive_maintenance.errors import EngineError
from predictive_maintenance.inference.files import score_file
from predictive_maintenance.inference.part_job import ScoringJob
from predictive_maintenance.inference.part_scoring import score_parts
from predictive_maintenance.ingestion.part_files import list_parts
from tests.fixtures.dask_clusters import dask_cluster
from tests.fixtures.run_to_failure import runs_to_failure
from tests.partitions.conftest import EndingWorkers
from tests.paths import REPOSITORY

pytestmark = pytest.mark.long

FILES, PATTERN = 6, "s3://plant/telemetry/*.csv"
COLUMNS = ["machine_id", "timestamp", "failure_probability", "rejected"]


@pytest.fixture
def table(storage):
    """Readings of engines, one of them invalid, in files that each have rows of all engines and times."""
    rows = runs_to_failure(8, seed=9).astype({"heat": object})
    rows.loc[5, "heat"] = "broken"
    for number, own in rows.groupby(np.random.default_rng(3).integers(0, FILES, len(rows))):
        storage[0].put_object(Key=f"telemetry/{number}.csv", Body=own.to_csv(index=False))
    return rows


@pytest.fixture
def job(small_engine):
    return ScoringJob(model_files=small_engine.files, version="1", aliases={}, output="az://plant/scored")


@pytest.fixture
def expected(small_engine, table, tmp_path):
    """The rows as they are scored in one file."""
    table.to_csv(tmp_path / "table.csv", index=False)
    score_file(tmp_path / "table.csv", tmp_path / "whole.csv", small_engine.scorer, "1", {})
    return in_order(pd.read_csv(tmp_path / "whole.csv"))


def in_order(rows):
    return rows[COLUMNS].astype({"rejected": object}).sort_values(COLUMNS[:2], ignore_index=True)


def results(storage):
    """The scored rows, and what else is in the container."""
    names = [blob.name for blob in storage[1].list_blobs() if blob.size]
    files = [name for name in names if name.endswith(".csv")]
    rows = pd.concat([pd.read_csv(io.BytesIO(storage[1].download_blob(name).readall())) for name in files])
    return in_order(rows), sorted(set(names) - set(files))


def assert_complete(storage, expected):
    found, others = results(storage)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert others == [f"scored/_scored/{number}.csv.json" for number in range(FILES)]


def test_workers_that_end_and_a_storage_with_errors_change_nothing(
    storage_cluster, storage, proxy, job, expected, tmp_path
):
    proxy.fault = lambda number, *_: 503 if number % 9 == 0 else None
    with open_cluster(storage_cluster.address) as engine:
        scored = score_parts(list_parts([PATTERN]), job, EndingWorkers(engine, tmp_path))
    assert (scored.parts, scored.rejected, scored.errors) == (FILES, 1, {})
    assert (
        len(list(tmp_path.glob("*-ended"))) == 4
    )  # reading times and records, dividing rows, scoring; features are one part
    assert proxy.faults
    assert_complete(storage, expected)


KILLED = """
import pickle, sys
from predictive_maintenance.engine.dask_engine import open_cluster
from predictive_maintenance.inference.part_scoring import score_parts
from predictive_maintenance.ingestion.part_files import list_parts
job = pickle.load(open(sys.argv[3], "rb"))
with open_cluster(sys.argv[1]) as engine:
    score_parts(list_parts([sys.argv[2]]), job, engine)
"""


def test_a_command_that_is_killed_goes_on_and_scores_no_file_twice(storage_cluster, storage, job, expected, tmp_path):
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(job))
    command = [sys.executable, "-c", KILLED, storage_cluster.address, PATTERN, str(tmp_path / "job.pickle")]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (records := _records(storage)):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    with open_cluster(storage_cluster.address) as engine:
        scored = score_parts(list_parts([PATTERN]), job, engine)
    assert (scored.parts, scored.errors) == (FILES, {})
    assert scored.former >= len(records) - 2  # records of files that two workers had not finished
    assert_complete(storage, expected)


def _records(storage):
    return [blob.name for blob in storage[1].list_blobs("scored/_scored/") if blob.name.endswith(".csv.json")]


def test_a_scheduler_that_ends_is_one_error_and_another_one_goes_on(
    storage, storage_variables, storage_cluster, job, expected, tmp_path
):
    with (
        dask_cluster(tmp_path, workers=2, variables=storage_variables) as lost,
        open_cluster(lost.address) as engine,
        pytest.raises(EngineError, match=rf"at {lost.address} is lost .* run the command again"),
    ):
        score_parts(list_parts([PATTERN]), job, engine, lambda *_: lost.scheduler.kill())
    with open_cluster(storage_cluster.address) as engine:
        scored = score_parts(list_parts([PATTERN]), job, engine)
    assert scored.former > 0
    assert_complete(storage, expected)


def test_a_storage_that_stays_throttled_is_named_for_each_file_and_the_next_run_goes_on(
    storage_cluster, storage, proxy, job, expected
):
    parts = list_parts([PATTERN])
    with open_cluster(storage_cluster.address) as engine:
        proxy.fault = lambda number, method, path: 503 if path.endswith("telemetry/3.csv") else None
        scored = score_parts(parts, job, engine)
        assert list(scored.errors) == ["3.csv"]
        assert "s3://plant/telemetry/3.csv: the server returned HTTP 503" in scored.errors["3.csv"]
        proxy.fault = lambda *_: None
        scored = score_parts(parts, dataclasses.replace(job, overwrite=True), engine)
    assert scored.errors == {}
    assert_complete(storage, expected)

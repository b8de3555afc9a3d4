"""Parts on a cluster of separate processes that is reached by its address: sources in S3 and Azure, parts in a bucket, faults.

Each fault ends with the results of one table, or with one error that says what to do, after which the run goes on.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.engine.dask_engine import open_cluster
from predictive_maintenance.errors import EngineError, PartError, SourceError
from tests.fixtures.dask_clusters import dask_cluster
from tests.fixtures.pumps import pump_tables
from tests.fixtures.storage_proxies import RESET
from tests.paths import REPOSITORY

from .conftest import EndingWorkers, run_in_one_table, run_in_parts
from .test_equal_results import assert_equal

pytestmark = pytest.mark.long

ROWS_PER_PART = 700


@pytest.fixture
def sources(storage):
    """Readings of pumps in S3 and in Azure, and the other tables in S3."""
    bucket, container = storage
    tables = pump_tables(16, 200, 5)
    for number in (0, 1):
        bucket.put_object(Key=f"readings/{number}.csv", Body=tables["readings"][number::3].to_csv(index=False))
    container.upload_blob("readings/2.csv", tables["readings"][2::3].to_csv(index=False))
    uris = [("s3://plant/readings/*.csv", "readings"), ("abfs://plant/readings/2.csv", "readings")]
    for name in ("errors", "service", "failures", "pumps"):
        bucket.put_object(Key=f"{name}.csv", Body=tables[name].to_csv(index=False))
        uris.append((f"s3://plant/{name}.csv", name))
    return tuple(Source(uri=uri, table=table) for uri, table in uris)


@pytest.fixture
def expected(sources, pump_params):
    return run_in_one_table(sources, pump_params)


def finished(bucket) -> dict[str, object]:
    """The files of the parts that are finished, and when each was written. Features are discarded when they are divided."""
    objects = {found.key: found.last_modified for found in bucket.objects.filter(Prefix="run/")}
    folders = tuple(key.removesuffix("record.json") for key in objects if key.endswith("/record.json"))
    discarded = re.compile(r"^run/(shuffle/|features/\d+/rows\.)")
    return {key: time for key, time in objects.items() if key.startswith(folders) and not discarded.match(key)}


def run(cluster, sources, params, folder="s3://plant/run", on_part: Callable = lambda _: None):
    with open_cluster(cluster.address) as engine:
        return run_in_parts(sources, params, folder, ROWS_PER_PART, engine, on_part)


def test_a_cluster_gives_the_results_of_one_table_from_two_storages(
    storage_cluster, sources, storage, pump_params, expected
):
    parts = run(storage_cluster, sources, pump_params)
    assert len(parts.ingested.parts) > 2
    assert_equal(expected, parts)
    with parts.rows.row_parts() as found:
        assert all(file.startswith("s3://plant/run/features/split/") for file in found.shared)
    before = finished(storage[0])
    assert_equal(expected, run(storage_cluster, sources, pump_params))
    assert finished(storage[0]) == before


@pytest.mark.parametrize("scheme", ["abfs", "az"])
def test_parts_are_in_azure(storage_cluster, sources, storage, pump_params, expected, scheme):
    parts = run(storage_cluster, sources, pump_params, f"{scheme}://plant/parts/TrainFlow/1")
    assert_equal(expected, parts)
    container = storage[1]
    names = [blob.name for blob in container.list_blobs(name_starts_with="parts/")]
    assert not [name for name in names if "/shuffle/" in name and name.endswith(".parquet")]
    (name,) = [name for name in names if name.endswith(parts.ingested.parts[0].readings.frame.name)]
    container.upload_blob(name, b"PAR1", overwrite=True)
    with pytest.raises(PartError, match=r"//plant/parts/TrainFlow/1/ingest/00000/.* is damaged: it has 4 bytes"):
        _ = parts.ingested.frame


KILLED = """
import pickle, sys
from predictive_maintenance.engine.dask_engine import open_cluster
from tests.partitions.conftest import run_in_parts
address, rows_per_part, file = sys.argv[1:]
sources, params = pickle.load(open(file, "rb"))
with open_cluster(address) as engine:
    run_in_parts(sources, params, "s3://plant/run", int(rows_per_part), engine)
"""


@pytest.mark.parametrize("step", ["shuffle", "ingest", "clean", "features"])
def test_a_run_that_is_killed_goes_on_with_the_finished_parts(
    storage_cluster, sources, storage, pump_params, expected, step, tmp_path
):
    import pickle

    bucket, given = storage[0], tmp_path / "given.pickle"
    given.write_bytes(pickle.dumps((sources, pump_params)))
    command = [sys.executable, "-c", KILLED, storage_cluster.address, str(ROWS_PER_PART), str(given)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not any(key.key.endswith("record.json") for key in bucket.objects.filter(Prefix=f"run/{step}/")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    time.sleep(0.5)  # workers may finish what they work on
    before = finished(bucket)
    assert_equal(expected, run(storage_cluster, sources, pump_params))
    assert before.items() <= finished(bucket).items()


def test_workers_that_end_in_each_stage_change_nothing(storage_cluster, sources, pump_params, expected, tmp_path):
    with open_cluster(storage_cluster.address) as engine:
        ending = EndingWorkers(engine, tmp_path)
        parts = run_in_parts(sources, pump_params, "s3://plant/run", ROWS_PER_PART, ending)
    assert len(list(tmp_path.glob("*-ended"))) == 5
    assert_equal(expected, parts)


@pytest.mark.parametrize("stage", ["reading files", "cleaning"])
def test_a_scheduler_that_ends_is_one_error_and_another_one_goes_on(
    sources, storage, storage_variables, pump_params, expected, tmp_path, stage
):
    with dask_cluster(tmp_path, workers=2, variables=storage_variables) as lost:

        def end_scheduler(done):
            if done.stage == stage:
                lost.scheduler.kill()

        with pytest.raises(EngineError, match=rf"at {lost.address} is lost .* run the command again"):
            run(lost, sources, pump_params, on_part=end_scheduler)
    before = finished(storage[0])
    (tmp_path / "next").mkdir()
    with dask_cluster(tmp_path / "next", workers=2, variables=storage_variables) as other:
        assert_equal(expected, run(other, sources, pump_params))
    assert before.items() <= finished(storage[0]).items()


@pytest.mark.parametrize("status", [503, 500, RESET], ids=["throttled", "failing", "lost connections"])
def test_a_storage_with_errors_now_and_then_changes_nothing(
    storage_cluster, sources, proxy, pump_params, expected, status
):
    proxy.fault = lambda number, *_: status if number % 9 == 0 else None
    assert_equal(expected, run(storage_cluster, sources, pump_params))
    assert proxy.faults > 20


def test_a_storage_that_stays_throttled_is_one_error_and_a_later_run_goes_on(
    storage_cluster, sources, storage, proxy, pump_params, expected
):
    proxy.fault = lambda number, _method, path: 503 if "/plant/run/clean" in path else None
    with pytest.raises(
        SourceError, match=r"s3://plant/run/clean/.*: the server returned HTTP 503: .*SlowDown"
    ) as raised:
        run(storage_cluster, sources, pump_params)
    assert raised.value.transient
    proxy.fault = lambda *_: None
    before = finished(storage[0])
    assert_equal(expected, run(storage_cluster, sources, pump_params))
    assert before.items() <= finished(storage[0]).items()

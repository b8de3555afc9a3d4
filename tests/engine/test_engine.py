"""A function mapped over items by each engine: results, errors, and lost workers and schedulers."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import dask
import pytest

from predictive_maintenance.engine import dask_engine
from predictive_maintenance.engine.dask_engine import open_cluster, worker_addresses
from predictive_maintenance.engine.engine import InProcess, open_engine
from predictive_maintenance.engine.settings import check_engine_settings, scheduler_address
from predictive_maintenance.errors import ConfigError, EngineError, SourceError
from tests.paths import REPOSITORY


def _power(exponent, base):
    return base**exponent


def _fail_at_three(_shared, number):
    if number == 3:
        raise SourceError("3: cannot be read")
    return number


def _process(_shared, _item):
    time.sleep(0.05)
    return os.getpid()


def _end_once(folder, number):
    """End the process of the worker the first time that number 3 is worked on."""
    mark = Path(folder, "ended")
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _end(_shared, number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster():
    """The engine on a local cluster."""
    with open_cluster(None) as engine:
        yield engine


@pytest.fixture(params=["in process", "dask"])
def engine(request, cluster):
    return cluster if request.param == "dask" else InProcess()


def test_each_result_comes_with_the_place_of_its_item(engine):
    assert sorted(engine.map(_power, 2, [5, 3, 4])) == [(0, 25), (1, 9), (2, 16)]


def test_an_error_of_the_work_is_raised_as_it_is(engine):
    with pytest.raises(SourceError, match="3: cannot be read"):
        list(engine.map(_fail_at_three, None, range(6)))
    assert sorted(engine.map(_power, 2, [5])) == [(0, 25)]


def test_dask_works_in_several_processes(cluster):
    processes = {process for _, process in cluster.map(_process, None, range(20))}
    assert os.getpid() not in processes
    assert len(processes) == len(os.sched_getaffinity(0))


def _variable(name, _item):
    return os.environ.get(name)


def test_workers_keep_freed_memory_of_arrays(cluster):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        ((_, value),) = cluster.map(_variable, name, [0])
        assert int(value) >= 2**25


def test_no_worker_is_missing_while_a_timer_of_the_client_asks_for_totals_only(cluster):
    with (
        dask.config.set({"distributed.client.scheduler-info-interval": "1ms"}),
        open_cluster(cluster.client.scheduler.address) as engine,
    ):
        found = [worker_addresses(engine.client, engine.where) for _ in range(300)]
    assert {len(workers) for workers in found} == {len(os.sched_getaffinity(0))}


def test_the_work_of_a_worker_that_ends_is_done_by_another(cluster, tmp_path):
    results = list(cluster.map(_end_once, str(tmp_path), range(8)))
    assert sorted(results) == [(number, number) for number in range(8)]


def test_work_that_ends_every_worker_is_an_error_that_names_it_or_work_that_was_sent_with_it(cluster):
    with pytest.raises(EngineError, match=r"^[0-5]: the Dask workers .* more memory"):
        list(cluster.map(_end, None, range(6)))


def test_an_unknown_engine_is_refused_with_the_known_ones(monkeypatch):
    monkeypatch.setenv("PDM_ENGINE", "dusk")
    with pytest.raises(ConfigError, match="PDM_ENGINE: 'dusk' is not an engine; did you mean 'dask'"), open_engine():
        pass


def test_dask_is_not_imported_unless_it_is_chosen():
    code = """
import sys
from predictive_maintenance.engine.engine import open_engine
with open_engine() as engine:
    print(engine.description, any(name.split(".")[0] in ("dask", "distributed") for name in sys.modules))
"""
    environment = {name: value for name, value in os.environ.items() if name != "PDM_ENGINE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["this", "process", "False"]


@contextmanager
def _scheduler(tmp_path, workers):
    """The address of a scheduler with workers, each a process of its own, and the process of the scheduler."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}  # with the functions of this file
    command = [str(Path(sys.executable).with_name("dask"))]
    file = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    processes = [subprocess.Popen([*command, "scheduler", *options], stderr=subprocess.DEVNULL, env=environment)]
    try:
        while not (file.exists() and file.read_text().strip()):
            time.sleep(0.05)
        options = ["--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        processes += [
            subprocess.Popen([*command, "worker", *options], stderr=subprocess.DEVNULL, env=environment)
            for _ in range(workers)
        ]
        yield json.loads(file.read_text())["address"], processes[0]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def test_local_workers_take_no_time_for_a_profile_also_after_a_restart(cluster, tmp_path):
    list(cluster.map(_end_once, str(tmp_path), range(8)))
    list(cluster.map(_process, None, range(20)))
    assert cluster.client.profile()["count"] == 0


def test_a_cluster_at_an_address_works_and_its_loss_is_one_clear_error(tmp_path, monkeypatch):
    with _scheduler(tmp_path, workers=2) as (address, scheduler):
        monkeypatch.setenv("PDM_ENGINE", "dask")
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        with open_engine() as engine:
            assert sorted(engine.map(_power, 3, [1, 2])) == [(0, 1), (1, 8)]
            results = engine.map(_process, None, range(1000))
            next(results)
            scheduler.kill()
            with pytest.raises(EngineError, match=rf"at {address} is lost .* run the command again"):
                list(results)


def test_a_cluster_that_has_lost_all_workers_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_engine, "_POLL_SECONDS", 0.2)
    monkeypatch.setattr(dask_engine, "_NO_WORKER_SECONDS", 1)
    with _scheduler(tmp_path, workers=1) as (address, _), open_cluster(address) as engine:
        results = engine.map(_process, None, range(1000))
        next(results)
        ((_, nanny),) = engine.client.run(os.getppid).items()
        (worker,) = engine.client.run(os.getpid).values()
        for process in (nanny, worker):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"has had no worker for \d+ s: start workers, and run the command again"):
            list(results)


def test_the_loss_of_all_workers_of_this_machine_is_an_error_with_what_may_be_the_reason(monkeypatch):
    monkeypatch.setattr(dask_engine, "_POLL_SECONDS", 0.2)
    monkeypatch.setattr(dask_engine, "_NO_WORKER_SECONDS", 1)
    monkeypatch.setenv("PDM_DASK_WORKERS", "1")
    with open_cluster(None) as engine:
        results = engine.map(_process, None, range(1000))
        next(results)
        engine.client.cluster.scale(0)
        with pytest.raises(EngineError, match=r"they need more memory or CPU time .* use fewer \(PDM_DASK_WORKERS\)"):
            list(results)


def test_local_workers_share_the_memory_of_the_machine_unless_a_setting_says_how_many(monkeypatch):
    monkeypatch.setattr(dask_engine, "CPU_COUNT", 64)
    monkeypatch.setattr(dask_engine, "MEMORY_LIMIT", 16 * 2**30)
    assert dask_engine._number_of_workers() == 5
    monkeypatch.setattr(dask_engine, "MEMORY_LIMIT", 2**30)
    assert dask_engine._number_of_workers() == 1
    monkeypatch.setenv("PDM_DASK_WORKERS", "3")
    assert dask_engine._number_of_workers() == 3
    monkeypatch.setenv("PDM_DASK_WORKERS", "many")
    with pytest.raises(ConfigError, match="PDM_DASK_WORKERS: 'many' is not a number of workers"):
        dask_engine._number_of_workers()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("PDM_ENGINE", "dusk", "PDM_ENGINE: 'dusk' is not an engine; did you mean 'dask'?"),
        ("PDM_DASK_WORKERS", "0", "PDM_DASK_WORKERS: '0' is not a number of workers from 1"),
        ("PDM_DASK_WORKERS", "-2", "PDM_DASK_WORKERS: '-2' is not a number of workers from 1"),
        ("DASK_SCHEDULER_ADDRESS", "tcp://10.0.0.5", "'tcp://10.0.0.5' is not an address such as tcp://10.0.0.5:8786"),
        ("DASK_SCHEDULER_ADDRESS", "tcp://plant:secret@10.0.0.5:8786", "'tcp://***@10.0.0.5:8786' is not an address"),
        ("DASK_SCHEDULER_ADDRESS", "scheduler.json", "DASK_SCHEDULER_ADDRESS: 'scheduler.json' is not an address"),
    ],
)
def test_wrong_settings_are_found_before_the_engine_is_opened(monkeypatch, name, value, error):
    monkeypatch.setenv("PDM_ENGINE", "dask")
    check_engine_settings()
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as raised:
        check_engine_settings()
    assert error in str(raised.value)


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.5:8786", "tls://scheduler.plant:8786", "dask-0:8786", "tcp://[::1]:80"]
)
def test_addresses_that_dask_knows_are_accepted(monkeypatch, address):
    monkeypatch.setenv("PDM_ENGINE", "dask")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    assert scheduler_address() == address


def test_an_address_without_a_scheduler_is_an_error_that_says_what_to_start(monkeypatch):
    monkeypatch.setattr("predictive_maintenance.engine.dask_engine._CONNECT_SECONDS", 1)
    with (
        pytest.raises(EngineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        open_cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_a_scheduler_without_workers_is_an_error_that_says_what_to_start(tmp_path, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.engine.dask_engine._WORKER_SECONDS", 0.5)
    with _scheduler(tmp_path, workers=0) as (address, _), pytest.raises(EngineError) as raised, open_cluster(address):
        pass
    assert f"has no worker: start one with `dask worker {address}`" in str(raised.value)


def test_a_cluster_with_another_version_of_the_package_is_refused(tmp_path, monkeypatch):
    with _scheduler(tmp_path, workers=1) as (address, _):
        monkeypatch.setattr(dask_engine, "_PACKAGE", "pytest")
        with open_cluster(address):  # every process has the same version of it
            pass
        monkeypatch.setattr("pkgutil.resolve_name", lambda _: "99.0")
        with (
            pytest.raises(EngineError, match=r"scheduler at .* of pytest, this is 99\.0: install 99\.0 there"),
            open_cluster(address),
        ):
            pass


def test_a_cluster_without_the_package_is_refused(tmp_path, monkeypatch):
    with _scheduler(tmp_path, workers=1) as (address, _):
        monkeypatch.setattr("pkgutil.resolve_name", lambda _: "1.0")
        monkeypatch.setattr(dask_engine, "_PACKAGE", "no-such-package")
        with (
            pytest.raises(EngineError, match=r"has no no-such-package: install version 1\.0 of it there"),
            open_cluster(address),
        ):
            pass

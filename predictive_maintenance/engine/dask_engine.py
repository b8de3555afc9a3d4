"""The engine on a Dask cluster: worker processes of this machine, or the cluster that an address names."""

import logging
import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import dask
from dask.system import CPU_COUNT
from distributed import CancelledError, Client, KilledWorker, LocalCluster
from distributed.system import MEMORY_LIMIT

from ..errors import EngineError
from .settings import WORKERS_VARIABLE, number_of_workers

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

_PACKAGE = "predictive-maintenance"
_CONNECT_SECONDS = 20
_ANSWER_SECONDS = 60  # a scheduler with many tasks may take some
_WORKER_SECONDS = 60
_POLL_SECONDS = 5
_NO_WORKER_SECONDS = 300  # new ones of a pool of spot machines take some minutes
_WORKER_BYTES = 3 * 2**30  # what a part of a million readings takes at its peak
# Dask sets the threshold of trimming only. That fixes the one of mmap at 128 KiB, so that each array has pages of its own, which
# the kernel clears: windows would take five times as long.
_WORKER_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 128 * 2**20, "MALLOC_MMAP_THRESHOLD_": 32 * 2**20}
# Dask looks 100 times a second at what each worker does, for a page of its dashboard, and 50 times at its own delays: with a
# worker for each core, that took a sixteenth of them.
_FEWER_DIAGNOSTICS = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}
_USE_FEWER = (
    f"most likely they need more memory or CPU time than is free; end other programs, or use fewer ({WORKERS_VARIABLE})"
)
_RERUN = "run the command again: what is finished is not done twice"


class DaskEngine:
    """Maps functions over the workers of the cluster that `client` is connected to, which is at `where`.

    `without_workers` continues the error that it has had no worker: what to do.
    """

    def __init__(self, client: Client, where: str, without_workers: str) -> None:
        self.client, self.where, self._without_workers = client, where, without_workers
        workers = len(worker_addresses(client, where))
        self.description = f"{workers:,} Dask worker{'' if workers == 1 else 's'} {where}"

    def map(self, work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Iterator[tuple[int, R]]:
        """See Engine.map."""
        # Part of the task graph, not scattered: a scattered value is lost with the last worker that has it.
        given = self.client.submit(_given, shared, pure=False)
        futures = self.client.map(_Work(work), items, shared=given, pure=False)
        places = {future.key: place for place, future in enumerate(futures)}
        ended: SimpleQueue[Any] = SimpleQueue()
        for future in futures:
            future.add_done_callback(ended.put)
        try:
            for _ in futures:
                future = self._next(ended)
                place = places[future.key]
                yield place, self._result(future, items[place])
                future.release()  # the worker can free the result
        finally:
            self.client.cancel([*futures, given], force=True)

    def _next(self, ended: "SimpleQueue[Any]") -> Any:
        """The next future that has ended. Raises EngineError if the cluster has had no worker for some minutes."""
        last_seen = time.monotonic()
        while True:
            try:
                return ended.get(timeout=_POLL_SECONDS)
            except Empty:
                pass
            if worker_addresses(self.client, self.where):
                last_seen = time.monotonic()
            if (seconds := time.monotonic() - last_seen) > _NO_WORKER_SECONDS:
                raise EngineError(
                    f"the Dask cluster {self.where} has had no worker for {seconds:.0f} s: {self._without_workers}, and {_RERUN}",
                    transient=True,
                )

    def _result(self, future: Any, item: Any) -> Any:
        """The result of the work on `item`, or what it raised."""
        if future.status == "error" and not isinstance(future.exception(), KilledWorker):
            raise future.exception()
        try:
            return future.result()
        except KilledWorker:
            raise EngineError(
                f"{item}: the Dask workers that it was sent to ended, four times: most likely it, or what they did at the same "
                f"time, needs more memory than a worker has. Use workers with more memory, fewer of them on this machine "
                f"({WORKERS_VARIABLE}), or smaller parts"
            ) from None
        except (CancelledError, OSError, TimeoutError) as error:
            raise cluster_lost(self.where, type(error).__name__) from None


def worker_addresses(client: Client, where: str) -> frozenset[str]:
    """The addresses of the workers that the scheduler of the cluster at `where` has now. Raises EngineError if it is away.

    Not with `client.scheduler_info`: it ignores a scheduler that is away, and a timer of the client, which asks for totals only,
    can empty its workers before they are returned.
    """
    scheduler = client.scheduler
    if scheduler is None or client.status != "running":
        raise cluster_lost(where, "its scheduler ended")
    try:
        answer = client.sync(scheduler.identity, n_workers=-1, callback_timeout=_ANSWER_SECONDS)
        return frozenset(answer["workers"])
    except (OSError, TimeoutError) as error:
        raise cluster_lost(where, type(error).__name__) from None


def cluster_lost(where: str, reason: str) -> EngineError:
    """The error that says so."""
    return EngineError(f"the Dask cluster {where} is lost ({reason}): {_RERUN}", transient=True)


@contextmanager
def open_cluster(address: str | None) -> Iterator[DaskEngine]:
    """The engine on the cluster at `address`; on new workers on this machine if it is None.

    Raises EngineError if there is no such cluster, it has no worker, or one of its processes has another version of this package.
    """
    level = logging.getLogger("distributed").level
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its errors are raised, with a reason
    try:
        if address is None:
            with _local_cluster() as cluster, Client(cluster, set_as_default=False) as client:
                shown = _dashboard(cluster.dashboard_link, _can_show_dashboard())
                yield DaskEngine(client, f"on this machine{shown}", _USE_FEWER)
            return
        with _connect(address) as client:
            _check_processes(client, address)
            shown = client.run_on_scheduler(_can_show_dashboard)
            yield DaskEngine(client, f"at {address}{_dashboard(client.dashboard_link, shown)}", "start workers")
    finally:
        logging.getLogger("distributed").setLevel(level)


@contextmanager
def _local_cluster() -> Iterator[LocalCluster]:
    name = "distributed.nanny.pre-spawn-environ"
    settings = {name: {**dask.config.get(name), **_WORKER_MEMORY}, **_FEWER_DIAGNOSTICS}
    # Until its end: a worker that is restarted gets the settings of that moment. Any free port: another run on this machine may
    # have the usual one. Without bokeh, there are health checks only.
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=_number_of_workers(),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


def _number_of_workers() -> int:
    """What PDM_DASK_WORKERS says; by default one for each core, as far as each has memory for a part.

    Limits of a container count as the machine's.
    """
    return number_of_workers() or max(1, min(CPU_COUNT, MEMORY_LIMIT // _WORKER_BYTES))


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"DASK_SCHEDULER_ADDRESS: no Dask scheduler answers at {address} ({error}): start it with `dask scheduler`, "
            "correct the address, or unset the variable to use the cores of this machine"
        ) from None


def _check_processes(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except TimeoutError:
        raise EngineError(
            f"the Dask scheduler at {address} has no worker: start one with `dask worker {address}`"
        ) from None
    own = pkgutil.resolve_name(_version_name())
    found = client.run(_version_of, _version_name(), on_error="return")
    versions = {f"worker {worker}": version for worker, version in found.items()}
    # The scheduler reads the task graph.
    for process, version in ({f"scheduler at {address}": _scheduler_version(client)} | versions).items():
        if isinstance(version, Exception):
            raise EngineError(f"the Dask {process} has no {_PACKAGE}: install version {own} of it there")
        if version != own:
            raise EngineError(
                f"the Dask {process} has version {version} of {_PACKAGE}, this is {own}: install {own} there"
            )


def _scheduler_version(client: Client) -> str | Exception:
    try:
        return client.run_on_scheduler(_version_of, _version_name())
    except ImportError as error:
        return error


def _version_name() -> str:
    """The name of the version in the code, since the training image has no metadata of the package."""
    return f"{_PACKAGE.replace('-', '_')}:__version__"


# A function of the standard library, which a worker without this package can run, too.
_version_of = pkgutil.resolve_name


def _can_show_dashboard() -> bool:
    return find_spec("bokeh") is not None


def _dashboard(link: str, shown: bool) -> str:
    return f"; its dashboard: {link}" if link and shown else ""


def _given(value: Any) -> Any:
    return value


class _Work:
    """A function of two arguments as Dask calls it: the item first, and `shared` by name."""

    def __init__(self, work: Callable[[Any, Any], Any]) -> None:
        self._work = work
        self.__name__ = work.__name__  # for Dask's dashboard

    def __call__(self, item: Any, shared: Any) -> Any:
        return self._work(shared, item)

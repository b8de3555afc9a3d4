"""The engine that works on the parts of a data set: this process, or a Dask cluster.

PDM_ENGINE chooses it: `in_process` (default) or `dask`. Dask uses the cores of this machine, or the cluster that
DASK_SCHEDULER_ADDRESS names. It is imported only if it is chosen.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from .settings import IN_PROCESS, engine_name, scheduler_address

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """What maps a function over parts. `description` says where the work is done, in words."""

    description: str

    def map(self, work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Iterator[tuple[int, R]]:
        """The place in `items` and the result of each `work(shared, item)`, in the order in which they end.

        An exception of `work` is raised here; work that has not ended by then is dropped. `work` may run twice for an item
        whose worker was lost, so its effect must be the same if it is repeated. Raises EngineError if the engine is lost.
        """
        ...


class InProcess:
    """The engine that does all work in this process, one item after the other."""

    description = "this process"

    def map(self, work: Callable[[S, T], R], shared: S, items: Sequence[T]) -> Iterator[tuple[int, R]]:
        for place, item in enumerate(items):
            yield place, work(shared, item)


@contextmanager
def open_engine() -> Iterator[Engine]:
    """The engine that the environment chooses. Raises ConfigError, or EngineError if its cluster cannot be used."""
    if engine_name() == IN_PROCESS:
        yield InProcess()
        return
    from .dask_engine import open_cluster

    with open_cluster(scheduler_address()) as engine:
        yield engine

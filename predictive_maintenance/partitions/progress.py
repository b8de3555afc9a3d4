"""How far the work on parts has come."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..engine.engine import Engine

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class FinishedPart:
    """Part `number` of `parts` of a `stage` of the work has ended; numbers count up from 1."""

    stage: str
    number: int
    parts: int


OnPart = Callable[[FinishedPart], None]


def ignore(_: FinishedPart) -> None:
    """Show nothing."""


def map_parts(
    engine: Engine, stage: str, work: Callable[[S, T], R], shared: S, items: Sequence[T], on_part: OnPart
) -> list[R]:
    """`work(shared, item)` for each item, in the order of the items. Raises what work raises, and EngineError."""
    return list(each_part(engine, stage, work, shared, items, on_part))


def each_part(
    engine: Engine, stage: str, work: Callable[[S, T], R], shared: S, items: Sequence[T], on_part: OnPart
) -> Iterator[R]:
    """The results of `map_parts` one after the other. A result waits for those before it."""
    waiting: dict[int, R] = {}
    following = 0
    for done, (place, result) in enumerate(engine.map(work, shared, items), start=1):
        waiting[place] = result
        on_part(FinishedPart(stage, done, len(items)))
        while following in waiting:
            yield waiting.pop(following)
            following += 1

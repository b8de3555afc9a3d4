"""How far the work on parts has come."""

from collections.abc import Callable, Sequence
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
    results: dict[int, R] = {}
    for place, result in engine.map(work, shared, items):
        results[place] = result
        on_part(FinishedPart(stage, len(results), len(items)))
    return [results[place] for place in range(len(items))]

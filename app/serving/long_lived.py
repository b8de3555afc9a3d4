"""Objects that live as long as the process: modules, routes, the first model."""

import gc
from functools import cache


@cache
def exclude_from_collection(stage: str) -> None:  # noqa: ARG001  each stage of a process once: later there is garbage, too
    """Leave all objects that exist now out of garbage collection.

    A long answer makes so many objects that Python collects garbage. Looking through the modules each time takes up to 100 ms, in
    which no thread can answer.
    """
    gc.freeze()

"""Where each machine's rows are in a table in the order of machines and, for each machine, of times."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[Any]
"""int64 microseconds, or float64 counts."""
Positions = npt.NDArray[np.int64]


def machine_bounds(machines: npt.NDArray[Any]) -> Positions:
    """(M + 1,) the position of each machine's first row, and the end. `machines` (n,) has equal neighbours per machine."""
    changes = np.flatnonzero(machines[1:] != machines[:-1]) + 1
    return np.concatenate([[0], changes, [len(machines)]] if len(machines) else [[0]]).astype(np.int64)


def slices(bounds: Positions) -> Iterator[slice]:
    """The rows of each machine."""
    return (slice(int(first), int(end)) for first, end in pairwise(bounds))

"""Labels from failures and a horizon: does the machine fail within the horizon after a reading?"""

import numpy as np
import numpy.typing as npt

from .machine_rows import Positions, Times, slices


def run_to_failure_labels(times: Times, bounds: Positions, horizon: float) -> npt.NDArray[np.int8]:
    """(n,) 1 within `horizon` before the last reading of each machine, at which it fails, inclusive; else 0."""
    labels = np.empty(len(times), dtype=np.int8)
    for rows in slices(bounds):
        labels[rows] = times[rows.stop - 1] - times[rows] <= horizon
    return labels

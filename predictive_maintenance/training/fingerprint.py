"""The fingerprint of rows: what they contain, independent of their order and of how they are divided."""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..machine.machine import Machine
from ..machine.names import READING_ID

Hashes = npt.NDArray[np.uint64]


def content_hashes(rows: pd.DataFrame, machine: Machine) -> Hashes:
    """(n,) a hash of the id, the inputs and the label of each row."""
    inputs = [name for name in machine.input_names if name in rows]
    hashes = pd.util.hash_pandas_object(rows[[READING_ID, *inputs, machine.label_name]], index=False)
    return hashes.to_numpy()


def fingerprint(hashes: Hashes) -> str:
    """sha256 of the hashes of all rows, independent of their order."""
    return hashlib.sha256(np.sort(hashes).tobytes()).hexdigest()

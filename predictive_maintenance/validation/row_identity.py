"""Stable hashes of rows: reading ids for rows without one, positions for the split, and marks of training rows.

A hash here depends on its input alone: not on the process, the platform, the file's name or the other rows. Python's
`hash` is not used, because it differs between processes. Four uses, and why their functions differ:

- `content_ids` hashes each text with BLAKE2b and combines the columns of a row with vectorised 64-bit arithmetic.
- `hash_position` hashes one text with BLAKE2b. It decides which rows are held out, so it must never change.
- `row_positions` does so for the rows of groups, vectorised, and hashes a group once. It decides which rows are in a sample.
- `row_hashes` is pandas' vectorised hash. Model versions store its values, so a change would need a new version format.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..machine.machine import Machine
from ..machine.names import TIMESTAMP

PREFIX = "content:"
"""Prefix of an id made by `content_ids`."""

_PER_UNIT = 1e6
_LARGEST = 1e18  # fits into 64 bits
_STEP, _FIRST, _SECOND = (np.uint64(bits) for bits in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

Numbers = npt.NDArray[np.uint64]


def content_ids(frame: pd.DataFrame, machine: Machine) -> pd.Series:
    """Make an id for each row of one file from what identifies it: PREFIX, 16 hex digits, ":n" for the n-th repeat.

    `frame` has canonical columns; `machine.identity_names` says which of them count. Sensors are rounded to a millionth of
    their unit or, if that is finer, of their resolution, times to a microsecond. A renamed or re-exported file gives its
    rows the same ids. Vectorised, because hashing row by row is as slow as reading the file.
    """
    return numbered(unnumbered_ids(frame, machine))


def unnumbered_ids(frame: pd.DataFrame, machine: Machine) -> pd.Series:
    """The ids of `content_ids` without the numbers of repeats, for some of the rows of a file."""
    state = np.zeros(len(frame), dtype=np.uint64)
    for name in machine.identity_names(frame.columns):
        state = _mixed(state + _STEP + _as_numbers(frame[name], machine))
    return _as_text(state)


def numbered(ids: pd.Series) -> pd.Series:
    """`unnumbered_ids` of one file, with the number of each repeat."""
    ids = ids.copy()
    repeated = ids[ids.duplicated(keep=False)]
    number = repeated.groupby(repeated).cumcount() + 1
    later = number[number > 1]
    ids[later.index] += ":" + later.astype("str")
    return ids


def are_content_ids(ids: pd.Series) -> npt.NDArray[np.bool_]:
    """(n,) whether each id was made by `content_ids`."""
    return ids.str.startswith(PREFIX, na=False).to_numpy(dtype=bool)


def hash_position(text: str) -> float:
    """Map `text` to a position in [0, 1). The positions of different texts are uniformly distributed."""
    return int.from_bytes(_digest(text), "big") / 2**64


def row_positions(groups: pd.Series, numbers: npt.NDArray[np.integer], salt: str) -> npt.NDArray[np.float64]:
    """(n,) a position in [0, 1) for each row, which is number `numbers` (n,) of its group. They are uniformly distributed.

    The positions of a group's rows are the random numbers of SplitMix64 whose seed is the hash of the group.
    """
    codes, names = pd.factorize(groups)
    seeds = np.frombuffer(b"".join(_digest(f"{salt}|sample|{name}") for name in names), dtype="<u8")
    bits = _mixed(seeds[codes] + (numbers.astype(np.uint64) + np.uint64(1)) * _STEP)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def row_hashes(reading_ids: Iterable[str]) -> Numbers:
    """(n,) a hash of each reading id. A model version stores those of its training rows."""
    return pd.util.hash_array(np.asarray(list(reading_ids), dtype=object), categorize=False)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _as_numbers(cells: pd.Series, machine: Machine) -> Numbers:
    """The cells of a canonical column as (n,) 64-bit integers."""
    name = str(cells.name)
    if name in machine.numeric_names:
        sensor = machine.description.sensors.get(name)
        scale = max(_PER_UNIT, 1e3 / sensor.smallest_difference) if sensor else _PER_UNIT
        bounded = np.clip(np.nan_to_num(cells.to_numpy()) * scale, -_LARGEST, _LARGEST)
        return np.rint(bounded).astype(np.int64).view(np.uint64)
    if name == TIMESTAMP:
        return cells.to_numpy(dtype="datetime64[us]").view(np.uint64)
    # Each distinct text is hashed once. The last entry is for missing cells, whose code is -1.
    codes, texts = pd.factorize(cells)
    return np.frombuffer(b"".join([*map(_digest, texts), bytes(8)]), dtype="<u8")[codes]


def _mixed(numbers: Numbers) -> Numbers:
    """SplitMix64's finaliser: every input bit affects every output bit.

    G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))


def _as_text(numbers: Numbers) -> pd.Series:
    digits = pa.py_buffer(numbers.astype(">u8").tobytes().hex().encode())
    texts = pa.Array.from_buffers(pa.binary(16), len(numbers), [None, digits]).cast(pa.binary()).cast(pa.string())
    return pc.binary_join_element_wise(PREFIX, texts, "").to_pandas()

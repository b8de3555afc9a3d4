"""Ids for rows that bring none, made of what was measured: a renamed or exported file gives its rows the same ids."""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..machine.sensors import INPUT_NAMES, MACHINE_ID, SENSOR_NAMES, TIMESTAMP

PREFIX = "content:"
"""How an id begins that was made here: no file's own ids do, unless they are such rows written out."""

# The label and the failure modes stay out: a corrected label must not move its row across the split.
_CONTENT = (MACHINE_ID.name, TIMESTAMP.name, *INPUT_NAMES)
_LARGEST = 1e12  # beyond every limit, and its millionths still fit 64 bits
_STEP, _FIRST, _SECOND = (np.uint64(bits) for bits in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

Numbers = npt.NDArray[np.uint64]


def content_ids(frame: pd.DataFrame) -> pd.Series:
    """An id for each row of one file, in canonical columns: PREFIX, 16 hexadecimal digits, and ":n" for the n-th repeat.

    Sensors count to a millionth of their unit, times to a microsecond. The digits are plain 64-bit arithmetic on the
    cells, the same under any version of any library; hashlib, row by row, would take as long as reading the file.
    """
    state = np.zeros(len(frame), dtype=np.uint64)
    for name in _CONTENT:
        if name in frame:
            state = _mixed(state + _STEP + _as_numbers(frame[name]))
    ids = _as_text(state)
    repeated = ids[ids.duplicated(keep=False)]
    number = repeated.groupby(repeated).cumcount() + 1
    later = number[number > 1]
    ids[later.index] += ":" + later.astype("str")
    return ids


def are_content_ids(ids: pd.Series) -> npt.NDArray[np.bool_]:
    """(n,) whether each id was made here rather than brought by its row."""
    return ids.str.startswith(PREFIX, na=False).to_numpy(dtype=bool)


def _as_numbers(cells: pd.Series) -> Numbers:
    """(n,) 64 bits for each cell of a canonical column."""
    if cells.name in SENSOR_NAMES:
        bounded = np.clip(np.nan_to_num(cells.to_numpy()), -_LARGEST, _LARGEST)
        return np.rint(bounded * 1e6).astype(np.int64).view(np.uint64)
    if cells.name == TIMESTAMP.name:
        return cells.to_numpy(dtype="datetime64[us]").view(np.uint64)
    # Few machines and product types in many rows: each distinct text is hashed once. The last one is for missing cells.
    codes, texts = pd.factorize(cells)
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join([*digests, bytes(8)]), dtype="<u8")[codes]


def _mixed(numbers: Numbers) -> Numbers:
    """SplitMix64's finaliser, with its step and its two multipliers: every bit of a number changes every bit of the answer.

    G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))


def _as_text(numbers: Numbers) -> pd.Series:
    digits = pa.py_buffer(numbers.astype(">u8").tobytes().hex().encode())
    texts = pa.Array.from_buffers(pa.binary(16), len(numbers), [None, digits]).cast(pa.binary()).cast(pa.string())
    return pc.binary_join_element_wise(PREFIX, texts, "").to_pandas()

"""training_rows.npy: the hashes of the ids of the readings that a version was trained on.

Up to MOST_HASHES of them are an array of 64-bit numbers in ascending order. Of more, which are closer together, the differences
are stored in fewer bytes: 5 instead of 8 for 100 million rows.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

MOST_HASHES = 2**20

_ROWS = 2**20  # that are packed or unpacked at a time
_BYTES = 8

Hashes = npt.NDArray[np.uint64]
Packed = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TrainingRows:
    """The content of the file for `number` rows."""

    number: int
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, hashes: Hashes) -> Self:
        """The file of hashes (n,) in ascending order."""
        return cls(len(hashes), _to_npy(hashes))


def read_npy(path: Path) -> Hashes:
    """The hashes (n,) in a file, in ascending order. Raises ModelError as `check_npy` does."""
    offset, shape, dtype = check_npy(path)
    stored = np.fromfile(path, dtype=dtype, offset=offset).reshape(shape)
    return unpack(stored) if stored.ndim == 2 else stored


def check_npy(path: Path) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Where the array of a file begins, its shape and its type. Raises ModelError if it is not one of hashes.

    The content is not read: the header may claim more rows than there are, or a type that only pickle reads.
    """
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with path.open("rb") as file:
        try:
            shape, is_by_column, dtype = read[np.lib.format.read_magic(file)](file)
        except (ValueError, KeyError, SyntaxError, TokenError) as error:  # numpy parses the header as Python
            raise ModelError(f"{path.name} is damaged: {error!r}") from None
        offset = file.tell()
    size = path.stat().st_size - offset
    is_known = (dtype == np.uint64 and len(shape) == 1) or (
        dtype == np.uint8 and len(shape) == 2 and 1 <= shape[1] <= _BYTES and not is_by_column
    )
    if not is_known or int(np.prod(shape, dtype=object)) * dtype.itemsize != size:
        raise ModelError(
            f"{path.name} is damaged: it declares shape {shape} of {dtype} and has {size:,} bytes, expected one dimension of "
            f"uint64, or rows of at most {_BYTES} uint8"
        )
    return offset, shape, dtype


def unpack(packed: Packed) -> Hashes:
    """(n,) the hashes that were packed, in ascending order."""
    width = packed.shape[1]
    hashes = np.empty(len(packed), dtype=np.uint64)
    number, before = 0, np.uint64(0)
    for start in range(0, len(packed), _ROWS):
        own = packed[start : start + _ROWS]
        padded = np.zeros((len(own), _BYTES), dtype=np.uint8)
        padded[:, :width] = own
        values = padded.view("<u8").ravel()
        sums = np.cumsum(values, dtype=np.uint64) + before
        before = sums[-1]
        found = sums[values != _largest(width)]
        hashes[number : number + len(found)] = found
        number += len(found)
    return hashes[:number]


def _to_npy(hashes: Hashes) -> bytes:
    # Packed ones are written in pieces, because there may be many.
    file = io.BytesIO()
    if len(hashes) <= MOST_HASHES:
        np.save(file, hashes, allow_pickle=False)
        return file.getvalue()
    width = _best_width(hashes)
    shape = (_packed_rows(hashes, width), width)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    for piece in _packed_pieces(hashes, width):
        file.write(piece)
    return file.getvalue()


def _packed_pieces(hashes: Hashes, width: int) -> Iterator[bytes]:
    """Pieces of (m, width) the difference of each hash to the one before, little-endian.

    `hashes` (n,) are in ascending order. A row of bytes 255 adds as much to the next difference, and is no hash itself.
    """
    largest = _largest(width)
    for skipped, rest in _differences(hashes, largest):
        ends = np.cumsum(skipped.astype(np.int64) + 1)
        values = np.full(ends[-1], largest, dtype="<u8")
        values[ends - 1] = rest
        yield values.view(np.uint8).reshape(-1, _BYTES)[:, :width].tobytes()


def _packed_rows(hashes: Hashes, width: int) -> int:
    """The number of rows m of all pieces that `_packed_pieces` gives."""
    return len(hashes) + sum(int(skipped.sum()) for skipped, _ in _differences(hashes, _largest(width)))


def _differences(hashes: Hashes, largest: np.uint64) -> Iterator[tuple[Hashes, Hashes]]:
    """The difference of each hash to the one before as a number of times `largest`, and the rest; some rows at a time."""
    before = np.uint64(0)
    for start in range(0, len(hashes), _ROWS):
        own = hashes[start : start + _ROWS]
        yield np.divmod(np.diff(own, prepend=before), largest)
        before = own[-1]


def _best_width(hashes: Hashes) -> int:
    """The bytes in which all differences take the least space, with as many additional rows as there can be."""
    sizes = {width: width * (len(hashes) + int(hashes[-1] // _largest(width))) for width in range(1, _BYTES + 1)}
    return min(sizes, key=lambda width: sizes[width])


def _largest(width: int) -> np.uint64:
    return np.uint64(2 ** (8 * width) - 1)

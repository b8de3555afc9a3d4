"""Look up hashes of rows among those that a champion was trained on, of which there may be more than fit into a worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..partitions.part_folder import PartFolder, PartWriter, StoredTable, digest
from .intervals import BoolArray

CHUNK = 2**20
"""The stored hashes that a worker holds at a time: 8 MiB."""
_COLUMN = "hash"

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class StoredHashes:
    """Sorted hashes in a table of a folder of parts, which every worker can read."""

    folder: PartFolder
    table: StoredTable

    @classmethod
    def write(cls, hashes: Hashes, folder: PartFolder) -> Self:
        """Write `hashes` (n,) once. They need not be sorted, but then a sorted copy is made."""
        made_from = digest(sha256(hashes.data).hexdigest())
        return cls(folder, folder.once("evaluate/champion", made_from, StoredTable, partial(_write, hashes)))

    def chunks(self) -> Iterator[Hashes]:
        """The hashes in ascending order. Raises PartError if the file is damaged."""
        with self.folder.local(self.table) as path, pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)[_COLUMN].to_numpy()


def are_among(hashes: Hashes, trained: Hashes | StoredHashes) -> BoolArray:
    """(n,) whether each of `hashes` (n,) is among those of `trained`, which is read once, chunk by chunk."""
    order = np.argsort(hashes)
    ascending, found = hashes[order], np.zeros(len(hashes), dtype=bool)
    for chunk in trained.chunks() if isinstance(trained, StoredHashes) else [_sorted(trained)]:
        if len(chunk):
            first, end = np.searchsorted(ascending, chunk[0], "left"), np.searchsorted(ascending, chunk[-1], "right")
            own = ascending[first:end]
            found[first:end] |= chunk[np.searchsorted(chunk, own)] == own
    result = np.empty_like(found)
    result[order] = found
    return result


def _write(hashes: Hashes, writer: PartWriter) -> StoredTable:
    ascending, table = _sorted(hashes), writer.open("hashes")
    for start in range(0, max(len(ascending), 1), CHUNK):
        table.append(pa.table({_COLUMN: ascending[start : start + CHUNK]}))
    stored = table.finish()
    assert stored is not None  # there is at least one chunk
    return stored


def _sorted(hashes: Hashes) -> Hashes:
    """`hashes` in ascending order: themselves, if they are, as those of a version."""
    return hashes if (hashes[1:] >= hashes[:-1]).all() else np.sort(hashes)

"""About the number of rows of Parquet files in remote storage, from a few kilobytes of each."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from .locations import SourceFile
from .parquet_reader import PARQUET_MAGIC
from .remote_files import RemoteStore

MOST_FOOTERS = 64
_THREADS = 16
_TAIL_BYTES = 2**16
_END_BYTES = 8  # the length of the footer in 4 bytes, and the magic number


def remote_parquet_rows(files: Sequence[SourceFile]) -> float:
    """The rows of remote `files`. Of more than MOST_FOOTERS files, some are read, and the others count by their bytes.

    A file that is damaged counts as no rows: it is reported where it is read. Raises SourceError if the storage does not answer.
    """
    some = files[:: -(-len(files) // MOST_FOOTERS) or 1]
    stores: dict[str, RemoteStore] = {}
    for file in some:
        if file.url and file.source.uri not in stores:
            stores[file.source.uri] = RemoteStore.connect(file.source.uri, file.url)
    with ThreadPoolExecutor(_THREADS) as threads:
        rows = sum(threads.map(partial(_rows, stores), some))
    return rows * sum(file.bytes for file in files) / max(sum(file.bytes for file in some), 1)


def _rows(stores: dict[str, RemoteStore], file: SourceFile) -> int:
    assert file.url is not None  # it is in remote storage
    uri, store = file.source.uri, stores[file.source.uri]
    tail = store.tail(uri, file.url, file.bytes, _TAIL_BYTES)
    needed = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    if tail[-4:] == PARQUET_MAGIC and len(tail) < needed <= file.bytes:
        tail = store.tail(uri, file.url, file.bytes, needed)
    try:
        return int(pq.read_metadata(pa.BufferReader(tail)).num_rows)
    except pa.ArrowException:
        return 0

"""The rows that a champion was trained on are found in memory that does not grow with their number."""

import tracemalloc

import numpy as np
import pytest

from predictive_maintenance.errors import PartError
from predictive_maintenance.evaluation import trained_hashes
from predictive_maintenance.evaluation.trained_hashes import CHUNK, StoredHashes, are_among
from predictive_maintenance.partitions.part_folder import PartFolder


def hashes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


@pytest.fixture
def folder(tmp_path):
    return PartFolder(str(tmp_path))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(trained_hashes, "CHUNK", 7)


@pytest.mark.parametrize("trained", [0, 1, 6, 7, 8, 500])
@pytest.mark.parametrize("own", [0, 1, 40])
def test_hashes_are_found_as_in_a_list(folder, small_chunks, trained, own):
    given = hashes(trained)
    searched = np.random.default_rng(1).permutation(np.concatenate([hashes(own, 2), given[::3], given[:2]]))
    expected = np.isin(searched, given)
    np.testing.assert_array_equal(are_among(searched, given), expected)
    np.testing.assert_array_equal(are_among(searched, StoredHashes.write(given, folder)), expected)


def test_equal_hashes_and_those_at_the_ends_are_found(folder, small_chunks):
    given = np.repeat(np.array([0, 5, 2**64 - 1], dtype=np.uint64), 9)
    searched = np.array([2**64 - 1, 0, 4, 5, 6, 0], dtype=np.uint64)
    assert are_among(searched, StoredHashes.write(given, folder)).tolist() == [True, True, False, True, False, True]


def test_a_search_holds_a_chunk_of_the_stored_hashes_at_a_time(folder):
    stored = StoredHashes.write(np.sort(hashes(4 * CHUNK)), folder)
    searched = hashes(1000, 1)
    tracemalloc.start()
    are_among(searched, stored)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 8 * CHUNK
    assert [len(chunk) for chunk in stored.chunks()] == [CHUNK] * 4


def test_hashes_are_written_once_and_a_damaged_file_is_named(folder, tmp_path):
    stored = StoredHashes.write(hashes(50), folder)
    assert StoredHashes.write(hashes(50), folder) == stored
    (tmp_path / stored.table.name).write_bytes(b"?")
    with pytest.raises(PartError, match=r"hashes\..*\.parquet: is damaged.*the step evaluate wrote it"):
        are_among(hashes(3), stored)

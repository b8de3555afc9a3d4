"""The hashes of the training rows: many of them are packed, and read as they were."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictive_maintenance.errors import ModelError
from predictive_maintenance.scorer import training_rows
from predictive_maintenance.scorer.training_rows import TrainingRows, check_npy, read_npy, unpack

HASHES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 2**20), min_size=1, max_size=60)


def random_hashes(number: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).integers(0, 2**64 - 1, number, dtype=np.uint64, endpoint=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training_rows.npy"


def packed(hashes: np.ndarray, rows: int = 2**20) -> np.ndarray:
    """The array in the file of hashes that are packed, some rows at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_rows, "MOST_HASHES", 0)
        patch.setattr(training_rows, "_ROWS", rows)
        return np.load(io.BytesIO(TrainingRows.of(hashes).content), allow_pickle=False)


@given(HASHES, st.integers(1, 8))
def test_packed_hashes_are_read_as_they_were_however_many_are_packed_at_a_time(values, rows):
    hashes = np.sort(np.array(values, dtype=np.uint64))
    np.testing.assert_array_equal(unpack(packed(hashes, rows)), hashes)


@pytest.mark.parametrize("values", [[0, 0, 2**64 - 1, 2**64 - 1], [255, 510, 511, 765], [2**40 - 1, 2**41 - 2]])
def test_differences_of_any_size_are_packed(values):
    hashes = np.array(values, dtype=np.uint64)
    np.testing.assert_array_equal(unpack(packed(hashes)), hashes)


def test_packed_hashes_take_fewer_bytes_the_more_there_are():
    assert packed(random_hashes(500_000)).nbytes / 500_000 == pytest.approx(6.0, rel=0.001)
    # As far apart as those of 100 million rows are.
    close_together = random_hashes(100_000) // np.uint64(1_000)
    assert packed(close_together).nbytes / 100_000 == pytest.approx(5.0, rel=0.004)


def test_a_file_has_plain_hashes_up_to_a_number_of_rows_and_packed_ones_of_more(path, monkeypatch):
    monkeypatch.setattr(training_rows, "MOST_HASHES", 1_000)
    for rows, dtype in ((0, np.uint64), (1_000, np.uint64), (1_001, np.uint8)):
        hashes = random_hashes(rows)
        path.write_bytes(TrainingRows.of(hashes).content)
        assert np.load(path, allow_pickle=False).dtype == dtype
        np.testing.assert_array_equal(read_npy(path), hashes)
        assert read_npy(path).dtype == np.uint64


@pytest.mark.parametrize(("shape", "order"), [((4, 9), "C"), ((4, 0), "C"), ((4, 5), "F"), ((4, 5, 1), "C")])
def test_a_file_of_another_shape_is_refused(path, shape, order):
    np.save(path, np.zeros(shape, dtype=np.uint8, order=order))
    with pytest.raises(ModelError, match=r"training_rows\.npy is damaged: it declares shape"):
        check_npy(path)


def test_a_packed_file_that_is_incomplete_is_refused(path, monkeypatch):
    monkeypatch.setattr(training_rows, "MOST_HASHES", 0)
    path.write_bytes(TrainingRows.of(random_hashes(100)).content[:-1])
    with pytest.raises(ModelError, match="is damaged: it declares shape"):
        read_npy(path)

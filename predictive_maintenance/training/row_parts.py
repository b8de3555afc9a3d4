"""Training rows in Parquet files, read a row group at a time, so that they need not fit into memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..ingestion.remote_files import RemoteStore
from ..ingestion.remote_stores import store_kind
from ..validation.row_identity import hash_position
from .estimators import Matrix

NOT_TRAINED = -1
"""The fold of a row that is not trained on."""
TRAINING_ONLY = -2
"""The fold of a row for training only: every model is fitted to it, and no fold holds it out."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class RowParts:
    """Rows in local Parquet `files`, which have the same columns.

    The columns `features` are numbers; a missing one is NaN or null. `label` is 0 or 1, `group` names what must not be on both
    sides of a split, and `fold` is the number of the fold that holds a row out: 0, 1, ..., NOT_TRAINED or TRAINING_ONLY. `shared`
    are the paths or URLs of the same files for other machines, if these are others.
    """

    files: tuple[Path, ...]
    shared: tuple[str, ...] = ()
    features: tuple[str, ...]
    label: str
    group: str = "group"
    fold: str = "fold"


@dataclass(frozen=True)
class GroupSample:
    """The groups whose stable hash, with `salt`, is among the lowest `share`."""

    share: float
    salt: str

    def has(self, groups: pd.Series) -> Mask:
        """(n,) whether each row's group is in the sample."""
        codes, names = pd.factorize(groups)
        chosen = np.array([hash_position(f"{self.salt}|sample|{name}") < self.share for name in names], dtype=bool)
        return chosen[codes]


@dataclass(frozen=True)
class RowGroup:
    """Row group `number` of `file`, a path or a URL, and which of its rows are `chosen` (n,)."""

    file: Path | str
    number: int
    chosen: Mask

    @property
    def rows(self) -> int:
        return int(self.chosen.sum())

    def features(self, names: Sequence[str]) -> Matrix:
        """(rows, len(names)) the features of the chosen rows, read one column after the other to save memory."""
        matrix = np.empty((self.rows, len(names)), dtype=np.float32)
        with _opened(self.file) as file, np.errstate(over="ignore"):
            for place, name in enumerate(names):
                matrix[:, place] = _numbers(file, self.file, self.number, name)[self.chosen]
        return matrix

    def integers(self, name: str) -> npt.NDArray[np.int64]:
        """(rows,) the labels or folds of the chosen rows."""
        with _opened(self.file) as file:
            return _numbers(file, self.file, self.number, name)[self.chosen].astype(np.int64)

    def column(self, name: str) -> pd.Series:
        """(rows,) one column of the chosen rows, such as the group."""
        with _opened(self.file) as file:
            return file.read_row_group(self.number, columns=[name])[name].to_pandas()[self.chosen]


def row_groups(
    parts: RowParts, *, without: int | None = None, only: int | None = None, sample: GroupSample | None = None
) -> list[RowGroup]:
    """The row groups with the training rows of `parts`: without those of a fold, only those of a fold, or of a sample of groups.

    Raises DataError for a file without a column that is needed.
    """
    return [group for file in parts.files for group in row_groups_of(file, parts, without, only, sample)]


def row_groups_of(
    path: Path,
    parts: RowParts,
    without: int | None = None,
    only: int | None = None,
    sample: GroupSample | None = None,
) -> Iterator[RowGroup]:
    """The row groups of one file of `parts`, as `row_groups` has them."""
    with pq.ParquetFile(path) as file:
        needed = (*parts.features, parts.label, parts.group, parts.fold)
        if missing := [name for name in needed if name not in file.schema_arrow.names]:
            raise DataError(f"{path}: has no column {missing[0]}: write the parts again")
        for number in range(file.num_row_groups):
            fold = _numbers(file, path, number, parts.fold)
            chosen = (fold != NOT_TRAINED) & (fold != without)
            if only is not None:
                chosen = fold == only
            if sample is not None:
                chosen &= sample.has(file.read_row_group(number, columns=[parts.group])[parts.group].to_pandas())
            yield RowGroup(path, number, chosen)


def shared(groups: Sequence[RowGroup], parts: RowParts) -> list[RowGroup]:
    """`groups` of `parts` with the files as other machines find them."""
    if not parts.shared:
        return list(groups)
    places = dict(zip(parts.files, parts.shared, strict=True))
    return [replace(group, file=places[Path(group.file)]) for group in groups]


@dataclass(frozen=True)
class Rows:
    """Rows in memory: features (n, F), labels (n,) and folds (n,)."""

    features: Matrix
    labels: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]


def read_rows(parts: RowParts, sample: GroupSample | None = None, without: int | None = None) -> Rows:
    """The training rows of a sample of groups, or all of them, in the order of the parts."""
    groups = [group for group in row_groups(parts, without=without, sample=sample) if group.rows]
    features = np.empty((sum(group.rows for group in groups), len(parts.features)), dtype=np.float32)
    start = 0
    for group in groups:
        features[start : start + group.rows] = group.features(parts.features)
        start += group.rows
    labels, fold = (
        np.concatenate([np.empty(0, np.int64), *(group.integers(name) for group in groups)])
        for name in (parts.label, parts.fold)
    )
    return Rows(features, labels, fold)


def count_rows(parts: RowParts, sample: GroupSample | None = None) -> int:
    """The number of training rows, of a sample of groups or all of them."""
    return sum(group.rows for group in row_groups(parts, sample=sample))


def column(path: Path, name: str) -> pd.Series:
    """One column of a file."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=[name])[name].to_pandas()


@contextmanager
def _opened(file: Path | str) -> Iterator[pq.ParquetFile]:
    """A file at a path or URL. Raises SourceError for storage that does not answer."""
    if store_kind(str(file)):
        with (
            RemoteStore.connect(str(file), str(file)).open(str(file), str(file)) as stream,
            pq.ParquetFile(stream) as found,
        ):
            yield found
    else:
        with pq.ParquetFile(file) as found:
            yield found


def _numbers(file: pq.ParquetFile, path: Path | str, number: int, name: str) -> npt.NDArray[np.generic]:
    """(n,) one column of a row group. Raises DataError if it has no numbers."""
    values = file.read_row_group(number, columns=[name])[name]
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
        raise DataError(f"{path}: column {name} has type {values.type}, and numbers are needed: write the parts again")
    return values.to_numpy()

"""Training rows in Parquet files, read a row group at a time, so that they need not fit into memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DataError
from ..ingestion.remote_files import RemoteStore
from ..ingestion.remote_stores import store_kind
from ..validation.row_identity import row_positions
from .estimators import Matrix

NOT_TRAINED = -1
"""The fold of a row that is not trained on."""
TRAINING_ONLY = -2
"""The fold of a row for training only: every model is fitted to it, and no fold holds it out."""

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.generic]


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


LEAST_ROWS = 20
"""A sample has so many rows of each label in each fold, if there are so many."""


@dataclass(frozen=True)
class RowSample:
    """Rows of all groups, at random: those whose stable position in [0, 1) is below the share of their fold and label.

    `shares` are by fold and label. The position depends on `salt`, the group and the number of the row in its group, and not on
    other groups or on the parts. So a smaller sample is contained in a larger one.
    """

    shares: Mapping[tuple[int, int], float]
    salt: str

    @classmethod
    def of(cls, rows: Mapping[tuple[int, int], int], most: int, salt: str) -> Self | None:
        """About `most` of `rows`, which are counted by fold and label, with LEAST_ROWS of each label in a fold; None for all."""
        total = sum(rows.values())
        if most >= total:
            return None
        share = most / total
        return cls(
            {
                (fold, label): max(share, LEAST_ROWS / count) if fold >= 0 else share
                for (fold, label), count in rows.items()
            },
            salt,
        )

    def has(self, groups: pd.Series, numbers: npt.NDArray[np.integer], folds: Numbers, labels: Numbers) -> Mask:
        """(n,) whether the sample has each row, of which `numbers` (n,) is the place in its group."""
        shares = np.zeros(len(groups))
        for (fold, label), share in self.shares.items():
            shares[(folds == fold) & (labels == label)] = share
        return row_positions(groups, numbers, self.salt) < shares


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
    parts: RowParts, *, without: int | None = None, only: int | None = None, sample: RowSample | None = None
) -> list[RowGroup]:
    """The row groups with the training rows of `parts`: without those of a fold, only those of a fold, or those of a sample.

    Raises DataError for a file without a column that is needed.
    """
    return [group for file in parts.files for group in row_groups_of(file, parts, without, only, sample)]


def row_groups_of(
    path: Path,
    parts: RowParts,
    without: int | None = None,
    only: int | None = None,
    sample: RowSample | None = None,
) -> Iterator[RowGroup]:
    """The row groups of one file of `parts`, as `row_groups` has them."""
    with pq.ParquetFile(path) as file:
        needed = (*parts.features, parts.label, parts.group, parts.fold)
        if missing := [name for name in needed if name not in file.schema_arrow.names]:
            raise DataError(f"{path}: has no column {missing[0]}: write the parts again")
        before: Counter[str] = Counter()
        for number in range(file.num_row_groups):
            fold = _numbers(file, path, number, parts.fold)
            chosen = (fold != NOT_TRAINED) & (fold != without)
            if only is not None:
                chosen = fold == only
            if sample is not None:
                groups = file.read_row_group(number, columns=[parts.group])[parts.group].to_pandas()
                labels = _numbers(file, path, number, parts.label)
                chosen &= sample.has(groups, _numbers_in_group(groups, before), fold, labels)
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


def read_rows(parts: RowParts, sample: RowSample | None = None, without: int | None = None) -> Rows:
    """The training rows of a sample, or all of them, in the order of the parts."""
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


def count_rows(parts: RowParts, sample: RowSample | None = None) -> int:
    """The number of training rows, of a sample or all of them."""
    return sum(group.rows for group in row_groups(parts, sample=sample))


def count_classes(parts: RowParts) -> dict[tuple[int, int], int]:
    """The number of training rows by fold and label."""
    counts: Counter[int] = Counter()
    for group in row_groups(parts):
        codes, rows = np.unique(2 * group.integers(parts.fold) + group.integers(parts.label), return_counts=True)
        counts.update(dict(zip(codes.tolist(), rows.tolist(), strict=True)))
    return {divmod(code, 2): rows for code, rows in counts.items()}


def column(path: Path, name: str) -> pd.Series:
    """One column of a file."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=[name])[name].to_pandas()


def _numbers_in_group(groups: pd.Series, before: Counter[str]) -> npt.NDArray[np.int64]:
    """(n,) the place of each row among those of its group in the file, of which so many came `before`. These are added to it."""
    codes, names = pd.factorize(groups)
    first = np.array([before[name] for name in names], dtype=np.int64)
    before.update(dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True)))
    return first[codes] + pd.Series(codes).groupby(codes).cumcount().to_numpy()


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


def _numbers(file: pq.ParquetFile, path: Path | str, number: int, name: str) -> Numbers:
    """(n,) one column of a row group. Raises DataError if it has no numbers."""
    values = file.read_row_group(number, columns=[name])[name]
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
        raise DataError(f"{path}: column {name} has type {values.type}, and numbers are needed: write the parts again")
    return values.to_numpy()

"""Choose from a few columns of all parts which rows are held out, and divide the parts so.

Only these columns are in memory for all parts: group, label, time and order of each row.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import union_categoricals

from ..config.params import SplitSettings
from ..engine.engine import Engine
from ..errors import PartError
from ..history.labels import NEXT_FAILURE
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..training.fingerprint import content_hashes, fingerprint
from ..training.row_parts import TRAINING_ONLY, RowParts
from ..training.splits import (
    Sides,
    SplitRows,
    choose_sides,
    history_of,
)
from ..validation.row_identity import row_hashes
from .cleaned_parts import CleanedPart, CleanedParts
from .feature_parts import (
    SAMPLE_COLUMN,
    TRAINING_ONLY_COLUMN,
    FeatureJob,
    FeaturePart,
    Positions,
    feature_part,
    joined_orders,
    labelled_part,
    positions_of,
    rows_of_part,
)
from .part_folder import PartFolder, PartWriter, StoredTable, digest
from .progress import OnPart, ignore, map_parts

FOLD = "fold"
"""The column of the training rows with the number of the fold that holds out each."""
MATRIX_ROWS = 100_000
"""Rows in a row group of a matrix, which training holds in memory as a whole."""


@dataclass(frozen=True, kw_only=True)
class SplitPart:
    """The rows of a part by side, and hashes of the fitted rows and the held-out rows for their fingerprints.

    `matrix` has the training rows as RowParts needs them, in the same order, and `training_only_matrix` those for training only.
    """

    number: int
    train: StoredTable
    matrix: StoredTable
    test: StoredTable
    history: StoredTable
    training_only: StoredTable
    training_only_matrix: StoredTable
    train_hashes: StoredTable
    test_hashes: StoredTable
    columns: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SplitParts:
    """The manifest of the rows by side. See SplitRows for `notes` and `question`.

    `unlabelled` has the number of rows without a label by reason. The fingerprints do not depend on how the rows are divided
    into parts; that of training is of all rows that a model is fitted to.
    """

    folder: PartFolder
    parts: tuple[SplitPart, ...]
    events: Mapping[int, Mapping[str, StoredTable]]
    notes: tuple[str, ...]
    question: str
    unlabelled: Mapping[str, int]
    training_fingerprint: str
    test_fingerprint: str
    machine: Machine

    @property
    def train_rows(self) -> int:
        return sum(part.train.rows for part in self.parts)

    @property
    def test_rows(self) -> int:
        return sum(part.test.rows for part in self.parts)

    @property
    def training_only_rows(self) -> int:
        return sum(part.training_only.rows for part in self.parts)

    @property
    def columns(self) -> Mapping[str, str]:
        """The types of the columns of the training rows and the held-out rows."""
        return self.parts[0].columns

    def summary(self) -> list[str]:
        """The numbers of rows, what the held-out rows answer, and the notes, as sentences."""
        return [
            f"{self.train_rows:,} rows to train on, {self.test_rows:,} held out. {self.question}",
            *(f"{count:,} rows left out: {reason}" for reason, count in self.unlabelled.items()),
            *self.notes,
        ]

    @property
    def trained_parts(self) -> tuple[SplitPart, ...]:
        """The parts with training rows."""
        return tuple(part for part in self.parts if part.train.rows)

    @contextmanager
    def row_parts(self) -> Iterator[RowParts]:
        """The training rows as numbers, a file for each of `trained_parts`, on this machine until the end of the block.

        Files of rows for training only follow. Raises PartError if a file is damaged.
        """
        tables = [part.matrix for part in self.trained_parts]
        tables += [part.training_only_matrix for part in self.parts if part.training_only.rows]
        with ExitStack() as files:
            yield RowParts(
                files=tuple(files.enter_context(self.folder.local(table)) for table in tables),
                shared=tuple(map(self.folder.location, tables)),
                features=self.machine.feature_names,
                label=self.machine.label_name,
                fold=FOLD,
            )

    def load(self, parts: Sequence[SplitPart] | None = None) -> SplitRows:
        """The rows of some parts, by default all, in memory. Raises PartError if a file is damaged."""
        chosen = self.parts if parts is None else parts
        train = self._side([part.train for part in chosen])
        history = [self.folder.read(part.history) for part in chosen]
        return SplitRows(
            train=train.drop(columns=FOLD),
            fold=train[FOLD].to_numpy(),
            test=self._side([part.test for part in chosen]),
            notes=self.notes,
            history=pd.concat([part for part in history if len(part)] or history[:1], ignore_index=True),
            events=self._events(self.events if parts is None else {part.number for part in parts}),
            question=self.question,
            training_only=self._side([part.training_only for part in chosen]).drop(columns=FOLD),
        )

    def sample(self, rows: int) -> tuple[SplitPart, ...]:
        """The first parts, with at most so many rows on both sides, or the first one alone.

        These are all rows of some machines, at random, because a part has the machines of some hashes.
        """
        sums = np.cumsum([part.train.rows + part.test.rows for part in self.parts])
        return self.parts[: max(1, int(np.searchsorted(sums, rows, side="right")))]

    def columns_of(self, part: SplitPart, names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """The columns `names`, if there are such, of the training rows, the held-out rows and the history of a part."""
        known = [name for name in names if name in self.columns]
        history = [name for name in known if name in self.machine.columns or name == NEXT_FAILURE]
        return (
            self.folder.read(part.train, known),
            self.folder.read(part.test, known),
            self.folder.read(part.history, history),
        )

    def machine_times(self) -> pd.DataFrame:
        """Machine, time and next failure of all training rows, in the order of `trained_parts`."""
        names = [MACHINE_ID, self.machine.time_name, NEXT_FAILURE]
        return pd.concat([self.columns_of(part, names)[0] for part in self.trained_parts], ignore_index=True)

    @property
    def fitted_rows(self) -> int:
        """The number of rows that a model is fitted to, with those for training only."""
        return self.train_rows + self.training_only_rows

    def training_ids(self) -> npt.NDArray[np.uint64]:
        """(n,) the hashes of the ids of all rows that a model is fitted to, in ascending order."""
        hashes = np.empty(self.fitted_rows, dtype=np.uint64)
        end = 0
        for table in (table for part in self.parts for table in (part.train, part.training_only)):
            start, end = end, end + table.rows
            hashes[start:end] = row_hashes(self.folder.read(table, [READING_ID])[READING_ID])
        hashes.sort()
        return hashes

    def examples(self) -> pd.DataFrame:
        """Held-out rows of one part."""
        part = next((part for part in self.parts if part.test.rows), self.parts[0])
        return self.folder.read(part.test)

    @property
    def train(self) -> pd.DataFrame:
        """The training rows, which are loaded into memory."""
        return self._side([part.train for part in self.parts]).drop(columns=FOLD)

    @property
    def test(self) -> pd.DataFrame:
        """The held-out rows, which are loaded into memory."""
        return self._side([part.test for part in self.parts])

    def _side(self, tables: Sequence[StoredTable]) -> pd.DataFrame:
        """The rows of one side, in the order of all rows."""
        frames = [self.folder.read(table) for table in tables if table.rows] or [self.folder.read(tables[0])]
        if len(frames) == 1:
            return frames[0]
        frame = concatenated(frames)
        return frame.sort_values("position", kind="stable", ignore_index=True)

    def _events(self, numbers: Collection[int]) -> dict[str, pd.DataFrame]:
        """The events of the machines in the parts with these numbers."""
        names = [MACHINE_ID, self.machine.time_name]
        stored = [tables for number, tables in self.events.items() if number in numbers]
        return {
            name: pd.concat([self.folder.read(tables[name]) for tables in stored], ignore_index=True).sort_values(
                names, kind="stable", ignore_index=True
            )
            for name in stored[0]
        }


def split_parts(
    cleaned: CleanedParts,
    machine: Machine,
    settings: SplitSettings,
    seed: int,
    engine: Engine,
    on_part: OnPart = ignore,
    training_only: Collection[int] = (),
) -> SplitParts:
    """Compute the features of the clean rows, hold some rows out and assign folds to the others.

    The result is that of `labelled_rows` and `split` for all rows. `training_only` are the places of the sources for training
    only. Raises DataError as they do, PartError if a file is damaged.
    """
    folder = cleaned.folder
    job = FeatureJob(
        folder=folder,
        machine=machine,
        settings=settings,
        files=cleaned.files,
        numeric=cleaned.numeric,
        training_only=training_only,
    )
    filled = [part for part in cleaned.parts if part.readings.rows]
    features = map_parts(engine, "features", feature_part, job, filled, on_part)
    orders = [folder.read(part.order) for part in features]
    lengths = [len(order) for order in orders]
    positions = positions_of(orders, [folder.read(part.machines) for part in features])
    rows = joined_orders(orders)
    sample = rows[SAMPLE_COLUMN].to_numpy() if SAMPLE_COLUMN in rows else None
    sides = choose_sides(rows, machine, settings, seed, sample, rows[TRAINING_ONLY_COLUMN].to_numpy())
    del rows
    made_from = digest(job.digest, seed, [(part.order, part.machines) for part in features])
    write = partial(_write_sides, sides, positions, lengths)
    stored = folder.once("features/sides", made_from, list[StoredTable], write)
    del positions
    parts = map_parts(engine, "splitting", _divide, job, list(zip(filled, features, stored, strict=True)), on_part)
    # The types of columns are those of the first part: in one without labelled rows, they are others.
    parts = sorted(parts, key=lambda part: not (part.train.rows or part.test.rows or part.training_only.rows))
    unlabelled: Counter[str] = Counter()
    for part in features:
        for reason, count in part.reasons.items():
            unlabelled[reason] += count
    return SplitParts(
        folder=folder,
        parts=tuple(parts),
        events={part.number: part.events for part in cleaned.parts},
        notes=sides.notes,
        question=sides.question,
        unlabelled=dict(unlabelled),
        training_fingerprint=_fingerprint(folder, [part.train_hashes for part in parts]),
        test_fingerprint=_fingerprint(folder, [part.test_hashes for part in parts]),
        machine=machine,
    )


def concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of frames with the same columns. Their categorical columns have the categories of all, in alphabetical order."""
    names = [name for name in frames[0] if frames[0][name].dtype == "category"]
    unions = {name: union_categoricals([frame[name] for frame in frames], sort_categories=True) for name in names}
    plain = pd.concat([frame.drop(columns=names) for frame in frames], ignore_index=True)
    return plain.assign(**unions)[list(frames[0])]


def _write_sides(
    sides: Sides, positions: Callable[[int], Positions], lengths: Sequence[int], writer: PartWriter
) -> list[StoredTable]:
    """For each part, the side, fold and position of each of its rows."""
    fold = np.full(len(sides.trained), -1, dtype=np.int8)
    fold[sides.trained], fold[sides.training_only] = sides.fold, TRAINING_ONLY
    columns = {"trained": sides.trained, "held_out": sides.held_out, FOLD: fold}
    stored, start = [], 0
    for place, length in enumerate(lengths):
        own = slice(start, start + length)
        table = pd.DataFrame({name: values[own] for name, values in columns.items()})
        stored.append(writer.write(f"{place:05d}", table.assign(position=positions(place))))
        start += length
    return stored


def _divide(job: FeatureJob, item: tuple[CleanedPart, FeaturePart, StoredTable]) -> SplitPart:
    cleaned, part, sides = item
    made_from = digest(job.digest, part.rows, part.unlabelled, sides)
    divided = job.folder.once(
        f"features/split/{part.number:05d}", made_from, SplitPart, partial(_divided, job, cleaned, part, sides)
    )
    job.folder.discard(part.rows)  # they are in the divided part
    return divided


def _divided(
    job: FeatureJob, cleaned: CleanedPart, part: FeaturePart, sides: StoredTable, writer: PartWriter
) -> SplitPart:
    folder, machine = job.folder, job.machine
    chosen = folder.read(sides)
    try:
        rows = folder.read(part.rows)
    except PartError:  # discarded, and the divided part was damaged since
        rows = rows_of_part(labelled_part(job, cleaned), job)
    rows = rows.assign(position=chosen["position"].to_numpy(), **{FOLD: chosen[FOLD].to_numpy()})
    trained, held_out = chosen["trained"].to_numpy(), chosen["held_out"].to_numpy()
    only = rows[FOLD].to_numpy() == TRAINING_ONLY
    hashes = content_hashes(rows, machine)
    history = history_of([rows[~trained & ~held_out & ~only], folder.read(part.unlabelled)], machine)
    train, matrix = _write_fitted(writer, "train", "matrix", rows, trained, machine)
    training_only, only_matrix = _write_fitted(writer, "training-only", "training-only-matrix", rows, only, machine)
    return SplitPart(
        number=part.number,
        train=train,
        matrix=matrix,
        test=writer.write("test", rows[held_out].drop(columns=FOLD)),
        history=writer.write("history", history),
        training_only=training_only,
        training_only_matrix=only_matrix,
        train_hashes=writer.write("train-hashes", pd.DataFrame({"hash": hashes[trained | only]})),
        test_hashes=writer.write("test-hashes", pd.DataFrame({"hash": hashes[held_out]})),
        columns={str(name): str(kind) for name, kind in rows.dtypes.items() if name != FOLD},
    )


def _write_fitted(
    writer: PartWriter, name: str, matrix: str, rows: pd.DataFrame, side: npt.NDArray[np.bool_], machine: Machine
) -> tuple[StoredTable, StoredTable]:
    """Write the rows (n,) of a side that a model is fitted to, and their matrix."""
    own = rows[side]
    return writer.write(name, own), writer.write(matrix, _as_numbers(own, machine), MATRIX_ROWS)


def _as_numbers(train: pd.DataFrame, machine: Machine) -> pd.DataFrame:
    """The features of training rows as the models get them, with label, group and fold."""
    features = pd.DataFrame(machine.feature_matrix(train), columns=list(machine.feature_names), copy=False)
    others = train[["group", FOLD]].reset_index(drop=True)
    return features.assign(**{machine.label_name: train[machine.label_name].to_numpy(dtype=np.int8)}, **others)


def _fingerprint(folder: PartFolder, tables: Sequence[StoredTable]) -> str:
    return fingerprint(np.concatenate([folder.read(table)["hash"].to_numpy() for table in tables]))

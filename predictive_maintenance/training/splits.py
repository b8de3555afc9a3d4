"""Split rows into training and held-out rows: by group and a stable hash, or by time.

The description says what a group is, such as a tool life: the run of one machine's readings between two replacements of
its tool. Readings of a group resemble each other, so a group on both sides would leak held-out rows into training. With
a stable hash, held-out rows stay held out in later runs, also when rows are added.

By time (`time_split`), the latest rows are held out, of the same machines.

Rows of sources for training only are on neither side, and every model is fitted to them as well.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import SplitSettings
from ..errors import DataError
from ..history.labels import NEXT_FAILURE
from ..machine.machine import Machine
from ..machine.names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP
from ..machine.sections import GroupColumn
from ..validation.row_identity import hash_position
from . import time_split
from .group_folds import counts_by_group, folds_of_groups, of_groups

MIN_FAILURES_PER_FOLD = 2
MIN_TEST_FAILURES = 5
_SHORT_GROUP_ROWS = 5.0


@dataclass(frozen=True, kw_only=True)
class SplitRows:
    """The rows of a run in time order. Columns added: `group`, and `position` in the order of all rows.

    `train` is for tuning, cross-validation and fitting. `fold` is the number of the fold that holds out each row of
    `train`. `test` has the held-out rows, for evaluation only. `notes` are warnings for the report. `history` are
    the readings on neither side, which only later readings of their machines depend on: without a label, in an embargo, or left
    out of a sample. `events` are all events by table.
    `question` says what the scores on the held-out rows answer. `training_only` are the rows of sources for training only, in no
    fold: every model is fitted to them as well, and nothing is scored, selected or compared on them.
    """

    train: pd.DataFrame
    fold: npt.NDArray[np.int8]
    test: pd.DataFrame
    notes: tuple[str, ...]
    history: pd.DataFrame
    events: Mapping[str, pd.DataFrame]
    question: str
    training_only: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def fitted(self) -> pd.DataFrame:
        """All rows that a model is fitted to: `train`, then `training_only`."""
        return (
            self.train if self.training_only.empty else pd.concat([self.train, self.training_only], ignore_index=True)
        )


def split(
    frame: pd.DataFrame,
    machine: Machine,
    settings: SplitSettings,
    seed: int,
    unlabelled: pd.DataFrame | None = None,
    events: Mapping[str, pd.DataFrame] = MappingProxyType({}),
    training_only: Collection[int] = (),
) -> SplitRows:
    """Order `frame`, the labelled rows, in time, assign groups, hold some of them out and assign folds to the others.

    `training_only` are the places of the sources for training only. Raises DataError if a side or a fold has too few failures or
    too few healthy rows, and as `with_groups` does.
    """
    rows = with_groups(frame, machine, training_only=training_only)
    sides = choose_sides(
        rows, machine, settings, seed, sample_positions(rows, settings), of_sources(rows, training_only)
    )
    return SplitRows(
        question=sides.question,
        train=rows[sides.trained].reset_index(drop=True),
        fold=sides.fold,
        test=rows[sides.held_out].reset_index(drop=True),
        notes=sides.notes,
        history=history_of([rows[sides.rest], *([] if unlabelled is None else [unlabelled])], machine),
        events=dict(events),
        training_only=rows[sides.training_only].reset_index(drop=True),
    )


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Which of n rows are `trained` on, `held_out`, and for `training_only`, (n,) each; a row is in one of them at most.

    `fold` has the number of each trained row's fold. `question` and `notes` are those of SplitRows.
    """

    trained: npt.NDArray[np.bool_]
    held_out: npt.NDArray[np.bool_]
    training_only: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int8]
    notes: tuple[str, ...]
    question: str

    @property
    def rest(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each row is in none of them."""
        return ~self.trained & ~self.held_out & ~self.training_only


def choose_sides(
    rows: pd.DataFrame,
    machine: Machine,
    settings: SplitSettings,
    seed: int,
    positions: npt.NDArray[np.float64] | None = None,
    training_only: npt.NDArray[np.bool_] | None = None,
) -> Sides:
    """Hold out some groups of rows, or the latest rows, and assign folds to the others.

    `rows` have the columns group, label and, if there is one, time. Those of a group are neighbours, in the order of times;
    the order of the groups has no effect. `positions` (n,) are those of `sample_positions`. `training_only` (n,) marks rows of
    sources for training only, which have no effect on the others. Raises DataError as `split` does.
    """
    if training_only is None or not training_only.any():
        return _choose_sides(rows, machine, settings, seed, positions)
    _check_not_shared(rows["group"], training_only, machine)
    others = ~training_only
    chosen = _choose_sides(
        rows[others].reset_index(drop=True), machine, settings, seed, None if positions is None else positions[others]
    )
    trained, held_out = np.zeros((2, len(rows)), dtype=bool)
    trained[others], held_out[others] = chosen.trained, chosen.held_out
    note = f"{int(training_only.sum()):,} rows are of sources for training only: they are never held out or scored"
    notes = (*chosen.notes, note)
    return replace(chosen, trained=trained, held_out=held_out, training_only=training_only, notes=notes)


def _choose_sides(
    rows: pd.DataFrame,
    machine: Machine,
    settings: SplitSettings,
    seed: int,
    positions: npt.NDArray[np.float64] | None,
) -> Sides:
    labels = rows[machine.label_name].to_numpy()
    _check_side("all rows", labels, settings.folds * MIN_FAILURES_PER_FOLD + MIN_TEST_FAILURES)
    question = f"How good is the model on {machine.description.texts.groups} that it was not trained on?"
    if time_split.is_by_time(machine, settings):
        places, question = time_split.places(rows, machine, settings), time_split.QUESTION
        held_out, trained, fold, notes = places.held_out, places.fold >= 0, places.fold[places.fold >= 0], places.notes
    else:
        held_out, fold, notes = is_held_out(rows["group"], settings.test_share, settings.salt), None, ()
        trained = ~held_out
    sample, sampled = _sample(int(trained.sum()), None if positions is None else positions[trained], settings)
    trained[trained] = sample
    _check_side("the training rows", labels[trained], settings.folds * MIN_FAILURES_PER_FOLD)
    _check_side("the held-out rows", labels[held_out], MIN_TEST_FAILURES)
    if fold is None:
        fold = assign_folds(rows.loc[trained, ["group", machine.label_name]], machine, settings.folds, seed)
    else:
        fold = fold[sample]
        check_folds(labels[trained], fold, settings.folds)
    return Sides(
        trained=trained,
        held_out=held_out,
        training_only=np.zeros(len(rows), dtype=bool),
        fold=fold,
        notes=(*notes, *_notes(rows, machine), *sampled),
        question=question,
    )


def history_of(parts: Sequence[pd.DataFrame], machine: Machine) -> pd.DataFrame:
    """SplitRows.history: the rows of all parts without their features, which take many times the space and are not needed."""
    names = [name for name in parts[0] if name in machine.columns or name == NEXT_FAILURE]
    filled = [part for part in parts if len(part)] or [parts[0]]
    return pd.concat([part[names] for part in filled], ignore_index=True)


def sample_positions(rows: pd.DataFrame, settings: SplitSettings) -> npt.NDArray[np.float64] | None:
    """(n,) stable positions in [0, 1), by which rows are sampled for `settings.max_train_rows`; None without a sample."""
    if settings.max_train_rows is None:
        return None
    return np.array([hash_position(f"{settings.salt}|{name}") for name in rows[READING_ID]], dtype=np.float64)


def _sample(
    rows: int, positions: npt.NDArray[np.float64] | None, settings: SplitSettings
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """(n,) whether each training row is used: about `settings.max_train_rows` by a stable hash of their ids; and a note on it.

    Frequent readings of a machine resemble each other, so a model needs only some of them. All of them are history.
    """
    most = settings.max_train_rows
    if positions is None or most is None or rows <= most:
        return np.ones(rows, dtype=bool), ()
    used = positions < most / rows
    text = f"{int(used.sum()):,} of {rows:,} training rows are used, a sample by split.max_train_rows in params.yaml"
    return used, (text,)


def of_sources(rows: pd.DataFrame, places: Collection[int]) -> npt.NDArray[np.bool_]:
    """(n,) whether each row is of one of the sources at `places`."""
    return rows["source_index"].isin(places).to_numpy()


def with_groups(
    frame: pd.DataFrame,
    machine: Machine,
    numeric: Mapping[int, bool] | None = None,
    training_only: Collection[int] = (),
) -> pd.DataFrame:
    """Sort `frame` in time order and add `position` (0, 1, ...) and `group`, a text for each row.

    A group is what the description says: a row, a machine, the rows with one value of a column, or the rows of a machine
    until a sensor falls ("machine|first reading id"). Its text does not change when later readings are added. `numeric` is, if
    `frame` are some of the rows, whether all ids of each source are numbers. `training_only` are the places of the sources for
    training only: raises DataError for a machine that has readings of them and of other sources.
    """
    rows = _in_time_order(frame, numeric)
    only = of_sources(rows, training_only)
    rows["group"] = _groups(rows, machine, only).astype("category")
    rows["position"] = np.arange(len(rows))
    if only.any() and MACHINE_ID in rows:  # groups are checked when all rows are known
        _check_not_shared(rows[MACHINE_ID], only, machine)
    return rows


def numeric_ids(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """(n,) the reading ids as numbers, NaN for an id that is none."""
    return pd.to_numeric(frame[READING_ID], errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _check_not_shared(owner: pd.Series, only: npt.NDArray[np.bool_], machine: Machine) -> None:
    """Raise DataError for an owner of readings (n,) of a source for training only and of readings of another one."""
    names = owner.astype("category").cat
    codes, is_in_both = names.codes.to_numpy(), np.ones(len(names.categories), dtype=bool)
    for side in (only, ~only):
        is_in_both &= np.bincount(codes[side], minlength=len(is_in_both)) > 0
    if is_in_both.any():
        noun = "machine" if owner.name == MACHINE_ID else machine.description.texts.group
        shared = names.categories[is_in_both][0]
        raise DataError(
            f"{noun} {shared!r} has readings of a source for training only and of another one, so the former would be in what "
            "is scored: give the machines of the source for training only other names, or remove its mark train:"
        )


def _groups(rows: pd.DataFrame, machine: Machine, only: npt.NDArray[np.bool_]) -> pd.Series:
    group = machine.description.group
    if group == "machine":
        return rows[MACHINE_ID].astype("str")
    if not isinstance(group, GroupColumn):
        return rows[READING_ID].astype("str")
    if group.column:
        return rows[group.column].astype("str")
    owner = rows[MACHINE_ID] if MACHINE_ID in rows else pd.Series("", index=rows.index)
    begins = (rows[group.falls].diff() < 0) | (owner != owner.shift())
    begins |= np.diff(
        only, prepend=only[:1]
    )  # the first reading of another source can have a higher value than the last one
    begins.iloc[:1] = True
    first = rows[READING_ID].where(begins).ffill()
    return owner.astype("str") + "|" + first.astype("str")


def is_held_out(group: pd.Series, share: float, salt: str) -> npt.NDArray[np.bool_]:
    """(n,) whether the hash position of each row's group, salted with `salt`, is below `share`."""
    groups = group.astype("category")
    held_out = np.array([hash_position(f"{salt}|{name}") < share for name in groups.cat.categories], dtype=bool)
    return of_groups(held_out, groups.cat.codes.to_numpy())


def assign_folds(train: pd.DataFrame, machine: Machine, folds: int, seed: int) -> npt.NDArray[np.int8]:
    """(n,) fold numbers: a group is in one fold, failures are spread evenly.

    Raises DataError for fewer groups than folds, and as `check_folds` does.
    """
    labels, groups = train[machine.label_name].to_numpy(), train["group"].cat.codes.to_numpy()
    counts = counts_by_group(labels, groups)
    if (distinct := np.count_nonzero(counts.any(axis=1))) < folds:
        raise DataError(
            f"{distinct} {machine.description.texts.groups} are too few for {folds} folds: "
            "add data or lower split.folds in params.yaml"
        )
    fold = of_groups(folds_of_groups(counts, folds, seed), groups)
    check_folds(labels, fold, folds)
    return fold


def check_folds(labels: npt.NDArray[np.integer], fold: npt.NDArray[np.int8], folds: int) -> None:
    """Raise DataError for a fold without failures or without healthy rows; `labels` and `fold` (n,) are those of the rows."""
    for number in range(folds):
        failures, rows = int(labels[fold == number].sum()), int((fold == number).sum())
        if failures in (0, rows):
            raise DataError(
                f"fold {number + 1} of {folds} has {failures} failures in {rows} rows, and cannot be evaluated: "
                "add data or lower split.folds in params.yaml"
            )


def forward_split(rows: pd.DataFrame, share: float) -> npt.NDArray[np.bool_]:
    """(n,) True for the latest `share` of rows: by timestamp or, without timestamps, of each machine's rows.

    A group across the boundary belongs to the earlier side.
    """
    if TIMESTAMP in rows:
        age = rows[TIMESTAMP].rank(pct=True, method="first")
    else:
        machines = rows.groupby(rows[MACHINE_ID] if MACHINE_ID in rows else np.zeros(len(rows)))
        age = (machines.cumcount() + 1) / machines["position"].transform("size")
    return (age.groupby(rows["group"], observed=True).transform("min") > 1 - share).to_numpy()


def _in_time_order(frame: pd.DataFrame, numeric: Mapping[int, bool] | None) -> pd.DataFrame:
    """Sort by machine, then by timestamp or counter.

    Without them: by source, then by reading id where all ids of a source are numbers, then by row.
    """
    keys = pd.DataFrame({"source": frame["source_index"], "place": np.arange(len(frame))})
    if MACHINE_ID in frame:
        keys["machine"] = pd.factorize(frame[MACHINE_ID])[0]
    order = ["machine"] if "machine" in keys else []
    if time := next((name for name in (TIMESTAMP, COUNTER) if name in frame), None):
        keys["time"] = frame[time]
        order += ["time"]
    else:
        numbers, sources = numeric_ids(frame), keys["source"].to_numpy()
        known = all_numeric(numbers, sources) if numeric is None else numeric
        keys["number"] = np.where(np.array([known[source] for source in sources], dtype=bool), numbers, 0.0)
        order += ["source", "number"]
    return frame.iloc[keys.sort_values([*order, "place"], kind="stable").index].reset_index(drop=True)


def all_numeric(numbers: npt.NDArray[np.float64], sources: npt.NDArray[np.integer]) -> dict[int, bool]:
    """Whether all ids of each source are numbers: `numbers` (n,) of `numeric_ids`, and the places of their `sources` (n,)."""
    return {int(source): not np.isnan(numbers[sources == source]).any() for source in np.unique(sources)}


def _check_side(name: str, labels: npt.NDArray[np.integer], needed: int) -> None:
    failures = int(labels.sum())
    healthy = len(labels) - failures
    for noun, count in (("failures", failures), ("healthy readings", healthy)):
        if count < needed:
            raise DataError(
                f"{name}: {count} {noun} in {len(labels)} rows; at least {needed} are needed to train, tune and evaluate: "
                f"add data{' with failures' if noun == 'failures' else ''}, or lower split.folds in params.yaml"
            )


def _notes(rows: pd.DataFrame, machine: Machine) -> tuple[str, ...]:
    group, texts = machine.description.group, machine.description.texts
    if not isinstance(group, GroupColumn) or not group.falls:
        return ()
    if (length := len(rows) / rows["group"].nunique()) >= _SHORT_GROUP_ROWS:
        return ()
    sensor = machine.columns[group.falls].label.lower()
    note = (
        f"{sensor} falls after {length:.1f} readings on average: the rows do not seem to be in time order, so rows of "
        f"one {texts.group} may be on both sides of the split; add a timestamp column or numeric reading ids"
    )
    return (note,)

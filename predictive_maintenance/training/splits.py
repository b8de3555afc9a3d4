"""Split rows into training and held-out rows by tool life and by a stable hash.

A tool life is the run of one machine's readings between two replacements of its tool. Its readings resemble each other,
so a life on both sides would leak held-out rows into training. With a stable hash, held-out rows stay held out in
later runs, also when rows are added.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import SplitSettings
from ..errors import DataError
from ..machine.sensors import LABEL, MACHINE_ID, READING_ID, TIMESTAMP
from ..validation.row_identity import hash_position

MIN_FAILURES_PER_FOLD = 2
MIN_TEST_FAILURES = 5
_SHORT_LIFE_ROWS = 5.0


@dataclass(frozen=True)
class SplitRows:
    """The rows of a run in time order. Columns added: `tool_life`, and `position` in the order of all rows.

    `train` is for tuning, cross-validation and fitting. `fold` is the number of the fold that holds out each row of
    `train`. `test` has the held-out rows, for evaluation only. `notes` are warnings for the report.
    """

    train: pd.DataFrame
    fold: npt.NDArray[np.int8]
    test: pd.DataFrame
    notes: tuple[str, ...]


def split(frame: pd.DataFrame, settings: SplitSettings, seed: int) -> SplitRows:
    """Order `frame` in time, assign tool lives, hold some of them out and assign folds to the others.

    Raises DataError if a side or a fold has too few failures or too few healthy rows.
    """
    rows = with_tool_lives(frame)
    held_out = is_held_out(rows["tool_life"], settings.test_share, settings.salt)
    train, test = rows[~held_out].reset_index(drop=True), rows[held_out].reset_index(drop=True)
    _check_side("all rows", rows, settings.folds * MIN_FAILURES_PER_FOLD + MIN_TEST_FAILURES)
    _check_side("the training rows", train, settings.folds * MIN_FAILURES_PER_FOLD)
    _check_side("the held-out rows", test, MIN_TEST_FAILURES)
    fold = assign_folds(train, settings.folds, seed)
    return SplitRows(train, fold, test, _notes(rows))


def with_tool_lives(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort `frame` in time order and add `position` (0, 1, ...) and `tool_life` ("machine|first reading id").

    A life ends where tool wear falls. Its key does not change when later readings are added.
    """
    rows = _in_time_order(frame)
    machine = rows[MACHINE_ID.name] if MACHINE_ID.name in rows else pd.Series("", index=rows.index)
    begins = (rows["tool_wear_min"].diff() < 0) | (machine != machine.shift())
    begins.iloc[0] = True
    first = rows[READING_ID.name].where(begins).ffill()
    rows["tool_life"] = (machine.astype("str") + "|" + first.astype("str")).astype("category")
    rows["position"] = np.arange(len(rows))
    return rows


def is_held_out(tool_life: pd.Series, share: float, salt: str) -> npt.NDArray[np.bool_]:
    """(n,) whether the hash position of each row's tool life, salted with `salt`, is below `share`."""
    lives = tool_life.astype("category")
    held_out = np.array([hash_position(f"{salt}|{life}") < share for life in lives.cat.categories], dtype=bool)
    return held_out[lives.cat.codes]


def assign_folds(train: pd.DataFrame, folds: int, seed: int) -> npt.NDArray[np.int8]:
    """(n,) fold numbers: a tool life is in one fold, failures are spread evenly.

    Raises DataError for fewer tool lives than folds, and for a fold without failures or without healthy rows.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels, lives = train[LABEL.name].to_numpy(), train["tool_life"].cat.codes.to_numpy()
    if (distinct := len(np.unique(lives))) < folds:
        raise DataError(
            f"{distinct} tool lives are too few for {folds} folds: add data or lower split.folds in params.yaml"
        )
    fold = np.empty(len(train), dtype=np.int8)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(labels, labels, lives)):
        fold[held_out] = number
    for number in range(folds):
        failures, rows = int(labels[fold == number].sum()), int((fold == number).sum())
        if failures in (0, rows):
            raise DataError(
                f"fold {number + 1} of {folds} has {failures} failures in {rows} rows, and cannot be evaluated: "
                "add data or lower split.folds in params.yaml"
            )
    return fold


def forward_split(rows: pd.DataFrame, share: float) -> npt.NDArray[np.bool_]:
    """(n,) True for the latest `share` of rows: by timestamp or, without timestamps, of each machine's rows.

    A tool life across the boundary belongs to the earlier side.
    """
    if TIMESTAMP.name in rows:
        age = rows[TIMESTAMP.name].rank(pct=True, method="first")
    else:
        machines = rows.groupby(rows[MACHINE_ID.name] if MACHINE_ID.name in rows else np.zeros(len(rows)))
        age = (machines.cumcount() + 1) / machines["position"].transform("size")
    return (age.groupby(rows["tool_life"], observed=True).transform("min") > 1 - share).to_numpy()


def _in_time_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by machine, then by timestamp.

    Without timestamps: by source, then by reading id where all ids of a source are numbers, then by row.
    """
    keys = pd.DataFrame({"source": frame["source_index"], "place": np.arange(len(frame))})
    if MACHINE_ID.name in frame:
        keys["machine"] = pd.factorize(frame[MACHINE_ID.name])[0]
    order = ["machine"] if "machine" in keys else []
    if TIMESTAMP.name in frame:
        keys["time"] = frame[TIMESTAMP.name]
        order += ["time"]
    else:
        numbers = pd.to_numeric(frame[READING_ID.name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        numeric = pd.Series(~np.isnan(numbers)).groupby(keys["source"].to_numpy()).transform("all").to_numpy()
        keys["number"] = np.where(numeric, numbers, 0.0)
        order += ["source", "number"]
    return frame.iloc[keys.sort_values([*order, "place"], kind="stable").index].reset_index(drop=True)


def _check_side(name: str, rows: pd.DataFrame, needed: int) -> None:
    failures = int(rows[LABEL.name].sum()) if len(rows) else 0
    healthy = len(rows) - failures
    for noun, count in (("failures", failures), ("healthy readings", healthy)):
        if count < needed:
            raise DataError(
                f"{name}: {count} {noun} in {len(rows)} rows; at least {needed} are needed to train, tune and evaluate: "
                f"add data{' with failures' if noun == 'failures' else ''}, or lower split.folds in params.yaml"
            )


def _notes(rows: pd.DataFrame) -> tuple[str, ...]:
    length = len(rows) / rows["tool_life"].nunique()
    if length >= _SHORT_LIFE_ROWS:
        return ()
    note = (
        f"tool wear falls after {length:.1f} readings on average: the rows do not seem to be in time order, so rows of "
        "one tool life may be on both sides of the split; add a timestamp column or numeric reading ids"
    )
    return (note,)

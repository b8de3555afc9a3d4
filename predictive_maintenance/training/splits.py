"""Honest splits: by tool life, never by row, and by a stable hash, so that what was held out once stays held out.

A tool life is a run of readings of one machine between two replacements of its tool. Its readings resemble each
other, so that a model would know the ones it is judged on if a life stood on both sides.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import SplitSettings
from ..errors import DataError
from ..machine.sensors import LABEL, MACHINE_ID, READING_ID, TIMESTAMP

MIN_FAILURES_PER_FOLD = 2
MIN_TEST_FAILURES = 5
_SHORT_LIFE_ROWS = 5.0


@dataclass(frozen=True)
class SplitRows:
    """The rows of a run, in time order, each with its `tool_life` and its `position` in the whole order.

    `train` is fitted, tuned and cross-validated on, `fold` (one number a row of `train`) says which fold judges a row.
    `test` is touched by evaluation alone. `notes` are for a person to read.
    """

    train: pd.DataFrame
    fold: npt.NDArray[np.int8]
    test: pd.DataFrame
    notes: tuple[str, ...]


def split(frame: pd.DataFrame, settings: SplitSettings, seed: int) -> SplitRows:
    """Order `frame` in time, mark its tool lives, hold some out and fold the others.

    Raises DataError when a side or a fold has too few failures or healthy rows to be judged by.
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
    """`frame` in time order, with `position` (0, 1, ...) and `tool_life`: the machine and the life's first reading.

    A life ends where wear falls. The key of a life does not change when readings are appended after it.
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
    """(n,) whether each row's tool life falls into the held-out share of the hash space [0, 1)."""
    lives = tool_life.astype("category")
    held_out = np.array([_position(f"{salt}|{life}") < share for life in lives.cat.categories], dtype=bool)
    return held_out[lives.cat.codes]


def assign_folds(train: pd.DataFrame, folds: int, seed: int) -> npt.NDArray[np.int8]:
    """(n,) fold numbers: tool lives stay whole, failures spread evenly. Raises DataError when a fold cannot be judged."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels, lives = train[LABEL.name].to_numpy(), train["tool_life"].cat.codes.to_numpy()
    if (distinct := len(np.unique(lives))) < folds:
        raise DataError(f"{distinct} tool lives cannot be spread over {folds} folds: add data or lower split.folds")
    fold = np.empty(len(train), dtype=np.int8)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for number, (_, judged) in enumerate(splitter.split(labels, labels, lives)):
        fold[judged] = number
    for number in range(folds):
        failures, rows = int(labels[fold == number].sum()), int((fold == number).sum())
        if failures in (0, rows):
            raise DataError(
                f"fold {number + 1} of {folds} has {failures} failures in {rows} rows, so that nothing can be judged on it: "
                "add data or lower split.folds"
            )
    return fold


def forward_split(rows: pd.DataFrame, share: float) -> npt.NDArray[np.bool_]:
    """(n,) True for the latest `share` of rows: by timestamp, without one the latest of each machine.

    A tool life at the border is left to the earlier side, so that none stands on both.
    """
    if TIMESTAMP.name in rows:
        age = rows[TIMESTAMP.name].rank(pct=True, method="first")
    else:
        machines = rows.groupby(rows[MACHINE_ID.name] if MACHINE_ID.name in rows else np.zeros(len(rows)))
        age = (machines.cumcount() + 1) / machines["position"].transform("size")
    return (age.groupby(rows["tool_life"], observed=True).transform("min") > 1 - share).to_numpy()


def row_hashes(reading_ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """(n,) a hash of each reading id, the same in every run: it marks the rows that a model was trained on."""
    return pd.util.hash_array(np.asarray(list(reading_ids), dtype=object), categorize=False)


def _in_time_order(frame: pd.DataFrame) -> pd.DataFrame:
    """By machine, then by timestamp; without one by source, by number where all ids of a source are numbers, by row."""
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


def _position(text: str) -> float:
    """A uniform position in [0, 1) that depends on `text` alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _check_side(name: str, rows: pd.DataFrame, needed: int) -> None:
    failures = int(rows[LABEL.name].sum()) if len(rows) else 0
    healthy = len(rows) - failures
    for kind, count in (("failures", failures), ("healthy readings", healthy)):
        if count < needed:
            raise DataError(
                f"{name}: {count} {kind} in {len(rows)} rows; at least {needed} are needed to train, tune and judge honestly: "
                f"add data{' with failures' if kind == 'failures' else ''}, or lower split.folds in params.yaml"
            )


def _notes(rows: pd.DataFrame) -> tuple[str, ...]:
    length = len(rows) / rows["tool_life"].nunique()
    if length >= _SHORT_LIFE_ROWS:
        return ()
    note = (
        f"tool wear falls after {length:.1f} readings on average: the rows do not look like machines' readings in time "
        "order, so rows of one tool life may stand on both sides; add a timestamp or a numeric reading id"
    )
    return (note,)

"""A run's rows, file by file and source by source, appended to one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import SourceError
from ..sensors import MODE_NAMES, describe_missing


@dataclass(frozen=True)
class SourceRecord:
    """Lineage of one file or table of a source, without secrets. `unmatched_rows`: those of a join that no reading met."""

    name: str
    merge: str
    rows: int
    sha256: str
    bytes: int | None
    dvc_md5: str | None
    ignored_columns: tuple[str, ...]
    unmatched_rows: int = 0

    def summary(self) -> str:
        unmatched = f", {self.unmatched_rows:,} of them for no reading that is here" if self.unmatched_rows else ""
        return f"{self.rows:,} rows from {self.name} ({self.merge}){unmatched}"


@dataclass(frozen=True)
class Ingested:
    """Rows of one file, or of several merged.

    `frame` has canonical columns plus `source` (its name), `source_index` and `row` (from 1). `faults` are the cells that
    did not parse, by position in `frame`. `set_aside` are the rows that could not get into it, a line each with
    QUARANTINE_COLUMNS: CSV rows that do not split into cells, rows of a join that belong to no one reading.
    """

    frame: pd.DataFrame
    faults: pd.DataFrame
    set_aside: pd.DataFrame
    records: tuple[SourceRecord, ...]


def append(parts: Sequence[Ingested]) -> Ingested:
    """The rows of all parts. Raises SourceError where one lacks a column that another has.

    A failure mode that only some of them record cannot be reported on: it is left out.
    """
    if len(parts) == 1:
        return parts[0]
    _check_same_columns(parts)
    partial = [name for name in MODE_NAMES if any(not _records(part, name) for part in parts)]
    parts = [_without(part, partial) for part in parts]
    offsets = np.cumsum([0, *(len(part.frame) for part in parts)])
    faults = [
        part.faults.assign(position=part.faults["position"] + offset)
        for part, offset in zip(parts, offsets, strict=False)
    ]
    frames = [part.frame.assign(source=part.frame["source"].astype("str")) for part in parts]
    frame = pd.concat(frames, ignore_index=True)
    frame["source"] = frame["source"].astype("category")
    return Ingested(
        frame,
        pd.concat(faults, ignore_index=True),
        pd.concat([part.set_aside for part in parts], ignore_index=True),
        tuple(record for part in parts for record in part.records),
    )


def _check_same_columns(parts: Sequence[Ingested]) -> None:
    """A failure mode may be recorded by some of the parts only; any other column must be in all of them or in none."""
    owners = {name: part for part in reversed(parts) for name in part.frame if name not in MODE_NAMES}
    for part in parts:
        if lacking := [name for name in owners if name not in part.frame]:
            owner = owners[lacking[0]]
            names = [name for name in lacking if name in owner.frame]
            raise SourceError(
                f"{part.records[0].name}: {describe_missing(names, part.records[0].ignored_columns)}, "
                f"which {owner.records[0].name} has"
            )


def _records(part: Ingested, mode: str) -> bool:
    """A file whose rows are all malformed has none to record a mode in: its header speaks for it."""
    return mode in part.frame and (part.frame.empty or not part.frame[mode].isna().all())


def _without(part: Ingested, names: Sequence[str]) -> Ingested:
    faults = part.faults[~part.faults["column"].isin(names)].reset_index(drop=True)
    return Ingested(part.frame.drop(columns=list(names), errors="ignore"), faults, part.set_aside, part.records)

"""A run's rows, file by file and source by source, appended to one table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import SourceError
from ..machine.sensors import MODE_NAMES, describe_missing
from ..validation.parsing import ParsedRows


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Ingested(ParsedRows):
    """The parsed rows of one file, or of several merged, with their lineage.

    `frame` also has the columns `source` (the source's name), `source_index` and `row` (from 1).
    """

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
        frame=frame,
        faults=pd.concat(faults, ignore_index=True),
        set_aside=pd.concat([part.set_aside for part in parts], ignore_index=True),
        records=tuple(record for part in parts for record in part.records),
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
    return Ingested(
        frame=part.frame.drop(columns=list(names), errors="ignore"),
        faults=faults,
        set_aside=part.set_aside,
        records=part.records,
    )

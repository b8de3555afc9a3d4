"""Append the rows of files and sources to one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd

from ..config.sources import READINGS
from ..errors import SourceError
from ..machine.machine import Machine
from ..validation.parsing import ParsedRows


@dataclass(frozen=True, kw_only=True)
class SourceRecord:
    """Lineage of one file or table of a source, without secrets.

    `unmatched_rows` is the number of rows of a join without a reading in the other sources. `table` is what the rows are:
    readings, or a table of the description. Readings may be `for_training_only`.
    """

    name: str
    merge: str
    rows: int
    sha256: str
    bytes: int | None
    dvc_md5: str | None
    ignored_columns: tuple[str, ...]
    unmatched_rows: int = 0
    table: str = READINGS
    for_training_only: bool = False

    def summary(self) -> str:
        unmatched = f", {self.unmatched_rows:,} of them without a matching reading" if self.unmatched_rows else ""
        return f"{self.rows:,} rows from {self.name} ({self.role}){unmatched}"

    @property
    def role(self) -> str:
        """How the rows are merged and used or, for another table than the readings, the table."""
        merge = f"{self.merge}, for training only" if self.for_training_only else self.merge
        return merge if self.table == READINGS else self.table


@dataclass(frozen=True, kw_only=True)
class Ingested(ParsedRows):
    """The parsed rows of one file, or of several merged, with their lineage.

    `frame` also has the columns `source` (the source's name), `source_index` and `row` (from 1). `events` are the tables of
    events by name.
    """

    records: tuple[SourceRecord, ...]
    events: Mapping[str, "Ingested"] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableShape:
    """What is known of the rows of one file before they are merged with those of others.

    `columns` are the canonical columns, `valued` those of them with any value.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    valued: frozenset[str]
    ignored_columns: tuple[str, ...]

    @classmethod
    def of(cls, part: Ingested) -> Self:
        record = part.records[0]
        valued = frozenset(part.frame.columns[part.frame.notna().any()])
        columns = tuple(part.frame.columns)
        return cls(
            name=record.name,
            rows=len(part.frame),
            columns=columns,
            valued=valued,
            ignored_columns=record.ignored_columns,
        )

    def __add__(self, other: "TableShape") -> "TableShape":
        """The shape of the rows of both, which are of one file."""
        return replace(self, rows=self.rows + other.rows, valued=self.valued | other.valued)

    def records(self, mode: str) -> bool:
        """Whether the failure mode is recorded: there is a value or, if all rows are malformed, a column."""
        return mode in self.columns and (not self.rows or mode in self.valued)


@dataclass(frozen=True)
class CommonColumns:
    """How the rows of files get the same columns: missing values for `optional` sensors, and failure modes that are `dropped`."""

    optional: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def of(self, part: Ingested) -> Ingested:
        """The rows with these columns."""
        missing = {name: np.nan for name in self.optional if name not in part.frame}
        frame = part.frame.assign(**missing).drop(columns=list(self.dropped), errors="ignore")
        faults = part.faults[~part.faults["column"].isin(self.dropped)].reset_index(drop=True)
        return replace(part, frame=frame, faults=faults)


def common_columns(shapes: Sequence[TableShape], machine: Machine) -> CommonColumns:
    """How the rows of these files get the same columns. Raises SourceError if one lacks a column that another has.

    A failure mode that only some of the files record is dropped, because results by failure mode need all rows.
    """
    if len(shapes) == 1:
        return CommonColumns()
    optional = [name for name in machine.optional_sensor_names if any(name in shape.columns for shape in shapes)]
    ignored = {*optional, *machine.mode_names}
    owners = {name: shape for shape in reversed(shapes) for name in shape.columns if name not in ignored}
    for shape in shapes:
        if absent := [name for name in owners if name not in shape.columns]:
            owner = owners[absent[0]]
            names = [name for name in absent if name in owner.columns]
            raise SourceError(
                f"{shape.name}: {machine.describe_missing(names, shape.ignored_columns)}, which {owner.name} has"
            )
    dropped = [name for name in machine.mode_names if any(not shape.records(name) for shape in shapes)]
    return CommonColumns(tuple(optional), tuple(dropped))


def append(parts: Sequence[Ingested], machine: Machine) -> Ingested:
    """Append the rows of all parts. Raises SourceError as `common_columns` does."""
    if len(parts) == 1:
        return parts[0]
    common = common_columns([TableShape.of(part) for part in parts], machine)
    return concatenated([common.of(part) for part in parts])


def concatenated(parts: Sequence[Ingested]) -> Ingested:
    """The rows of all parts, which have the same columns, in their order."""
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
        quarantined=pd.concat([part.quarantined for part in parts], ignore_index=True),
        records=tuple(record for part in parts for record in part.records),
    )

"""Append the rows of files and sources to one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    readings, or a table of the description.
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

    def summary(self) -> str:
        unmatched = f", {self.unmatched_rows:,} of them without a matching reading" if self.unmatched_rows else ""
        return f"{self.rows:,} rows from {self.name} ({self.role}){unmatched}"

    @property
    def role(self) -> str:
        """How the rows are merged or, for another table than the readings, the table."""
        return self.merge if self.table == READINGS else self.table


@dataclass(frozen=True, kw_only=True)
class Ingested(ParsedRows):
    """The parsed rows of one file, or of several merged, with their lineage.

    `frame` also has the columns `source` (the source's name), `source_index` and `row` (from 1). `events` are the tables of
    events by name.
    """

    records: tuple[SourceRecord, ...]
    events: Mapping[str, "Ingested"] = field(default_factory=dict)


def append(parts: Sequence[Ingested], machine: Machine) -> Ingested:
    """Append the rows of all parts. Raises SourceError if one lacks a column that another has.

    A failure mode that only some of the parts record is dropped, because results by failure mode need all rows.
    """
    if len(parts) == 1:
        return parts[0]
    parts = _with_optional_sensors(parts, machine)
    _check_same_columns(parts, machine)
    partial = [name for name in machine.mode_names if any(not _records(part, name) for part in parts)]
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
        quarantined=pd.concat([part.quarantined for part in parts], ignore_index=True),
        records=tuple(record for part in parts for record in part.records),
    )


def _with_optional_sensors(parts: Sequence[Ingested], machine: Machine) -> list[Ingested]:
    """The parts, each with a missing value for the optional sensors that only other parts have."""
    present = [name for name in machine.optional_sensor_names if any(name in part.frame for part in parts)]
    return [
        replace(part, frame=part.frame.assign(**{name: np.nan for name in present if name not in part.frame}))
        for part in parts
    ]


def _check_same_columns(parts: Sequence[Ingested], machine: Machine) -> None:
    """Every column must be in all of the parts or in none, except failure modes."""
    owners = {name: part for part in reversed(parts) for name in part.frame if name not in machine.mode_names}
    for part in parts:
        if absent := [name for name in owners if name not in part.frame]:
            owner = owners[absent[0]]
            names = [name for name in absent if name in owner.frame]
            raise SourceError(
                f"{part.records[0].name}: {machine.describe_missing(names, part.records[0].ignored_columns)}, "
                f"which {owner.records[0].name} has"
            )


def _records(part: Ingested, mode: str) -> bool:
    """Whether `part` records `mode`: it has a value for it or, if all rows are malformed, a column."""
    return mode in part.frame and (part.frame.empty or not part.frame[mode].isna().all())


def _without(part: Ingested, names: Sequence[str]) -> Ingested:
    faults = part.faults[~part.faults["column"].isin(names)].reset_index(drop=True)
    return Ingested(
        frame=part.frame.drop(columns=list(names), errors="ignore"),
        faults=faults,
        quarantined=part.quarantined,
        records=part.records,
    )

"""Clean and label the readings and events of each part, and add up what all parts say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ..config.params import CleaningSettings
from ..engine.engine import Engine
from ..history.labels import NEXT_FAILURE
from ..machine.machine import Machine
from ..machine.machine_json import to_json
from ..machine.names import COUNTER, READING_ID, TIMESTAMP
from ..training.labelling import Labels, check_labels, label_part
from ..training.splits import all_numeric, numeric_ids
from ..validation.cleaning import check_bad_rows, clean_part
from ..validation.event_cleaning import EventCounts
from ..validation.quarantine import QUARANTINE_COLUMNS, BadRows, added, reasons_of
from ..validation.row_identity import are_content_ids, row_hashes
from .ingested_parts import Hashes, IngestedPart, IngestedParts
from .part_folder import PartFolder, PartWriter, StoredTable, digest
from .progress import OnPart, ignore, map_parts

LABEL = "label"
"""The column of a table of labels with the values of `Labels`."""

_NO_LABELS = Labels(np.empty(0, dtype=np.int8))


@dataclass(frozen=True, kw_only=True)
class CleanedPart:
    """The good readings of a part with their labels, its events by table and its quarantine, and what they count.

    `failed`, `modes`, `reasons` and `failures` are of the labels, see Labels. `missing` has the missing values of each optional
    sensor. `numeric` is whether all reading ids of each source are numbers, for readings without time in several parts.
    """

    number: int
    readings: StoredTable
    columns: Mapping[str, str]
    labels: StoredTable
    events: Mapping[str, StoredTable]
    quarantine: StoredTable | None
    bad: BadRows
    bad_events: Mapping[str, BadRows]
    event_counts: Mapping[str, EventCounts]
    cells: tuple[tuple[str, str, int], ...]
    collapsed_duplicates: int
    failed: int
    any_healthy: bool
    failures: int
    modes: Mapping[str, int]
    reasons: Mapping[str, int]
    missing: Mapping[str, int]
    numeric: Mapping[int, bool]


@dataclass(frozen=True, kw_only=True)
class CleanedParts:
    """The manifest of the clean rows. Its counts are those of all parts, and named as those of Cleaned and Labels."""

    folder: PartFolder
    parts: tuple[CleanedPart, ...]
    files: tuple[tuple[int, str], ...]

    @property
    def rows(self) -> int:
        """The number of good readings."""
        return sum(part.readings.rows for part in self.parts)

    @property
    def ingested_rows(self) -> int:
        return sum(part.bad.rows for part in self.parts)

    @property
    def quarantined_rows(self) -> int:
        return sum(part.bad.bad for part in self.parts)

    @property
    def quarantined_share(self) -> float:
        return self.quarantined_rows / max(self.ingested_rows, 1)

    @property
    def collapsed_duplicates(self) -> int:
        return sum(part.collapsed_duplicates for part in self.parts)

    @property
    def failed(self) -> int:
        """The number of readings that are labelled as failures."""
        return sum(part.failed for part in self.parts)

    @property
    def modes(self) -> dict[str, int]:
        """The number of readings in each failure mode, by name."""
        return _sum(part.modes for part in self.parts)

    @property
    def unlabelled(self) -> dict[str, int]:
        """The number of readings without a label, by reason."""
        return _sum(part.reasons for part in self.parts)

    @property
    def missing(self) -> dict[str, int]:
        """The number of missing values of each optional sensor."""
        return _sum(part.missing for part in self.parts)

    @property
    def numeric(self) -> dict[int, bool] | None:
        """Whether all reading ids of each source are numbers; None for one part, which shows it itself."""
        if len(self.parts) == 1:
            return None
        known: dict[int, bool] = {}
        for part in self.parts:
            known |= {source: known.get(source, True) and numeric for source, numeric in part.numeric.items()}
        return known

    def reasons(self) -> pd.DataFrame:
        """The number of bad cells by column and reason, the most frequent first."""
        cells = added(*(part.cells for part in self.parts))
        return pd.DataFrame(sorted(cells, key=lambda cell: -cell[2]), columns=["column", "reason", "cells"])

    @property
    def event_counts(self) -> dict[str, EventCounts]:
        """The counts of each table of events."""
        tables = self.parts[0].event_counts
        return {name: sum((part.event_counts[name] for part in self.parts), EventCounts()) for name in tables}

    @property
    def frame(self) -> pd.DataFrame:
        """All good readings, which are loaded into memory."""
        return pd.concat([self.folder.read(part.readings) for part in self.parts], ignore_index=True)

    @property
    def quarantine(self) -> pd.DataFrame:
        """All lines of the quarantine, which are loaded into memory."""
        lines = list(self.quarantine_parts())
        return pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=list(QUARANTINE_COLUMNS))

    def quarantine_parts(self) -> Iterator[pd.DataFrame]:
        """The lines of the quarantine, part by part."""
        return (self.folder.read(part.quarantine) for part in self.parts if part.quarantine)

    def first_of_quarantine(self, most: int) -> tuple[pd.DataFrame, int]:
        """At most so many lines of the quarantine, and the number of all lines."""
        first = next(self.quarantine_parts(), pd.DataFrame(columns=list(QUARANTINE_COLUMNS)))
        return first.head(most), sum(part.quarantine.rows for part in self.parts if part.quarantine)

    def sample(self, most_rows: int) -> tuple[pd.DataFrame, Labels]:
        """The readings of the first parts, with their labels: of one part, and of others up to `most_rows` readings.

        Hashes divide the machines, so these are those of a random sample of them.
        """
        frames: list[pd.DataFrame] = []
        labels: list[pd.DataFrame] = []
        for part in self.parts:
            if sum(map(len, frames)) >= most_rows and frames:
                break
            frames.append(self.folder.read(part.readings))
            labels.append(self.folder.read(part.labels, [LABEL]))
        values = pd.concat(labels, ignore_index=True)[LABEL].to_numpy()
        return pd.concat(frames, ignore_index=True), Labels(values)


@dataclass(frozen=True, kw_only=True)
class _CleaningJob:
    """What cleaning each part needs. With more than `most_bad_rows` bad readings in a part, the run is refused anyway."""

    folder: PartFolder
    machine: Machine
    parts: int
    conflicting: Hashes
    most_bad_rows: float


def clean_parts(
    ingested: IngestedParts, machine: Machine, settings: CleaningSettings, engine: Engine, on_part: OnPart = ignore
) -> CleanedParts:
    """Clean and label each part.

    Raises DataError as `clean` and `label` do, for all parts together: too many bad rows, no good one, nothing to learn from.
    Raises PartError if a file of a part is damaged.
    """
    job = _CleaningJob(
        folder=ingested.folder,
        machine=machine,
        parts=len(ingested.parts),
        conflicting=ingested.conflicting,
        most_bad_rows=settings.max_quarantined_share * ingested.rows,
    )
    parts = map_parts(engine, "cleaning", _clean_part, job, ingested.parts, on_part)
    bad_events = {name: _sum_bad(part.bad_events[name] for part in parts) for name in parts[0].bad_events}
    good = sum(part.readings.rows for part in parts)
    check_bad_rows(_sum_bad(part.bad for part in parts), bad_events, good, machine, settings)
    check_labels(sum(part.failures for part in parts), any(part.any_healthy for part in parts), machine)
    return CleanedParts(folder=ingested.folder, parts=tuple(parts), files=ingested.files)


def _clean_part(job: _CleaningJob, part: IngestedPart) -> CleanedPart:
    tables = {"readings": part.readings, **part.events}
    stored = [(name, rows.frame, rows.faults, rows.quarantined) for name, rows in tables.items()]
    made_from = digest(to_json(job.machine), job.conflicting.tolist(), job.most_bad_rows, stored)
    return job.folder.once(f"clean/{part.number:05d}", made_from, CleanedPart, partial(_cleaned, job, part))


def _cleaned(job: _CleaningJob, part: IngestedPart, writer: PartWriter) -> CleanedPart:
    folder, machine = job.folder, job.machine
    ingested = part.readings.load(folder)
    events = {name: rows.load(folder) for name, rows in part.events.items()}
    found = clean_part(ingested, machine, events, job.most_bad_rows, _conflicting(ingested.frame, job.conflicting))
    cleaned = found.cleaned
    labels = label_part(cleaned.frame, machine, cleaned.event_frames()) if cleaned.rows else _NO_LABELS
    modes = {name: cleaned.frame[name] for name in machine.mode_names if name in cleaned.frame} | dict(labels.modes)
    sensors = machine.optional_sensor_names
    return CleanedPart(
        number=part.number,
        readings=writer.write("readings", cleaned.frame),
        columns={str(name): str(kind) for name, kind in cleaned.frame.dtypes.items()},
        labels=writer.write("labels", pd.DataFrame({LABEL: labels.values, **labels.columns()})),
        events={name: writer.write(name, table.frame) for name, table in cleaned.events.items()},
        quarantine=writer.write("quarantine", cleaned.quarantine) if len(cleaned.quarantine) else None,
        bad=found.bad,
        bad_events=found.bad_events,
        event_counts={name: table.counts for name, table in cleaned.events.items()},
        cells=reasons_of(cleaned.quarantine),
        collapsed_duplicates=cleaned.collapsed_duplicates,
        failed=int(labels.failed.sum()),
        any_healthy=labels.any_healthy,
        failures=labels.failures,
        modes={name: int(rows.sum()) for name, rows in modes.items()},
        reasons=labels.reasons(),
        missing={name: _missing(cleaned.frame, name) for name in sensors},
        numeric=_numeric(cleaned.frame) if job.parts > 1 else {},
    )


def read_labels(folder: PartFolder, part: CleanedPart, machine: Machine) -> Labels:
    """The labels of a part."""
    table = folder.read(part.labels)
    modes = [name for name in machine.description.label.mode_types() if name in table]
    return Labels(
        table[LABEL].to_numpy(),
        {name: table[name].to_numpy() for name in modes},
        table[NEXT_FAILURE].to_numpy() if NEXT_FAILURE in table else None,
        part.failures,
    )


def _conflicting(frame: pd.DataFrame, hashes: Hashes) -> np.ndarray | None:
    """(n,) whether the reading id of each row is in another part, too."""
    if not len(hashes):
        return None
    ids = frame[READING_ID]
    given = ids.notna().to_numpy() & ~are_content_ids(ids)
    return np.isin(row_hashes(ids), hashes) & given


def _missing(frame: pd.DataFrame, name: str) -> int:
    return int(frame[name].isna().sum()) if name in frame else len(frame)


def _numeric(frame: pd.DataFrame) -> dict[int, bool]:
    if TIMESTAMP in frame or COUNTER in frame or frame.empty:
        return {}
    return all_numeric(numeric_ids(frame), frame["source_index"].to_numpy())


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        for name, count in part.items():
            total[name] += count
    return dict(total)


def _sum_bad(parts: Iterable[BadRows]) -> BadRows:
    return sum(parts, BadRows())

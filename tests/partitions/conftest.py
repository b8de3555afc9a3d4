"""Runs up to the split, in one table and in parts."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from predictive_maintenance.config.params import Params
from predictive_maintenance.config.sources import DataSettings, Source
from predictive_maintenance.engine.engine import Engine, InProcess
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.ingestion.merging import Ingested
from predictive_maintenance.partitions import shuffle
from predictive_maintenance.partitions.cleaned_parts import CleanedParts, clean_parts
from predictive_maintenance.partitions.ingested_parts import IngestedParts, ingest_parts
from predictive_maintenance.partitions.part_folder import PartFolder
from predictive_maintenance.partitions.progress import OnPart, ignore
from predictive_maintenance.partitions.split_parts import SplitParts, split_parts
from predictive_maintenance.training.labelling import LabelledRows, Labels, label, labelled_rows
from predictive_maintenance.training.splits import SplitRows, split
from predictive_maintenance.validation.cleaning import Cleaned, clean


@dataclass(frozen=True, kw_only=True)
class OneTable:
    """The results of the steps for all rows in one table."""

    ingested: Ingested
    cleaned: Cleaned
    labels: Labels
    labelled: LabelledRows
    rows: SplitRows


@dataclass(frozen=True, kw_only=True)
class InParts:
    """The results of the steps for parts."""

    ingested: IngestedParts
    cleaned: CleanedParts
    rows: SplitParts


def run_in_one_table(sources: tuple[Source, ...], params: Params) -> OneTable:
    machine = params.machine
    ingested = ingest(sources, machine)
    cleaned = clean(ingested, machine, params.cleaning, ingested.events)
    events = cleaned.event_frames()
    labels = label(cleaned.frame, machine, events)
    labelled = labelled_rows(cleaned.frame, labels, machine, events)
    only = training_only(sources)
    rows = split(labelled.frame, machine, params.split, params.training.seed, labelled.unlabelled, events, only)
    return OneTable(ingested=ingested, cleaned=cleaned, labels=labels, labelled=labelled, rows=rows)


def training_only(sources: tuple[Source, ...]) -> frozenset[int]:
    return DataSettings(sources=sources).training_only


def run_in_parts(
    sources: tuple[Source, ...],
    params: Params,
    folder: Path | str,
    rows_per_part: int,
    engine: Engine | None = None,
    on_part: OnPart = ignore,
) -> InParts:
    machine, engine = params.machine, engine or InProcess()
    ingested = ingest_parts(sources, machine, PartFolder(str(folder)), engine, rows_per_part, on_part)
    cleaned = clean_parts(ingested, machine, params.cleaning, engine, on_part)
    rows = split_parts(cleaned, machine, params.split, params.training.seed, engine, on_part, training_only(sources))
    return InParts(ingested=ingested, cleaned=cleaned, rows=rows)


class EndingWorkers:
    """An engine whose workers end once in each stage of the work, while they work on the second item."""

    def __init__(self, engine, folder):
        self._engine, self._folder, self.description = engine, folder, engine.description

    def map(self, work, shared, items):
        mark = self._folder / f"{work.__name__}-ended"
        yield from self._engine.map(_EndsOnce(work, mark, items[1] if len(items) > 1 else None), shared, items)


class _EndsOnce:
    def __init__(self, work, mark, item):
        self._work, self._mark, self._item, self.__name__ = work, mark, item, work.__name__

    def __call__(self, shared, item):
        if item == self._item and not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._work(shared, item)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files in pieces of 200 rows."""
    monkeypatch.setattr(shuffle, "PIECE_ROWS", 200)


@pytest.fixture
def cut(tmp_path: Path) -> Callable[..., tuple[Source, ...]]:
    """Write a table into several files by a key of each row, and give the sources in the order of the rows' first file."""

    def write(frame: pd.DataFrame, key: Any, suffix: str = ".csv", **source: Any) -> tuple[Source, ...]:
        sources = []
        for name, own in frame.groupby(key, sort=False):
            path = tmp_path / f"{source.get('table', 'rows')}-{name}{suffix}"
            own.to_csv(path, index=False) if suffix == ".csv" else own.to_parquet(path, index=False)
            sources.append(Source(uri=str(path), **source))
        return tuple(sources)

    return write

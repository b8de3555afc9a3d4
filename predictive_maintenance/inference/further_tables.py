"""Events and attributes of machines that a file of readings is scored with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ..config.sources import Source
from ..history.events import NO_EVENTS, Events
from ..ingestion.attributes import Attributes, valid_attributes, with_attributes
from ..ingestion.ingest import ingest_tables
from ..machine.machine import Machine
from ..validation.event_cleaning import CleanedEvents, clean_events

_MAX_REASONS = 3


@dataclass(frozen=True)
class FurtherTables:
    """Valid events by table, attributes, and sentences on what is missing or was left out."""

    events: Events = field(default_factory=lambda: NO_EVENTS)
    attributes: Sequence[Attributes] = ()
    warnings: Sequence[str] = ()

    @property
    def columns(self) -> set[str]:
        """The inputs that the attributes are."""
        return {name for attributes in self.attributes for name in attributes.columns}

    def joined(self, frame: pd.DataFrame, machine: Machine) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
        """Readings with the attributes of their machines, and the faults of those without required ones."""
        faults = []
        for attributes in self.attributes:
            frame, missing = with_attributes(frame, attributes, machine)
            faults.append(missing)
        return frame, faults


NO_TABLES = FurtherTables()


def read_further_tables(sources: Sequence[Source], machine: Machine) -> FurtherTables:
    """Read tables of events and attributes. Raises SourceError that names the source, the table and the column."""
    ingested = ingest_tables(sources, machine)
    events = {name: table for name, table in ingested.items() if name in machine.event_tables}
    cleaned = clean_events(events, None, machine).cleaned
    attributes = [
        valid_attributes(table, name, machine) for name, table in ingested.items() if name in machine.attribute_tables
    ]
    return FurtherTables(
        {name: table.frame for name, table in cleaned.items()},
        attributes,
        tuple(_warnings(machine, cleaned, attributes)),
    )


def _warnings(machine: Machine, events: Mapping[str, CleanedEvents], attributes: Sequence[Attributes]) -> Iterator[str]:
    for name in machine.event_tables:
        if name not in events:
            yield f"the table {name} is not given: every row is scored as one without {name}"
        elif bad := events[name].quarantined_rows:
            yield f"{bad:,} of {events[name].ingested_rows:,} rows of the table {name} are invalid and left out"
    for table in attributes:
        if bad := table.quarantine["row"].nunique():
            reasons = "; ".join(dict.fromkeys(table.quarantine["reason"].head(_MAX_REASONS)))
            yield f"{bad:,} rows of the table {table.name} are invalid and left out: {reasons}"

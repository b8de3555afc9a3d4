"""Attributes of machines, such as model and age, which telemetry does not have."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..config.sources import Source
from ..errors import ConfigError, DataError
from ..ingestion.attributes import valid_attributes
from ..ingestion.ingest import ingest_tables
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from .payloads import MachineAttributes


def read_attributes(sources: Sequence[Source], machine: Machine) -> MachineAttributes:
    """Read tables of attributes. If they have times, the newest ones of each machine count.

    Raises ConfigError for another table, SourceError for one that cannot be read, and DataError for invalid rows.
    """
    for source in sources:
        if source.table not in machine.attribute_tables:
            known = " or ".join(machine.attribute_tables) or "none"
            raise ConfigError(
                f"--tables: {source.table} is no table of machine attributes: the description has {known}"
            )
    found: dict[str, dict[str, Any]] = {}
    for name, table in ingest_tables(sources, machine).items():
        attributes = valid_attributes(table, name, machine)
        if len(bad := attributes.quarantine):
            raise DataError(
                f"--tables: rows of the table {name} are invalid: {bad['reason'].iloc[0]}: correct or remove them"
            )
        frame = attributes.frame
        if machine.time_name in frame:
            frame = frame.sort_values(machine.time_name)
        rows = frame[attributes.columns].astype(object).to_dict("records")
        for machine_id, row in zip(frame[MACHINE_ID].astype(str), rows, strict=True):
            found.setdefault(machine_id, {}).update({str(key): value for key, value in row.items() if pd.notna(value)})
    return found

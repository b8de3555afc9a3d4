"""Join attributes of machines, such as model and age, to the readings of each machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..machine.machine import Machine
from ..machine.names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP
from ..validation.cell_validation import MISSING
from ..validation.cleaning import validate
from ..validation.parsing import fault_table
from ..validation.quarantine import quarantine
from ..validation.value_validation import Faults
from .merging import Ingested

CONTRADICTION = "the same machine with other attributes"


@dataclass(frozen=True)
class Attributes:
    """The valid rows of the table `name`: machine, the time from which they hold if there is one, and some attributes.

    `quarantine` has the other rows, with QUARANTINE_COLUMNS.
    """

    name: str
    frame: pd.DataFrame
    quarantine: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """The attributes."""
        return [name for name in self.frame if name not in (MACHINE_ID, TIMESTAMP, COUNTER)]


def valid_attributes(ingested: Ingested, table: str, machine: Machine) -> Attributes:
    """The rows of a table of attributes that have no bad cell and do not contradict another row of their machine."""
    frame = ingested.frame
    keys = [name for name in (MACHINE_ID, machine.time_name) if name in frame]
    columns = [*keys, *(name for name in machine.attribute_tables[table] if name in frame)]
    distinct = frame[columns].drop_duplicates()
    conflicting = distinct[distinct.duplicated(keys, keep=False)]
    clash = frame.set_index(keys).index.isin(conflicting.set_index(keys).index)
    contradictions = Faults(
        MACHINE_ID, CONTRADICTION, np.flatnonzero(clash), frame.loc[clash, MACHINE_ID].astype("str").tolist()
    )
    found = [ingested.faults, validate(frame, columns, machine), fault_table([contradictions])]
    faults = pd.concat(found, ignore_index=True).drop_duplicates(["position", "column"])
    bad = np.zeros(len(frame), dtype=bool)
    bad[faults["position"]] = True
    lines = quarantine(frame.assign(**{READING_ID: ""}), faults, columns)
    return Attributes(
        table, frame.loc[~bad, columns].drop_duplicates(), pd.concat([ingested.quarantined, lines], ignore_index=True)
    )


def with_attributes(frame: pd.DataFrame, attributes: Attributes, machine: Machine) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Readings with the attributes of their machines, and a fault for each missing one that is required.

    If attributes have times, they hold from then on, and a reading gets the latest ones at its time.
    """
    names, time = attributes.columns, machine.time_name
    known = attributes.frame
    if time in known:
        place = np.arange(len(frame))
        dated = frame[[MACHINE_ID, time]].assign(place=place).dropna().sort_values(time, kind="stable")
        found = pd.merge_asof(dated, known.sort_values(time, kind="stable"), on=time, by=MACHINE_ID)
        added = found.set_index("place")[names].reindex(place)
    else:
        added = frame[[MACHINE_ID]].merge(known, on=MACHINE_ID, how="left", validate="many_to_one")[names]
    missing = _missing(added, [name for name in names if name in machine.required_input_names], attributes.name)
    return frame.assign(**{name: added[name].to_numpy() for name in names}), missing


def join_attributes(readings: Ingested, attributes: Ingested, table: str, machine: Machine) -> Ingested:
    """Add the attributes to the readings of each machine, and their bad rows to the quarantine."""
    good = valid_attributes(attributes, table, machine)
    frame, missing = with_attributes(readings.frame, good, machine)
    return replace(
        readings,
        frame=frame,
        faults=pd.concat([readings.faults, missing], ignore_index=True),
        quarantined=pd.concat([readings.quarantined, good.quarantine], ignore_index=True),
        records=readings.records + attributes.records,
    )


def _missing(added: pd.DataFrame, required: Sequence[str], table: str) -> pd.DataFrame:
    reason = f"{MISSING}: the table {table} has no value for this machine"
    places = {name: np.flatnonzero(added[name].isna()) for name in required}
    return fault_table(
        Faults(name, reason, positions, [""] * len(positions)) for name, positions in places.items() if len(positions)
    )

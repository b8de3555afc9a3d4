"""Join attributes of machines, such as model and age, to the readings of each machine."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..validation.cell_validation import MISSING, Faults
from ..validation.cleaning import validate
from ..validation.parsing import fault_table
from ..validation.quarantine import quarantine
from .merging import Ingested

CONTRADICTION = "the same machine with other attributes"


def join_attributes(readings: Ingested, attributes: Ingested, table: str, machine: Machine) -> Ingested:
    """Add the attributes in `attributes` to the readings of each machine.

    If the table has times, attributes hold from then on, and a reading gets the latest ones at its time. A row with a bad cell,
    and rows of one machine that contradict each other, are quarantined. A reading without attributes gets missing values, with
    a fault for each attribute that is required.
    """
    names = [name for name in machine.attribute_tables[table] if name in attributes.frame]
    keys = [name for name in (MACHINE_ID, machine.time_name) if name in attributes.frame]
    good, quarantined = _valid(attributes, [*keys, *names], keys, machine)
    frame = readings.frame
    added = _latest(frame, good, names, machine) if machine.time_name in keys else _by_machine(frame, good, names)
    missing = [
        Faults(name, f"{MISSING}: the table {table} has no value for this machine", positions, [""] * len(positions))
        for name in names
        if name in machine.required_input_names and len(positions := np.flatnonzero(added[name].isna()))
    ]
    return replace(
        readings,
        frame=frame.assign(**{name: added[name].to_numpy() for name in names}),
        faults=pd.concat([readings.faults, fault_table(missing)], ignore_index=True),
        quarantined=pd.concat([readings.quarantined, attributes.quarantined, quarantined], ignore_index=True),
        records=readings.records + attributes.records,
    )


def _valid(
    attributes: Ingested, columns: list[str], keys: list[str], machine: Machine
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that can be joined, without repeats, and the quarantine of the others."""
    frame = attributes.frame
    distinct = frame[columns].drop_duplicates()
    conflicting = distinct[distinct.duplicated(keys, keep=False)]
    clash = frame.set_index(keys).index.isin(conflicting.set_index(keys).index)
    contradictions = Faults(
        MACHINE_ID, CONTRADICTION, np.flatnonzero(clash), frame.loc[clash, MACHINE_ID].astype("str").tolist()
    )
    found = [attributes.faults, validate(frame, columns, machine), fault_table([contradictions])]
    faults = pd.concat(found, ignore_index=True).drop_duplicates(["position", "column"])
    bad = np.zeros(len(frame), dtype=bool)
    bad[faults["position"]] = True
    return frame.loc[~bad, columns].drop_duplicates(), quarantine(frame.assign(**{READING_ID: ""}), faults, columns)


def _by_machine(frame: pd.DataFrame, attributes: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return frame[[MACHINE_ID]].merge(attributes, on=MACHINE_ID, how="left", validate="many_to_one")[names]


def _latest(frame: pd.DataFrame, attributes: pd.DataFrame, names: list[str], machine: Machine) -> pd.DataFrame:
    """The attributes that hold at the time of each reading. A reading without time has none."""
    time = machine.time_name
    place = np.arange(len(frame))
    known = frame[[MACHINE_ID, time]].assign(place=place).dropna().sort_values(time, kind="stable")
    joined = pd.merge_asof(known, attributes.sort_values(time, kind="stable"), on=time, by=MACHINE_ID)
    return joined.set_index("place")[names].reindex(place)

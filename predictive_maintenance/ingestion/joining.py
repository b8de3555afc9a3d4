"""A source that adds columns to the readings of others, by reading id."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import SourceError
from ..machine.sensors import READING_ID
from ..validation.cell_validation import MISSING, Faults
from ..validation.parsing import fault_table
from ..validation.quarantine import CONTRADICTION, quarantine
from ..validation.row_identity import are_content_ids
from .merging import Ingested, SourceRecord

MIN_JOINED_SHARE = 0.01

_KEY = READING_ID.name
_PLACE = ("source", "source_index", "row")


def join(left: Ingested, right: Ingested, name: str) -> Ingested:
    """`left` with the columns of `right`, called `name` in errors, for the same reading ids.

    A row of `left` that meets none, or rows that contradict each other, gets missing values, each with its fault. A row
    of `right` without an id, or one that contradicts another, is set aside; one that no reading meets is counted.
    """
    added = _added_columns(left, right, name)
    ids = right.frame[_KEY]
    distinct = right.frame.loc[ids.notna(), [_KEY, *added]].drop_duplicates()
    contradictory = distinct[_KEY][distinct[_KEY].duplicated()]
    usable = ids.notna() & ~ids.isin(contradictory)
    table = distinct[~distinct[_KEY].isin(contradictory)]
    _check_share(left.frame[_KEY], ids, name)
    frame = left.frame.merge(table, on=_KEY, how="left", validate="many_to_one")
    reasons = {
        "the join has conflicting rows for this reading": frame[_KEY].isin(contradictory),
        "the join has no such reading": ~frame[_KEY].isin(ids.dropna()),
    }
    lost = [
        Faults(column, f"{MISSING}: {reason}", (positions := np.flatnonzero(met)), [""] * len(positions))
        for column in added
        for reason, met in reasons.items()
        if met.any()
    ]
    unmatched = usable & ~ids.isin(frame[_KEY])
    return Ingested(
        frame=frame,
        faults=pd.concat(
            [left.faults, _moved_faults(frame, right, usable, added), fault_table(lost)], ignore_index=True
        ),
        set_aside=pd.concat(
            [left.set_aside, right.set_aside, _set_aside(right, ids.isin(contradictory))], ignore_index=True
        ),
        records=left.records + _counted(right.records, right.frame["source"][unmatched]),
    )


def _added_columns(left: Ingested, right: Ingested, name: str) -> list[str]:
    """What `right` adds. Raises SourceError where there is nothing, or no id to add it by."""
    for side in (right.frame, left.frame):
        if (made := are_content_ids(side[_KEY])).any():
            lacking = side.loc[made, "source"].iloc[0]
            raise SourceError(f"{lacking}: a join needs a column of reading ids (such as 'UDI') on both sides")
    added = [column for column in right.frame if column not in (_KEY, *_PLACE)]
    if clash := [column for column in added if column in left.frame]:
        raise SourceError(f"{name}: {', '.join(clash)} is already there from an earlier source: join adds new columns")
    if not added:
        raise SourceError(f"{name}: has reading ids but no other column that is recognised: nothing to join")
    return added


def _check_share(ids: pd.Series, others: pd.Series, name: str) -> None:
    others = others.dropna()
    if (met := ids.isin(others)).mean() < MIN_JOINED_SHARE:
        here, there = (next(iter(some.dropna()), None) for some in (ids, others))
        raise SourceError(
            f"{name}: only {int(met.sum())} of {len(ids)} reading ids are found in it (here {here!r}, there {there!r})"
        )


def _moved_faults(frame: pd.DataFrame, right: Ingested, usable: pd.Series, added: Sequence[str]) -> pd.DataFrame:
    """The faults of the joined source at the rows that they now belong to."""
    faults = right.faults[right.faults["column"].isin(added)]
    faults = faults.assign(**{_KEY: right.frame[_KEY].to_numpy()[faults["position"]]})
    faults = faults[usable.to_numpy()[faults["position"]]].drop(columns="position")
    places = pd.DataFrame({_KEY: frame[_KEY], "position": np.arange(len(frame))})
    return places.merge(faults.drop_duplicates(), on=_KEY)[["position", "column", "value", "reason"]]


def _set_aside(right: Ingested, contradictory: pd.Series) -> pd.DataFrame:
    """A line for each row of `right` that lacks its id or contradicts another."""
    positions: npt.NDArray[np.int64] = np.flatnonzero(contradictory)
    conflicts = Faults(_KEY, CONTRADICTION, positions, right.frame[_KEY][contradictory].tolist())
    faults = pd.concat([right.faults, fault_table([conflicts])], ignore_index=True)
    bad = faults["position"][faults["column"] == _KEY]
    names = [column for column in right.frame if column not in _PLACE]
    lines = quarantine(right.frame, faults[faults["position"].isin(bad)], names)
    return lines[lines["column"] == _KEY].sort_values("row", kind="stable")


def _counted(records: Sequence[SourceRecord], unmatched: pd.Series) -> tuple[SourceRecord, ...]:
    rows = unmatched.astype("str").value_counts()
    return tuple(replace(record, unmatched_rows=int(rows.get(record.name, 0))) for record in records)

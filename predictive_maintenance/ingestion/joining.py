"""Join a source that adds columns to readings, by reading id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import SourceError
from ..machine.names import READING_ID
from ..validation.cell_validation import MISSING
from ..validation.parsing import fault_table
from ..validation.quarantine import CONTRADICTION, quarantine
from ..validation.row_identity import are_content_ids
from ..validation.value_validation import Faults
from .merging import Ingested, SourceRecord

MIN_JOINED_SHARE = 0.01

_KEY = READING_ID
_PLACE = ("source", "source_index", "row")


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Readings with the columns of a join.

    `unmatched` marks the rows of the join with an id that no reading has. `found` of `rows` readings are in the join.
    `reading_id` and `joined_id` are examples of the ids on both sides, None if there are none.
    """

    ingested: Ingested
    unmatched: pd.Series
    rows: int
    found: int
    reading_id: str | None
    joined_id: str | None


def join(left: Ingested, right: Ingested, name: str) -> Ingested:
    """Add the columns of `right` to the rows of `left` with the same reading id. Errors call `right` `name`.

    A row of `left` without a row of `right`, or with several different ones, gets missing values, each with a fault. A
    row of `right` without an id, or that differs from another one of the same id, is quarantined. Rows of `right` without
    a reading in `left` are counted in the record.
    """
    joined = add_columns(left, right, name)
    check_share(name, joined.found, joined.rows, joined.reading_id, joined.joined_id)
    records = with_unmatched_rows(right.records, joined.unmatched.groupby(right.frame["source"].astype("str")).sum())
    return replace(joined.ingested, records=left.records + records)


def add_columns(left: Ingested, right: Ingested, name: str) -> Joined:
    """Join as `join` does, for some of the readings, and without the checks that need all of them."""
    added = _added_columns(left, right, name)
    ids = right.frame[_KEY]
    distinct = right.frame.loc[ids.notna(), [_KEY, *added]].drop_duplicates()
    conflicting = distinct[_KEY][distinct[_KEY].duplicated()]
    usable = ids.notna() & ~ids.isin(conflicting)
    table = distinct[~distinct[_KEY].isin(conflicting)]
    frame = left.frame.merge(table, on=_KEY, how="left", validate="many_to_one")
    known = frame[_KEY].isin(ids.dropna())
    reasons = {
        "the join has conflicting rows for this reading": frame[_KEY].isin(conflicting),
        "the join has no row for this reading": ~known,
    }
    missing = [
        Faults(column, f"{MISSING}: {reason}", (positions := np.flatnonzero(affected)), [""] * len(positions))
        for column in added
        for reason, affected in reasons.items()
        if affected.any()
    ]
    ingested = Ingested(
        frame=frame,
        faults=pd.concat(
            [left.faults, _moved_faults(frame, right, usable, added), fault_table(missing)], ignore_index=True
        ),
        quarantined=pd.concat(
            [left.quarantined, right.quarantined, _quarantine_lines(right, ids.isin(conflicting))], ignore_index=True
        ),
        records=left.records,
    )
    reading_id, joined_id = (next(iter(side.dropna()), None) for side in (frame[_KEY], ids))
    return Joined(
        ingested=ingested,
        unmatched=usable & ~ids.isin(frame[_KEY]),
        rows=len(frame),
        found=int(known.sum()),
        reading_id=reading_id,
        joined_id=joined_id,
    )


def check_share(name: str, found: int, rows: int, reading_id: str | None, joined_id: str | None) -> None:
    """Raise SourceError if the join `name` has too few of the readings, as with ids of another kind."""
    if found < MIN_JOINED_SHARE * rows:
        raise SourceError(
            f"{name}: contains only {found} of {rows} reading ids (readings have ids such as {reading_id!r}, "
            f"this source {joined_id!r})"
        )


def with_unmatched_rows(records: Sequence[SourceRecord], rows: Mapping[str, int]) -> tuple[SourceRecord, ...]:
    """The records of a join with the number of rows, by source, that no reading has."""
    return tuple(replace(record, unmatched_rows=int(rows.get(record.name, 0))) for record in records)


def _added_columns(left: Ingested, right: Ingested, name: str) -> list[str]:
    """The columns that `right` adds. Raises SourceError if there are none, or a side has no reading ids."""
    for side in (right.frame, left.frame):
        if (made := are_content_ids(side[_KEY])).any():
            source = side.loc[made, "source"].iloc[0]
            raise SourceError(f"{source}: no column of reading ids (such as 'UDI'); a join needs it in both sources")
    added = [column for column in right.frame if column not in (_KEY, *_PLACE)]
    if clash := [column for column in added if column in left.frame]:
        raise SourceError(f"{name}: {', '.join(clash)} is already in an earlier source; a join can only add columns")
    if not added:
        raise SourceError(f"{name}: nothing to join: no column is recognised except the reading id")
    return added


def _moved_faults(frame: pd.DataFrame, right: Ingested, usable: pd.Series, added: Sequence[str]) -> pd.DataFrame:
    """The faults of the joined source at the positions of their rows in `frame`."""
    faults = right.faults[right.faults["column"].isin(added)]
    faults = faults.assign(**{_KEY: right.frame[_KEY].to_numpy()[faults["position"]]})
    faults = faults[usable.to_numpy()[faults["position"]]].drop(columns="position")
    places = pd.DataFrame({_KEY: frame[_KEY], "position": np.arange(len(frame))})
    return places.merge(faults.drop_duplicates(), on=_KEY)[["position", "column", "value", "reason"]]


def _quarantine_lines(right: Ingested, conflicting: pd.Series) -> pd.DataFrame:
    """A quarantine line for each row of `right` without an id or with a conflicting one."""
    positions: npt.NDArray[np.int64] = np.flatnonzero(conflicting)
    conflicts = Faults(_KEY, CONTRADICTION, positions, right.frame[_KEY][conflicting].tolist())
    faults = pd.concat([right.faults, fault_table([conflicts])], ignore_index=True)
    bad = faults["position"][faults["column"] == _KEY]
    names = [column for column in right.frame if column not in _PLACE]
    lines = quarantine(right.frame, faults[faults["position"].isin(bad)], names)
    return lines[lines["column"] == _KEY].sort_values("row", kind="stable")

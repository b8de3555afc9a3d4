"""Clean canonical rows: quarantine bad rows with the reason, and drop exact duplicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import CleaningSettings
from ..errors import DataError
from ..machine.header_matching import Column
from ..machine.machine import Machine
from ..machine.names import READING_ID
from .cell_validation import MISSING
from .event_cleaning import CleanedEvents, check_bad_events, clean_events, future_faults
from .parsing import ParsedRows, fault_table
from .quarantine import CONTRADICTION, BadRows, quarantine, reasons_of
from .row_identity import are_content_ids
from .value_validation import SAME_TIME, Faults, invalid_values

_SHOWN_REASONS = 5


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """`frame` has the good readings, `events` the good events by table. Counts are of readings.

    `quarantine` has one line per bad cell of a reading or an event, with QUARANTINE_COLUMNS.
    """

    frame: pd.DataFrame
    quarantine: pd.DataFrame
    ingested_rows: int
    quarantined_rows: int
    collapsed_duplicates: int
    events: Mapping[str, CleanedEvents] = field(default_factory=dict)

    def event_frames(self) -> dict[str, pd.DataFrame]:
        """The events by table, as features and labels are computed from them."""
        return {name: table.frame for name, table in self.events.items()}

    @property
    def rows(self) -> int:
        """The number of good readings."""
        return len(self.frame)

    @property
    def quarantined_share(self) -> float:
        return self.quarantined_rows / max(self.ingested_rows, 1)

    def reasons(self) -> pd.DataFrame:
        """The number of cells by column and reason, the most frequent first."""
        return _reasons(self.quarantine)


def clean(
    ingested: ParsedRows,
    machine: Machine,
    settings: CleaningSettings,
    events: Mapping[str, ParsedRows] = MappingProxyType({}),
) -> Cleaned:
    """Quarantine every row with a bad cell and drop exact duplicates, of readings and of `events` by table.

    Raises DataError with the reasons and the fix if the share of bad rows is above `settings.max_quarantined_share`.
    """
    rows = len(ingested.frame) + len(ingested.quarantined)
    part = clean_part(ingested, machine, events, settings.max_quarantined_share * rows)
    check_bad_rows(part.bad, part.bad_events, len(part.cleaned.frame), machine, settings)
    return part.cleaned


@dataclass(frozen=True, kw_only=True)
class CleanedPart:
    """Some rows after cleaning, and how many were bad: of the readings, and of each table of events."""

    cleaned: Cleaned
    bad: BadRows
    bad_events: Mapping[str, BadRows]


def clean_part(
    ingested: ParsedRows,
    machine: Machine,
    events: Mapping[str, ParsedRows],
    most_bad_rows: float,
    conflicting: npt.NDArray[np.bool_] | None = None,
) -> CleanedPart:
    """Clean as `clean` does, without a check of the share of bad rows, some rows: all those of some machines, or of some ids.

    With more than `most_bad_rows` bad readings there is no quarantine, since it takes many times the memory of its rows.
    `conflicting` (n,) marks readings whose id another part has, too.
    """
    frame, quarantined = ingested.frame, ingested.quarantined
    names = [name for name in machine.columns if name in frame]
    duplicates, conflicts = (
        _at_the_same_time(frame, names, machine) if machine.is_over_time else _duplicates(frame, names, conflicting)
    )
    # A machine counts as observed up to its latest reading, so that one with a wrong date would label all others.
    future = future_faults(frame) if machine.is_over_time else fault_table()
    faults = pd.concat([ingested.faults, validate(frame, names, machine), conflicts, future], ignore_index=True)
    faults = faults.drop_duplicates(["position", "column"]).sort_values("position", kind="stable", ignore_index=True)
    bad = np.zeros(len(frame), dtype=bool)
    bad[faults["position"]] = True
    ingested_rows, quarantined_rows = len(frame) + len(quarantined), int(bad.sum()) + len(quarantined)
    good = frame[~bad & ~duplicates]
    # Not astype of a mapping, which makes a block of each column: then pandas warns of every column that is added.
    good = good.assign(**{name: good[name].astype(np.int8) for name in machine.binary_names if name in good})
    events_part = clean_events(events, good, machine)
    refused = quarantined_rows > most_bad_rows
    lines = [] if refused else [quarantine(frame, faults, names)]
    cleaned = Cleaned(
        events=events_part.cleaned,
        frame=good.reset_index(drop=True),
        quarantine=pd.concat([*lines, quarantined, events_part.quarantine], ignore_index=True),
        ingested_rows=ingested_rows,
        quarantined_rows=quarantined_rows,
        # A duplicate of a bad row is bad as well and is counted as quarantined.
        collapsed_duplicates=int((duplicates & ~bad).sum()),
    )
    bad_rows = BadRows(
        rows=ingested_rows,
        bad=quarantined_rows,
        cells=reasons_of(pd.concat([faults, quarantined])),
        first=_first_bad_cell(ingested, faults),
        unlabelled=bool(((faults["column"] == machine.label_name) & (faults["reason"] == MISSING)).any()),
    )
    return CleanedPart(cleaned=cleaned, bad=bad_rows, bad_events=events_part.bad)


def check_bad_rows(
    bad: BadRows, bad_events: Mapping[str, BadRows], good_rows: int, machine: Machine, settings: CleaningSettings
) -> None:
    """Raise DataError if the share of bad readings or of bad events of a table is too large, or no reading is good."""
    if bad.share > settings.max_quarantined_share:
        raise DataError(_refusal(bad, settings, machine))
    if not good_rows:
        raise DataError("no row is left after cleaning: list the reasons with predictive-maintenance check FILE")
    check_bad_events(bad_events, settings.max_quarantined_share)


def validate(frame: pd.DataFrame, names: Sequence[str], machine: Machine) -> pd.DataFrame:
    """The faults in the canonical columns `names`, as `invalid_values` finds them."""
    columns = {name: frame[name].to_numpy() for name in names if name in machine.numeric_names}
    for name in machine.category_names:
        if name in names:
            columns[name] = frame[name].to_numpy(dtype=object, na_value=None)
    return fault_table(invalid_values(columns, names, machine))


def unlabelled_hint(label: Column) -> str:
    """A sentence for a run whose rows have no label: what they are good for, and how to go on."""
    return (
        f"rows without {label.name} can be scored, not trained on: add the column {label.label!r} with 0 or 1, "
        "or join it from a file with --sources READINGS,join:LABELS; to score the rows, run predictive-maintenance score FILE"
    )


def _duplicates(
    frame: pd.DataFrame, names: Sequence[str], elsewhere: npt.NDArray[np.bool_] | None
) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows repeat an earlier row exactly, and faults for readings whose rows contradict each other.

    `elsewhere` (n,) marks readings that contradict rows of other parts. Rows with the same content id differ only in their
    labels. This is not a contradiction, and all are kept.
    """
    key = READING_ID
    identified = frame[key].notna().to_numpy()
    repeated = frame[key].duplicated(keep=False).to_numpy() & identified
    elsewhere = np.zeros(len(frame), dtype=bool) if elsewhere is None else elsewhere
    if not (repeated | elsewhere).any():
        return repeated, fault_table()
    rows = frame.loc[repeated, list(dict.fromkeys((key, *names)))]
    exact = np.zeros(len(frame), dtype=bool)
    exact[np.flatnonzero(repeated)] = rows.duplicated().to_numpy()
    versions = rows.drop_duplicates().groupby(key).size()
    conflicting = frame[key].isin(versions[versions > 1].index).to_numpy() & ~are_content_ids(frame[key])
    conflicting |= elsewhere
    values = frame.loc[conflicting, key].tolist()
    conflicts = Faults(key, CONTRADICTION, np.flatnonzero(conflicting), values)
    return exact & ~conflicting, fault_table([conflicts])


def _at_the_same_time(frame: pd.DataFrame, names: Sequence[str], machine: Machine) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows repeat an earlier row exactly, and faults for different rows of one machine at the same time.

    Ids are not compared: a row without one gets an id that counts such rows.
    """
    places = list(machine.place_names)
    repeated = frame.duplicated(places, keep=False).to_numpy() & frame[places].notna().all(axis=1).to_numpy()
    exact, conflicting = np.zeros((2, len(frame)), dtype=bool)
    if repeated.any():
        rows = frame.loc[repeated, [name for name in names if name != READING_ID]]
        exact[repeated] = rows.duplicated().to_numpy()
        different = rows.drop_duplicates()[places].duplicated(keep=False)
        keys = pd.MultiIndex.from_frame(frame[places])
        conflicting = keys.isin(pd.MultiIndex.from_frame(rows.loc[different.index[different], places])) & repeated
    values = frame.loc[conflicting, machine.time_name].astype("str").tolist()
    return exact & ~conflicting, fault_table(
        [Faults(machine.time_name, SAME_TIME, np.flatnonzero(conflicting), values)]
    )


def _reasons(cells: pd.DataFrame) -> pd.DataFrame:
    counts = cells.groupby(["column", "reason"]).size().rename("cells").reset_index()
    return counts.sort_values("cells", ascending=False, ignore_index=True)


def _first_bad_cell(ingested: ParsedRows, faults: pd.DataFrame) -> str:
    if faults.empty and ingested.quarantined.empty:
        return ""
    if faults.empty:
        worst = ingested.quarantined.iloc[0]
    else:
        worst = pd.concat([faults.iloc[0], ingested.frame.loc[faults["position"].iloc[0], ["source", "row"]]])
    cell = f"{worst['column']} = {worst['value']!r}" if worst["column"] else worst["reason"]
    return f"{worst['source']}, row {worst['row']}, {cell}"


def _refusal(bad: BadRows, settings: CleaningSettings, machine: Machine) -> str:
    reasons = "\n".join(
        f"  {cells} cells: {column} is {reason}" if column else f"  {cells} rows: {reason}"
        for column, reason, cells in bad.most_frequent(_SHOWN_REASONS)
    )
    return (
        f"{bad.bad} of {bad.rows} rows ({bad.share:.1%}) are bad, more "
        f"than cleaning.max_quarantined_share = {settings.max_quarantined_share:.1%} allows:\n{reasons}\n"
        f"first bad cell: {bad.first}\n"
        "fix the source, add units to its headers (such as 'Temperature [°C]'), or increase the share in params.yaml; "
        "list the bad cells of a file with predictive-maintenance check FILE"
        + (f"\n{unlabelled_hint(machine.columns[machine.label_name])}" if bad.unlabelled else "")
    )

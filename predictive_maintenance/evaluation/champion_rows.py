"""The held-out rows of a challenger as a champion with another description of the machine reads them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from ..history.events import NO_EVENTS, Events
from ..history.features import complete, take
from ..machine.compatibility import SAME_UNIT, Described, columns_text, obstacles, unit_conversion
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..validation.cell_validation import MISSING
from ..validation.cleaning import validate
from ..validation.row_identity import are_content_ids, content_ids, row_hashes
from .baseline_model import BaselineModel
from .intervals import BoolArray
from .trained_hashes import are_among

_MAX_REASONS = 3


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What differs from a comparison with a champion of the same description.

    `refused` rows were not seen and are left out, with the number of cells by reason in `reasons`. The rows have no column of the
    optional sensors `absent`. `made_ids` says that ids are made from the content of rows, and `known_ids` whether the champion
    was trained on any row with an id of the run's training and held-out rows.
    """

    refused: int
    reasons: Counter[str]
    absent: tuple[str, ...]
    made_ids: bool
    known_ids: bool

    def plus(self, other: Self) -> Self:
        """The differences for the rows of both."""
        return type(self)(
            refused=self.refused + other.refused,
            reasons=self.reasons + other.reasons,
            absent=self.absent,
            made_ids=self.made_ids or other.made_ids,
            known_ids=self.known_ids or other.known_ids,
        )

    def notes(self, version: str) -> Iterator[str]:
        """Sentences for the report, if the champion is `version`."""
        if self.refused:
            reasons = "; ".join(reason for reason, _ in self.reasons.most_common(_MAX_REASONS))
            yield f"{self.refused:,} rows are left out, because version {version} does not accept them ({reasons})"
        if self.absent:
            yield f"version {version} gets no value of {columns_text(self.absent)}, which it does not require"
        if self.made_ids and not self.known_ids:
            yield (
                f"version {version} was trained on no row with an id of this run: if some of the rows had other ids "
                "then, its scores are too high"
            )


@dataclass(frozen=True, kw_only=True)
class ChampionRows:
    """The n held-out rows with the columns of the champion's description, in its units.

    `seen` are (n,) the rows that it was trained on. `accepted` are (n,) the rows that its description allows.
    """

    frame: pd.DataFrame
    seen: BoolArray
    accepted: BoolArray
    differences: Differences


def why_not_comparable(champion: Machine, challenger: Machine, rows: pd.DataFrame) -> str | None:
    """Why a model of the machine `champion` cannot be judged on the `rows` of the machine `challenger`; None if it can be.

    It needs the columns that are required in its description, of the same kind and in units that can be converted, and it
    must predict the same label.
    """
    if champion == challenger:
        return None
    given = Described(challenger, rows.columns, rows="the held-out rows", model="this model")
    if not (found := list(obstacles(champion, given))):
        return None
    before, now = champion.description.name, challenger.description.name
    other = [f"it is a model of the {before}, and this is one of the {now}"] if before != now else []
    return "; ".join(other + found)


def read_rows(
    champion: BaselineModel, before: Machine, challenger: Machine, rows: pd.DataFrame, train: pd.DataFrame,
    events: Events = NO_EVENTS, history: pd.DataFrame | None = None, latest: Any = None,
) -> ChampionRows:  # fmt: skip
    """Read the `rows` of the machine `challenger` as `champion`, a comparable model of the machine `before`, reads them.

    `train` are the challenger's training rows, or none: they show whether rows have the ids that the champion knows. `events`
    are the events of the challenger's run by table, `history` the readings on neither side of its split. In a split by time,
    `latest` is that of `latest_trained`: a row that is not later counts as one that the champion was trained on, because its
    neighbours in time are.
    """
    others = [train, *([history] if history is not None else [])]
    frame = _with_past(before, challenger, _as_described(before, challenger, rows), rows, events, others)
    seen = _seen(champion, before, frame)
    if latest is not None:
        seen |= (rows[challenger.time_name] <= latest).to_numpy()
    faults = _faults(before, frame)
    accepted = np.ones(len(frame), dtype=bool)
    accepted[faults["position"]] = False
    refused = faults[~seen[faults["position"]]]
    made_ids = bool(before.description.id is None or are_content_ids(rows[READING_ID]).any()) and len(train) > 0
    differences = Differences(
        refused=refused["position"].nunique(),
        reasons=Counter((refused["column"] + ": " + refused["reason"]).value_counts().to_dict()),
        absent=tuple(name for name in before.optional_sensor_names if name not in frame),
        made_ids=made_ids,
        known_ids=bool(seen.any())
        or (made_ids and bool(_seen(champion, before, _as_described(before, challenger, train)).any())),
    )
    return ChampionRows(frame=frame, seen=seen, accepted=accepted, differences=differences)


def latest_trained(champion: BaselineModel, before: Machine, challenger: Machine, *sides: pd.DataFrame) -> Any:
    """The latest time of the rows that the champion was trained on, on all `sides`; None if it was trained on none of them."""
    filled = [side for side in sides if len(side)]
    if not filled:
        return None
    seen = _seen(champion, before, *(_as_described(before, challenger, side) for side in filled))
    latest = pd.concat([side[challenger.time_name] for side in filled])[seen].max()
    return None if pd.isna(latest) else latest


def _as_described(champion: Machine, challenger: Machine, rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `rows` that the champion's description has, in its units."""
    others = set(champion.input_names) - set(challenger.input_names)  # of the same name, but no input
    names = [READING_ID, *(name for name in champion.columns if name != READING_ID)]
    frame = rows[[name for name in names if name in rows and name not in others]].copy()
    for name in champion.sensor_names:
        if name in frame and (conversion := unit_conversion(champion, challenger, name)) not in (None, SAME_UNIT):
            scale, offset = conversion
            frame[name] = frame[name] * scale + offset
    return frame


def _with_past(
    champion: Machine,
    challenger: Machine,
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    events: Events,
    others: Sequence[pd.DataFrame],
) -> pd.DataFrame:
    """`frame` with the champion's features from the past: those of `rows` where both have them, else computed.

    Its windows then contain readings of `frame` and of the same machines in `others`.
    """
    if not champion.history_features:
        return frame
    own, known = (machine.window_features | machine.event_features for machine in (champion, challenger))
    same = all(known.get(name) == feature for name, feature in own.items()) and _same_events(champion, challenger)
    used = {name: table for name, table in events.items() if name in champion.event_tables}
    if same:
        computed: Mapping[str, Any] = rows
    else:
        machines = frame[MACHINE_ID].unique()
        past = [_as_described(champion, challenger, part[part[MACHINE_ID].isin(machines)]) for part in others]
        every = pd.concat([frame, *(part for part in past if len(part))], ignore_index=True)
        computed = take(complete(champion, every, used), np.arange(len(frame)))
    return pd.concat([frame, pd.DataFrame({name: computed[name] for name in champion.history_features})], axis=1)


def _same_events(champion: Machine, challenger: Machine) -> bool:
    """Whether both machines count the same events before a reading."""
    histories = [machine.description.history for machine in (champion, challenger)]
    return len({bool(history and history.same_instant) for history in histories}) == 1


def _seen(champion: BaselineModel, before: Machine, *frames: pd.DataFrame) -> BoolArray:
    """(n,) whether the champion was trained on each row of all frames: by its id, or by the id that other columns made then."""
    given = [row_hashes(frame[READING_ID]) for frame in frames]
    made = [row_hashes(content_ids(frame, before)) for frame in frames]
    found = are_among(np.concatenate(given + made), champion.training_rows)
    return np.logical_or(*np.split(found, 2))


def _faults(champion: Machine, frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that the champion's description does not allow: position of the row, column, reason."""
    faults = validate(frame, [name for name in champion.input_names if name in frame], champion)
    missing = [
        pd.DataFrame({"position": np.flatnonzero(frame[name].isna()), "column": name, "reason": MISSING})
        for name in champion.required_input_names
    ]
    found = pd.concat([faults[["position", "column", "reason"]], *missing], ignore_index=True)
    return found.astype({"position": np.intp})

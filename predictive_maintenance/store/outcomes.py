"""Predictions in the log and what people reported about them: one join for training, monitoring and shadow.

Of several predictions of one reading, such as those of a repeated request, the latest in the log counts. The newest report about
any of them is its report. A reading is named by its id or, without one, by its machine and time. Predictions of readings without
such a name all count: two readings of one machine may well be equal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ..history.labels import DOES_NOT_FAIL, FAILS
from .predictions import NamedReadings, PredictedReadings, Predictions, ReadingKey
from .rows import Kind, StoredFeedback, Subject, Verdict

if TYPE_CHECKING:
    from .store import Store

LABELS: Mapping[Verdict, int] = {"confirmed": FAILS, "false": DOES_NOT_FAIL}
"""The verdicts that give a label."""

_KINDS: tuple[Kind, ...] = ("reading", "request")
_NAMES_TOGETHER = 10_000
_PAIRS_TOGETHER = 2**22
_PAIR = np.dtype([("reading", np.int64), ("prediction", np.int64), ("is_kept", np.bool_)])

P = TypeVar("P", bound=PredictedReadings)


class Read(Protocol):
    """Reads the same blocks of the log, the oldest first, each time it is called. `kind` says what of a block is read."""

    def __call__(self, *, kind: type[P]) -> Iterable[P]: ...


Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.int64]


class ReportedBlock(NamedTuple):
    """A block of n predictions: which of them count (n,), and the newest report about each that counts, by position."""

    predictions: Predictions
    counts: Mask
    reports: Mapping[int, StoredFeedback]


class LabelledBlock(NamedTuple):
    """A block of predictions, and the report that labels some of them, by position."""

    predictions: Predictions
    reports: Mapping[int, StoredFeedback]


def latest_predictions(read: Read, *, beside_kept: bool = False) -> Iterator[tuple[Predictions, Mask]]:
    """Each block of n predictions, and which of them count (n,): the latest of each reading.

    With `beside_kept`, for a caller that counts the readings in the store as well: of these, the prediction at their arrival
    counts, also if they were sent for another one later.

    Reads the blocks twice, of which the first time only the names of the readings. Memory is bounded, but for 8 bytes for each
    prediction that does not count: hashes of the names wait in a temporary file.
    """
    superseded = _superseded(read(kind=NamedReadings), beside_kept)
    for block in read(kind=Predictions):
        yield block, _counting(block, superseded)


def reported_predictions(store: "Store", model: str, read: Read) -> Iterator[ReportedBlock]:
    """The blocks of the log that `read` reads, with the predictions that count and their reports. Raises StoreError."""
    return _reported(store, model, read, _reported_kinds(store, model))


def labelled_predictions(store: "Store", model: str, read: Read) -> Iterator[LabelledBlock]:
    """The blocks that have predictions whose report gives a label. Without any report, nothing is read. Raises StoreError."""
    kinds = _reported_kinds(store, model)
    for block in _reported(store, model, read, kinds) if kinds else ():
        if labelled := {place: report for place, report in block.reports.items() if report.verdict in LABELS}:
            yield LabelledBlock(block.predictions, labelled)


def reading_hashes(keys: Sequence[ReadingKey]) -> Hashes:
    """(n,) hashes of the names of readings, which are those of this process alone."""
    return np.fromiter(map(hash, keys), dtype=np.int64, count=len(keys))


def is_among(hashes: Hashes, ascending: Hashes) -> Mask:
    """(n,) whether each hash is one of those in ascending order."""
    if not len(ascending):
        return np.zeros(len(hashes), dtype=bool)
    found: Mask = ascending[np.searchsorted(ascending, hashes).clip(max=len(ascending) - 1)] == hashes
    return found


def reading_name(block: Predictions, position: int) -> str:
    """The id of a reading; without one, the request and the row of its prediction."""
    names, rows = _subjects(block, "request", len(block.failure_probability))
    reading_id = block.reading_id[position] if block.reading_id else None
    return reading_id or f"{names[position]}/{rows[position]}"


def _reported_kinds(store: "Store", model: str) -> list[Kind]:
    return [kind for kind in _KINDS if store.has_reports(model, kind)]


def _reported(store: "Store", model: str, read: Read, kinds: Sequence[Kind]) -> Iterator[ReportedBlock]:
    carried: dict[ReadingKey, StoredFeedback] = {}
    for block, counts in latest_predictions(read):
        reports = _reports(store, model, block, kinds)
        keys = block.keys() or [None] * len(counts)
        # A prediction that counts comes after all others of its reading.
        for place in [place for place in reports if not counts[place]]:
            carried[keys[place]] = _newest(reports.pop(place), carried.get(keys[place]))
        for place in np.flatnonzero(counts).tolist() if carried else ():
            if keys[place] in carried:
                reports[place] = _newest(carried.pop(keys[place]), reports.get(place))
        yield ReportedBlock(block, counts, dict(sorted(reports.items())))


def _newest(report: StoredFeedback, other: StoredFeedback | None) -> StoredFeedback:
    return report if other is None or report.key > other.key else other


def _reports(store: "Store", model: str, block: Predictions, kinds: Sequence[Kind]) -> dict[int, StoredFeedback]:
    """The newer one of the reports about the reading and about the request of each prediction in a block, by position."""
    newest: dict[int, StoredFeedback] = {}
    for kind in kinds:
        names, places = _subjects(block, kind, len(block.failure_probability))
        # No report names one with NUL, and PostgreSQL refuses to look for it.
        known = list(dict.fromkeys(name for name in names if name is not None and "\0" not in name))
        reports: dict[Subject, StoredFeedback] = {}
        for begin in range(0, len(known), _NAMES_TOGETHER):
            reports |= store.reports(model, kind, known[begin : begin + _NAMES_TOGETHER])
        found = {(subject.name, subject.place): report for subject, report in reports.items()}
        for position, subject in enumerate(zip(names, places, strict=True) if found else ()):
            if report := found.get(subject):  # type: ignore[arg-type]
                newest[position] = _newest(report, newest.get(position))
    return newest


def _subjects(block: PredictedReadings, kind: Kind, count: int) -> tuple[Sequence[str | None], Sequence[int]]:
    """The names and places by which feedback of a kind names the `count` predictions of a block."""
    if kind == "reading":
        return block.reading_id or [None] * count, [0] * count
    names, first = block.request_id, block.row
    rows = range(first, first + count) if isinstance(first, int) else first or [1] * count
    return [names] * count if isinstance(names, str) else names, rows


def _superseded(blocks: Iterable[NamedReadings], beside_kept: bool) -> Hashes:
    """The hashes of the predictions that do not count, in ascending order."""
    page = _PAIRS_TOGETHER * _PAIR.itemsize
    with SpooledTemporaryFile(max_size=page) as file:
        for block in blocks:
            if keys := block.keys():
                file.write(_pairs(block, keys, is_kept=beside_kept and not block.inputs).tobytes())
        parts = -(-file.tell() // page)
        found = [_earlier(file, page, part, parts) for part in range(parts)]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *found]))


def _pairs(block: NamedReadings, keys: Sequence[ReadingKey], *, is_kept: bool) -> npt.NDArray[np.void]:
    """The hashes of the readings in a block and of their predictions, without the readings that have no name."""
    pairs = np.empty(len(keys), dtype=_PAIR)
    pairs["reading"] = reading_hashes(keys)
    pairs["prediction"] = _prediction_hashes(block, len(keys))
    pairs["is_kept"] = is_kept
    return pairs[[key is not None for key in keys]]


def _earlier(file: IO[bytes], page: int, part: int, parts: int) -> Hashes:
    """The hashes of the superseded predictions of a part of the readings, which fits into memory."""
    file.seek(0)
    chosen = []
    while content := file.read(page):
        pairs = np.frombuffer(content, dtype=_PAIR)
        chosen.append(pairs[pairs["reading"] % parts == part])
    own = np.concatenate(chosen)
    own = own[np.lexsort((own["is_kept"], own["reading"]))]  # stable
    earlier: Hashes = own["prediction"][:-1][own["reading"][:-1] == own["reading"][1:]]
    return earlier


def _prediction_hashes(block: PredictedReadings, count: int) -> Hashes:
    """(n,) hashes that tell predictions apart: of the time, too, because a client may choose the id of its request again."""
    names, rows = _subjects(block, "request", count)
    made = [block.scored] * len(rows) if isinstance(block.scored, int) else block.scored
    return np.array([hash(one) for one in zip(made, names, rows, strict=True)], dtype=np.int64)


def _counting(block: Predictions, superseded: Hashes) -> Mask:
    """(n,) whether the predictions of a block count."""
    count = len(block.failure_probability)
    if not len(superseded) or not block.keys():
        return np.ones(count, dtype=bool)
    return ~is_among(_prediction_hashes(block, count), superseded)

"""Choose the label, and find the columns that contain it."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..machine.header_matching import header_key
from .column_names import has_word
from .column_profile import ColumnProfile, Numbers
from .readings_table import ReadingsTable

_LABEL_WORDS = (
    "failure", "fail", "failed", "fault", "faulty", "label", "target", "broken", "breakdown", "defect", "defective", "anomaly",
    "alarm", "ausfall", "stoerung", "fehler",
)  # fmt: skip
_OUTCOME_WORDS = (
    "failure", "fail", "failed", "fault", "error", "defect", "breakdown", "cause", "reason", "rul", "remaining", "ttf", "outcome",
)  # fmt: skip
_REMAINING_WORDS = ("rul", "remaining", "ttf")
_MAX_RARE_SHARE = 0.05


def label_candidates(table: ReadingsTable) -> list[ColumnProfile]:
    """The columns with two values that can be a label, the most likely first: by name, then the one with more failures."""
    found = [column for column in table.columns if column.binary is not None]
    return sorted(found, key=lambda column: (not sounds_like_label(column), _share(column) > 0.5, -_share(column)))


def chosen_label(table: ReadingsTable, wanted: str | None) -> ColumnProfile | None:
    """The column that the user calls `wanted`, or None if the table has nothing like it and no column with two values.

    Raises DataError that names the candidates if `wanted` is None or not in the table, or cannot be a label.
    """
    candidates = label_candidates(table)
    if wanted is None:
        raise DataError(
            "--label is missing: the column that says whether the machine failed; or give a table of failures with "
            f"--tables failures:failures.csv\n{_described(candidates)}"
        )
    by_key = {header_key(column.header): column for column in table.columns}
    column = by_key.get(header_key(wanted))
    if column is None:
        headers = {header.lower(): header for header in (*(column.header for column in table.columns), *table.unusable)}
        near = get_close_matches(wanted.lower(), headers, 1, 0.6)
        if near or candidates:
            hint = f"; did you mean {headers[near[0]]!r}?" if near else ""
            reason = f": {table.unusable[wanted]}" if wanted in table.unusable else ""
            raise DataError(f"--label: no column {wanted!r} can be used{reason}{hint}\n{_described(candidates)}")
        return None
    if column.binary is None:
        raise DataError(
            f"--label: {column.header!r} is not a column of 0 and 1: {_values(column)}\n{_described(candidates)}"
        )
    if column.missing:
        raise DataError(
            f"--label: {column.header!r} has no value in {column.missing:,} of {column.rows:,} rows: remove these rows, or "
            "write 0 or 1"
        )
    return column


def sounds_like_label(column: ColumnProfile) -> bool:
    """Whether the header says failure, or a time until one."""
    return has_word(column.header, (*_LABEL_WORDS, *_REMAINING_WORDS))


@dataclass(frozen=True)
class Leak:
    """A column that says what the label says. `is_mode`: a 0/1 column that names the kind of failure."""

    column: ColumnProfile
    reason: str
    is_mode: bool = False
    is_certain: bool = True


def find_leaks(columns: Sequence[ColumnProfile], label: ColumnProfile) -> list[Leak]:
    """The columns, in order, that contain the label: copies, failure modes, outcomes, and what separates it without error."""
    failed = np.asarray(label.binary == 1)
    leaks = {}
    for column in columns:
        if column.binary is not None:
            leak = _binary_leak(column, failed)
        elif column.is_number:
            leak = _number_leak(column, failed)
        else:
            leak = _text_leak(column, failed)
        if leak:
            leaks[column.header] = leak
    for column in _neighbours_of_modes(columns, leaks):
        leaks[column.header] = Leak(column, "it is rare and beside the other failure modes", is_mode=True)
    return [leaks[column.header] for column in columns if column.header in leaks]


def _binary_leak(column: ColumnProfile, failed: npt.NDArray[np.bool_]) -> Leak | None:
    ones = column.binary == 1
    both, count = np.count_nonzero(ones & failed), np.count_nonzero(ones)
    if both == count == np.count_nonzero(failed):
        return Leak(column, "it has the same values as the label")
    if both == count >= 2 or (both >= 0.9 * count and has_word(column.header, _OUTCOME_WORDS)):
        return Leak(column, f"{both:,} of its {count:,} rows with 1 are failures", is_mode=True)
    return None


def _number_leak(column: ColumnProfile, failed: npt.NDArray[np.bool_]) -> Leak | None:
    known = ~np.isnan(column.numbers)
    values, labels = column.numbers[known], failed[known]
    if labels.all() or not labels.any() or not _is_separated(values[labels], values[~labels]):
        return None
    return Leak(column, "one threshold separates failures from the rest without error", is_certain=_is_outcome(column))


def _text_leak(column: ColumnProfile, failed: npt.NDArray[np.bool_]) -> Leak | None:
    if not 2 <= len(column.counts) <= max(2, column.present // 10):
        return None
    texts = np.array(column.texts.to_pylist(), dtype=object)
    failures = set(texts[failed])
    if failures & set(texts[~failed]):
        return None
    return Leak(column, "each of its values has failures only, or none", is_certain=_is_outcome(column))


def _neighbours_of_modes(columns: Sequence[ColumnProfile], leaks: dict[str, Leak]) -> Iterable[ColumnProfile]:
    """Rare 0/1 columns directly after or before a failure mode: a mode that the label does not count."""
    modes = [column.header in leaks and leaks[column.header].is_mode for column in columns]
    for position, column in enumerate(columns):
        beside = any(modes[max(0, position - 1) : position + 2])
        if beside and column.header not in leaks and column.binary is not None and _share(column) <= _MAX_RARE_SHARE:
            yield column


def _is_separated(failures: Numbers, others: Numbers) -> bool:
    return bool(failures.min() > others.max() or failures.max() < others.min())


def _is_outcome(column: ColumnProfile) -> bool:
    return has_word(column.header, _OUTCOME_WORDS)


def _share(column: ColumnProfile) -> float:
    """The share of rows with 1."""
    return float(np.mean(column.binary == 1))


def _described(candidates: Sequence[ColumnProfile]) -> str:
    if not candidates:
        return (
            "no column has the values 0 and 1 (or true and false, yes and no): add one, with 1 in each row in which the "
            "machine failed or was about to fail"
        )
    lines = ["columns with the values 0 and 1, the most likely first:"]
    for column in candidates[:8]:
        ones = int(np.count_nonzero(column.binary == 1))
        named = ", its name says failure" if sounds_like_label(column) else ""
        lines.append(
            f"  --label {shlex.quote(column.header)}   1 in {ones:,} of {column.rows:,} rows ({ones / column.rows:.1%}){named}"
        )
    if len(candidates) > 8:
        lines.append(f"  and {len(candidates) - 8} more")
    lines.append(
        "choose the one whose 1 means what the model has to predict; one that names a kind of failure is a failure mode"
    )
    return "\n".join(lines)


def _values(column: ColumnProfile) -> str:
    if len(column.counts) == 1:
        return f"every row has {next(iter(column.counts))!r}"
    shown = ", ".join(repr(text) for text in list(column.counts)[:5])
    more = ", ..." if len(column.counts) > 5 else ""
    return f"it has {shown}{more}; write 1 for failure and 0 for none"

"""Tests of what a column is, by its values and the words of its header."""

import re

import numpy as np
import pyarrow.compute as pc

from .column_names import has_word, words_of
from .column_profile import ColumnProfile

MAX_CATEGORY_VALUES = 50
_MIN_ROWS_PER_VALUE = 3
_MAX_CODES = 12
_ID_WORDS = ("id", "uid", "udi", "uuid", "guid", "key", "index", "nr", "no", "number")
_READING_WORDS = ("reading", "record", "row", "measurement", "sample", "event")
MACHINE_WORDS = (
    "machine", "engine", "unit", "asset", "equipment", "device", "pump", "motor", "robot", "turbine", "vehicle", "truck",
    "compressor", "maschine", "anlage",
)  # fmt: skip
_TIME_WORDS = ("time", "timestamp", "datetime", "date", "ts", "zeit", "zeitpunkt", "datum", "zeitstempel")
_COUNTER_WORDS = ("cycle", "time", "hour", "step", "runtime", "t")
_CODE_WORDS = (
    "type", "mode", "class", "grade", "category", "code", "shift", "line", "variant", "program", "recipe", "status", "state",
    "setting", "operator", "model", "stage", "quality", "material",
)  # fmt: skip
_FAILURE_WORDS = ("failure", "fail", "failed", "breakdown", "outage", "defect", "ausfall", "ausfaelle", "stillstand")
_MAINTENANCE_WORDS = (
    "maintenance", "maint", "repair", "service", "servicing", "replacement", "overhaul", "inspection", "work", "order", "wartung",
    "instandhaltung", "reparatur",
)  # fmt: skip
_GROUP_WORDS = ("batch", "lot", "order", "experiment", "campaign", "charge", "tool", "job", "run")
_MIN_GROUPS = 5
_NUMBERED = re.compile(r"(\D+)\d+")
_MIN_FALLS, _MIN_WEAR_ROWS = 5, 20
_WEAR_WORDS = ("wear", "age", "usage", "life", "since", "runtime", "hour", "cycle", "use")


def constant_reason(column: ColumnProfile) -> str | None:
    """Why a column says nothing: it has no values, or one value only. None if its values differ."""
    if not column.present:
        return "it has no values"
    if len(column.counts) == 1 or (column.is_number and len(np.unique(column.finite)) == 1):
        return f"every row has the same value, {next(iter(column.counts))!r}"
    return None


def is_called_time(column: ColumnProfile) -> bool:
    """Whether the header says that a column is the time."""
    return has_word(column.header, _TIME_WORDS)


def is_called_failure(name: str) -> bool:
    """Whether the name of a table, or a type of event, says that it is a failure."""
    return has_word(name, _FAILURE_WORDS)


def is_called_maintenance(name: str) -> bool:
    """Whether the name of a table says that it has maintenance."""
    return has_word(name, _MAINTENANCE_WORDS)


def is_machine(column: ColumnProfile) -> bool:
    """Whether a column names the machine: values that repeat under a header such as `Machine` or `pump_id`."""
    words = set(words_of(column.header))
    named = words & set(MACHINE_WORDS) and words <= {*MACHINE_WORDS, *_ID_WORDS, "name", "serial"}
    return bool(named) and is_repeated_name(column)


def is_repeated_name(column: ColumnProfile) -> bool:
    """Whether the values of a column repeat and can be names: none is missing, and none has a fraction."""
    return _is_repeated(column) and not column.missing and not _has_fractions(column)


def is_spent_time(column: ColumnProfile) -> bool:
    """Whether the header of a column of numbers is that of a counter, such as cycles or operating hours."""
    return column.is_number and has_word(column.header, _COUNTER_WORDS)


def is_counter(column: ColumnProfile, machine: ColumnProfile | None) -> bool:
    """Whether a column counts up in each machine, such as cycles or operating hours."""
    if column.missing or not is_spent_time(column):
        return False
    steps = np.diff(column.numbers)
    if machine is not None:
        names = np.unique(np.array(machine.texts.to_pylist(), dtype=str), return_inverse=True)[1]
        order = np.argsort(names, kind="stable")
        steps = np.diff(column.numbers[order])[np.diff(names[order]) == 0]
    return len(steps) > 0 and bool((steps > 0).all())


def is_id(column: ColumnProfile) -> bool:
    """Whether a column differs in each row and is called id."""
    return len(column.counts) == column.rows > 1 and has_word(column.header, _ID_WORDS) and not _has_fractions(column)


def is_reading_id(column: ColumnProfile) -> bool:
    """Whether an id is called that of a reading, not that of something else, such as `Product ID`."""
    return set(words_of(column.header)) <= {*_ID_WORDS, *_READING_WORDS}


def is_group(column: ColumnProfile) -> bool:
    """Whether a column identifies groups of rows, such as a batch or the number of a tool."""
    words = set(words_of(column.header))
    named = words & set(_GROUP_WORDS) and words <= {
        *_GROUP_WORDS,
        *(word + "s" for word in _GROUP_WORDS),
        *_ID_WORDS,
        "name",
    }
    is_many = len(column.counts) >= _MIN_GROUPS and _is_repeated(column)
    return bool(named) and is_many and not column.missing and not _has_fractions(column)


def is_code(column: ColumnProfile) -> bool:
    """Whether numbers are codes of a category: few whole numbers under a header such as `Mode`."""
    few = len(column.counts) <= _MAX_CODES and not column.not_numbers
    return few and not _has_fractions(column) and has_word(column.header, _CODE_WORDS)


def no_category(column: ColumnProfile) -> str | None:
    """Why a column of text is no category; None if it is one."""
    values = list(column.counts)
    example = values[0][:40]
    if pc.any(pc.match_substring_regex(column.texts, r"^[+-]?\d+,\d+$")).as_py():
        return f"its numbers have a decimal comma ({example!r}): write points, or separate the columns with semicolons"
    if pc.any(pc.match_substring_regex(column.texts, r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$")).as_py():
        return f"a point in its numbers may separate thousands ({example!r}): write them without"
    if not column.is_number and len(column.finite) > column.present / 2:
        return f"{column.present - len(column.finite):,} cells are not numbers, such as {column.not_numbers[0][:40]!r}"
    if len(values) > MAX_CATEGORY_VALUES or len(values) * _MIN_ROWS_PER_VALUE > column.present:
        return f"text with {len(values):,} different values, such as {example!r}"
    if any(len(value) > 300 or not value.isprintable() for value in values):
        return "a value is longer than 300 characters or has more than one line"
    return None


def is_numbered(column: ColumnProfile) -> bool:
    """Whether the values of a category differ in a number only, such as `OV-07`: they may name machines or batches."""
    found = [_NUMBERED.fullmatch(value) for value in column.counts]
    return len(found) >= _MIN_GROUPS and all(found) and len({match[1] for match in found if match}) == 1


def falls(column: ColumnProfile) -> int:
    """How often a sensor falls from one row to the next."""
    return int(np.count_nonzero(np.diff(column.finite) < 0))


def is_wear(column: ColumnProfile) -> bool:
    """Whether a sensor rises slowly and falls seldom, as the wear of a tool that is replaced."""
    if not has_word(column.header, _WEAR_WORDS) or len(column.finite) < _MIN_WEAR_ROWS:
        return False
    steps = len(column.finite) - 1
    rises = np.count_nonzero(np.diff(column.finite) > 0)
    return bool(_MIN_FALLS <= falls(column) <= 0.1 * steps and rises >= 0.8 * steps)


def _is_repeated(column: ColumnProfile) -> bool:
    """Whether each value has two rows on average."""
    return len(column.counts) * 2 <= column.rows


def _has_fractions(column: ColumnProfile) -> bool:
    return len(column.finite) > 0 and bool((column.finite != np.round(column.finite)).any())

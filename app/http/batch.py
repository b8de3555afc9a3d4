"""The readings of a batch as columns, with the errors of its invalid rows."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.events import Events
from predictive_maintenance.validation.value_validation import Faults

from ..problems import count_by_field

MAX_ERRORS = 100_000
"""The errors of one batch that are described. Each takes hundreds of bytes, and a row of three bytes can have six."""

NOT_DESCRIBED = f"is invalid; only the first {MAX_ERRORS:,} errors of a batch are described"


@dataclass(kw_only=True)
class Batch:
    """`rows` readings: a column for each input of the machine, with NaN or None in invalid cells.

    `errors` are (field, reason) by row, from 0. `identity` holds the identity columns of a table, as text. `columnar`: the
    readings came as JSON columns, and the answer has columns, too. `events` are the events of their machines by table.
    """

    rows: int
    columns: dict[str, npt.NDArray[Any]]
    reading_ids: Sequence[str | None] | None = None
    identity: dict[str, list[str | None]] = field(default_factory=dict)
    columnar: bool = False
    errors: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    events: Events = field(default_factory=dict)
    described: int = 0

    @property
    def is_full(self) -> bool:
        """Whether further errors are not described."""
        return self.described >= MAX_ERRORS

    def add_error(self, row: int, column: str, reason: str) -> None:
        """Add an error. Once MAX_ERRORS are described, an invalid row without a description gets NOT_DESCRIBED."""
        if self.is_full:
            self.errors.setdefault(row, [("", NOT_DESCRIBED)])
        else:
            self.errors.setdefault(row, []).append((column, reason))
            self.described += 1

    def add_faults(self, faults: Iterable[Faults], rows: npt.NDArray[np.integer] | None = None) -> None:
        """Add an error for each fault. `rows` maps the positions of the faults to rows of the batch."""
        for fault in faults:
            for row in fault.positions if rows is None else rows[fault.positions]:
                self.add_error(int(row), fault.column, fault.reason)

    def count_errors(self, known: Collection[str]) -> Counter[str]:
        """Return the number of described errors by field; fields that are not `known` are counted together."""
        return count_by_field((name for errors in self.errors.values() for name, _ in errors), known)

    def valid_rows(self) -> npt.NDArray[np.bool_]:
        """Return a mask of shape (rows,): the rows without an error."""
        valid = np.ones(self.rows, dtype=bool)
        valid[list(self.errors)] = False
        return valid

"""Scores for each value of each category."""

from dataclasses import dataclass

import pandas as pd

from ..config.params import Params
from .intervals import BoolArray, FloatArray
from .metrics import Scores
from .row_sets import score_rows

MAX_VALUES = 12
"""At most so many values of a category are scored: a table with a column for each stays readable."""


@dataclass(frozen=True, kw_only=True)
class CategoryScores:
    """The scores by value of one category, in the order of the description.

    Values that do not occur have no scores. Of more than MAX_VALUES values, the most frequent ones have scores;
    `left_out` is the number of the others.
    """

    name: str
    label: str
    values: dict[str, Scores]
    left_out: int


def scores_by_category(
    rows: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray, params: Params
) -> tuple[CategoryScores, ...]:
    """Scores on the readings of each value of each category of the machine in `rows`."""
    return tuple(_of_category(name, rows, probabilities, decisions, params) for name in params.machine.category_names)


def _of_category(
    name: str, rows: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray, params: Params
) -> CategoryScores:
    machine = params.machine
    codes, known = machine.categories[name].of_column(rows[name]), machine.description.categories[name].known_values
    of_value = {value: codes == code for code, value in enumerate(known) if (codes == code).any()}
    most_frequent = sorted(of_value, key=lambda value: -of_value[value].sum())[:MAX_VALUES]
    return CategoryScores(
        name=name,
        label=machine.labels[name],
        values={
            value: score_rows(rows[chosen].reset_index(drop=True), probabilities[chosen], decisions[chosen], params)
            for value, chosen in of_value.items()
            if value in most_frequent
        },
        left_out=len(of_value) - len(most_frequent),
    )

"""Codes of categories: the position of a value in the description, as a number."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .columns import OTHER, Category


def code_of(name: str, category: Category, value: Any) -> float:
    """The code of one value. Raises DataError for an unknown value of a category that rejects it."""
    if value in category.values:
        return float(category.values.index(value))
    if category.unseen == "other":
        return float(category.known_values.index(OTHER))
    raise DataError(f"{name} is {value!r}, not one of {', '.join(category.values)}")


def category_codes(category: Category, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The codes of (n,) values as floats. An unknown value is NaN or, if the category has it, `other`."""
    found = np.asarray(values, dtype=object)
    codes = np.full(found.shape, category.known_values.index(OTHER) if category.unseen == "other" else np.nan, float)
    for code, value in enumerate(category.values):
        codes[found == value] = code
    return codes

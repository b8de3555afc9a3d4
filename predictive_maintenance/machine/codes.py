"""Codes of categories: the position of a value in the description, as a number."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .columns import OTHER, Category
from .names import CODE_SUFFIX


class CategoryCodes:
    """The codes of one category. `code_name` is the feature that contains them."""

    def __init__(self, name: str, category: Category) -> None:
        self.name, self.code_name = name, name + CODE_SUFFIX
        self._values = category.values
        self._codes = {value: float(code) for code, value in enumerate(category.known_values)}
        self._other = self._codes.get(OTHER) if category.unseen == "other" else None

    def of_value(self, value: Any) -> float:
        """The code of one value. Raises DataError for an unknown value of a category that rejects it."""
        code = self._codes.get(value, self._other)
        if code is None:
            raise DataError(f"{self.name} is {value!r}, not one of {', '.join(self._values)}")
        return code

    def of_column(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The codes of (n,) values as floats. An unknown value is NaN or, if the category has it, `other`."""
        found = np.asarray(values, dtype=object)
        codes = np.full(found.shape, np.nan if self._other is None else self._other)
        for value, code in self._codes.items():
            codes[found == value] = code
        return codes

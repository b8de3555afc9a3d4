"""Formulas and conditions: restricted arithmetic, compiled once, with the same bits for one reading and for columns.

A text is parsed into a checked tree (expression.py), and code is generated from that tree alone (compilation.py), so a
formula can execute nothing but arithmetic.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .compilation import compile_for_columns, compile_for_numbers
from .expression import (
    COMPARISONS,
    LOGIC,
    MAX_NUMBER,
    Call,
    ExpressionError,
    Node,
    Number,
    names_in,
    parse_condition,
    parse_formula,
)

Values = Mapping[str, Any]
"""Column names with numbers, arrays or Series."""

MAX_EXPONENT = 64
_NUMBERS = (float, int)


class Formula:
    """Arithmetic of columns, rounded to `decimals` unless they are None. `names` are the columns that it uses.

    A call takes numbers, arrays or Series by name and returns the same kind. Raises ExpressionError for a text that is
    not a formula.
    """

    def __init__(self, text: str, decimals: int | None = None) -> None:
        self.text = text
        self.tree = _folded(parse_formula(text))
        self.names = tuple(dict.fromkeys(names_in(self.tree)))
        if not self.names:
            raise ExpressionError("it uses no column")
        self.number = compile_for_numbers(self.tree, decimals)
        self._of_columns = compile_for_columns(self.tree, decimals)

    def __call__(self, values: Values) -> Any:
        for name in self.names:
            if not isinstance(values[name], _NUMBERS):
                return self._of_any_columns(values)
        return self.number(values)

    def column(self, columns: Values) -> npt.NDArray[np.float64]:
        """The values (n,) for columns of n values."""
        with np.errstate(all="ignore"):
            return self._of_columns(_arrays(columns, self.names))

    def _of_any_columns(self, columns: Values) -> Any:
        result = self.column(columns)
        for name in self.names:
            column = columns[name]
            if hasattr(column, "to_numpy") and hasattr(column, "index"):  # a Series; pandas is not imported here
                return type(column)(result, index=column.index)
        return result


class Condition:
    """Comparisons of columns, joined by `and`, `or` and `not`. A comparison with NaN is false."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = _folded(parse_condition(text))
        self.names = tuple(dict.fromkeys(names_in(self.tree)))
        if not self.names:
            raise ExpressionError("it uses no column")
        self.number = compile_for_numbers(self.tree)
        self._of_columns = compile_for_columns(self.tree)

    def column(self, columns: Values) -> npt.NDArray[np.bool_]:
        """(n,) whether the condition is true for each of n readings."""
        with np.errstate(all="ignore"):
            return self._of_columns(_arrays(columns, self.names))


def _arrays(columns: Values, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    """Contiguous float64 columns: for strided ones, numpy can take another path with other bits."""
    return {name: np.ascontiguousarray(columns[name], dtype=np.float64) for name in names}


def _folded(node: Node) -> Node:
    """The tree with arithmetic of numbers replaced by its value. Raises ExpressionError for a huge number or exponent."""
    if not isinstance(node, Call):
        return node
    arguments = tuple(_folded(argument) for argument in node.arguments)
    if node.function == "**" and isinstance(arguments[1], Number) and abs(arguments[1].value) > MAX_EXPONENT:
        raise ExpressionError(f"the exponent {arguments[1].value:g} is beyond {MAX_EXPONENT}")
    folded = Call(node.function, arguments)
    if node.function in COMPARISONS | LOGIC or not all(isinstance(argument, Number) for argument in arguments):
        return folded
    value = compile_for_numbers(folded)({})
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise ExpressionError(f"a part without columns has the value {value:g}; the largest allowed is {MAX_NUMBER:g}")
    return Number(value)

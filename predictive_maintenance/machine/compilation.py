"""Compile the checked tree of a formula to two functions: of the numbers of one reading, and of columns.

Both give the same bits. Operations whose last bits depend on the implementation (powers, exp, log) go through the same
numpy function in both; the others are exact by IEEE 754. Division by zero and overflow give infinity or NaN.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from .expression import Call, Name, Node, Number
from .rounding import rounded, rounded_number

Compiled = Callable[[Mapping[str, Any]], Any]
_MAX_MULTIPLIED_EXPONENT = 8


def compile_for_numbers(tree: Node, decimals: int | None = None) -> Compiled:
    """A function of a mapping of names to numbers. It gives a float, or a bool for a condition, and never warns."""
    return _compile(tree, _NUMBER_TEMPLATES, decimals)


def compile_for_columns(tree: Node, decimals: int | None = None) -> Compiled:
    """A function of a mapping of names to contiguous float64 arrays. The caller silences numpy's warnings."""
    return _compile(tree, _COLUMN_TEMPLATES, decimals)


def _compile(tree: Node, templates: Mapping[str, str], decimals: int | None) -> Compiled:
    code = _code(tree, templates)
    if decimals is not None:
        code = templates["rounded"].format(code, decimals)
    # The code is made of the templates below, numbers and checked names; the text of the formula is not in it.
    return eval(f"lambda values: {code}", dict(_HELPERS))  # noqa: S307


def _code(node: Node, templates: Mapping[str, str]) -> str:
    match node:
        case Number(value):
            return f"({value!r})"
        case Name(name):
            assert name.isidentifier(), name
            return templates["name"].format(name)
        case Call("**", (base, Number(exponent))) if exponent in range(1, _MAX_MULTIPLIED_EXPONENT + 1):
            # A product has the same bits everywhere and is faster than a power.
            return f"product({_code(base, templates)}, {int(exponent)})"
        case Call("**", (base, Number(0.5))):
            return templates["sqrt"].format(_code(base, templates))
        case Call(function, arguments):
            parts = [_code(argument, templates) for argument in arguments]
            if function in ("and", "or"):
                return "(" + templates[function].join(parts) + ")"
            if function in ("min", "max"):
                return f"{templates[function]}({', '.join(parts)})"
            return templates[function].format(*parts)


def _product(base: Any, exponent: int) -> Any:
    return reduce(lambda result, _: result * base, range(exponent - 1), base)


def _divide(numerator: float, denominator: float) -> float:
    try:
        return numerator / denominator
    except ZeroDivisionError:
        with np.errstate(all="ignore"):
            return float(np.float64(numerator) / np.float64(denominator))


def _minimum(*numbers: float) -> float:
    """The smallest number, NaN if one is NaN. Not -0.0: which zero numpy chooses depends on the processor."""
    return reduce(lambda first, second: first if first < second or first != first else second, numbers) + 0.0


def _maximum(*numbers: float) -> float:
    return reduce(lambda first, second: first if first > second or first != first else second, numbers) + 0.0


def _minima(*columns: Any) -> Any:
    return reduce(np.minimum, columns) + 0.0


def _maxima(*columns: Any) -> Any:
    return reduce(np.maximum, columns) + 0.0


def _of_number(function: np.ufunc, low: float, high: float) -> Callable[[float], float]:
    """`function` of a number. numpy warns only outside of `low` to `high`; silencing it takes a microsecond."""

    def call(number: float) -> float:
        if low < number < high:
            return float(function(number))
        with np.errstate(all="ignore"):
            return float(function(number))

    return call


def _power(base: float, exponent: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.power(base, exponent))


_HELPERS: Mapping[str, Any] = {
    "__builtins__": {}, "abs": abs, "float": float, "np": np, "rounded": rounded,
    "rounded_number": rounded_number, "product": _product,
    "divide": _divide, "power": _power, "minimum": _minimum, "maximum": _maximum, "minima": _minima, "maxima": _maxima,
    "sqrt": _of_number(np.sqrt, 0.0, np.inf), "log": _of_number(np.log, 0.0, np.inf), "exp": _of_number(np.exp, -700.0, 700.0),
}  # fmt: skip
_COMMON = {
    "+": "({} + {})", "-": "({} - {})", "*": "({} * {})", "negative": "(-{})", "abs": "abs({})",
    "<": "({} < {})", "<=": "({} <= {})", ">": "({} > {})", ">=": "({} >= {})",
}  # fmt: skip
_NUMBER_TEMPLATES = _COMMON | {
    "rounded": "rounded_number({}, 1e{})",
    "name": "float(values['{}'])", "/": "divide({}, {})", "**": "power({}, {})",
    "min": "minimum", "max": "maximum", "sqrt": "sqrt({})", "log": "log({})", "exp": "exp({})",
    "and": " and ", "or": " or ", "not": "(not {})",
}  # fmt: skip
_COLUMN_TEMPLATES = _COMMON | {
    "rounded": "rounded({}, {})",
    "name": "values['{}']", "/": "np.true_divide({}, {})", "**": "np.power({}, {})",
    "min": "minima", "max": "maxima", "sqrt": "np.sqrt({})", "log": "np.log({})", "exp": "np.exp({})",
    "and": " & ", "or": " | ", "not": "(~{})",
}  # fmt: skip

"""Parse restricted arithmetic into a checked tree.

The grammar is Python's, limited to numbers, `pi`, names, + - * / **, unary minus and FUNCTIONS; a condition also has
comparisons, `and`, `or` and `not`. The text is parsed, never run.
"""

import ast
import math
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

FUNCTIONS = {"min": (2, 8), "max": (2, 8), "abs": (1, 1), "sqrt": (1, 1), "log": (1, 1), "exp": (1, 1)}
"""The functions of a formula with their smallest and largest number of arguments. `log` is the natural logarithm."""
CONSTANTS = {"pi": math.pi}
RESERVED = frozenset(FUNCTIONS) | frozenset(CONSTANTS)
"""Names that a column cannot have."""

MAX_CHARACTERS = 500
MAX_DEPTH = 40
MAX_NUMBER = 1e30

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.USub: "negative",
}  # fmt: skip
_COMPARISONS: dict[type[ast.AST], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_LOGIC: dict[type[ast.AST], str] = {ast.And: "and", ast.Or: "or", ast.Not: "not"}
COMPARISONS = frozenset(_COMPARISONS.values())
LOGIC = frozenset(_LOGIC.values())
_PARSING = threading.RLock()
"""Python 3.11 counts the depth of the trees that all threads build together: those that parse at once can raise SystemError."""
_CHARACTERS = re.compile(r"[A-Za-z0-9_+\-*/().,<>=\s]*")


class ExpressionError(ValueError):
    """The text is not a formula. The message says why, without the name of the formula."""


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Name:
    name: str


@dataclass(frozen=True)
class Call:
    """An operator, a function, a comparison or a logical operator with its arguments."""

    function: str
    arguments: tuple["Node", ...]


Node = Number | Name | Call


def parse_formula(text: str) -> Node:
    """Parse arithmetic. Raises ExpressionError that names the part that is not allowed."""
    return _number(_parsed(text), 1)


def parse_condition(text: str) -> Node:
    """Parse a condition such as `speed_rpm < 1380 and torque_nm > 2`. Raises ExpressionError."""
    return _truth(_parsed(text), 1)


def names_in(node: Node) -> Iterator[str]:
    """The names in the tree from left to right, repeated if used twice."""
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from names_in(argument)


def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"{len(text)} characters are more than {MAX_CHARACTERS}: split it into several features")
    if (bad := _CHARACTERS.match(text)) and bad.end() < len(text):
        raise ExpressionError(f"{text[bad.end()]!r} at character {bad.end() + 1} is not allowed in a formula")
    try:
        with _PARSING:
            return ast.parse(" ".join(text.split()), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"not valid arithmetic: {error.msg}") from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("nested too deeply, or a number with too many digits") from None


def _number(node: ast.expr, depth: int) -> Node:
    """The tree of an expression whose value is a number."""
    _check_depth(depth)
    match node:
        case ast.Constant(value=bool()) | ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            raise ExpressionError(f"{_shown(node)} is a condition: a formula gives a number")
        case ast.Constant(value=int() | float() as value):
            return Number(_checked_number(value))
        case ast.Name(id=name) if name in CONSTANTS:
            return Number(CONSTANTS[name])
        case ast.Name(id=name) if name in FUNCTIONS:
            raise ExpressionError(f"{name} is a function: write {name}(...)")
        case ast.Name(id=name):
            return Name(name)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Call(_OPERATORS[type(operator)], (_number(left, depth + 1), _number(right, depth + 1)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("negative", (_number(operand, depth + 1),))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            low, high = FUNCTIONS[name]
            if not low <= len(arguments) <= high:
                count = f"{low} argument" if low == high else f"{low} to {high} arguments"
                raise ExpressionError(f"{name} takes {count}, not {len(arguments)}")
            return Call(name, tuple(_number(argument, depth + 1) for argument in arguments))
        case ast.Call():
            raise ExpressionError(f"{_shown(node)} is not allowed; the functions are {', '.join(FUNCTIONS)}")
    raise ExpressionError(f"{_shown(node)} is not arithmetic: use numbers, pi, column names, + - * / ** and functions")


def _truth(node: ast.expr, depth: int) -> Node:
    """The tree of an expression whose value is true or false."""
    _check_depth(depth)
    match node:
        case ast.Compare(left=left, ops=operators, comparators=rights):
            if any(type(operator) not in _COMPARISONS for operator in operators):
                raise ExpressionError(f"{_shown(node)}: compare with <, <=, > or >=")
            values = [_number(value, depth + 1) for value in (left, *rights)]
            pairs = [
                Call(_COMPARISONS[type(operator)], (values[place], values[place + 1]))
                for place, operator in enumerate(operators)
            ]
            return pairs[0] if len(pairs) == 1 else Call("and", tuple(pairs))
        case ast.BoolOp(op=operator, values=parts):
            return Call(_LOGIC[type(operator)], tuple(_truth(part, depth + 1) for part in parts))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Call("not", (_truth(operand, depth + 1),))
    raise ExpressionError(f"{_shown(node)} is not a condition: compare two values, for example speed_rpm < 1380")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels: split it into several features")


def _checked_number(value: float) -> float:
    if not abs(value) <= MAX_NUMBER:
        raise ExpressionError(f"a number is larger than {MAX_NUMBER:g}")
    return float(value)


def _shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 40 else text[:37] + "...")

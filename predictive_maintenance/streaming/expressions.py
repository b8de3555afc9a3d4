"""JMESPath expressions that turn the JSON of a message into named values, such as `merge({timestamp: ts}, values)`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature

from ..config.sources import READINGS
from ..errors import ConfigError, DataError
from ..machine.machine import Machine

_TABLE = re.compile(r"\s*([\w-]+)\s*:(.*)", re.DOTALL)
"""No expression begins with a name and a colon, so that this is a table."""
_SHOWN_PATHS = 12


class _Functions(Functions):
    """The functions of JMESPath, and from_items of JMESPath Community."""

    @signature({"types": ["object"], "variadic": True})
    def _func_merge(self, *objects: Any) -> dict[str, Any]:
        """As the library's, which checks the type of the first argument only."""
        for one in objects:
            if not isinstance(one, dict):
                raise JMESPathError("merge() needs objects, and one is not in the payload")
        return {name: value for one in objects for name, value in one.items()}

    @signature({"types": ["array"]})
    def _func_from_items(self, items: Sequence[Any]) -> dict[str, Any]:
        """The object with the names and values of a list of pairs. Values with one name are an error: one would be lost."""
        found: dict[str, Any] = {}
        for item in items:
            if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
                raise JMESPathError("from_items() needs a list of pairs of a name and a value")
            if item[0] in found:
                raise JMESPathError(f"from_items() got several values with the name {item[0]!r}")
            found[item[0]] = item[1]
        return found


_OPTIONS = jmespath.Options(custom_functions=_Functions())


@dataclass(frozen=True)
class PayloadExpression:
    """A JMESPath expression, and its text as the user wrote it."""

    text: str
    compiled: Any

    def rows(self, payload: Any) -> list[Any]:
        """What the expression makes of each row. A named value that is not in the payload is left out. Raises DataError."""
        try:
            found = self.compiled.search(payload, _OPTIONS)
        except JMESPathTypeError as error:  # its text has the value, which may be long
            text = f"{error.function_name}() needs {' or '.join(error.expected_types)}, and got {error.actual_type}"
            raise DataError(self.reason(text, payload)) from None
        except JMESPathError as error:
            raise DataError(self.reason(str(error), payload)) from None
        except (TypeError, ValueError, ArithmeticError) as error:  # a function's own, such as of ceil(to_number('nan'))
            raise DataError(self.reason(f"a function cannot use a value: {error}", payload)) from None
        rows = found if isinstance(found, list) else [found]
        if not rows or (found is not rows and not isinstance(found, dict)):
            raise DataError(self.reason("is not an object of named values, or a list of them", payload))
        return [_without_nulls(row) for row in rows]

    def reason(self, text: str, payload: Any) -> str:
        """A reason that names the expression and the paths of the payload that it was applied to."""
        paths = list(islice(dict.fromkeys(_paths(payload)), _SHOWN_PATHS + 1))
        more = [", ..."] if len(paths) > _SHOWN_PATHS else []
        return f"--payload {self.text}: {text}; the payload has {', '.join(paths[:_SHOWN_PATHS]) or 'no names'}{''.join(more)}"


def parse_payloads(texts: Iterable[str], machine: Machine) -> Mapping[str, PayloadExpression]:
    """The expressions of tables: `EXPRESSION` for readings, or `TABLE:EXPRESSION`. Raises ConfigError."""
    tables = (READINGS, *machine.description.events)
    found: dict[str, PayloadExpression] = {}
    for text in texts:
        parts = _TABLE.fullmatch(text)
        table, expression = (parts[1], parts[2].strip()) if parts else (READINGS, text.strip())
        if table not in tables:
            names = " or ".join(f"{name}:" for name in tables)
            raise ConfigError(f"--payload {text}: {table!r} is no table: begin with {names}")
        if table in found:
            raise ConfigError(f"--payload {text}: the table {table} has an expression already: give one")
        found[table] = PayloadExpression(expression, _compile(expression))
    return found


def _compile(text: str) -> Any:
    try:
        compiled = jmespath.compile(text)
    except JMESPathError as error:
        reason = str(error).splitlines()[0].rstrip(":.").removesuffix(", for expression")
        raise ConfigError(f"--payload {text}: {reason}: write an expression of https://jmespath.org") from None
    for name, arguments in _calls(compiled.parsed):
        known = _Functions.FUNCTION_TABLE.get(name)
        if known is None:
            raise ConfigError(f"--payload {text}: unknown function {name}()")
        expected = len(known["signature"])
        is_variadic = bool(expected and known["signature"][-1].get("variadic"))
        if arguments < expected or (arguments > expected and not is_variadic):
            least = "at least " if is_variadic else ""
            raise ConfigError(f"--payload {text}: {name}() needs {least}{expected} arguments, and has {arguments}")
    return compiled


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    """The name and the number of arguments of each function call. The library finds mistakes in them when it calls one."""
    if isinstance(node, dict) and "children" in node:
        if node["type"] == "function_expression":
            yield node["value"], len(node["children"])
        for child in node["children"]:
            yield from _calls(child)


def _without_nulls(row: Any) -> Any:
    return {name: value for name, value in row.items() if value is not None} if isinstance(row, dict) else row


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """The path of each value that is neither an object nor a list."""
    if isinstance(value, dict):
        for name, own in value.items():
            yield from _paths(own, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for own in value:
            yield from _paths(own, f"{path}[]")
    elif path:
        yield path

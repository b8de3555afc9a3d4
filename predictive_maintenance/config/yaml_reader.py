"""Read YAML as plain values: text, numbers, booleans, lists, and mappings without duplicate keys."""

import re
from collections.abc import Callable
from typing import Any

import yaml

from ..errors import ConfigError
from ..strict_model import Location
from .uris import redact

_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
_PLAIN = ("map", "seq", "str", "int", "float", "bool", "null")


def read_plain_yaml(text: str, origin: str) -> Any:
    """Parse `text`. Raises ConfigError that names `origin` and the line, and shows none of its text."""
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506  a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        # The text of the error would quote the line, which may contain a password.
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{origin}{where}: not valid YAML: {reason}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{origin}: not valid YAML: nested too deeply") from None


def line_finder(text: str) -> Callable[[Location], int | None]:
    """A function that gives the line, from 1, of the value at a location in valid YAML `text`.

    A part of the location that is not in the text ends the search: the line is that of the part before.
    """

    def line_of(location: Location) -> int | None:
        node = yaml.compose(text, _PlainLoader)
        line = None
        for part in location:
            mark, following = _child(node, part)
            if mark is not None:
                line, node = mark.line + 1, following
        return line

    return line_of


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Mark | None, yaml.Node | None]:
    """Where the value of a key or a position begins, and its node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    return None, None


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader that reads dates as text, 1e-4 as a number, and rejects duplicate keys."""

    yaml_constructors = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _PLAIN
    }
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for first in "-+0123456789":
        # As in YAML 1.2; YAML 1.1 needs a point and a sign: 1.0e-4.
        yaml_implicit_resolvers[first] = [*yaml_implicit_resolvers[first], ("tag:yaml.org,2002:float", _EXPONENT)]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                key, line = self.construct_object(key_node), key_node.start_mark.line + 1
                if key in lines:
                    problem = f"duplicate key {redact(str(key))!r}, first in line {lines[key]}"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                lines[key] = line
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError):
            problem = "a value that does not match its tag, or a number with too many digits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

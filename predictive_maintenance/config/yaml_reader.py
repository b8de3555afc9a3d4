"""YAML as plain values: text, numbers, booleans, lists and mappings, each key once."""

from typing import Any

import yaml

from ..errors import ConfigError
from .uris import redact

_PLAIN = ("map", "seq", "str", "int", "float", "bool", "null")


def read_plain_yaml(text: str, origin: str) -> Any:
    """The values in `text`. Raises ConfigError that names `origin` and the line, and shows nothing of the line."""
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506  a SafeLoader that knows less
    except yaml.MarkedYAMLError as error:
        # Its own text would quote the line, which may hold a password.
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{origin}{where}: not valid YAML: {reason}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{origin}: not valid YAML: nested too deeply") from None


class _PlainLoader(yaml.SafeLoader):
    """A date stays the text that it is written as, and a key that is there twice is an error."""

    yaml_constructors = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _PLAIN
    }
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                key, line = self.construct_object(key_node), key_node.start_mark.line + 1
                if key in lines:
                    problem = f"{redact(str(key))!r} is there twice, first in line {lines[key]}"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                lines[key] = line
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError):
            problem = "a value that does not fit its tag, or a number of too many digits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

"""Messages for invalid settings: the dotted key, the reason, and the closest valid name."""

import os
import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from ..errors import ConfigError
from ..strict_model import suggestion
from .uris import redact

_KEY = "[key]"
"""The last part of a location that means the key of a mapping, not its value."""


def describe_error(detail: Any, model: type[BaseModel]) -> str:
    """A message for one of pydantic's errors about `model`. It omits the text of a source, which may contain a password."""
    location = [redact(str(part)) for part in detail["loc"] if not _is_tag(part)]
    key = ".".join(part for part in location if part != _KEY) or "the file"
    message = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            return f"{key} is not a setting{suggestion(location[-1], _valid_keys(location, model))}"
        case "literal_error" if location[-1] == _KEY:
            known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return f"{'.'.join(location[:-1])} is not an algorithm{suggestion(location[-2], known)}"
        case "missing":
            return f"{key} is missing"
        case "value_error":
            return f"{key}: {message}"
        case "too_short":
            context = detail["ctx"]
            return f"{key}: at least {context['min_length']} values are needed, not {context['actual_length']}"
    value = detail["input"]
    shown = "sources" not in location and isinstance(value, str | int | float | None) and len(location) > 1
    if detail["type"] == "string_type" and isinstance(value, bool):
        return f"{key}: YAML reads yes, no, on and off as true and false: write text in quotes"
    if detail["type"] == "string_type" and isinstance(value, int | float):
        message += ": write it in quotes"
    return f"{key}: {message} (got {value!r})" if shown else f"{key}: {message}"


def refuse_empty(name: str, what: str = "a key") -> None:
    """Raise ConfigError if the environment variable `name` is set, but empty: that is not a decision to go without `what`."""
    if any(variable.upper() == name and not value.strip() for variable, value in os.environ.items()):
        raise ConfigError(f"{name} is empty: unset it or set {what}")


def _is_tag(part: str | int) -> bool:
    """Whether a part of a location is the tag of a variant of a value. Tags are in brackets, as pydantic's mark of a key."""
    return isinstance(part, str) and part.startswith("[") and part.endswith("]") and part != _KEY


def _valid_keys(location: list[str], model: type[BaseModel]) -> list[str]:
    """The keys that are valid in place of the last one of `location`."""
    for key in location[:-1]:
        if key in model.model_fields:
            model = next(_models_in(model.model_fields[key].annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)

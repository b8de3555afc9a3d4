"""What is wrong with a setting, as a sentence: the dotted key, the reason, and what was probably meant."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from .uris import redact


def describe_error(detail: Any, model: type[BaseModel]) -> str:
    """One of pydantic's errors about `model`. A source's text is left out: it may hold a password."""
    location = [redact(str(part)) for part in detail["loc"] if part not in ("range", "choice")]
    key = ".".join(location) or "the file"
    message = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "extra_forbidden":
            return f"{key} is not a setting{neighbours(location[-1], _keys_beside(location, model))}"
        case "literal_error" if location[-1] == "[key]":
            known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return f"{'.'.join(location[:-1])} is not an algorithm{neighbours(location[-2], known)}"
        case "missing":
            return f"{key} is missing"
        case "value_error":
            return f"{key}: {message}"
    value = detail["input"]
    shown = "sources" not in location and isinstance(value, str | int | float | None) and len(location) > 1
    return f"{key}: {message} (it is {value!r})" if shown else f"{key}: {message}"


def neighbours(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown `name`: the known one next to it, or all of them."""
    known = list(known)
    near = get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else "; known here: " + ", ".join(known)


def _keys_beside(location: list[str], model: type[BaseModel]) -> list[str]:
    """The keys that are known where the last one of `location` stands."""
    for key in location[:-1]:
        if key in model.model_fields:
            model = next(_models_in(model.model_fields[key].annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)

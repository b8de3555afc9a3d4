"""Validate plain values as a strict model, with an error for each invalid setting."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from ..errors import ConfigError
from ..strict_model import LocatedValueError, Location, StrictModel
from .setting_errors import describe_error

_Model = TypeVar("_Model", bound=StrictModel)


def validated(
    model: type[_Model], raw: Any, origin: str, line_of: Callable[[Location], int | None] = lambda _location: None
) -> _Model:
    """Validate `raw` as a `model`. Raises ConfigError that names `origin`, the line and every invalid setting."""
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        details = error.errors()
    except ValueError:
        raise ConfigError(f"{origin}: a list or a mapping contains itself") from None
    found: list[tuple[Location, str]] = []
    for detail in details:
        if detail["type"] == "too_short" and any(_is_within(other["loc"], detail["loc"]) for other in details):
            continue  # the values are there, but invalid
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, LocatedValueError):
            found += [((*detail["loc"], *location), text) for location, text in cause.errors]
        else:
            found.append((detail["loc"], describe_error(detail, model)))
    raise located_error(found, origin, line_of)


def located_error(
    errors: list[tuple[Location, str]], origin: str, line_of: Callable[[Location], int | None]
) -> ConfigError:
    """A ConfigError with a line for each error: `origin`, the line and the text."""
    lines = []
    for location, text in errors:
        line = line_of(location)
        lines.append(f"{origin}, line {line}: {text}" if line else f"{origin}: {text}")
    return ConfigError("\n".join(lines))


def _is_within(location: Location, outer: Location) -> bool:
    return len(location) > len(outer) and location[: len(outer)] == outer

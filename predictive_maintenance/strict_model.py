"""The base class of all models of settings and descriptions, and what their validators need to report errors."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict

Location = tuple[str | int, ...]
"""The keys and positions that lead to a value, as in pydantic's errors."""


class StrictModel(BaseModel):
    # A source may contain a password, so pydantic's messages must not show their input.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class LocatedValueError(ValueError):
    """Errors that a validator of a whole model found, each with the location of the value below that model."""

    def __init__(self, errors: Sequence[tuple[Location, str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, location))}: {text}" for location, text in errors))
        self.errors = tuple(errors)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `name`: the closest known name, or all known names."""
    known = list(known)
    near = get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else "; valid names: " + ", ".join(known)

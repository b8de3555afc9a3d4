"""The machine as JSON, as it travels inside a model version: description and unit conversions."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import ModelError
from ..strict_model import StrictModel
from .description import MachineDescription
from .machine import Machine

FORMAT = 1
"""Increased when an older program could not read the file."""


class _MachineFile(StrictModel):
    format: int
    description: MachineDescription
    conversions: Mapping[str, Mapping[str, tuple[float, float]]]


def to_plain(machine: Machine) -> dict[str, Any]:
    """The machine as JSON values."""
    return {"format": FORMAT, "description": machine.description.plain(), "conversions": machine.conversions}


def to_json(machine: Machine) -> str:
    """The machine as the text of a JSON file."""
    return json.dumps(to_plain(machine), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, origin: str = "machine.json") -> Machine:
    """Read the text of `to_json`. Raises ModelError for a damaged file and for one of a later format."""
    try:
        found = json.loads(text)["format"]
        if isinstance(found, int) and found > FORMAT:
            raise ModelError(f"{origin} has format {found}, this program reads up to {FORMAT}: update the program")
        content = _MachineFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{origin} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"{origin} is damaged: it is not the description of a machine") from None
    return Machine(content.description, content.conversions)

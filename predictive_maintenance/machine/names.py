"""Names in a description: of columns, features, failure modes, limits, examples and the registered model."""

import keyword
import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from .expression import RESERVED

READING_ID, MACHINE_ID, TIMESTAMP, COUNTER = "reading_id", "machine_id", "timestamp", "counter"
"""The canonical names of the columns that every machine can have."""
FIXED_NAMES = (READING_ID, MACHINE_ID, TIMESTAMP, COUNTER)

CODE_SUFFIX = "_code"
"""The feature with the codes of category `x` is `x_code`."""

_MAX_CHARACTERS = 60


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > _MAX_CHARACTERS:
        raise ValueError(
            f"{name!r} is not a name: use at most {_MAX_CHARACTERS} small letters, digits and _, with a letter first"
        )
    if name in RESERVED or keyword.iskeyword(name):
        raise ValueError(f"{name!r} has a meaning in formulas: choose another name")
    return name


def _model_name(name: str) -> str:
    if set(name) & set("/:'\"`"):
        raise ValueError(f"{name!r}: a model name must not contain a slash, a colon or a quote")
    if not name.strip():
        raise ValueError("is blank")
    return name


def _text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of text that is not blank")
    return text


def _unit(unit: str) -> str:
    return _text(unit) if unit else unit


def _unit_name(unit: str) -> str:
    if not unit.isalpha():
        raise ValueError(f"{unit!r} is not the name of a unit: use letters only")
    return unit


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})]
ModelName = Annotated[str, AfterValidator(_model_name)]
Text = Annotated[str, StringConstraints(max_length=300), AfterValidator(_text)]
Unit = Annotated[str, StringConstraints(max_length=30), AfterValidator(_unit)]
UnitName = Annotated[str, StringConstraints(max_length=30), AfterValidator(_unit_name)]
"""A unit of the machine's own."""

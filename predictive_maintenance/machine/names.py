"""Names in a description: of columns, features, failure modes, limits, examples and the registered model."""

import keyword
import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

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


Name = Annotated[str, AfterValidator(_name)]
ModelName = Annotated[str, AfterValidator(_model_name)]
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$")
]
"""One line of text that is not blank."""
Unit = Annotated[str, StringConstraints(max_length=30, pattern=r"^[^\x00-\x1f]*$")]

"""The kind of model that every setting is, and how plain values become one."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ConfigError
from .setting_errors import describe_error


class StrictModel(BaseModel):
    # A source may hold a password: pydantic's own texts do not show what they were given.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


_Model = TypeVar("_Model", bound=StrictModel)


def validated(model: type[_Model], raw: Any, origin: str) -> _Model:
    """`raw` as a `model`. Raises ConfigError that names `origin` and everything that is wrong."""
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        details = error.errors()
    except ValueError:
        raise ConfigError(f"{origin}: a list or a mapping in it holds itself") from None
    raise ConfigError("\n".join(f"{origin}: {describe_error(detail, model)}" for detail in details))

"""The base class of all models of settings, and their validation."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ConfigError
from .setting_errors import describe_error


class StrictModel(BaseModel):
    # A source may contain a password, so pydantic's messages must not show their input.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


_Model = TypeVar("_Model", bound=StrictModel)


def validated(model: type[_Model], raw: Any, origin: str) -> _Model:
    """Validate `raw` as a `model`. Raises ConfigError that names `origin` and every invalid setting."""
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        details = error.errors()
    except ValueError:
        raise ConfigError(f"{origin}: a list or a mapping contains itself") from None
    raise ConfigError("\n".join(f"{origin}: {describe_error(detail, model)}" for detail in details))

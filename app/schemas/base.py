"""Base class of the response schemas."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """A response. Fields may begin with `model_`, which pydantic otherwise warns about."""

    model_config = ConfigDict(protected_namespaces=())

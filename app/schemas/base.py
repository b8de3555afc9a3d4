"""Base class of the response schemas."""

from pydantic import BaseModel, ConfigDict, Field, computed_field


class Schema(BaseModel):
    """A response. Fields may begin with `model_`, which pydantic otherwise warns about."""

    model_config = ConfigDict(protected_namespaces=())


class WarningSchema(Schema):
    """A response with a warning."""

    warning: str | None = Field(None, description="What is wrong; null if nothing is.")

    @computed_field(  # type: ignore[prop-decorator]  # mypy does not support decorated properties
        description="The former name of `warning`.", json_schema_extra={"deprecated": True}
    )
    @property
    def trouble(self) -> str | None:
        """The warning, for clients of earlier releases."""
        return self.warning

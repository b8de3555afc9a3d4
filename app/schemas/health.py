"""Schema of the health routes."""

from typing import Literal

from pydantic import Field

from .base import WarningSchema


class Health(WarningSchema):
    """The state of the service."""

    status: Literal["ok", "degraded", "not ready"] = Field(
        description="`degraded`: a model is served, but something is wrong; see `warning`. `not ready`: no model is served."
    )
    warning: str | None = Field(None, description="What is wrong; null if nothing is. `/model/status` has the details.")
    serving_version: str | None = Field(None, description="The version that is served.", examples=["3"])
    production_version: str | None = Field(
        None, description="The production version when the registry last answered.", examples=["3"]
    )
    serving_since: str | None = Field(None, description="When this worker loaded the served model (ISO 8601).")
    restored_from_disk: bool = Field(
        False, description="Whether the served model comes from disk because the registry has not answered yet."
    )
    machine: str | None = Field(
        None,
        description="The kind of machine that the service was started for (`--machine`, `PDM_MACHINE`); null for the one in "
        "`params.yaml`.",
        examples=["fleet"],
    )
    registry_answered_seconds_ago: float | None = Field(None, description="Seconds since the registry last answered.")

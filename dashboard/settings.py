"""What can be set from the environment: PDM_ and the name in capitals, such as PDM_API_URL=http://plant:8000."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from predictive_maintenance.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Where the API is, how often it is asked, and where a person's browser finds MLflow."""

    model_config = SettingsConfigDict(env_prefix="PDM_", frozen=True, extra="ignore", env_ignore_empty=True)

    api_url: Annotated[str, Field(pattern="^https?://[^/]")] = "http://127.0.0.1:8000"
    api_key: SecretStr | None = None
    api_timeout_seconds: Seconds = 10.0
    dashboard_poll_seconds: Seconds = 5.0
    mlflow_url: Annotated[str, Field(pattern="^https?://[^/]")] | None = None


def read_settings() -> Settings:
    """The settings of this process. Raises ConfigError that names every wrong variable, and no secret."""
    try:
        settings = Settings()
        TypeAdapter(HttpUrl).validate_python(settings.api_url)
    except ValidationError as error:
        lines = [
            f"PDM_{detail['loc'][0] if detail['loc'] else 'api_url'}".upper() + f": {detail['msg']}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None
    return settings

"""What can be set from the environment: PDM_ and the name in capitals, such as PDM_POLL_SECONDS=5."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from predictive_maintenance.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Where the registry is comes from MLFLOW_TRACKING_URI, the names in it from params.yaml: both as in training."""

    model_config = SettingsConfigDict(env_prefix="PDM_", frozen=True, extra="ignore", env_ignore_empty=True)

    api_key: SecretStr | None = None
    poll_seconds: Seconds = 10.0
    max_backoff_seconds: Seconds = 300.0
    registry_wait_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    model_dir: Path | None = None
    model_cache: Path = Path("~/.cache/predictive-maintenance")
    max_request_bytes: Annotated[int, Field(ge=1024)] = 32 * 2**20
    max_rows: Annotated[int, Field(ge=1)] = 100_000
    max_waiting: Annotated[int, Field(ge=1)] = 32
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def read_settings() -> Settings:
    """The settings of this process. Raises ConfigError that names every wrong variable, and no secret."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"PDM_{detail['loc'][0]}".upper() + f": {detail['msg']}" for detail in error.errors(include_input=False)
        ]
        raise ConfigError("\n".join(lines)) from None

"""Settings of the service. Each is an environment variable: PDM_ and the name in capitals, such as PDM_POLL_SECONDS=5."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from predictive_maintenance.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The registry's address is MLFLOW_TRACKING_URI; model name and aliases come from params.yaml, as in training."""

    model_config = SettingsConfigDict(env_prefix="PDM_", frozen=True, extra="ignore", env_ignore_empty=True)

    api_key: SecretStr | None = Field(None, description="API key that requests need; none by default.")
    poll_seconds: Seconds = Field(10.0, description="Seconds between two polls of the registry.")
    max_backoff_seconds: Seconds = Field(300.0, description="Longest pause between polls that fail, in seconds.")
    registry_wait_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5.0, description="Seconds that the start waits for the registry before it serves the last good model from disk."
    )
    model_dir: Path | None = Field(
        None, description="Folder with an exported model, which is served instead of a registry's; none by default."
    )
    model_cache: Path = Field(
        Path("~/.cache/predictive-maintenance"),
        description="Folder for downloaded models, for a start without registry.",
    )
    max_request_bytes: Annotated[int, Field(ge=1024)] = Field(32 * 2**20, description="Largest request body, in bytes.")
    max_rows: Annotated[int, Field(ge=1)] = Field(100_000, description="Most readings in one batch.")
    max_table_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 2**20, description="Most bytes that a CSV, Parquet or Arrow table in a request may unpack to."
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(
        32, description="Most batches and explanations that wait; more are refused with status 503."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged: debug, info, warning or error."
    )


def read_settings() -> Settings:
    """Return the settings of this process. Raises ConfigError that names every invalid variable, without its value."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"PDM_{detail['loc'][0]}".upper() + f": {detail['msg']}" for detail in error.errors(include_input=False)
        ]
        raise ConfigError("\n".join(lines)) from None


def describe_settings() -> str:
    """Return a paragraph for each setting: variable, default and description."""
    paragraphs = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" [default: {field.default}]"
        paragraphs.append(f"PDM_{name.upper()}: {field.description}{default}")
    return "\n\n".join(paragraphs)

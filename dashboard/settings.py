"""What can be set from the environment: PDM_ and the name in capitals, such as PDM_API_URL=http://plant:8000."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from predictive_maintenance.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


def _address(text: str) -> str:
    """Raises ValueError for what is no address of a server, and for one with a password, which the pages would show."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("must hold no user and no password: the pages show it")
    return text.rstrip("/")


def _key(secret: SecretStr) -> SecretStr:
    """Raises ValueError for what no request can carry, without telling it."""
    text = secret.get_secret_value().strip()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII")
    return SecretStr(text)


Address = Annotated[str, AfterValidator(_address)]


class Settings(BaseSettings):
    """Where the API is, how often it is asked, and where a person's browser finds MLflow."""

    model_config = SettingsConfigDict(env_prefix="PDM_", frozen=True, extra="ignore", env_ignore_empty=True)

    api_url: Address = "http://127.0.0.1:8000"
    api_key: Annotated[SecretStr, AfterValidator(_key)] | None = None
    api_timeout_seconds: Seconds = 10.0
    dashboard_poll_seconds: Seconds = 5.0
    mlflow_url: Address | None = None


def read_settings() -> Settings:
    """The settings of this process. Raises ConfigError that names every wrong variable, and no secret."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"PDM_{detail['loc'][0]}".upper() + f": {detail['msg']}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None

"""Settings from environment variables: the prefix PDM_ and the name in capitals, such as PDM_API_URL=http://plant:8000."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from predictive_maintenance.config.header_secret import header_secret
from predictive_maintenance.config.setting_errors import refuse_empty
from predictive_maintenance.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]

_EMAIL = re.compile(r"[^@*\s]*@[a-z0-9][a-z0-9.-]*")


def _check_address(text: str) -> str:
    """Reject a text that is not a server's URL, and a URL with credentials, because the pages show it."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with http:// or https:// and contain a host name")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or a password: the pages show this URL")
    return text.rstrip("/")


def _check_key(secret: SecretStr) -> SecretStr:
    """Reject a key that an HTTP header cannot contain. The error does not include the key."""
    return SecretStr(header_secret(secret.get_secret_value()))


def _split_list(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _check_email(text: str) -> str:
    """An e-mail address, or a domain with @ in front, in lower case."""
    # ASCII only: other letters become ASCII letters in lower case, such as the Kelvin sign, and would let somebody else in.
    if not text.isascii() or not _EMAIL.fullmatch(lower := text.lower()):
        raise ValueError(
            f"{text!r} is neither an e-mail address nor a domain: write ana@plant.example or @plant.example"
        )
    return lower


Address = Annotated[str, AfterValidator(_check_address)]
Emails = Annotated[tuple[Annotated[str, AfterValidator(_check_email)], ...], NoDecode, BeforeValidator(_split_list)]


class Settings(BaseSettings):
    """The API's URL, key and polling interval, MLflow's URL for the user's browser, and who must sign in.

    `dashboard_allowed_emails` are e-mail addresses, and domains with @ in front; None lets everybody in whom the provider knows.
    """

    model_config = SettingsConfigDict(env_prefix="PDM_", frozen=True, extra="ignore", env_ignore_empty=True)

    api_url: Address = "http://127.0.0.1:8000"
    api_key: Annotated[SecretStr, AfterValidator(_check_key)] | None = None
    api_timeout_seconds: Seconds = 10.0
    dashboard_poll_seconds: Seconds = 5.0
    mlflow_url: Address | None = None
    dashboard_sign_in: bool = False
    dashboard_allowed_emails: Emails | None = None

    @model_validator(mode="after")
    def _has_key_for_people(self) -> Self:
        if self.dashboard_sign_in and self.api_key is None:
            raise ValueError(
                "PDM_DASHBOARD_SIGN_IN needs PDM_API_KEY, a key with the role operate+people: the API records who acts"
            )
        if self.dashboard_allowed_emails is not None and not self.dashboard_sign_in:
            raise ValueError(
                "PDM_DASHBOARD_ALLOWED_EMAILS needs PDM_DASHBOARD_SIGN_IN=true: without sign-in, everybody may use the dashboard"
            )
        return self


def read_settings() -> Settings:
    """Read the settings. Raises ConfigError that names every invalid variable and contains no secret."""
    refuse_empty("PDM_API_KEY")
    refuse_empty("PDM_DASHBOARD_ALLOWED_EMAILS", "e-mail addresses and domains")
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"PDM_{detail['loc'][0]}".upper() + f": {detail['msg']}"
            if detail["loc"]
            else detail["msg"].removeprefix("Value error, ")
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None

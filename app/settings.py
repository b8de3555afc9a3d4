"""Settings of the service. Each is an environment variable: PDM_ and the name in capitals, such as PDM_POLL_SECONDS=5."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from predictive_maintenance.config.api_keys import SINGLE_KEY_NAME, ApiKey, hash_key, parse_api_keys
from predictive_maintenance.config.setting_errors import refuse_empty
from predictive_maintenance.config.uris import redact
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.store.location import check_store_url
from predictive_maintenance.store.retention import PREDICTION_LOG_DAYS, STORE_RETENTION_DAYS
from predictive_maintenance.tracking.connection import check_tracking_uri
from predictive_maintenance.tracking.signing import parse_public_key

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_SECRETS = ("api_key", "api_keys", "model_public_key", "store_url")
_SHOWN_CHARACTERS = 64
_HOST_NAME = re.compile(r"[a-z0-9._-]+")


def _split_list(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _normalise_host(host: str) -> str:
    """Return a host in lower case, an IPv6 address without brackets."""
    host = host.lower()
    if host == "*" or _HOST_NAME.fullmatch(host):
        return host
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError(f"{host!r} is not a host name or IP address: write it without scheme, port and path") from None


Hosts = Annotated[tuple[Annotated[str, AfterValidator(_normalise_host)], ...], NoDecode, BeforeValidator(_split_list)]


class Settings(BaseSettings):
    """The registry's address is MLFLOW_TRACKING_URI; model name and aliases come from params.yaml, as in training."""

    model_config = SettingsConfigDict(env_prefix="PDM_", frozen=True, extra="ignore", env_ignore_empty=True)

    api_key: Annotated[SecretStr, Field(min_length=1)] | None = Field(
        None,
        description="One API key with every role, which requests need; none by default. An empty value is an error.",
    )
    api_keys: str | None = Field(
        None,
        repr=False,
        description="API keys with names and roles: a file, or lines, made by `predictive-maintenance api-key`; none by default.",
    )
    allowed_hosts: Hosts | None = Field(
        None,
        description="Host names that requests may name, comma-separated; * allows all. By default localhost, 127.0.0.1 and "
        "[::1] if the service listens on one of them, otherwise all.",
    )
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
    max_reading_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 1024, description="Largest body of a single reading, and largest JSON record of a batch, in bytes."
    )
    max_request_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 2**20,
        description="Largest body of a batch, in bytes. The bodies and answers of all batches may take twice as much.",
    )
    model_load_seconds: Seconds = Field(60.0, description="Longest check of a new model version, in seconds.")
    model_load_bytes: Annotated[int, Field(ge=2**27)] = Field(
        512 * 2**20, description="Most memory that the check of a new model version may use, in bytes."
    )
    model_public_key: str | None = Field(
        None,
        description="Public key that model versions have to be signed with: PEM file, PEM or base64; none by default.",
    )
    max_rows: Annotated[int, Field(ge=1)] = Field(100_000, description="Most readings in one batch.")
    max_table_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 2**20, description="Most bytes that a CSV, Parquet or Arrow table in a request may unpack to."
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(
        32,
        description="Most batches that wait, most explanations and requests with events, and most requests that read the store; "
        "more are refused with status 503.",
    )
    batch_deadline_seconds: Seconds = Field(
        10.0, description="Seconds until a batch is answered or ended, with its time in the queue."
    )
    batch_memory_mib: Annotated[int, Field(ge=160)] = Field(
        272, description="Most resident memory of the process that scores batches, in MiB (Linux)."
    )
    store_url: SecretStr | None = Field(
        None,
        description="Address of the store of readings: sqlite:////PATH or postgresql://...; by default the file store.db in the "
        "project folder.",
    )
    store_timeout_seconds: Seconds = Field(5.0, description="Longest wait for a lock or a connection of the store.")
    store_synchronous: Literal["normal", "full"] = Field(
        "full",
        description="Whether a reading that SQLite has acknowledged survives a power failure (full), or the end of the process "
        "only (normal).",
    )
    store_retention_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        STORE_RETENTION_DAYS, description="Days for which received readings are kept."
    )
    prediction_log: bool | None = Field(
        None, description="Whether predictions are logged in the store; by default if PDM_STORE_URL is set."
    )
    prediction_log_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        PREDICTION_LOG_DAYS, description="Days for which logged predictions are kept."
    )
    prediction_log_seconds: Seconds = Field(
        2.0,
        description="Seconds between two writes of the log. A process that is killed loses the predictions since the last one.",
    )
    prediction_log_rows: Annotated[int, Field(ge=1)] = Field(
        100_000, description="Most predictions that wait to be logged, in one worker; more are dropped and counted."
    )
    prediction_log_bytes: Annotated[int, Field(ge=1024)] = Field(
        16 * 2**20, description="Most memory of the predictions that wait to be logged, in bytes."
    )
    audit_log: bool | None = Field(
        None,
        description="Whether settings, changes of the version in production and refused keys are recorded in the store; by "
        "default if PDM_STORE_URL is set.",
    )
    audit_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        730.0, description="Days for which entries of the audit log are kept."
    )
    audit_seconds: Seconds = Field(
        60.0, description="Seconds for which refused requests of one kind are counted in one entry of the audit log."
    )
    max_clock_skew_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        300.0, description="How far in the future the timestamp of a reading for the store may be, in seconds."
    )
    max_connections: Annotated[int, Field(ge=1)] = Field(
        1000, description="Most open connections of a worker; beyond it, those that wait for a request are closed."
    )
    max_header_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 2**10, description="Largest request line and header together, in bytes."
    )
    max_header_lines: Annotated[int, Field(ge=16)] = Field(100, description="Most header lines of a request.")
    header_timeout_seconds: Seconds = Field(10.0, description="Seconds in which a request's header must arrive.")
    body_timeout_seconds: Seconds = Field(
        30.0,
        description="Seconds in which a request's body must arrive and its response must be read, and one more per 64 KiB.",
    )
    shutdown_seconds: Annotated[int, Field(ge=1)] = Field(
        8, description="Seconds that running requests have to finish after SIGTERM."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged: debug, info, warning or error."
    )

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """The API keys. Raises ConfigError if PDM_API_KEYS is not valid."""
        named = parse_api_keys(self.api_keys) if self.api_keys is not None else ()
        if self.api_key is None:
            return named
        digest = hash_key(self.api_key.get_secret_value().strip())  # a file of a secret often ends with a line feed
        # In containers that share an environment, PDM_API_KEY may be a client's key: it keeps its name and its role.
        return (
            named
            if any(key.digest == digest for key in named)
            else (*named, ApiKey(SINGLE_KEY_NAME, "operate", digest))
        )

    @property
    def logs_predictions(self) -> bool:
        """Whether there is a log of predictions."""
        return self.store_url is not None if self.prediction_log is None else self.prediction_log

    @property
    def audits(self) -> bool:
        """Whether entries are recorded in the background. What people do always is, in its transaction."""
        return self.store_url is not None if self.audit_log is None else self.audit_log

    def shown(self) -> dict[str, Any]:
        """All settings as plain values without secrets. API keys are shown by name and role."""
        values = self.model_dump(mode="json", exclude=set(_SECRETS))
        values |= {name: "set" for name in _SECRETS if getattr(self, name) is not None}
        values["api_keys"] = [key.line.rpartition(" ")[0] for key in self.keys]
        if self.store_url is not None:
            values["store_url"] = redact(self.store_url.get_secret_value())
        return values


def read_settings() -> Settings:
    """Return the settings of this process.

    Raises ConfigError that names every invalid variable and shows no secret, and RegistryError if MLFLOW_TRACKING_URI is
    used and is not an address.
    """
    for name in ("PDM_API_KEY", "PDM_API_KEYS"):
        refuse_empty(name)
    try:
        settings = Settings()
    except ValidationError as error:
        raise ConfigError("\n".join(map(_describe_error, error.errors()))) from None
    _ = settings.keys
    parse_public_key(settings.model_public_key)
    if settings.store_url is not None:
        check_store_url(settings.store_url.get_secret_value())
    if settings.model_dir is None:
        check_tracking_uri()
    elif not os.path.isdir(settings.model_dir.expanduser()):  # noqa: PTH112  False without permission
        raise ConfigError(
            f"PDM_MODEL_DIR: {settings.model_dir} is not a folder that can be read: write it with "
            "`predictive-maintenance export`, or unset PDM_MODEL_DIR to serve from the registry"
        )
    return settings


def _describe_error(detail: Any) -> str:
    """A message with the invalid value, unless it may be a secret or the message has it already."""
    name, value = detail["loc"][0], detail["input"]
    shown = name not in _SECRETS and detail["type"] != "value_error" and isinstance(value, str)
    return f"PDM_{name}".upper() + f": {detail['msg']}" + (f" (got {value[:_SHOWN_CHARACTERS]!r})" if shown else "")


def describe_settings() -> str:
    """Return a paragraph for each setting: variable, default and description."""
    paragraphs = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" [default: {field.default}]"
        paragraphs.append(f"PDM_{name.upper()}: {field.description}{default}")
    return "\n\n".join(paragraphs)

"""The kinds of remote storage: their URLs, the settings and errors of their libraries, and where credentials come from.

fsspec reads all of them. Each library finds credentials by its own convention; this module only names the usual places.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config.uris import scheme_of
from ..errors import SourceError

STALL_SECONDS = 30.0
"""A connection on which nothing arrives for this long is ended."""
CHECK_SECONDS = 60.0
"""The time within which a check or a listing must end."""
_DOWNLOAD_LIMIT = "PDM_DOWNLOAD_TIMEOUT_MINUTES"
_DOWNLOAD_MINUTES = 60.0


@dataclass(frozen=True, kw_only=True)
class StoreKind:
    """One kind of storage.

    `form` is the form of its URLs and `missing` says that a file is not there. `credentials` says what to check when
    access fails, and `variables` are the environment variables with credentials, the most specific first. `environment` has
    settings that its library reads on import, where the library's default does not suit.
    """

    form: str
    missing: str
    credentials: str
    invalid: str
    variables: tuple[str, ...]
    options: Callable[[str | None], dict[str, Any]]
    errors: Callable[[], tuple[type[Exception], ...]]
    install: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    is_web: bool = False

    def configured_credentials(self) -> str | None:
        """The name of the environment variable that gives the credentials; None if the library looks elsewhere."""
        return next((name for name in self.variables if os.environ.get(name)), None)


def store_kind(url: str) -> StoreKind | None:
    """The kind of storage of `url`; None for any other source."""
    return _KINDS.get(scheme_of(url))


def download_seconds() -> float:
    """The time within which the download of one file must end. Raises SourceError if the setting is not a number."""
    text = os.environ.get(_DOWNLOAD_LIMIT, "")
    try:
        minutes = float(text or _DOWNLOAD_MINUTES)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise SourceError(f"{_DOWNLOAD_LIMIT}: {text!r} is not a number of minutes above 0")
    return minutes * 60


def _s3_options(endpoint_url: str | None) -> dict[str, Any]:
    timeouts = {"connect_timeout": STALL_SECONDS, "read_timeout": STALL_SECONDS}
    # One stream: parts would take 500 MB of memory, and could be of two versions of an object that is being replaced.
    return {"endpoint_url": endpoint_url, "config_kwargs": timeouts, "max_concurrency": 1}


def _s3_errors() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError as WebError
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, WebError


def _azure_options(_: str | None) -> dict[str, Any]:
    return {"connection_timeout": STALL_SECONDS, "read_timeout": STALL_SECONDS}


def _azure_errors() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError as WebError
    from azure.core.exceptions import AzureError

    return AzureError, WebError


def _google_options(_: str | None) -> dict[str, Any]:
    return {"requests_timeout": _stall_timeout()}


def _google_errors() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError as WebError
    from gcsfs.retry import ChecksumError, HttpError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    return HttpError, ChecksumError, GoogleAuthError, RequestException, WebError


def _web_options(_: str | None) -> dict[str, Any]:
    return {"client_kwargs": {"timeout": _stall_timeout(), "trust_env": True}}  # HTTPS_PROXY and ~/.netrc


def _web_errors() -> tuple[type[Exception], ...]:
    from aiohttp import ClientError as WebError

    return (WebError,)


def _stall_timeout() -> Any:
    from aiohttp import ClientTimeout

    return ClientTimeout(total=None, sock_connect=STALL_SECONDS, sock_read=STALL_SECONDS)


_S3 = StoreKind(
    form="s3://bucket/key",
    missing="no such object",
    credentials="the AWS credentials, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL",
    invalid="AWS_ENDPOINT_URL must begin with http:// or https://",
    variables=("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    options=_s3_options,
    errors=_s3_errors,
)
_AZURE = StoreKind(
    form="abfs://container/path",
    missing="no such blob",
    credentials="AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and its credentials",
    invalid="set AZURE_STORAGE_CONNECTION_STRING to a connection string, or AZURE_STORAGE_ACCOUNT_NAME to an account's name",
    variables=(
        "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_ID",
        "AZURE_CLIENT_ID",
    ),
    options=_azure_options,
    errors=_azure_errors,
)  # fmt: skip
_GOOGLE = StoreKind(
    form="gs://bucket/key",
    missing="no such object",
    credentials="the Google credentials: GOOGLE_APPLICATION_CREDENTIALS or `gcloud auth application-default login`",
    invalid="not a valid URL",
    variables=("GOOGLE_APPLICATION_CREDENTIALS",),
    options=_google_options,
    errors=_google_errors,
    install="needs the package gcsfs: pip install 'predictive-maintenance[gcs]'",
    # An experimental look-up of the kind of bucket over gRPC, which takes a minute where gRPC is blocked.
    environment={"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"},
)
_WEB = StoreKind(
    form="https://host/path",
    missing="no such file",
    credentials="the URL and its credentials",
    invalid="not a valid URL: the port must be a number, and special characters must be percent-encoded",
    variables=(),
    options=_web_options,
    errors=_web_errors,
    is_web=True,
)
_KINDS = {"s3": _S3, "abfs": _AZURE, "abfss": _AZURE, "az": _AZURE, "gs": _GOOGLE, "http": _WEB, "https": _WEB}

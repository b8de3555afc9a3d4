"""What an error of MLflow, of the way to it or of its stores means, and the way out, in words."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import RegistryError

_LIBRARY_ERRORS = (
    ("mlflow.exceptions", "MlflowException"),
    ("requests.exceptions", "RequestException"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("boto3.exceptions", "Boto3Error"),
)
OLDEST_SERVER = (2, 3)  # the first with aliases
_UNREACHABLE = ("Max retries exceeded", "Connection refused", "NameResolutionError", "timed out")


@contextmanager
def as_registry_errors(uri: str, doing: str) -> Iterator[None]:
    """A block whose errors from MLflow at `uri` become a RegistryError that says what was being done, and where."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _known_errors()):
            raise
        raise RegistryError(f"MLflow at {redact(uri)}, {doing}: {_reason(error)}") from error


def _known_errors() -> tuple[type[Exception], ...]:
    """The errors of MLflow and of what it reads its files and tables with.

    A server may hand out artifacts by itself or send its clients to S3: boto's errors then come as they are. A library
    that nobody has imported raises nothing: it need not be there, as on a machine that only serves.
    """
    loaded = [(sys.modules[module], name) for module, name in _LIBRARY_ERRORS if module in sys.modules]
    return (OSError, *(getattr(module, name) for module, name in loaded))


def redact(text: str) -> str:
    """`text` without the user and password of a URI in it."""
    return re.sub(r"://[^/@]*@", "://***@", text)


def _reason(error: Exception) -> str:
    text, status = redact(str(error)), _http_status(error)
    if refused := re.search(r"too many (\d{3}) error responses", text):
        return f"the server answers {refused[1]} each time: its log says why"
    if any(sign in text for sign in _UNREACHABLE):
        return "the server does not answer: is MLFLOW_TRACKING_URI right, and the server up?"
    if status == 401:
        return "the credentials were refused (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if status == 403:
        return "permission denied (403): the account may not do that there"
    if "not in a valid JSON format" in text or "failed with error code 404" in text:
        oldest = ".".join(str(number) for number in OLDEST_SERVER)
        return f"what answers there is not an MLflow server, or one before {oldest}: is MLFLOW_TRACKING_URI right?"
    if "out-of-date database schema" in text:
        return "its database was made by another MLflow version: back it up and run `mlflow db upgrade URI`"
    return text.strip().splitlines()[0][:500] if text.strip() else type(error).__name__


def _http_status(error: Exception) -> int | None:
    """The status that a server answered with; None where no server did. A text may hold any number, such as a port."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    if isinstance(error, RequestException) and error.response is not None:
        return error.response.status_code
    return None

"""The error that the service reports to a client: a problem with a status, a sentence, and the invalid fields.

`problem_responses` turns it into a response. This module imports no framework, because the worker process has none.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus

from predictive_maintenance.errors import StoreError

_MAX_ERRORS = 100


class Problem(Exception):  # noqa: N818  the term of RFC 9457
    """An error for the client. `errors` are (row or None, field, reason)."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[tuple[int | None, str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, dict(headers or {})


def field_problem(errors: Sequence[tuple[int | None, str, str]], omitted: int = 0) -> Problem:
    """Return a problem with status 422: the first 3 errors are in `detail`, the first 100 in `errors`.

    `omitted` is the number of further errors that `errors` does not contain.
    """
    shown = "; ".join(f"{field}: {reason}" if field else reason for _, field, reason in errors[:3])
    further = len(errors) - 3 + omitted
    more = f"; and {further} more" if further > 0 else ""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, shown + more, errors[:_MAX_ERRORS])


def count_by_field(fields: Iterable[str], known: Collection[str]) -> Counter[str]:
    """Return how often each field is invalid, for the metrics: unknown names are counted together. "" is a whole row."""
    return Counter(field if field in known or not field else "unknown" for field in fields)


def busy(reason: str) -> Problem:
    """Return the refusal of a request that may succeed later."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}: try again in a moment", headers={"Retry-After": "1"})


def store_problem(error: StoreError) -> Problem:
    """Return the problem of a request that needs the store while it cannot be used."""
    headers = {"Retry-After": str(error.retry_seconds)} if error.retry_seconds is not None else {}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=headers)


def disk_full_problem() -> Problem:
    """Return the problem of a request for which the service has no disk space."""
    detail = "the service has no disk space for this request: its operator must free space in the temporary folder"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "60"})

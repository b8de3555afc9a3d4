"""The API as the pages ask it: its words are those of `app.cards` and `app.schemas`. No Streamlit here."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
import pyarrow as pa
from pydantic import BaseModel, ValidationError

from app.schemas.model import Health, ModelCard, Thresholds, TrainingList, VersionList
from app.schemas.prediction import Prediction, WhatIf
from dashboard.settings import Settings
from predictive_maintenance.machine.sensors import INPUT_NAMES

ARROW = "application/vnd.apache.arrow.stream"
SCORING_SECONDS = 120.0
"""A fleet's readings take longer than a look at the service."""

M = TypeVar("M", bound=BaseModel)


class ApiError(Exception):
    """The API gave no answer that can be shown; the text is for a person."""


class ApiUnreachableError(ApiError):
    """Nothing answered, or not in time."""


class ApiRefusedError(ApiError):
    """It answered with an error. `errors` are (field, reason)."""

    def __init__(self, status: int, detail: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status, self.errors = status, errors


class Api:
    """One API. Safe to use from several threads at once."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        key = settings.api_key
        self.url = settings.api_url
        self._client = httpx.Client(
            base_url=self.url,
            headers={"X-API-Key": key.get_secret_value()} if key else {},
            timeout=settings.api_timeout_seconds,
            transport=transport,
        )

    def health(self) -> Health:
        return self._get("/health", Health)

    def card(self) -> ModelCard:
        return self._get("/model", ModelCard)

    def history(self) -> VersionList:
        return self._get("/model/history", VersionList)

    def trainings(self) -> TrainingList:
        return self._get("/model/trainings", TrainingList)

    def thresholds(self) -> Thresholds:
        return self._get("/model/thresholds", Thresholds)

    def metrics(self) -> str:
        """Prometheus text."""
        return self._ask("GET", "/metrics").text

    def predict(self, reading: Mapping[str, Any]) -> Prediction:
        """With the explanation."""
        return _read(self._ask("POST", "/predict", params={"explain": "true"}, json=dict(reading)), Prediction)

    def what_if(self, reading: Mapping[str, Any]) -> WhatIf:
        return _read(self._ask("POST", "/predict/what-if", json=dict(reading)), WhatIf)

    def score(self, content: bytes, kind: str) -> pa.Table:
        """A table of readings, of content type `kind`: the same readings and their scores."""
        answer = self._ask(
            "POST", "/predict/batch", params={"inputs": "true"}, content=content,
            headers={"content-type": kind, "accept": ARROW}, timeout=SCORING_SECONDS,
        )  # fmt: skip
        try:
            with pa.ipc.open_stream(answer.content) as stream:
                table = stream.read_all()
        except pa.ArrowException:
            raise _unexpected(answer, "the table") from None
        if lacking := {*INPUT_NAMES, "failure_probability", "rejected"} - set(table.column_names):
            raise _unexpected(answer, ", ".join(sorted(lacking)))
        return table

    def _get(self, path: str, words: type[M]) -> M:
        return _read(self._ask("GET", path), words)

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **how)
        except httpx.TimeoutException:
            raise ApiUnreachableError(f"{self.url} took too long to answer (PDM_API_TIMEOUT_SECONDS)") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
            raise ApiUnreachableError(f"{self.url} does not answer: {reason}") from None
        if answer.is_success:
            return answer
        raise _refusal(answer)


def _read(answer: httpx.Response, words: type[M]) -> M:
    try:
        return words.model_validate_json(answer.content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the body"
        raise _unexpected(answer, where) from None


def _unexpected(answer: httpx.Response, where: str) -> ApiError:
    return ApiError(
        f"{answer.url} does not answer as this dashboard expects ({where}): both must be of the same release"
    )


def _refusal(answer: httpx.Response) -> ApiRefusedError:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return ApiRefusedError(401, "the API asks for a key: set PDM_API_KEY to the one it was started with")
    try:
        told = answer.json()
        errors = tuple((error["field"], error["reason"]) for error in told.get("errors", ()))
        return ApiRefusedError(answer.status_code, told["detail"], errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiRefusedError(
            answer.status_code, f"{answer.url} answered {answer.status_code}, and not as this API does"
        )

"""HTTP client for the prediction API. Responses are parsed with the models of `app.schemas`."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import pyarrow as pa
from pydantic import BaseModel, ValidationError

from app.schemas.audit import PERSON_HEADER, Action, AuditList, KeptAcknowledgement, NotedRefusal, RefusalReason
from app.schemas.deliveries import DeliveryList
from app.schemas.feedback import KeptFeedback
from app.schemas.health import Health
from app.schemas.incidents import IncidentList
from app.schemas.machines import KeptEvents, MachineHistory, MachineList
from app.schemas.model import ModelCard, Thresholds, VersionList
from app.schemas.monitoring import Monitoring
from app.schemas.prediction import Prediction, WhatIf
from app.schemas.shadow import ComparisonList
from app.schemas.training_runs import TrainingRunList
from dashboard.settings import Settings

ARROW_STREAM = "application/vnd.apache.arrow.stream"
BATCH_TIMEOUT_SECONDS = 120.0
"""Scoring a large file takes longer than any other request."""
KEEPALIVE_SECONDS = 2.0
"""Shorter than the server's 5 s. Otherwise a request may use a connection that the server is closing."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class ApiError(Exception):
    """A request without a usable response. The message is shown to the user."""


class ApiUnreachableError(ApiError):
    """No response, or none within the timeout."""


class ApiStatusError(ApiError):
    """An HTTP error response. `errors` holds (field, reason) pairs."""

    def __init__(self, status: int, detail: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status, self.errors = status, errors


class ApiClient:
    """Client for one API. Thread-safe."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        key = settings.api_key
        self.url = settings.api_url
        self._client = httpx.Client(
            base_url=self.url,
            headers={"X-API-Key": key.get_secret_value()} if key else {},
            timeout=settings.api_timeout_seconds,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_SECONDS),
            transport=transport,
        )

    def health(self) -> Health:
        return self._get("/health", Health)

    def status(self) -> Health:
        """Return the health with the details, which need the API key if one is set."""
        return self._get("/model/status", Health)

    def model_card(self) -> ModelCard:
        return self._get("/model", ModelCard)

    def versions(self) -> VersionList:
        return self._get("/model/history", VersionList)

    def training_runs(self) -> TrainingRunList:
        return self._get("/model/trainings", TrainingRunList)

    def thresholds(self) -> Thresholds:
        return self._get("/model/thresholds", Thresholds)

    def machines(self, limit: int, after: str = "") -> MachineList:
        """Return the latest state of at most `limit` machines in the store, with ids greater than `after`."""
        return _parse(self._request("GET", "/machines", params={"limit": limit, "after": after}), MachineList)

    def machine_history(self, machine_id: str, limit: int) -> MachineHistory:
        """Return a machine in the store with its latest readings, at most `limit`."""
        path = f"/machines/{quote(machine_id, safe='')}"
        return _parse(self._request("GET", path, params={"limit": limit}), MachineHistory)

    def incidents(self, limit: int) -> IncidentList:
        """The newest incidents of monitoring, of a service with a store."""
        return self._get(f"/incidents?limit={limit}", IncidentList)

    def deliveries(self, limit: int) -> DeliveryList:
        """Messages about alarms that were not delivered, of a service with a store."""
        return self._get(f"/deliveries?limit={limit}", DeliveryList)

    def audit(self, limit: int, actions: Collection[Action] = (), before: int | None = None) -> AuditList:
        """The newest entries of the audit log, which precede `before`. It needs a key with the role operate."""
        params: dict[str, Any] = {"limit": limit, "action": list(actions)} | ({"before": before} if before else {})
        return _parse(self._request("GET", "/audit", params=params), AuditList)

    def acknowledge(self, machine_id: str, alarm: str | float, person: str | None) -> KeptAcknowledgement:
        """Acknowledge the alarm of a machine that opened at a time."""
        body = {"machine_id": machine_id, "alarm": alarm}
        return _parse(self._request("POST", "/acknowledgements", json=body, headers=_for(person)), KeptAcknowledgement)

    def note_refused_person(self, person: str, reason: RefusalReason) -> NotedRefusal:
        """Note in the audit log that a person was not let in. It needs a key that speaks for people."""
        body = {"reason": reason}
        return _parse(self._request("POST", "/audit/refusals", json=body, headers=_for(person)), NotedRefusal)

    def report(self, reports: Sequence[Mapping[str, Any]], person: str | None) -> KeptFeedback:
        """Send reports on alarms or predictions, at most 1,000: all of them are kept, or none."""
        return _parse(self._request("POST", "/feedback", json=list(reports), headers=_for(person)), KeptFeedback)

    def keep_events(self, table: str, events: Sequence[Mapping[str, Any]], person: str | None) -> KeptEvents:
        """Send events of a table, at most 1,000: all of them are kept, or none."""
        return _parse(self._request("POST", "/events", json={table: list(events)}, headers=_for(person)), KeptEvents)

    def comparisons(self) -> ComparisonList:
        """The latest comparison of a candidate with production, of a service with a store."""
        return self._get("/shadow", ComparisonList)

    def monitoring(self) -> Monitoring:
        """The latest check of production by monitoring, of a service with a store."""
        return self._get("/monitoring", Monitoring)

    def metrics(self) -> str:
        """Return the API's metrics in the Prometheus text format."""
        return self._request("GET", "/metrics").text

    def predict(self, reading: Mapping[str, Any]) -> Prediction:
        """Return the prediction with its explanation. It is a trial: the service neither counts nor logs it."""
        params = {"explain": "true", "log": "false"}
        return _parse(self._request("POST", "/predict", params=params, json=dict(reading)), Prediction)

    def what_if(self, reading: Mapping[str, Any]) -> WhatIf:
        return _parse(self._request("POST", "/predict/what-if", json=dict(reading)), WhatIf)

    def predict_with_what_if(self, reading: Mapping[str, Any]) -> tuple[Prediction, WhatIf]:
        """Return both responses from the same model version. Repeats the prediction if a promotion happened in between."""
        prediction, what_if = self.predict(reading), self.what_if(reading)
        return (prediction if prediction.model_version == what_if.model_version else self.predict(reading)), what_if

    def score_table(self, content: bytes, media_type: str) -> pa.Table:
        """Score a file of readings, as a trial. Returns the readings with their scores."""
        response = self._request(
            "POST", "/predict/batch", params={"inputs": "true", "log": "false"}, content=content,
            headers={"content-type": media_type, "accept": ARROW_STREAM}, timeout=BATCH_TIMEOUT_SECONDS,
        )  # fmt: skip
        try:
            with pa.ipc.open_stream(response.content) as stream:
                table = stream.read_all()
        except pa.ArrowException:
            raise _unexpected_response(response, "not an Arrow stream") from None
        if missing := {"failure_probability", "rejected"} - set(table.column_names):
            raise _unexpected_response(response, f"missing columns: {', '.join(sorted(missing))}")
        return table

    def _get(self, path: str, schema: type[ModelT]) -> ModelT:
        return _parse(self._request("GET", path), schema)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **options)
        except httpx.TimeoutException:
            raise ApiUnreachableError(f"{self.url} timed out (PDM_API_TIMEOUT_SECONDS)") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = re.sub(r"\[Errno -?\d+\] ", "", str(error)).rstrip(".") or type(error).__name__
            raise ApiUnreachableError(f"{self.url} is not reachable: {reason}") from None
        if response.is_success:
            return response
        raise _status_error(response)


def _for(person: str | None) -> dict[str, str]:
    """The header that names the person who acts; none without sign-in."""
    return {PERSON_HEADER: quote(person, safe="")} if person else {}


def _parse(response: httpx.Response, schema: type[ModelT]) -> ModelT:
    try:
        return schema.model_validate_json(response.content)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _unexpected_response(response, f"field {field}" if field else "not valid JSON") from None


def _unexpected_response(response: httpx.Response, reason: str) -> ApiError:
    return ApiError(
        f"unexpected response from {response.url} ({reason}): run the dashboard and the API from the same release"
    )


def _status_error(response: httpx.Response) -> ApiStatusError:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return ApiStatusError(401, "the API requires a key: set PDM_API_KEY to one of the API's keys")
    try:
        problem = response.json()
        errors = tuple((error["field"], error["reason"]) for error in problem.get("errors", ()))
        return ApiStatusError(response.status_code, problem["detail"], errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiStatusError(
            response.status_code,
            f"{response.url} returned HTTP {response.status_code} without problem details: check PDM_API_URL",
        )

"""Score one batch in the worker process."""

import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from predictive_maintenance.errors import ModelError, StoreError, is_disk_full
from predictive_maintenance.tracking.entities import ModelVersion

from ..http.batch import Batch
from ..http.batch_request import IDENTITY_COLUMNS, read_batch
from ..http.batch_response import ScoredBatch, as_json, as_table, score_batch
from ..http.event_json import read_json_events
from ..http.event_table import read_events
from ..http.invocation_bodies import as_batch, as_lines
from ..http.media_types import JSON, JSON_LINES
from ..http.tables import body_limits
from ..problems import Problem, disk_full_problem, field_problem
from ..serving.kept_events import event_faults, events_by_machine, keep_events
from ..serving.served_model import ServedModel
from ..serving.store_access import StoreAccess, StoreOptions
from .kept_batch import keep_batch
from .logged_batch import logged_blocks
from .messages import EVERY_TABLE, Failed, Job, Refused, Result, Scored, Stored, StoreFailed

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

T = TypeVar("T")


class BatchScorer:
    """Scores batches with the model that each one names; the model of the last batch stays loaded."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._model: ServedModel | None = None
        self._store: StoreAccess | None = None

    def run(self, job: Job, body: bytes) -> tuple[Result, bytes | bytearray]:
        """Return the result and the answer, which is empty if the batch is not scored. Raises MemoryError."""
        try:
            return self._score(job, body)
        except Problem as problem:
            return _refused(problem), b""
        except StoreError as error:
            return StoreFailed(reason=str(error), retry_seconds=error.retry_seconds, replaced=error.replaced), b""
        except MemoryError:
            raise
        except OSError as error:
            if not is_disk_full(error):
                return Failed(traceback.format_exc()), b""
            return _refused(disk_full_problem()), b""
        except Exception:  # noqa: BLE001  the service logs it
            return Failed(traceback.format_exc()), b""

    def _score(self, job: Job, body: bytes) -> tuple[Scored | Stored, bytes | bytearray]:
        model = self._load(job)
        if job.events and job.store:
            return self._keep_events(job, body, model, job.store), b""
        media_type, answer_type = job.media_type, job.answer_type
        if job.invocation:
            body = as_batch(body, media_type, model.scorer.machine, job.max_rows, job.max_record_bytes)
            media_type, answer_type = (JSON if kind == JSON_LINES else kind for kind in (media_type, answer_type))
        schema = model.schema if job.store is None else model.schema.kept
        batch = read_batch(
            body,
            media_type,
            job.max_rows,
            job.max_record_bytes,
            job.max_table_bytes,
            schema,
            job.aliases,
            IDENTITY_COLUMNS if job.inputs else (),
            repeats=job.store is not None,
        )
        kept: Mapping[str, int] = {}
        if job.store is None:
            scored = score_batch(batch, model)
        else:
            scored, kept = self._keep(batch, model, job.model_name, job.store)
        answer = as_json(scored, job.model_name) if answer_type == JSON else as_table(scored, answer_type, job.inputs)
        result = Scored(
            probabilities=scored.probabilities.tobytes(),
            alarms=int(scored.decisions.sum()),
            errors=dict(batch.count_errors(schema.names)),
            rejected=len(batch.errors),
            kept=dict(kept),
            warnings=list(scored.batch_warnings),
            log=logged_blocks(scored, job.request_id, job.log_bytes, with_inputs=job.store is None)
            if job.log_bytes
            else [],
        )
        return result, as_lines(answer) if job.answer_type == JSON_LINES else answer

    def _keep_events(self, job: Job, body: bytes, model: ServedModel, options: StoreOptions) -> Stored:
        machine, skew = model.scorer.machine, options.max_clock_skew_seconds
        if job.events == EVERY_TABLE:
            events = read_json_events(bytes(body), model.schema, skew)
        else:
            limits = body_limits(job.max_rows, job.max_table_bytes)
            columns = read_events(body, job.media_type, limits, machine, job.events, job.aliases)
            if errors := list(event_faults(machine, columns, skew)):
                raise field_problem(errors)
            events = events_by_machine(machine, {job.events: columns})
        name = job.model_name
        return Stored(
            events=self._in_store(options, lambda store: keep_events(store, machine, name, events, job.actor))
        )

    def _keep(
        self, batch: Batch, model: ServedModel, model_name: str, options: StoreOptions
    ) -> tuple[ScoredBatch, Mapping[str, int]]:
        skew = options.max_clock_skew_seconds
        return self._in_store(options, lambda store: keep_batch(store, batch, model, model_name, skew))

    def _in_store(self, options: StoreOptions, work: Callable[["Store"], T]) -> T:
        """The result of `work`. Raises StoreError."""
        if self._store is None or structs.replace(self._store.options, create=options.create) != options:
            self._store = StoreAccess(options)
        try:
            result = work(self._store.open())
        except StoreError as error:
            self._store.report(error)
            raise
        self._store.purge()
        return result

    def _load(self, job: Job) -> ServedModel:
        if self._model is None or self._folder != job.folder:
            self._model = None  # free its memory first
            version = ModelVersion.from_json(job.version)
            try:
                self._model = ServedModel.load(Path(job.folder), version)
            except ModelError as error:
                detail = f"version {version.version} cannot be loaded from the model cache to score batches: {error}"
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail) from None
            self._folder = job.folder
        return self._model


def _refused(problem: Problem) -> Refused:
    return Refused(status=problem.status, detail=problem.detail, errors=list(problem.errors), headers=problem.headers)

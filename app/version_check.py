"""Check a model version: load it, score a full batch, and send its golden readings to every route that uses the model.

The service runs this as a separate process, `python -m app.version_check`, see serving/isolated_check.py. The standard
input is JSON: folder, version, seconds, memory_bytes.
"""

import asyncio
import json
import os
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnxruntime
from pydantic import BaseModel, ValidationError

from predictive_maintenance.config.serving_params import load_serving_params
from predictive_maintenance.errors import ModelError, RegistryError
from predictive_maintenance.history.features import complete, needed_rows, take
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.scorer.monitoring_reference import read_monitoring
from predictive_maintenance.scorer.scoring import BATCH_ROWS, Scorer
from predictive_maintenance.scorer.version_files import (
    GOLDEN_FILE,
    TRAINING_ROWS_FILE,
    GoldenRows,
    check_training_rows,
    parse_golden,
    read_file,
)
from predictive_maintenance.tracking.entities import ModelVersion

from .factory import create_app
from .http import batch_request, batch_response
from .http.media_types import JSON, TABLES
from .schemas.events import EVENTS
from .schemas.model import ModelCard, Thresholds
from .schemas.prediction import BatchPrediction, Prediction, WhatIf
from .schemas.reading import HISTORY
from .serving.isolated_check import REFUSED
from .serving.served_model import ServedModel
from .settings import Settings

_IMPORTED_LATER = (onnxruntime, batch_request, batch_response)
"""The service imports these when it needs them. Here they are imported before the memory is limited."""

_NICENESS = 5
_FIRST_TO_KILL = "1000"
"""For the kernel: if memory runs out, it ends this process before the service."""
_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory", "Unable to allocate")
_PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A request to a route that uses the model, and the schema of its answer if that is JSON."""

    method: str
    path: str
    body: Any = None
    accept: str = JSON
    schema: type[BaseModel] | None = None


def main() -> None:
    """Check the version that the standard input names. Exits with REFUSED and the reason if it cannot be served."""
    task, result = json.load(sys.stdin), os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the log goes to standard output, which is for the reason only
    os.nice(_NICENESS)
    _limit_process(task["seconds"], task["memory_bytes"])
    try:
        check_version(Path(task["folder"]), ModelVersion.from_json(task["version"]))
    except (ModelError, MemoryError) as error:
        reason = str(error)
        if isinstance(error, MemoryError) or any(text in reason for text in _OUT_OF_MEMORY):
            reason = f"it needs more than {task['memory_bytes']:,} bytes of memory (PDM_MODEL_LOAD_BYTES): {reason}"
        result.write(reason)
        result.close()
        sys.exit(REFUSED)


def check_version(folder: Path, version: ModelVersion) -> None:
    """Raise ModelError with the reason if the version in `folder` cannot be served."""
    model = ServedModel.load(folder, version)
    golden = parse_golden(read_file(folder, GOLDEN_FILE), model.scorer.machine)
    if (folder / TRAINING_ROWS_FILE).exists():  # serving does not need it, the next training's evaluation does
        check_training_rows(folder)
    read_monitoring(folder, model.scorer.machine)
    if len(set(golden.decisions)) == 1:
        raise ModelError(
            f"{GOLDEN_FILE}: decisions: all are {golden.decisions[0]}: a wrong threshold would not be noticed"
        )
    _score_full_batch(model.scorer, golden)
    asyncio.run(_call_routes(model, golden))


def _score_full_batch(scorer: Scorer, golden: GoldenRows) -> None:
    """Score as many rows as the trees ever score at once: the memory that they need grows with the rows."""
    columns = take(complete(scorer.machine, golden.columns, golden.events), golden.positions)
    scorer.probabilities({name: np.resize(np.asarray(values), BATCH_ROWS) for name, values in columns.items()})


async def _call_routes(model: ServedModel, golden: GoldenRows) -> None:
    with tempfile.TemporaryDirectory(prefix="pdm-check-") as work:
        # The deadline of the whole check applies: this one must not depend on the load of the machine.
        settings = Settings(
            model_cache=Path(work), registry_wait_seconds=0, poll_seconds=3600, batch_deadline_seconds=3600
        )
        app = create_app(settings, load_serving_params(), _no_registry)
        async with app.router.lifespan_context(app):
            app.state.service.watcher.model = model
            only_history = len(next(iter(golden.columns.values()))) - len(golden.probabilities)
            for call in _calls(model, golden):
                await _check_call(app, call, only_history)


def _calls(model: ServedModel, golden: GoldenRows) -> list[_Call]:
    columns = golden.columns
    readings = _records(columns)
    # One reading without and one with an alarm.
    positions = [int(golden.positions[golden.decisions.index(decision)]) for decision in (False, True)]
    single = [_with_past(readings, golden, position, model.scorer.machine) for position in positions]
    calls = [_Call(method="GET", path="/ready"), _Call(method="GET", path="/model", schema=ModelCard)]
    for reading in single:
        calls += [
            _Call(method="POST", path="/predict", body=reading, schema=Prediction),
            _Call(method="POST", path="/predict?explain=true", body=reading, schema=Prediction),
            _Call(method="POST", path="/predict/what-if", body=reading, schema=WhatIf),
        ]
    for body in (readings, columns):
        calls.append(_Call(method="POST", path="/predict/batch", body=body, schema=BatchPrediction))
        calls += [_Call(method="POST", path="/predict/batch?inputs=true", body=body, accept=table) for table in TABLES]
    if model.thresholds:
        calls.append(_Call(method="GET", path="/model/thresholds", schema=Thresholds))
    return [*calls, _Call(method="POST", path="/invocations", body=readings, schema=BatchPrediction)]


def _with_past(readings: list[dict[str, Any]], golden: GoldenRows, position: int, machine: Machine) -> dict[str, Any]:
    """The reading at `position`, with the earlier readings in its windows and the events of its machine if it has a history.

    The readings in the windows of other golden rows of the machine are left out, so that the body is as large as a client's.
    """
    reading = readings[position]
    if not machine.needs_history:
        return reading
    needed = needed_rows(machine, golden.columns, np.array([position]))
    past: dict[str, Any] = {HISTORY: [readings[place] for place in needed if place != position]}
    if golden.events:
        past[EVENTS] = {
            name: [event for event in _records(table) if event[MACHINE_ID] == reading[MACHINE_ID]]
            for name, table in golden.events.items()
        }
    return reading | past


def _records(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


async def _check_call(app: Any, call: _Call, only_history: int) -> None:
    """Raise ModelError unless the answer is valid. A batch may reject the `only_history` readings that are not scored."""
    status, body = await _request(app, call)
    if status != HTTPStatus.OK:
        raise ModelError(f"{call.method} {call.path} answers {status} for a golden reading: {_detail(body)}")
    if call.schema is None:
        return
    try:
        answer = call.schema.model_validate_json(body)
    except ValidationError as error:
        raise ModelError(f"{call.method} {call.path} has an invalid answer to a golden reading: {error}") from None
    if isinstance(answer, BatchPrediction) and answer.rejected_rows > only_history:
        raise ModelError(f"{call.method} {call.path} rejects {answer.rejected_rows} of {answer.rows} golden readings")


async def _request(app: Any, call: _Call) -> tuple[int, bytes]:
    """Send a request to the ASGI application and return the status and the body of its answer."""
    path, _, query = call.path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", JSON.encode()), (b"accept", call.accept.encode())],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    sent: list[Mapping[str, Any]] = []

    messages = [{"type": "http.request", "body": b"" if call.body is None else json.dumps(call.body).encode()}]

    async def receive() -> Mapping[str, Any]:
        if not messages:
            await asyncio.get_running_loop().create_future()  # the client stays connected
        return messages.pop()

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def _no_registry(_names: Any) -> NoReturn:
    raise RegistryError("a check uses no registry")


def _limit_process(seconds: float, memory_bytes: int) -> None:
    """Limit memory, above what the process has now, and CPU time, so that the process ends even without its parent."""
    cpu_seconds = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    if sys.platform == "linux":  # other systems do not enforce it
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL)
        used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + memory_bytes, used_bytes + memory_bytes))


if __name__ == "__main__":
    main()

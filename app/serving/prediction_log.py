"""The log of predictions: a bounded queue in memory, and a thread that writes it to the store, off the way of requests."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import structlog

from predictive_maintenance.errors import PredictiveMaintenanceError, StoreError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.store.predictions import Block, LoggedBlock, Predictions, Value
from predictive_maintenance.store.times import as_keys

from ..metrics import Metrics
from .input_counts import InputCounts
from .kept_reading import NewReading
from .served_model import ServedModel
from .store_access import StoreAccess

_ROW_BYTES, _INPUT_BYTES = 450, 40
"""What a waiting prediction takes in memory, and each of its inputs, beside its texts."""
_TOGETHER = 5_000
"""Predictions in one transaction, unless a batch has more: other processes wait for its end."""
_BLOCKS_TOGETHER = 8
_BATCH_SHARE = 0.5
_FULL_SHARE = 0.5
"""Of the queue, from which on the writer does not wait for the end of its interval."""

T = TypeVar("T")

_log = structlog.get_logger()


class LogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the log that `app.settings` describes: size of the queue, and seconds between two writes."""

    rows: int
    bytes: int
    seconds: float


class LoggedReading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The prediction of a single reading.

    `names` and `inputs` are the names and the values of its inputs; without them, the store has the reading of `machine_id` at
    `time`, which is a key of `store.times`.
    """

    version: str
    request_id: str
    probability: float
    failure: bool
    reading_id: str | None
    machine_id: str | None
    time: int | None
    names: tuple[str, ...] = ()
    inputs: tuple[Value, ...] = ()


def scored_reading(
    model: ServedModel, reading: Mapping[str, Any], answer: Mapping[str, Any], request_id: str
) -> LoggedReading:
    """The prediction `answer` of a reading with its inputs."""
    machine = model.scorer.machine
    moment = reading.get(machine.time_name)
    return LoggedReading(
        version=model.version.version,
        request_id=request_id,
        probability=answer["failure_probability"],
        failure=answer["predicted_failure"],
        reading_id=answer["reading_id"],
        machine_id=reading.get(MACHINE_ID),
        time=None if moment is None else int(as_keys(as_times([moment], machine))[0]),
        names=machine.input_names,
        inputs=tuple(map(reading.get, machine.input_names)),
    )


def stored_reading(new: NewReading, answer: Mapping[str, Any], request_id: str) -> LoggedReading:
    """The prediction `answer` of a reading that the store has."""
    return LoggedReading(
        version=new.model.version.version,
        request_id=request_id,
        probability=answer["failure_probability"],
        failure=answer["predicted_failure"],
        reading_id=answer["reading_id"],
        machine_id=new.reading[MACHINE_ID],
        time=new.key,
    )


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """What waits: a reading that was scored at a time in microseconds, or a block of a version. `rows` and `size` of it."""

    rows: int
    size: int
    scored: int
    reading: LoggedReading | None = None
    version: str = ""
    block: Block | None = None


class PredictionLog:
    """Writes predictions of the model `model_name` to the store that `access` opens. Adding never waits and never fails.

    While the store cannot be written, predictions wait in memory within `limits`; what does not fit is dropped and counted.
    `inputs` are the numbers of accepted and rejected readings, which are written with them.
    """

    def __init__(self, access: StoreAccess, metrics: Metrics, model_name: str, limits: LogLimits) -> None:
        self._access, self._metrics, self._model_name, self._limits = access, metrics, model_name, limits
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._rows = self._bytes = 0  # of all that is not written yet
        self._taken: list[_Waiting] = []
        self._blocks: list[LoggedBlock] = []
        self.inputs = InputCounts()
        self._writer, self._number = secrets.randbits(63), 0
        self._wake, self._ending = threading.Event(), threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        metrics.prepare_log()

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def add(self, reading: LoggedReading) -> None:
        """Add the prediction of a reading that was scored now."""
        size = (
            _ROW_BYTES
            + _INPUT_BYTES * len(reading.inputs)
            + len(reading.reading_id or "")
            + len(reading.machine_id or "")
        )
        for value in reading.inputs:
            if type(value) is str:
                size += len(value)
        self.inputs.add(accepted=1)
        self._add((_Waiting(1, size, time.time_ns() // 1000, reading),))

    @property
    def batch_bytes(self) -> int:
        """The most bytes that the blocks of one batch may have."""
        return int(_BATCH_SHARE * self._limits.bytes)

    def add_batch(self, version: str, blocks: Sequence[Block], rows: int) -> None:
        """Add the predictions of a batch of `rows` scored ones. Those that are in no block are lost."""
        self.inputs.add(accepted=rows)
        if left_out := rows - sum(block.rows for block in blocks):
            self._metrics.count_not_logged("large batch", left_out)
        self._add([_Waiting(one.rows, _ROW_BYTES + len(one.content), one.began, None, version, one) for one in blocks])

    def close(self, seconds: float) -> None:
        """Write what waits, for at most `seconds`, and end. What is left is dropped."""
        self._ending.set()
        self._wake.set()
        self._thread.join(seconds)
        with self._lock:
            self._ended, lost = True, self._rows
        if lost:
            self._metrics.count_not_logged("shutdown", lost)
            _log.warning(
                "predictions are not in the log", predictions=lost, reason=self._access.problem or "no time left"
            )

    def _add(self, items: Sequence[_Waiting]) -> None:
        dropped = 0
        with self._lock:
            for item in items:
                if (
                    self._ended
                    or self._rows + item.rows > self._limits.rows
                    or self._bytes + item.size > self._limits.bytes
                ):
                    dropped += item.rows
                else:
                    self._rows += item.rows
                    self._bytes += item.size
                    self._waiting.append(item)
        if dropped:
            self._metrics.count_not_logged("queue full", dropped)
        if self._rows > _FULL_SHARE * self._limits.rows or self._bytes > _FULL_SHARE * self._limits.bytes:
            self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(self._limits.seconds)
            self._wake.clear()
            is_last = self._ending.is_set()
            try:
                self._write_all()
            except PredictiveMaintenanceError as error:
                self._access.report(error if isinstance(error, StoreError) else StoreError(str(error)))
                self._ending.wait(self._limits.seconds)
            except Exception as error:  # noqa: BLE001  the thread must survive any error; it is logged
                _log.error("writing the log of predictions failed", exc_info=error)
                self._access.report(StoreError(f"the log of predictions: unexpected: {error!r}"))
                # Repeated for ever, it would keep all later predictions from the log.
                self._metrics.count_not_logged("error", self._end_taken())
                self._ending.wait(self._limits.seconds)
            self._metrics.log_waiting.set(self._rows)
            if is_last:
                return

    def _write_all(self) -> None:
        """Write what waits. After an error, what was taken from the queue is written first the next time.

        What is added meanwhile waits for the next interval: under load, there would always be some, and each commit costs as much
        as thousands of predictions.
        """
        is_more = True
        while is_more:
            if not self._taken:
                is_more = self._take()
            counts = self.inputs.changed()
            if not self._taken and not counts:
                return
            self._metrics.log_waiting.set(self._rows)
            with self._access.open().writing() as transaction:
                if self._blocks:
                    transaction.log(self._model_name, self._writer, self._blocks)
                if counts:
                    transaction.save_inputs(self._model_name, self._writer, counts)
                if self._ended:  # these have been counted as dropped
                    raise StoreError("the service has ended")
            self._access.report(None)
            self.inputs.written(counts)
            self._metrics.logged.inc(self._end_taken())
            self._access.purge()

    def _end_taken(self) -> int:
        """End with what was taken from the queue, and return the number of its predictions."""
        rows = sum(item.rows for item in self._taken)
        with self._lock:
            self._rows -= rows
            self._bytes -= sum(item.size for item in self._taken)
        self._taken, self._blocks = [], []
        return rows

    def _take(self) -> bool:
        """Take what is written together from the queue. Return whether more waits."""
        rows = blocks = 0
        with self._lock:
            while self._waiting and rows < _TOGETHER and blocks < _BLOCKS_TOGETHER:
                self._taken.append(self._waiting.popleft())
                rows += self._taken[-1].rows
                blocks += self._taken[-1].block is not None
            is_more = bool(self._waiting)
        for version, block in _as_blocks(self._taken):
            self._number += 1
            self._blocks.append(LoggedBlock(number=self._number, version=version, block=block))
        return is_more


def _as_blocks(items: Sequence[_Waiting]) -> Iterator[tuple[str, Block]]:
    """The blocks among the items, and blocks of the single readings: those of one version that have the same inputs together."""
    together: dict[tuple[str, tuple[str, ...]], list[tuple[int, LoggedReading]]] = {}
    for item in items:
        if item.block is not None:
            yield item.version, item.block
        if (reading := item.reading) is not None:
            together.setdefault((reading.version, reading.names), []).append((item.scored, reading))
    for (version, names), scored in together.items():
        readings = [reading for _, reading in scored]
        yield (
            version,
            Predictions(
                scored=[time for time, _ in scored],
                request_id=[one.request_id for one in readings],
                failure_probability=[one.probability for one in readings],
                predicted_failure=[one.failure for one in readings],
                reading_id=_unless_missing([one.reading_id for one in readings]),
                machine_id=_unless_missing([one.machine_id for one in readings]),
                time=_unless_missing([one.time for one in readings]),
                inputs=dict(zip(names, zip(*(one.inputs for one in readings), strict=True), strict=True)) or None,
            ).as_block(),
        )


def _unless_missing(values: list[T]) -> list[T] | None:
    """The values; None if all of them are missing."""
    return None if all(value is None for value in values) else values

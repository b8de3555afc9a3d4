"""Messages between the service and its worker process: a header in MessagePack and a payload of bytes, over a socket."""

import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from predictive_maintenance.store.predictions import Block
from predictive_maintenance.store.rows import Actor

from ..serving.store_access import StoreOptions

_SIZES = struct.Struct("<QQ")
_Header = TypeVar("_Header", bound=msgspec.Struct)


EVERY_TABLE = "*"
"""In place of a table: the events are JSON, by table."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A batch to score; the payload is the request body.

    `folder` holds the model and `version` is its ModelVersion in JSON. `seconds` is the time until the process ends itself.
    With a `store`, it keeps the readings or, if `events` names a table or EVERY_TABLE, the events that `actor` sends.
    With `log_bytes`, its predictions are logged, with the id of the request; they may take as much.
    """

    folder: str
    version: str
    model_name: str
    media_type: str
    answer_type: str
    max_rows: int
    max_record_bytes: int
    max_table_bytes: int
    aliases: Mapping[str, Sequence[str]]
    seconds: float
    inputs: bool = False
    invocation: bool = False
    store: StoreOptions | None = None
    events: str = ""
    actor: Actor | None = None
    request_id: str = ""
    log_bytes: int = 0


class Scored(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A scored batch; the payload is the answer. `probabilities` are float64 in bytes, `errors` their number by field.

    `rejected` is the number of rows with errors, `kept` that of readings for the store by outcome; `warnings` are about the batch
    as a whole, and `log` has the predictions for the log.
    """

    probabilities: bytes
    alarms: int
    errors: dict[str, int]
    rejected: int
    kept: dict[str, int]
    warnings: list[str]
    log: list[Block]


class Stored(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Events that were kept."""

    events: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The arguments of a Problem."""

    status: int
    detail: str
    errors: list[tuple[int | None, str, str]]
    headers: dict[str, str]


class StoreFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The arguments of a StoreError."""

    reason: str
    retry_seconds: int | None
    replaced: bool


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An unexpected error, as a traceback."""

    traceback: str


Result = Scored | Stored | Refused | StoreFailed | Failed

OUT_OF_MEMORY = 12
"""Return code of the process if a batch needs more memory than it may use."""


def send(connection: socket.socket, header: Any, payload: bytes | bytearray) -> None:
    """Send one message. Raises OSError if the other process has ended."""
    encoded = msgspec.msgpack.encode(header)
    for part in (
        _SIZES.pack(len(encoded), len(payload)),
        encoded,
        payload,
    ):  # together, they would take the memory twice
        connection.sendall(part)


def receive(connection: socket.socket, kind: Any) -> tuple[Any, bytearray]:
    """Return (header of type `kind`, payload). Raises EOFError or OSError if the other process has ended."""
    header_size, payload_size = _SIZES.unpack(_receive_exactly(connection, _SIZES.size))
    header = msgspec.msgpack.decode(_receive_exactly(connection, header_size), type=kind)
    return header, _receive_exactly(connection, payload_size)


def _receive_exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        if not (received := connection.recv_into(view)):
            raise EOFError
        view = view[received:]
    return data

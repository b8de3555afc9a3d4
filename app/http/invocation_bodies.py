"""Bodies of /invocations: records, CSV and JSON lines as SageMaker and Azure ML send and expect them."""

import io
import re
from http import HTTPStatus

import msgspec
from pydantic_core import from_json, to_json

from predictive_maintenance.machine.machine import Machine

from ..problems import Problem
from .media_types import CSV, JSON, JSON_LINES
from .tables import check_rows

_FIRST_LINE_BYTES = 1024


class _RecordAnswer(msgspec.Struct):
    """The JSON answer to a batch of records. The predictions are not decoded: that takes several times their memory."""

    model_name: str
    model_version: str
    predictions: list[msgspec.Raw]


def as_batch(body: bytes, media_type: str, machine: Machine, max_rows: int, max_record_bytes: int) -> bytes:
    """Convert `body` to a body of /predict/batch for readings of `machine`.

    Raises Problem 413 for more than `max_rows` JSON lines.
    """
    if media_type == JSON_LINES:
        return _join_lines(body, max_rows)
    if media_type == CSV:
        return body if _has_header(body, machine) else ",".join(machine.input_names).encode() + b"\n" + body
    return b"[" + body + b"]" if len(body) <= max_record_bytes and _is_one_record(body, machine) else body


def as_lines(answer: bytes | bytearray) -> bytes:
    """Convert a JSON answer to JSON lines: a prediction on each, with the model's name and version."""
    try:
        document = msgspec.json.decode(answer, type=_RecordAnswer)
    except msgspec.ValidationError:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE, f"columns have no JSON lines: accept {JSON} or {CSV}, or send records"
        ) from None
    model = {"model_name": document.model_name, "model_version": document.model_version}
    return b"".join(to_json(from_json(bytes(prediction)) | model) + b"\n" for prediction in document.predictions)


def _join_lines(body: bytes, max_rows: int) -> bytes:
    lines: list[bytes] = []
    for line in io.BytesIO(body):
        if not line.isspace():
            lines.append(line)
            check_rows(len(lines), max_rows)
    return b"[" + b",".join(lines) + b"]"


def _is_one_record(body: bytes, machine: Machine) -> bool:
    """Whether `body` is one reading, not columns. Invalid JSON is reported when the batch is read."""
    try:
        document = from_json(body)
    except ValueError:
        return False
    return isinstance(document, dict) and not any(isinstance(document.get(name), list) for name in machine.input_names)


def _has_header(body: bytes, machine: Machine) -> bool:
    """Whether the first line is not a reading: it has another number of cells, or no number among those of the sensors."""
    first = re.split(rb"[\r\n]", body[:_FIRST_LINE_BYTES], maxsplit=1)[0].decode("utf-8", "replace")
    cells = [cell.strip(' "') for cell in first.split(",")]
    sensors = cells[len(machine.category_names) :]
    return len(cells) != len(machine.input_names) or not any(map(_is_number, sensors))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

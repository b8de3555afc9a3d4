"""The request bodies in the OpenAPI document: readings of the machine that is served, with its description's examples."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_json

from ..schemas.events import EVENTS
from ..schemas.reading import ReadingSchema
from .media_types import CSV, JSON, JSON_LINES, TABLES


def documented_bodies(schema: ReadingSchema) -> Mapping[str, dict[str, Any]]:
    """The request body of each route that takes readings, by path."""
    batch = _batch_content(schema)
    kept = schema.kept if schema.machine.can_be_kept else schema
    kept_batch = _batch_content(kept)
    lines = {"schema": {"type": "string"}, "example": to_json(schema.example).decode() + "\n"}
    one = _body({JSON: _reading_content(schema)})
    return {
        "/predict": one,
        "/predict/what-if": one,
        "/predict/batch": _body(batch),
        "/readings": _body(kept_batch | {JSON: _one_or_many(kept, kept_batch[JSON])}),
        "/events": _body({JSON: _events_content(kept), **_binary(TABLES)}),
        "/invocations": _body({JSON: batch[JSON], CSV: batch[CSV], JSON_LINES: lines}),
    }


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}


def _reading_content(schema: ReadingSchema) -> dict[str, Any]:
    examples = {name: {"summary": label, "value": reading} for name, (label, reading) in schema.examples.items()}
    content = {"schema": schema.reading.json_schema()}
    return content | ({"examples": examples} if examples else {"example": schema.example})


def _events_content(schema: ReadingSchema) -> dict[str, Any]:
    return {"schema": schema.kept_events.json_schema(), "example": schema.events_example}


def _one_or_many(schema: ReadingSchema, batch: dict[str, Any]) -> dict[str, Any]:
    """A single reading with its machine and time, or a batch."""
    one = {"reading": {"summary": "One reading", "value": schema.example}}
    return {
        "schema": {"anyOf": [schema.record.json_schema(), *batch["schema"]["anyOf"]]},
        "examples": one | batch["examples"],
    }


def _batch_content(schema: ReadingSchema) -> dict[str, Any]:
    readings = [reading for _, reading in schema.examples.values()] or [schema.example]
    names = [name for name in schema.names if any(name in reading for reading in readings)]
    columns = {name: [reading.get(name) for reading in readings] for name in names}
    rows = (",".join(str(reading.get(name, "")) for name in names) for reading in readings)
    records = {"type": "array", "minItems": 1, "items": schema.record.json_schema()}
    with_events = {
        "type": "object",
        "properties": {"readings": records, EVENTS: schema.events.json_schema()},
        "required": ["readings", EVENTS],
        "additionalProperties": False,
    }
    shapes = [records, schema.columns.json_schema(), *([with_events] if schema.machine.event_tables else [])]
    return {
        JSON: {
            "schema": {"anyOf": shapes},
            "examples": {
                "records": {"summary": "Records", "value": readings},
                "columns": {"summary": "Columns", "value": columns},
            },
        },
        CSV: {"schema": {"type": "string"}, "example": "\n".join([",".join(names), *rows]) + "\n"},
        **_binary(table for table in TABLES if table != CSV),
    }


def _binary(media_types: Iterable[str]) -> dict[str, Any]:
    return {table: {"schema": {"type": "string", "format": "binary"}} for table in media_types}

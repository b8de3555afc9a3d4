"""JSON validation that reports every invalid field, with a bounded number of errors."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from predictive_maintenance.machine.events import EVENT_TYPE

from ..problems import Problem, field_problem
from ..schemas.reading import ReadingSchema
from .duplicate_keys import REASON as DUPLICATE_KEY
from .duplicate_keys import find_duplicate_keys, may_have_duplicate_keys

FieldError = tuple[int | None, str, str]
"""(row or None, field, reason)."""

ErrorsInValues = Callable[[Mapping[str, Any]], list[FieldError]]

_MAX_UNKNOWN_KEYS = 100
_MANY_KEYS_BYTES = 4096
_MAX_SUGGESTIONS = 3
_MAX_SUGGESTION_CHARACTERS = 64


def validate_reading(
    body: bytes, schema: ReadingSchema, errors_in_values: ErrorsInValues = lambda _: []
) -> dict[str, Any]:
    """Return the reading in `body`. Raises Problem: 400 for invalid JSON, 422 with each invalid field, at most 100.

    `errors_in_values` judges the fields that are valid by the schema, also those of a reading with other errors.
    """
    try:
        reading = dict(schema.reading.validate_json(body))
    except ValidationError as error:
        raise _problem_of(body, schema, error, errors_in_values) from None
    duplicates = _duplicate_keys(body) if may_have_duplicate_keys(body, len(reading)) else []
    if errors := [*duplicates, *errors_in_values(reading)]:
        raise field_problem(errors)
    return reading


def _problem_of(
    body: bytes, schema: ReadingSchema, error: ValidationError, errors_in_values: ErrorsInValues
) -> Problem:
    """The problem of an invalid reading. The errors of thousands of unknown keys would take longer than everything else."""
    known, kept, omitted = schema.reading_names, body, 0
    if error.error_count() > _MAX_UNKNOWN_KEYS:
        kept, omitted = drop_unknown_keys(body, {*known, *schema.machine.event_tables, EVENT_TYPE})
        try:
            schema.reading.validate_json(kept)
        except ValidationError as fewer:
            error = fewer
    problem = json_problem(error, known, omitted)
    if problem.status == HTTPStatus.BAD_REQUEST:
        return problem
    further = [*_duplicate_keys(body), *errors_in_values(_valid_fields(kept, error))]
    return json_problem(error, known, omitted, further)


def _duplicate_keys(body: bytes) -> list[FieldError]:
    return [(None, key, DUPLICATE_KEY) for _, key in find_duplicate_keys(body)]


def _valid_fields(body: bytes, error: ValidationError) -> dict[str, Any]:
    """The fields of the JSON object in `body` without an error."""
    document = from_json(body)
    if not isinstance(document, dict):
        return {}
    invalid = {detail["loc"][0] for detail in error_details(error)}
    return {name: value for name, value in document.items() if name not in invalid}


def drop_unknown_keys(body: bytes, known: Collection[str]) -> tuple[bytes, int]:
    """Return `body` with the first 100 unknown keys of each JSON object in it, and the number of keys dropped.

    pydantic would build an error for each of thousands of keys, which takes longer than everything else. The reading is
    invalid either way. A short body, and one that is not valid JSON, is returned unchanged.
    """
    if len(body) <= _MANY_KEYS_BYTES:
        return body, 0
    try:
        document = from_json(body)
    except ValueError:
        return body, 0
    dropped = _drop_unknown_keys(document, known)
    return (to_json(document, inf_nan_mode="constants"), dropped) if dropped else (body, 0)


def _drop_unknown_keys(document: Any, known: Collection[str]) -> int:
    dropped, left = 0, [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            for key in [key for key in value if key not in known][_MAX_UNKNOWN_KEYS:]:
                del value[key]
                dropped += 1
            left += value.values()
        elif isinstance(value, list):
            left += value
    return dropped


def json_problem(
    error: ValidationError, known: Collection[str], omitted: int = 0, further: Sequence[FieldError] = ()
) -> Problem:
    """Convert pydantic's error to a problem: 400 for invalid JSON, 422 with each invalid field and the `further` ones."""
    details = error_details(error)
    if details[0]["type"] == "json_invalid":
        return invalid_json(details[0]["msg"].removeprefix("Invalid JSON: "))
    reasons = reasons_of(details, known)
    fields = [(None, ".".join(map(str, detail["loc"])), why) for detail, why in zip(details, reasons, strict=True)]
    return field_problem([*fields, *further], omitted)


def invalid_json(reason: object) -> Problem:
    """Return the problem of a body that is not valid JSON."""
    return Problem(HTTPStatus.BAD_REQUEST, f"the body is not valid JSON: {reason}")


def error_details(error: ValidationError) -> list[Any]:
    """Return the errors without the input: it can be as large as the body."""
    return error.errors(include_url=False, include_context=False, include_input=False)


def reasons_of(details: Sequence[Any], known: Collection[str]) -> list[str]:
    """Return why each field is invalid. Only the first unknown names get a known one as suggestion: a body can have thousands."""
    reasons = [reason_of(detail) for detail in details]
    unknown = [position for position, detail in enumerate(details) if detail["type"] == "extra_forbidden"]
    for position in unknown[:_MAX_SUGGESTIONS]:
        name = str(details[position]["loc"][-1])
        if len(name) <= _MAX_SUGGESTION_CHARACTERS and (near := get_close_matches(name, known, 1)):
            reasons[position] += f"; did you mean {near[0]}?"
    return reasons


def reason_of(detail: Any) -> str:
    """Return why a field is invalid, in the wording of the API."""
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known field"
        case "finite_number":
            return "is not a finite number"
        case "float_type":
            return "is not a number"
        case "list_type" | "dict_type":
            return f"should be {'a list' if detail['type'] == 'list_type' else 'an object'}"
    return str(detail["msg"]).replace("Input should", "should")

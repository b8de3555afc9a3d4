"""Batch responses: scores the valid rows of a batch and writes the answers as JSON or as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from predictive_maintenance.history.features import complete, take
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import READING_ID
from predictive_maintenance.scorer.missing_values import MissingValues
from predictive_maintenance.validation.value_validation import formula_faults

from ..schemas.prediction import RiskLevel
from ..serving.assessment import recommended_action
from ..serving.served_model import ServedModel
from .batch import Batch
from .tables import write_table

_RISK_LEVELS: tuple[RiskLevel, ...] = ("low", "elevated", "high")
_NO_WARNINGS: list[str] = []

_LEVEL_NAMES = np.array(_RISK_LEVELS, dtype=object)
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, kw_only=True)
class ScoredBatch:
    """The scores of a batch: columns that hold its valid rows only, in their order. `warnings` are by position in these.

    `batch_warnings` are about the batch as a whole.
    """

    batch: Batch
    model: ServedModel
    valid: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.bool_]
    levels: npt.NDArray[np.int8]
    limit_codes: npt.NDArray[Any]
    warnings: dict[int, list[str]]
    batch_warnings: Sequence[str]


class _Record(msgspec.Struct, gc=False):
    """The answer to one valid row. Encoding a struct takes a fifth of the time of a dict."""

    row: int
    failure_probability: float
    predicted_failure: bool
    risk_level: RiskLevel
    expected_cost_of_ignoring: float
    broken_limits: Sequence[str]
    recommended_action: str
    warnings: Sequence[str]
    reading_id: str | msgspec.UnsetType | None = msgspec.UNSET


class _RejectedRecord(msgspec.Struct, gc=False):
    """The answer to one invalid row."""

    row: int
    errors: list[dict[str, str]]
    reading_id: str | msgspec.UnsetType | None = msgspec.UNSET


_ANSWER_FIELDS = _Record.__struct_fields__[1:-1]


def score_batch(batch: Batch, model: ServedModel) -> ScoredBatch:
    """Score the valid rows of `batch`."""
    return score_columns(batch, model, _complete(batch, model.scorer.machine))


def score_columns(batch: Batch, model: ServedModel, columns: dict[str, Any]) -> ScoredBatch:
    """Score the valid rows of `batch`: `columns` are theirs, with the statistics of windows."""
    spec, machine = model.scorer.spec, model.scorer.machine
    valid = batch.valid_rows()
    probabilities = model.scorer.probabilities(columns) if valid.any() else np.empty(0)
    decisions = model.scorer.decisions(probabilities)
    elevated = probabilities * spec.missed_failure_cost >= spec.false_alarm_cost
    levels = np.where(decisions, 2, elevated).astype(np.int8)
    missing = MissingValues(model.scorer)
    missing.add(columns, len(probabilities))
    return ScoredBatch(
        batch=batch,
        model=model,
        valid=valid,
        probabilities=probabilities,
        decisions=decisions,
        levels=levels,
        limit_codes=machine.exceeded_limit_codes(columns),
        warnings=_warnings(columns, model),
        batch_warnings=missing.warnings(),
    )


def _complete(batch: Batch, machine: Machine) -> dict[str, Any]:
    """Return the columns of the valid rows with the statistics of their windows.

    A formula of statistics can have no value; then its row becomes invalid, but stays in later windows.
    """
    valid = batch.valid_rows()
    names = (*machine.history_names, *machine.input_names)
    columns = dict(complete(machine, {name: batch.columns[name][valid] for name in names}, batch.events))
    if not machine.needs_history:
        return columns  # the formulas were checked with the cells
    before = np.flatnonzero(valid)
    batch.add_faults(formula_faults(columns, machine), before)
    return take(columns, np.flatnonzero(batch.valid_rows()[before]))


def as_json(scored: ScoredBatch, model_name: str) -> bytearray:
    """Return records, or columns if the batch came as columns."""
    spec = scored.model.scorer.spec
    answer: dict[str, Any] = {
        "model_name": model_name,
        "model_version": scored.model.version.version,
        "threshold": spec.threshold,
        "currency": spec.currency,
        "rows": scored.batch.rows,
        "rejected_rows": len(scored.batch.errors),
    }
    if scored.batch_warnings:
        answer["warnings"] = scored.batch_warnings
    answer["predictions"] = _json_columns(scored) if scored.batch.columnar else _json_records(scored)
    # msgspec crashes if it cannot make the buffer larger that `encode` writes into; with one of ours, it raises MemoryError.
    body = bytearray()
    _ENCODER.encode_into(answer, body)
    return body


def as_table(scored: ScoredBatch, media_type: str, inputs: bool = False) -> bytes:
    """Return a table as one of TABLES, with lists joined to text. With `inputs`, it has the readings' columns, too."""
    columns = _json_columns(scored)
    reasons = [
        None if errors is None else "; ".join(_error_text(error) for error in errors)
        for errors in columns.pop("errors")
    ]
    for name in ("broken_limits", "warnings"):
        columns[name] = [None if cell is None else "; ".join(cell) for cell in columns[name]]
    types = {
        "failure_probability": pa.float64(),
        "expected_cost_of_ignoring": pa.float64(),
        "predicted_failure": pa.bool_(),
    }
    answers = {
        name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items() if name != "row"
    }
    version = pa.repeat(pa.scalar(scored.model.version.version), scored.batch.rows)
    ids = {name: answers.pop(name) for name in (READING_ID,) if name in answers}
    ordered = {"row": columns["row"], **ids, **(_inputs(scored) if inputs else {}), **answers}
    table = pa.table(ordered | {"model_version": version, "rejected": pa.array(reasons, pa.string())})
    return write_table(table, media_type)


def _inputs(scored: ScoredBatch) -> dict[str, pa.Array]:
    """Return the readings in canonical columns and units, null in invalid cells."""
    batch, names = scored.batch, scored.model.scorer.machine.input_names
    identity = {name: pa.array(map(_text, values), pa.string()) for name, values in batch.identity.items()}
    return identity | {name: pa.array(batch.columns[name], from_pandas=True) for name in names}


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell)


def _json_columns(scored: ScoredBatch) -> dict[str, list[Any]]:
    """Return columns of all rows, None in invalid rows."""
    batch = scored.batch
    valid = np.flatnonzero(scored.valid).tolist()

    def spread(values: Sequence[Any]) -> list[Any]:
        if not batch.errors:
            return list(values)
        column: list[Any] = [None] * batch.rows
        for row, value in zip(valid, values, strict=True):
            column[row] = value
        return column

    columns: dict[str, list[Any]] = {"row": list(range(1, batch.rows + 1))}
    if batch.reading_ids is not None:
        columns["reading_id"] = list(batch.reading_ids)
    columns |= {name: spread(values) for name, values in _answers(scored).items()}
    columns["errors"] = [_errors(batch, row) if row in batch.errors else None for row in range(batch.rows)]
    return columns


def _json_records(scored: ScoredBatch) -> list[_Record | _RejectedRecord]:
    """Return a record for each row: its answer or its errors."""
    batch, answers = scored.batch, _answers(scored)
    rows = (np.flatnonzero(scored.valid) + 1).tolist()
    records: list[_Record | _RejectedRecord] = list(map(_Record, rows, *(answers[name] for name in _ANSWER_FIELDS)))
    for row in sorted(batch.errors):
        records.insert(row, _RejectedRecord(row + 1, _errors(batch, row)))
    if batch.reading_ids is not None:
        for record, reading_id in zip(records, batch.reading_ids, strict=True):
            record.reading_id = reading_id
    return records


def _errors(batch: Batch, row: int) -> list[dict[str, str]]:
    return [{"field": field, "reason": reason} for field, reason in batch.errors[row]]


def _answers(scored: ScoredBatch) -> dict[str, Sequence[Any]]:
    """Return the columns of the answer for the valid rows."""
    levels = scored.levels
    # Texts are made once for each combination of exceeded limits that occurs.
    codes, combination = np.unique(scored.limit_codes, return_inverse=True)
    limits = [scored.model.scorer.machine.limits_of_code(int(code)) for code in codes]
    names, actions = np.empty(len(codes), dtype=object), np.empty((len(_RISK_LEVELS), len(codes)), dtype=object)
    names[:] = [tuple(limit.name for limit in exceeded) for exceeded in limits]
    for row, level in enumerate(_RISK_LEVELS):
        actions[row] = [recommended_action(level, (limit.action for limit in exceeded)) for exceeded in limits]
    warnings: list[list[str]] = [_NO_WARNINGS] * len(levels)
    for row, texts in scored.warnings.items():
        warnings[row] = texts
    return {
        "failure_probability": scored.probabilities.tolist(),
        "predicted_failure": scored.decisions.tolist(),
        "risk_level": _LEVEL_NAMES[levels].tolist(),
        "expected_cost_of_ignoring": (scored.probabilities * scored.model.scorer.spec.missed_failure_cost).tolist(),
        "broken_limits": names[combination].tolist(),
        "recommended_action": actions[levels, combination].tolist(),
        "warnings": warnings,
    }


def _warnings(columns: dict[str, npt.NDArray[Any]], model: ServedModel) -> dict[int, list[str]]:
    """Return warnings by position. Few rows have any: only for these, texts are made."""
    names = model.scorer.machine.sensor_names
    unusual = np.zeros(len(columns[names[0]]), dtype=bool)
    for name, (low, high) in model.training_ranges.items():
        unusual |= (columns[name] < low) | (columns[name] > high)
    for name in model.missing_warnings:
        unusual |= np.isnan(columns[name])
    rows = np.flatnonzero(unusual)
    sensors = {name: columns[name][rows].tolist() for name in names}
    return {
        row: model.warnings({name: value for name, value in zip(sensors, values, strict=True) if value == value})
        for row, values in zip(rows.tolist(), zip(*sensors.values(), strict=True), strict=True)
    }


def _error_text(error: dict[str, str]) -> str:
    return f"{error['field']}: {error['reason']}" if error["field"] else error["reason"]

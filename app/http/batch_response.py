"""A batch scored: the same answer as for one reading, in columns, written in the kind that was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from predictive_maintenance.machine.operating_limits import LIMITS, broken_limit_codes, limits_of_code
from predictive_maintenance.machine.sensors import INPUT_NAMES, READING_ID, SENSOR_NAMES

from ..schemas.prediction import RiskLevel
from ..serving.assessment import recommended_action
from ..serving.served_model import ServedModel
from .batch_request import Batch
from .tables import write_table

_LEVELS: tuple[RiskLevel, ...] = ("low", "elevated", "high")
_NO_WARNINGS: list[str] = []

# What each level, and each combination of broken limits, is called: looked up for all rows at once.
_COMBINATIONS = [limits_of_code(code) for code in range(1 << len(LIMITS))]
_LEVEL_NAMES = np.array(_LEVELS, dtype=object)
_LIMIT_NAMES = np.empty(len(_COMBINATIONS), dtype=object)
_LIMIT_NAMES[:] = [tuple(limit.name for limit in limits) for limits in _COMBINATIONS]
_ACTIONS = np.array(
    [[recommended_action(level, (limit.action for limit in limits)) for limits in _COMBINATIONS] for level in _LEVELS],
    dtype=object,
)


@dataclass(frozen=True, kw_only=True)
class ScoredBatch:
    """Columns of `good` rows only, in their order; `errors` by position tell of the others."""

    batch: Batch
    champion: ServedModel
    good: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float64]
    decisions: npt.NDArray[np.bool_]
    levels: npt.NDArray[np.int8]
    limit_codes: npt.NDArray[np.uint8]
    warnings: dict[int, list[str]]


class _Record(msgspec.Struct, gc=False):
    """The answer to one row, as it is written. A struct takes a fifth of the time of a dict."""

    row: int
    failure_probability: float
    predicted_failure: bool
    risk_level: RiskLevel
    expected_cost_of_ignoring: float
    broken_limits: Sequence[str]
    recommended_action: str
    warnings: Sequence[str]
    reading_id: str | msgspec.UnsetType | None = msgspec.UNSET


class _Rejected(msgspec.Struct, gc=False):
    row: int
    errors: list[dict[str, str]]
    reading_id: str | msgspec.UnsetType | None = msgspec.UNSET


_ANSWER = _Record.__struct_fields__[1:-1]


def score_batch(batch: Batch, champion: ServedModel) -> ScoredBatch:
    """Score the good rows of `batch`."""
    good, spec = batch.good(), champion.scorer.spec
    columns = {name: batch.columns[name][good] for name in INPUT_NAMES}
    probabilities = champion.scorer.probabilities(columns) if good.any() else np.empty(0)
    decisions = champion.scorer.decisions(probabilities)
    elevated = probabilities * spec.missed_failure_cost >= spec.false_alarm_cost
    levels = np.where(decisions, 2, elevated).astype(np.int8)
    return ScoredBatch(
        batch=batch,
        champion=champion,
        good=good,
        probabilities=probabilities,
        decisions=decisions,
        levels=levels,
        limit_codes=broken_limit_codes(columns),
        warnings=_warnings(columns, champion),
    )


def as_json(scored: ScoredBatch, model_name: str) -> bytes:
    """Records, or columns where columns came in."""
    spec = scored.champion.scorer.spec
    answer: dict[str, Any] = {
        "model_name": model_name,
        "model_version": scored.champion.version.version,
        "threshold": spec.threshold,
        "currency": spec.currency,
        "rows": scored.batch.rows,
        "rejected_rows": len(scored.batch.errors),
    }
    answer["predictions"] = _json_columns(scored) if scored.batch.columnar else _json_records(scored)
    return msgspec.json.encode(answer)


def as_table(scored: ScoredBatch, kind: str, inputs: bool = False) -> bytes:
    """One of TABLES, with lists joined to text; with `inputs`, the readings as they were read stand before their scores."""
    columns = _json_columns(scored)
    reasons = [
        None if errors is None else "; ".join(_sentence(error) for error in errors) for errors in columns.pop("errors")
    ]
    for name in ("broken_limits", "warnings"):
        columns[name] = [None if cell is None else "; ".join(cell) for cell in columns[name]]
    kinds = {
        "failure_probability": pa.float64(),
        "expected_cost_of_ignoring": pa.float64(),
        "predicted_failure": pa.bool_(),
    }
    answers = {
        name: pa.array(values, kinds.get(name, pa.string())) for name, values in columns.items() if name != "row"
    }
    version = pa.repeat(pa.scalar(scored.champion.version.version), scored.batch.rows)
    names = {name: answers.pop(name) for name in (READING_ID.name,) if name in answers}
    told = {"row": columns["row"], **names, **(_inputs(scored.batch) if inputs else {}), **answers}
    table = pa.table(told | {"model_version": version, "rejected": pa.array(reasons, pa.string())})
    return write_table(table, kind)


def _inputs(batch: Batch) -> dict[str, pa.Array]:
    """The readings in canonical columns and units, null where a cell could not be read."""
    about = {name: pa.array(values, pa.string()) for name, values in batch.about.items()}
    return about | {name: pa.array(batch.columns[name], from_pandas=True) for name in INPUT_NAMES}


def _json_columns(scored: ScoredBatch) -> dict[str, list[Any]]:
    """Every row in its place, None where it was rejected."""
    batch = scored.batch
    places = np.flatnonzero(scored.good).tolist()

    def spread(values: Sequence[Any]) -> list[Any]:
        if not batch.errors:
            return list(values)
        column: list[Any] = [None] * batch.rows
        for place, value in zip(places, values, strict=True):
            column[place] = value
        return column

    columns: dict[str, list[Any]] = {"row": list(range(1, batch.rows + 1))}
    if batch.reading_ids is not None:
        columns["reading_id"] = list(batch.reading_ids)
    columns |= {name: spread(values) for name, values in _answers(scored).items()}
    columns["errors"] = [_errors(batch, row) if row in batch.errors else None for row in range(batch.rows)]
    return columns


def _json_records(scored: ScoredBatch) -> list[_Record | _Rejected]:
    """A record a row: its answer, or its errors."""
    batch, answers = scored.batch, _answers(scored)
    rows = (np.flatnonzero(scored.good) + 1).tolist()
    records: list[_Record | _Rejected] = list(map(_Record, rows, *(answers[name] for name in _ANSWER)))
    for row in sorted(batch.errors):
        records.insert(row, _Rejected(row + 1, _errors(batch, row)))
    if batch.reading_ids is not None:
        for record, reading_id in zip(records, batch.reading_ids, strict=True):
            record.reading_id = reading_id
    return records


def _errors(batch: Batch, row: int) -> list[dict[str, str]]:
    return [{"field": field, "reason": reason} for field, reason in batch.errors[row]]


def _answers(scored: ScoredBatch) -> dict[str, Sequence[Any]]:
    """The answer's columns for the good rows."""
    levels, codes = scored.levels, scored.limit_codes
    warnings: list[list[str]] = [_NO_WARNINGS] * len(levels)
    for row, sentences in scored.warnings.items():
        warnings[row] = sentences
    return {
        "failure_probability": scored.probabilities.tolist(),
        "predicted_failure": scored.decisions.tolist(),
        "risk_level": _LEVEL_NAMES[levels].tolist(),
        "expected_cost_of_ignoring": (scored.probabilities * scored.champion.scorer.spec.missed_failure_cost).tolist(),
        "broken_limits": _LIMIT_NAMES[codes].tolist(),
        "recommended_action": _ACTIONS[levels, codes].tolist(),
        "warnings": warnings,
    }


def _warnings(columns: dict[str, npt.NDArray[Any]], champion: ServedModel) -> dict[int, list[str]]:
    """By position among the good rows: only few are unusual, and only those get sentences."""
    unusual = np.zeros(len(columns[SENSOR_NAMES[0]]), dtype=bool)
    for name, (low, high) in champion.known.items():
        unusual |= (columns[name] < low) | (columns[name] > high)
    return {
        int(row): champion.warnings({name: float(columns[name][row]) for name in SENSOR_NAMES})
        for row in np.flatnonzero(unusual)
    }


def _sentence(error: dict[str, str]) -> str:
    return f"{error['field']}: {error['reason']}" if error["field"] else error["reason"]

"""The files of a model version: their names, and strict models of their contents.

Every reader of a version uses these models, so a file of the wrong shape, type or range is refused before it is used.
"""

import json
import stat
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model, model_validator
from pydantic.dataclasses import dataclass

from ..errors import ModelError
from ..machine.events import EVENT_TYPE
from ..machine.machine import Machine
from ..machine.machine_json import from_json
from ..machine.milling import MILLING, PUBLISHED_LIMIT_MARGINS, with_published_limit_margins
from ..machine.names import COUNTER
from .calibration import Calibration
from .training_rows import MOST_HASHES, Hashes, check_npy, read_npy

MODEL_FILE, SPEC_FILE, GOLDEN_FILE, REFERENCE_FILE = "model.onnx", "scorer.json", "golden.json", "reference.json"
MACHINE_FILE, TRAINING_ROWS_FILE, THRESHOLDS_FILE = "machine.json", "training_rows.npy", "thresholds.json"
MODES_FILE, MONITORING_FILE = "modes.onnx", "monitoring.json"
"""Services of earlier releases ignore them. Only versions of machines with alarms and failure modes have MODES_FILE."""
VERSION_FILES = (
    MODEL_FILE, SPEC_FILE, MACHINE_FILE, GOLDEN_FILE, REFERENCE_FILE, TRAINING_ROWS_FILE, THRESHOLDS_FILE,
    MODES_FILE, MONITORING_FILE,
)  # fmt: skip

FORMAT, HISTORY_FORMAT, EVENTS_FORMAT, PACKED_FORMAT = 3, 4, 5, 6
"""The version of the file format, increased when older code would misread the files.

2: the trees have one output. 3: the version carries the description of its machine, and inputs may be missing. 4: features are
computed from earlier readings; versions without them still have format 3, so that services of the release before follow.
5: the description has tables of events or of machine attributes. 6: so many training rows that their hashes are packed.
"""
READ_FORMATS = (1, 2, 3, 4, 5, 6)
_MACHINE_FORMAT = 3
"""From this format on, a version has MACHINE_FILE. Before, it is one of the milling machine."""

MIN_GOLDEN_ROWS = 16
"""Training records 32 to 64 golden rows, unless the held-out rows are fewer."""

_MAX_BYTES = {MODEL_FILE: 2**30, MODES_FILE: 2**30, TRAINING_ROWS_FILE: 2**32}
_MAX_JSON_BYTES = 32 * 2**20
_MAX_SHOWN_ERRORS = 3
_MAX_VALUE_CHARACTERS = 60
_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def version_format(machine: Machine, training_rows: int) -> int:
    """The lowest format that a version of `machine` with so many training rows can have."""
    if training_rows > MOST_HASHES:
        return PACKED_FORMAT
    if machine.description.events or machine.attribute_tables:
        return EVENTS_FORMAT
    return HISTORY_FORMAT if machine.needs_history else FORMAT


Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
_RecordedProbability = Annotated[float, Field(ge=0, le=1 + 1e-6)]
"""Versions of earlier releases recorded what the exported random forest returned, which can exceed 1 by rounding."""
Count = Annotated[int, Field(ge=0)]
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class ScorerSpec:
    """The contents of scorer.json. Costs are in `currency`.

    `limits` are the ranges of the sensors in formats 1 and 2; later, they are in the description of the machine. `output`
    is the output of the trees: log-odds where the algorithm allows, because float32 probabilities near 1 are so coarse
    that a calibration would make the rounding error visible. `missing_shares` has the share of missing values of each
    optional sensor in training.
    """

    algorithm: Annotated[str, Field(min_length=1, max_length=100)]
    output: Literal["probability", "log_odds"]
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    calibration: Calibration
    threshold: Probability
    missed_failure_cost: Positive
    false_alarm_cost: Positive
    currency: Annotated[str, Field(max_length=100)]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    missing_shares: dict[str, Probability] = field(default_factory=dict)
    format: int = FORMAT

    @model_validator(mode="after")
    def _names_and_limits(self) -> Self:
        if len(set(self.features)) < len(self.features):
            raise ValueError("features: a name appears twice")
        needed = set() if self.format >= _MACHINE_FORMAT else set(MILLING.sensor_names)
        if wrong := sorted(set(self.limits) ^ needed):
            raise ValueError(f"limits: {wrong[0]!r} is missing or not a sensor: each sensor needs its limits")
        if empty := [name for name, (low, high) in self.limits.items() if not low < high]:
            raise ValueError(f"limits: the lower limit is not below the upper limit for {', '.join(empty)}")
        return self

    def to_json(self) -> str:
        content = asdict(self)
        for optional in ("limits", "missing_shares"):
            if not content[optional]:
                del content[optional]
        return json.dumps(content, indent=2)

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Parse scorer.json. Raises ModelError for an unknown format, or if a field is invalid."""
        declared = parse_content(SPEC_FILE, _DECLARED_FORMAT, content).format
        if declared not in READ_FORMATS:
            read = f"{', '.join(map(str, READ_FORMATS[:-1]))} and {READ_FORMATS[-1]}"
            raise ModelError(f"{SPEC_FILE} has format {declared!r}, this code reads {read}: update the package")
        return parse_content(SPEC_FILE, TypeAdapter(cls), content)


class _Columns(BaseModel):
    """Columns of equal length."""

    model_config = _STRICT

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        _check_lengths({name: len(getattr(self, name)) for name in type(self).model_fields})
        return self


def _readings_model(machine: Machine, **more: Any) -> type[_Columns]:
    """A model of readings by column. A missing value of an optional sensor, or of a statistic, is null."""
    fields: dict[str, Any] = {}
    for name, category in machine.description.categories.items():
        value: Any = Literal[category.values] if category.unseen == "reject" else str  # pydantic reads it at run time
        fields[name] = list[value]
    fields |= dict.fromkeys(machine.optional_sensor_names, list[float | None])
    fields |= dict.fromkeys(machine.required_sensor_names, list[float])
    return create_model("Readings", __base__=_Columns, **fields, **more)


def _events_model(machine: Machine, places: dict[str, Any]) -> type[BaseModel]:
    """A model of the tables of events that features are made from, each by column."""
    tables: dict[str, Any] = {}
    for name in machine.event_tables:
        types = machine.description.events[name].types
        value: Any = Literal[types]  # pydantic reads it at run time
        kind: dict[str, Any] = {EVENT_TYPE: list[value]} if types else {}
        tables[name] = (create_model("Events", __base__=_Columns, **places, **kind), ...)
    return create_model("EventTables", __config__=_STRICT, **tables)


class GoldenRows(BaseModel):
    """The contents of golden.json: held-out readings with their expected probabilities and decisions.

    `rows` are the positions of these readings in `readings`, if these also have the earlier readings of their machines.
    `events` are the earlier events of these machines by table. `modes` are the probabilities of the failure modes, (m, k), if the
    version has MODES_FILE.
    """

    model_config = _STRICT

    readings: dict[str, list[Any]]
    rows: Annotated[list[Count], Field(min_length=MIN_GOLDEN_ROWS)] | None = None
    events: dict[str, dict[str, list[Any]]] = {}
    probabilities: Annotated[list[_RecordedProbability], Field(min_length=MIN_GOLDEN_ROWS)]
    decisions: list[bool]
    modes: list[list[_RecordedProbability]] | None = None

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        readings = len(next(iter(dict(self.readings).values()), []))
        if self.rows and max(self.rows) >= readings:
            raise ValueError(f"rows: {max(self.rows)} is not a position in {readings} readings")
        count = readings if self.rows is None else len(self.rows)
        lengths = {"readings": count, "probabilities": len(self.probabilities), "decisions": len(self.decisions)}
        _check_lengths(lengths if self.modes is None else lengths | {"modes": len(self.modes)})
        return self

    @property
    def positions(self) -> npt.NDArray[np.intp]:
        """(m,) the positions of the golden rows in `columns`."""
        return np.arange(len(self.probabilities)) if self.rows is None else np.array(self.rows, dtype=np.intp)

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The readings, by column."""
        return self.readings


class ThresholdCounts(BaseModel):
    """The contents of thresholds.json: counts of the confusion matrix on the held-out rows at ascending thresholds."""

    model_config = _STRICT

    rows: Annotated[int, Field(ge=1)]
    failures: Count
    threshold: Annotated[list[Probability], Field(min_length=1)]
    true_positives: list[Count]
    false_positives: list[Count]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = ("threshold", "true_positives", "false_positives")
        _check_lengths({name: len(getattr(self, name)) for name in names})
        if any(low >= high for low, high in zip(self.threshold, self.threshold[1:], strict=False)):
            raise ValueError("threshold: the values are not in ascending order")
        if self.failures > self.rows:
            raise ValueError(f"failures: {self.failures} is above rows, {self.rows}")
        if max(self.true_positives) > self.failures:
            raise ValueError(f"true_positives: {max(self.true_positives)} is above failures, {self.failures}")
        if max(self.false_positives) > self.rows - self.failures:
            raise ValueError(f"false_positives: {max(self.false_positives)} is above the healthy rows")
        return self


def read_scorer_files(folder: Path) -> dict[str, bytes]:
    """The files of a version that scoring needs, by name. Raises ModelError as `read_file` does."""
    names = [MODEL_FILE, SPEC_FILE, GOLDEN_FILE]
    names += [name for name in (MACHINE_FILE, MODES_FILE) if (folder / name).exists()]
    return {name: read_file(folder, name) for name in names}


def read_file(folder: Path, name: str) -> bytes:
    """The content of a file of a version. Raises ModelError if it is missing, not a file, or too large."""
    check_file(folder, name)
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise _incomplete(name, error) from None


def check_file(folder: Path, name: str) -> None:
    """Check a file of a version before it is read. Raises ModelError if it is missing, not a file, or too large."""
    limit = _MAX_BYTES.get(name, _MAX_JSON_BYTES)
    try:
        status = (folder / name).stat()
    except OSError as error:
        raise _incomplete(name, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{name} is not a regular file")
    if status.st_size > limit:
        raise ModelError(f"{name} has {status.st_size:,} bytes: the maximum is {limit:,}")


def _incomplete(name: str, error: OSError) -> ModelError:
    return ModelError(f"{name}: {error.strerror}: the model's files are incomplete")


def parse_machine(content: bytes | None, spec: ScorerSpec) -> Machine:
    """The machine of a version, from machine.json; before format 3, the milling machine with the limits of `spec`.

    Raises ModelError if the file is missing or damaged, or `spec` has other features or optional sensors.
    """
    if spec.format >= _MACHINE_FORMAT:
        if content is None:
            raise ModelError(f"{MACHINE_FILE}: No such file or directory: the model's files are incomplete")
        machine = from_json(content, MACHINE_FILE)
    else:
        machine = MILLING.adjusted(ranges=spec.limits)
        if not PUBLISHED_LIMIT_MARGINS.keys().isdisjoint(spec.features):
            machine = with_published_limit_margins(machine)
    if wrong := sorted(set(spec.missing_shares) - set(machine.optional_sensor_names)):
        raise ModelError(f"{SPEC_FILE} is damaged: missing_shares: {wrong[0]!r} is not an optional sensor")
    if unknown := [name for name in spec.features if name not in machine.feature_names]:
        known = ", ".join(machine.feature_names)
        raise ModelError(
            f"{SPEC_FILE} is damaged: features: {unknown[0]!r} is unknown to the {machine.description.name}; it has {known}"
        )
    return machine


def parse_golden(content: bytes, machine: Machine) -> GoldenRows:
    """Parse golden.json. Raises ModelError if a field is invalid, or a reading is outside a range of `machine`."""
    places: dict[str, Any] = {name: list[float] if name == COUNTER else list[str] for name in machine.history_names}
    more: dict[str, Any] = {"events": (_events_model(machine, places), ...)} if machine.event_tables else {}
    modes = Field(min_length=len(machine.mode_names), max_length=len(machine.mode_names))
    more["modes"] = (list[Annotated[list[_RecordedProbability], modes]] | None, None)
    model = create_model("Golden", __base__=GoldenRows, readings=(_readings_model(machine, **places), ...), **more)
    golden = parse_content(GOLDEN_FILE, TypeAdapter(model), content)
    readings = dict(golden.readings)
    _check_ranges(f"{GOLDEN_FILE}: readings", readings, machine)
    return GoldenRows(
        readings=readings,
        rows=golden.rows,
        events={name: dict(table) for name, table in dict(golden.events).items()},
        probabilities=golden.probabilities,
        decisions=golden.decisions,
        modes=golden.modes,
    )


def parse_reference(content: bytes, machine: Machine) -> dict[str, list[Any]]:
    """The columns in reference.json. Raises ModelError as `parse_golden` does, and if no reading is healthy."""
    label: dict[str, Any] = {machine.label_name: Annotated[list[Literal[0, 1] | bool], Field(min_length=1)]}
    columns = label | dict.fromkeys(machine.time_names, list[float])
    columns |= dict.fromkeys(machine.history_features, list[float | None])
    reference = dict(parse_content(REFERENCE_FILE, TypeAdapter(_readings_model(machine, **columns)), content))
    _check_ranges(REFERENCE_FILE, reference, machine)
    if all(reference[machine.label_name]):
        raise ModelError(f"{REFERENCE_FILE} is damaged: {machine.label_name}: no reading is healthy")
    return reference


def read_thresholds(folder: Path) -> ThresholdCounts | None:
    """The counts in thresholds.json; None for a version without them. Raises ModelError if a field is invalid."""
    if not (folder / THRESHOLDS_FILE).exists():
        return None
    return parse_content(THRESHOLDS_FILE, TypeAdapter(ThresholdCounts), read_file(folder, THRESHOLDS_FILE))


def read_training_rows(folder: Path) -> Hashes:
    """The hashes (n,) in training_rows.npy, in ascending order. Raises ModelError if it is missing or damaged."""
    check_file(folder, TRAINING_ROWS_FILE)
    return read_npy(folder / TRAINING_ROWS_FILE)


def check_training_rows(folder: Path) -> None:
    """Check training_rows.npy without reading its content, which may be large. Raises ModelError as `read_training_rows`."""
    check_file(folder, TRAINING_ROWS_FILE)
    check_npy(folder / TRAINING_ROWS_FILE)


class _DeclaredFormat(BaseModel):
    format: Any = None


_DECLARED_FORMAT = TypeAdapter(_DeclaredFormat)


def parse_content(name: str, adapter: TypeAdapter[_Parsed], content: bytes | str) -> _Parsed:
    """Parse JSON. Raises ModelError that names the file and each invalid field."""
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    shown = "; ".join(_describe(detail) for detail in details[:_MAX_SHOWN_ERRORS])
    more = f" and {len(details) - _MAX_SHOWN_ERRORS} more" if len(details) > _MAX_SHOWN_ERRORS else ""
    raise ModelError(f"{name} is damaged: {shown}{more}")


def _describe(detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    shown = f" (got {repr(value)[:_MAX_VALUE_CHARACTERS]})" if isinstance(value, str | int | float | None) else ""
    return f"{place}: {message}{shown}" if place else message


def _check_lengths(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        raise ValueError("different lengths: " + ", ".join(f"{name} {length}" for name, length in lengths.items()))


def _check_ranges(place: str, columns: dict[str, list[Any]], machine: Machine) -> None:
    """Raise ModelError for a reading outside a range: training quarantines such readings."""
    for name, (low, high) in machine.ranges.items():
        if outside := [value for value in columns[name] if value is not None and not low <= value <= high]:
            raise ModelError(
                f"{place}.{name} has {outside[0]:g}, which is outside the limits {low:g} to {high:g} of the sensor"
            )

"""The one scorer: evaluation, the command line, the API and plain MLflow all score with it, so all give the same numbers.

It runs a folder of files and needs numpy and the ONNX runtime, nothing that trains and nothing that unpickles:

    model.onnx      features (n, k) float32 in, (n, 1) out: probabilities of failure, or log-odds
                    (older versions: (n, 2), for healthy and failure)
    scorer.json     ScorerSpec: features, calibration, threshold, limits, costs
    golden.json     held-out readings with the probabilities and decisions they must get
    reference.json  a uniform sample of the training rows, for explanations and drift

Beside them lie training_rows.npy, hashes of the readings trained on, by which an evaluation leaves those out, and
thresholds.json, what each threshold would have caught and missed on the held-out rows.
"""

import json
import operator
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelError
from ..machine.features import feature, feature_matrix
from ..machine.sensors import INPUT_NAMES, PRODUCT_TYPE, PRODUCT_TYPES, SENSOR_NAMES

MODEL_FILE, SPEC_FILE, GOLDEN_FILE, REFERENCE_FILE = "model.onnx", "scorer.json", "golden.json", "reference.json"
TRAINING_ROWS_FILE, THRESHOLDS_FILE = "training_rows.npy", "thresholds.json"
FORMAT = 2
"""Of the files: raised whenever code before would read them wrongly. 2: the trees have one output."""
READ_FORMATS = (1, 2)

GOLDEN_TOLERANCE = 1e-6
"""How far a golden row's probability may be off: float32 arithmetic on another processor, not another model."""

_BATCH_ROWS = 16_384
_MIN_PART_ROWS = 256
_EDGE = 1e-6
_MAX_LOG_ODDS = float(np.log((1 - _EDGE) / _EDGE))

Vector = npt.NDArray[np.float64]
Columns = Mapping[str, Any]


def logit(probabilities: Vector) -> Vector:
    """log(p / (1 - p)), with p kept 1e-6 away from 0 and 1, where a forest's votes may be."""
    inner = _within(probabilities, _EDGE, 1 - _EDGE)
    return np.log(inner / (1 - inner))


@dataclass(frozen=True)
class Calibration:
    """p -> sigmoid(slope * logit(p) + intercept). Slope 1 and intercept 0 leave p as it is."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_identity(self) -> bool:
        return (self.slope, self.intercept) == (1.0, 0.0)

    def apply(self, probabilities: Vector) -> Vector:
        return probabilities if self.is_identity else self.apply_to_log_odds(logit(probabilities))

    def apply_to_log_odds(self, log_odds: Vector) -> Vector:
        """The same for what `logit` would give."""
        if not self.is_identity:
            log_odds = self.slope * _within(log_odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS) + self.intercept
        return 1 / (1 + np.exp(-log_odds))


@dataclass(frozen=True, kw_only=True)
class ScorerSpec:
    """All that a scorer knows beside the trees. Costs are in `currency`; limits in the sensors' units.

    `output` says what the trees give. Log-odds where they can: float32 has so few numbers next to 1 that a calibration
    would turn the last bit of a probability there into a visible difference.
    """

    algorithm: str
    output: Literal["probability", "log_odds"]
    features: tuple[str, ...]
    calibration: Calibration
    threshold: float
    limits: Mapping[str, tuple[float, float]]
    missed_failure_cost: float
    false_alarm_cost: float
    currency: str
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        if values.get("format") not in READ_FORMATS:
            read = " and ".join(map(str, READ_FORMATS))
            raise ModelError(f"{SPEC_FILE} has format {values.get('format')!r}, this code reads {read}")
        values["features"] = tuple(values["features"])
        values["calibration"] = Calibration(**values["calibration"])
        values["limits"] = {name: (low, high) for name, (low, high) in values["limits"].items()}
        if unknown := [name for name in SENSOR_NAMES if not operator.lt(*values["limits"][name])]:
            raise ModelError(f"{SPEC_FILE} has no range in the limits of {', '.join(unknown)}")
        return cls(**values)


class Scorer:
    """A model ready to score. Immutable, and safe to use from several threads at once.

    With `threads` above 1, many rows are scored in as many parts at once: the runtime's own threads would add the trees
    up in another order, and a row would get other bits in a table than alone.
    """

    def __init__(self, spec: ScorerSpec, onnx: bytes, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises its own untyped errors for a file that is not a model
            raise ModelError(f"{MODEL_FILE} is not a model that the ONNX runtime can run: {error}") from error
        (features,) = self._session.get_inputs()
        if features.shape[1] != len(spec.features):
            raise ModelError(f"{MODEL_FILE} reads {features.shape[1]} features, {SPEC_FILE} names {len(spec.features)}")
        self.spec = spec
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._input = features.name
        self._output = [self._session.get_outputs()[-1].name]
        of_log_odds = spec.output == "log_odds"
        self._calibrated: Callable[[Any], Any] = (
            spec.calibration.apply_to_log_odds if of_log_odds else spec.calibration.apply
        )

    @classmethod
    def load(cls, folder: Path | str, threads: int = 1) -> Self:
        """The scorer in `folder`. Raises ModelError where a file is missing or damaged, or the golden rows differ."""
        folder = Path(folder)
        try:
            files = {name: (folder / name).read_bytes() for name in (MODEL_FILE, SPEC_FILE, GOLDEN_FILE)}
        except OSError as error:
            raise ModelError(f"{error.filename}: {error.strerror}: the model's files are incomplete") from None
        return cls.from_files(files, threads)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], threads: int = 1) -> Self:
        """The scorer made of named files' contents. Raises ModelError as `load` does."""
        try:
            scorer = cls(ScorerSpec.from_json(files[SPEC_FILE].decode()), files[MODEL_FILE], threads)
            scorer.verify(json.loads(files[GOLDEN_FILE]))
        except ModelError:
            raise
        except Exception as error:  # whatever a damaged file leads to, the runtime's untyped errors among it
            raise ModelError(f"the model's files are damaged: {error!r}") from error
        return scorer

    def probabilities(self, columns: Columns) -> Vector:
        """(n,) calibrated probabilities of failure of n readings.

        `columns` holds INPUT_NAMES, each with n values: a data frame, or a mapping to arrays or lists. Raises DataError
        that names the column where one is missing or holds a value that cannot be scored.
        """
        matrix = feature_matrix(_checked(columns), self.spec.features)
        bad_rows = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(bad_rows):
            raise DataError(
                f"row {bad_rows[0] + 1}: {self._cause(columns, int(bad_rows[0]))}: {len(bad_rows)} of "
                f"{len(matrix)} rows cannot be scored"
            )
        return self._run(matrix)

    def probability(self, reading: Mapping[str, Any]) -> float:
        """The same for one reading's plain numbers: the same features and the same arithmetic, without arrays of one."""
        values = {**reading, "product_type_code": PRODUCT_TYPES.index(reading[PRODUCT_TYPE.name])}
        row = np.array([[feature(values, name) for name in self.spec.features]], dtype=np.float32)
        raw = self._session.run(self._output, {self._input: row})[0][0, -1]
        return float(self._calibrated(float(raw)))

    def decisions(self, probabilities: Vector) -> npt.NDArray[np.bool_]:
        """(n,) whether each probability calls for an alarm, at the model's threshold."""
        return probabilities >= self.spec.threshold

    def verify(self, golden: Mapping[str, Any]) -> None:
        """Raises ModelError unless the golden rows get the probabilities and the decisions recorded with the model."""
        probabilities = self.probabilities(golden["readings"])
        difference = float(np.max(np.abs(probabilities - np.asarray(golden["probabilities"]))))
        flips = int((self.decisions(probabilities) != np.asarray(golden["decisions"])).sum())
        if not difference <= GOLDEN_TOLERANCE or flips:
            raise ModelError(
                f"golden rows differ: probabilities by up to {difference:.2g} (allowed {GOLDEN_TOLERANCE:g}), "
                f"{flips} of {len(probabilities)} decisions"
            )

    def _run(self, matrix: npt.NDArray[np.float32]) -> Vector:
        size = min(_BATCH_ROWS, max(-(-len(matrix) // self._threads), _MIN_PART_ROWS))
        parts = [matrix[start : start + size] for start in range(0, len(matrix), size)]
        run = self._pool.map if self._pool and len(parts) > 1 else map
        outputs = list(run(self._outputs, parts))
        return self._calibrated(np.concatenate(outputs).astype(np.float64) if outputs else np.empty(0))

    def _outputs(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.run(self._output, {self._input: matrix})[0][:, -1]

    @staticmethod
    def _cause(columns: Columns, row: int) -> str:
        kind = np.asarray(columns[PRODUCT_TYPE.name], dtype=object)[row]
        if kind not in PRODUCT_TYPES:
            return f"{PRODUCT_TYPE.name} is {kind!r}, not one of {', '.join(PRODUCT_TYPES)}"
        for name in SENSOR_NAMES:
            if not np.isfinite(value := float(np.asarray(columns[name])[row])):
                return f"{name} is {value}"
        return "a feature is too large for float32"


def _within(values: Any, low: float, high: float) -> Any:
    """`values` moved into low to high: as numpy does it, also where a plain number takes the short way."""
    if isinstance(values, float):
        return min(max(values, low), high)
    return np.minimum(np.maximum(values, low), high)


def _checked(columns: Columns) -> Columns:
    """`columns` with every sensor as float64. Raises DataError that names a column which is missing or not numeric."""
    if missing := [name for name in INPUT_NAMES if name not in columns]:
        raise DataError(f"no column {', '.join(missing)}; a model reads {', '.join(INPUT_NAMES)}")
    checked: dict[str, Any] = {PRODUCT_TYPE.name: columns[PRODUCT_TYPE.name]}
    for name in SENSOR_NAMES:
        try:
            checked[name] = np.asarray(columns[name], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"column {name} is not numeric: {error}") from None
    return checked

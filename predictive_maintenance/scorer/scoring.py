"""The scorer, shared by evaluation, the command line, the API and MLflow's pyfunc, so that all give the same numbers.

It loads a folder of files with numpy and the ONNX runtime, without training libraries and without pickle:

    model.onnx      input: features (n, k) float32; output: (n, 1) failure probabilities or log-odds
                    (format 1: (n, 2), probabilities of healthy and failure)
    scorer.json     ScorerSpec: features, calibration, decision threshold, limits, costs
    golden.json     held-out readings with their expected probabilities and decisions
    reference.json  a uniform sample of the training rows, for explanations and drift

The folder also contains training_rows.npy, hashes of the training readings, which an evaluation excludes, and
thresholds.json, the counts of the confusion matrix on the held-out rows at each threshold.
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
"""The version of the file format, increased when older code would misread the files. 2: the trees have one output."""
READ_FORMATS = (1, 2)

GOLDEN_TOLERANCE = 1e-6
"""The allowed difference of a golden row's probability: float32 arithmetic differs slightly between processors."""

_BATCH_ROWS = 16_384
_MIN_PART_ROWS = 256
_EDGE = 1e-6
_MAX_LOG_ODDS = float(np.log((1 - _EDGE) / _EDGE))

Vector = npt.NDArray[np.float64]
Columns = Mapping[str, Any]


def logit(probabilities: Vector) -> Vector:
    """log(p / (1 - p)), with p clipped to 1e-6 from 0 and 1: a random forest can return exactly 0 or 1."""
    clipped = _clip(probabilities, _EDGE, 1 - _EDGE)
    return np.log(clipped / (1 - clipped))


@dataclass(frozen=True)
class Calibration:
    """p -> sigmoid(slope * logit(p) + intercept). The identity has slope 1 and intercept 0."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_identity(self) -> bool:
        return (self.slope, self.intercept) == (1.0, 0.0)

    def apply(self, probabilities: Vector) -> Vector:
        return probabilities if self.is_identity else self.apply_to_log_odds(logit(probabilities))

    def apply_to_log_odds(self, log_odds: Vector) -> Vector:
        """The calibrated probabilities for log-odds."""
        if not self.is_identity:
            log_odds = self.slope * _clip(log_odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS) + self.intercept
        return 1 / (1 + np.exp(-log_odds))


@dataclass(frozen=True, kw_only=True)
class ScorerSpec:
    """The contents of scorer.json. Costs are in `currency`, limits in the sensors' units.

    `output` is the output of the trees: log-odds where the algorithm allows, because float32 probabilities near 1 are so
    coarse that a calibration would make the rounding error visible.
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
            raise ModelError(
                f"{SPEC_FILE} has format {values.get('format')!r}, this code reads {read}: update the package"
            )
        values["features"] = tuple(values["features"])
        values["calibration"] = Calibration(**values["calibration"])
        values["limits"] = {name: (low, high) for name, (low, high) in values["limits"].items()}
        if empty := [name for name in SENSOR_NAMES if not operator.lt(*values["limits"][name])]:
            raise ModelError(f"{SPEC_FILE}: the lower limit is not below the upper limit for {', '.join(empty)}")
        return cls(**values)


class Scorer:
    """A loaded model. Immutable and thread-safe.

    With `threads` above 1, large tables are split and their parts scored in parallel. The runtime's own threads are not
    used: they would sum the trees in another order, so a row in a table would not be bit-identical to the same row alone.
    """

    def __init__(self, spec: ScorerSpec, onnx: bytes, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises untyped errors for an invalid model
            raise ModelError(f"{MODEL_FILE} is not a model that the ONNX runtime can run: {error}") from error
        (features,) = self._session.get_inputs()
        if features.shape[1] != len(spec.features):
            raise ModelError(f"{MODEL_FILE} reads {features.shape[1]} features, {SPEC_FILE} names {len(spec.features)}")
        self.spec = spec
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._input = features.name
        self._output = [self._session.get_outputs()[-1].name]
        calibration = spec.calibration
        self._calibrate: Callable[[Any], Any] = (
            calibration.apply_to_log_odds if spec.output == "log_odds" else calibration.apply
        )

    @classmethod
    def load(cls, folder: Path | str, threads: int = 1) -> Self:
        """Load the scorer in `folder`. Raises ModelError if a file is missing or damaged, or the golden rows differ."""
        folder = Path(folder)
        try:
            files = {name: (folder / name).read_bytes() for name in (MODEL_FILE, SPEC_FILE, GOLDEN_FILE)}
        except OSError as error:
            raise ModelError(f"{error.filename}: {error.strerror}: the model's files are incomplete") from None
        return cls.from_files(files, threads)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], threads: int = 1) -> Self:
        """Load the scorer from file contents by name. Raises ModelError as `load` does."""
        try:
            scorer = cls(ScorerSpec.from_json(files[SPEC_FILE].decode()), files[MODEL_FILE], threads)
            scorer.verify(json.loads(files[GOLDEN_FILE]))
        except ModelError:
            raise
        except Exception as error:  # a damaged file can lead to any error, also to untyped ones of the runtime
            raise ModelError(f"the model's files are damaged: {error!r}") from error
        return scorer

    def probabilities(self, columns: Columns) -> Vector:
        """The calibrated failure probabilities (n,) of n readings.

        `columns` contains INPUT_NAMES with n values each: a data frame, or a mapping to arrays or lists. Raises DataError
        that names the column if one is missing or contains a value that cannot be scored.
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
        """The probability of one reading, bit-identical to `probabilities` but faster. `reading` has numbers."""
        values = {**reading, "product_type_code": PRODUCT_TYPES.index(reading[PRODUCT_TYPE.name])}
        row = np.array([[feature(values, name) for name in self.spec.features]], dtype=np.float32)
        raw = self._session.run(self._output, {self._input: row})[0][0, -1]
        return float(self._calibrate(float(raw)))

    def decisions(self, probabilities: Vector) -> npt.NDArray[np.bool_]:
        """Whether each of (n,) probabilities leads to an alarm at the decision threshold."""
        return probabilities >= self.spec.threshold

    def verify(self, golden: Mapping[str, Any]) -> None:
        """Raise ModelError if the golden rows do not get the probabilities and decisions recorded with the model."""
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
        return self._calibrate(np.concatenate(outputs).astype(np.float64) if outputs else np.empty(0))

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


def _clip(values: Any, low: float, high: float) -> Any:
    """Clip as numpy does; a float stays a float."""
    if isinstance(values, float):
        return min(max(values, low), high)
    return np.minimum(np.maximum(values, low), high)


def _checked(columns: Columns) -> Columns:
    """`columns` with every sensor as float64. Raises DataError that names a column that is missing or not numeric."""
    if missing := [name for name in INPUT_NAMES if name not in columns]:
        raise DataError(f"missing column: {', '.join(missing)}; a model needs {', '.join(INPUT_NAMES)}")
    checked: dict[str, Any] = {PRODUCT_TYPE.name: columns[PRODUCT_TYPE.name]}
    for name in SENSOR_NAMES:
        try:
            checked[name] = np.asarray(columns[name], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"column {name} is not numeric: {error}") from None
    return checked

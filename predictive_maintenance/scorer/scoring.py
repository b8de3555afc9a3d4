"""The scorer, shared by evaluation, the command line, the API and MLflow's pyfunc, so that all give the same numbers.

It loads a folder of files with numpy, pydantic and the ONNX runtime, without training libraries and without pickle:

    model.onnx      input: features (n, k) float32; output: (n, 1) failure probabilities or log-odds
                    (format 1: (n, 2), probabilities of healthy and failure)
    scorer.json     ScorerSpec: features, calibration, decision threshold, costs
    machine.json    the description of the machine: columns, ranges, formulas of the features (from format 3 on)
    golden.json     held-out readings with their expected probabilities, decisions and probabilities of failure modes
    modes.onnx      the probability of each failure mode if the machine fails, (n, modes); only with alarms and modes
    reference.json  a uniform sample of the training rows, for explanations and drift

The folder also contains training_rows.npy, hashes of the training readings, which an evaluation excludes, and
thresholds.json, the counts of the confusion matrix on the held-out rows at each threshold.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelError
from ..history.events import NO_EVENTS, Events
from ..history.features import complete, complete_reading, take
from ..machine.machine import MAX_FLOAT32, Machine
from .calibration import Vector
from .onnx_session import open_session
from .version_files import (
    GOLDEN_FILE,
    MACHINE_FILE,
    MODEL_FILE,
    MODES_FILE,
    SPEC_FILE,
    GoldenRows,
    ScorerSpec,
    parse_golden,
    parse_machine,
    read_scorer_files,
)

GOLDEN_TOLERANCE = 1e-6
"""The allowed difference of a golden row's probability: float32 arithmetic differs slightly between processors."""

BATCH_ROWS = 16_384
"""The most rows that the trees score in one call: a larger table is split."""

_MIN_PART_ROWS = 256

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class LikeliestMode:
    """A failure mode, by its name in the description, and its probability if the machine fails."""

    name: str
    probability: float


class Scorer:
    """A loaded model of a `machine`. Immutable and thread-safe.

    With `threads` above 1, large tables are split and their parts scored in parallel. The runtime's own threads are not
    used: they would sum the trees in another order, so a row in a table would not be bit-identical to the same row alone.
    """

    def __init__(
        self, spec: ScorerSpec, machine: Machine, onnx: bytes, threads: int = 1, modes: bytes | None = None
    ) -> None:
        self._session = open_session(onnx, len(spec.features))
        self._modes = None if modes is None else open_session(modes, len(spec.features), MODES_FILE)
        self.spec, self.machine = spec, machine
        self._given = (spec, machine, onnx, threads, modes)
        self._optional_sources = [machine.optional_sources(name) for name in spec.features]
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._input = self._session.get_inputs()[0].name
        self._output = [self._session.get_outputs()[-1].name]
        calibration = spec.calibration
        self._calibrate: Callable[[Any], Any] = (
            calibration.apply_to_log_odds if spec.output == "log_odds" else calibration.apply
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """How a scorer gets to another process: as what it was made from."""
        return type(self), self._given

    @classmethod
    def load(cls, folder: Path | str, threads: int = 1) -> Self:
        """Load the scorer in `folder`. Raises ModelError if a file is missing or damaged, or the golden rows differ."""
        return cls.from_files(read_scorer_files(Path(folder)), threads)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], threads: int = 1) -> Self:
        """Load the scorer from file contents by name. Raises ModelError as `load` does."""
        spec = ScorerSpec.from_json(files[SPEC_FILE])
        machine = parse_machine(files.get(MACHINE_FILE), spec)
        golden = parse_golden(files[GOLDEN_FILE], machine)
        scorer = cls(spec, machine, files[MODEL_FILE], threads, files.get(MODES_FILE))
        try:
            scorer.verify(golden)
        except ModelError:
            raise
        except Exception as error:  # the runtime raises untyped errors while it runs a damaged model
            raise ModelError(f"{MODEL_FILE} cannot score the golden rows: {error}") from error
        return scorer

    def probabilities(self, columns: Columns, events: Events = NO_EVENTS) -> Vector:
        """The calibrated failure probabilities (n,) of n readings.

        `columns` contains the inputs of the machine with n values each: a data frame, or a mapping to arrays or lists. A
        value of an optional sensor may be NaN, and its column may be absent. If the machine has a history, they also contain
        machine and time, and each row is scored with the earlier rows and `events` of its machine. Raises DataError that names
        the column if one is missing or contains a value that cannot be scored.
        """
        columns = self._checked(columns, events)
        matrix = self.machine.feature_matrix(columns, self.spec.features)
        bad_rows = self._rows_that_cannot_be_scored(matrix, columns)
        if len(bad_rows):
            raise DataError(
                f"row {bad_rows[0] + 1}: {self._cause(columns, int(bad_rows[0]))}: {len(bad_rows)} of "
                f"{len(matrix)} rows cannot be scored"
            )
        return self._run(matrix)

    def probability(
        self, reading: Mapping[str, Any], history: Sequence[Mapping[str, Any]] = (), events: Events = NO_EVENTS
    ) -> float:
        """The probability of one reading, bit-identical to `probabilities` but faster.

        `reading` has numbers, and values of categories as text. `history` are earlier readings of its machine; without any,
        it is the first one. `events` are its events by table. Raises DataError that names a value that cannot be scored.
        """
        values = self.machine.values_of(complete_reading(self.machine, reading, history, events))
        features = [values[name] for name in self.spec.features]
        for value, sources in zip(features, self._optional_sources, strict=True):
            if not -MAX_FLOAT32 <= value <= MAX_FLOAT32 and not any(values[name] != values[name] for name in sources):
                names = (*self.machine.input_names, *self.machine.time_names, *self.machine.history_features)
                raise DataError(self._cause({name: [values.get(name)] for name in names}, 0))
        row = np.array([features], dtype=np.float32)
        raw = self._session.run(self._output, {self._input: row})[0][0, -1]
        return float(self._calibrate(float(raw)))

    @property
    def has_modes(self) -> bool:
        """Whether the version has a model of the failure modes."""
        return self._modes is not None

    def mode_probabilities(self, columns: Columns, events: Events = NO_EVENTS) -> npt.NDArray[np.float64]:
        """(n, k) the probability of each of the machine's k failure modes if the machine fails. Needs `has_modes`.

        `columns` are those of `probabilities`, which raises the same errors.
        """
        assert self._modes is not None
        matrix = self.machine.feature_matrix(self._checked(columns, events), self.spec.features)
        return self._mode_outputs(matrix).astype(np.float64)

    def likeliest_modes(self, columns: Columns, events: Events = NO_EVENTS) -> list[LikeliestMode]:
        """The likeliest failure mode of each of n readings if the machine fails. As `mode_probabilities`."""
        shares, names = self.mode_probabilities(columns, events), self.machine.mode_names
        best = np.argmax(shares, axis=1)
        return [LikeliestMode(names[place], float(row[place])) for row, place in zip(shares, best, strict=True)]

    def decisions(self, probabilities: Vector) -> npt.NDArray[np.bool_]:
        """Whether each of (n,) probabilities leads to an alarm at the decision threshold."""
        return probabilities >= self.spec.threshold

    def verify(self, golden: GoldenRows) -> None:
        """Raise ModelError if the golden rows do not get the values that were recorded with the model."""
        columns: Columns = golden.columns
        if golden.rows is not None:  # the other readings are only history
            columns = take(complete(self.machine, columns, golden.events), golden.positions)
        matrix = self.machine.feature_matrix(columns, self.spec.features)
        output = self._session.run(self._output, {self._input: matrix})[0]
        if output.shape not in ((len(matrix), 1), (len(matrix), 2)):
            raise ModelError(
                f"{MODEL_FILE} returns shape {output.shape} for {len(matrix)} rows, expected 1 or 2 columns"
            )
        self._verify_modes(matrix, golden)
        probabilities = self.probabilities(columns)
        difference = float(np.max(np.abs(probabilities - np.asarray(golden.probabilities))))
        flips = int((self.decisions(probabilities) != np.asarray(golden.decisions)).sum())
        if not difference <= GOLDEN_TOLERANCE or flips:
            raise ModelError(
                f"golden rows differ: probabilities by up to {difference:.2g} (allowed {GOLDEN_TOLERANCE:g}), "
                f"{flips} of {len(probabilities)} decisions"
            )

    def _verify_modes(self, matrix: npt.NDArray[np.float32], golden: GoldenRows) -> None:
        """Raise ModelError as `verify` for the probabilities of the failure modes. Earlier versions have no recorded ones."""
        if self._modes is None:
            if golden.modes is not None:
                raise ModelError(f"{MODES_FILE}: No such file or directory: the model's files are incomplete")
            return
        modes = self._mode_outputs(matrix)
        if modes.shape != (len(matrix), len(self.machine.mode_names)) or not np.isfinite(modes).all():
            raise ModelError(
                f"{MODES_FILE} returns shape {modes.shape} for {len(matrix)} rows, expected a finite number for each of "
                f"{len(self.machine.mode_names)} failure modes"
            )
        if golden.modes is not None and (difference := np.abs(modes - golden.modes).max()) > GOLDEN_TOLERANCE:
            raise ModelError(
                f"golden rows differ: probabilities of failure modes by up to {difference:.2g} (allowed {GOLDEN_TOLERANCE:g})"
            )

    def _run(self, matrix: npt.NDArray[np.float32]) -> Vector:
        size = min(BATCH_ROWS, max(-(-len(matrix) // self._threads), _MIN_PART_ROWS))
        parts = [matrix[start : start + size] for start in range(0, len(matrix), size)]
        run = self._pool.map if self._pool and len(parts) > 1 else map
        outputs = list(run(self._outputs, parts))
        return self._calibrate(np.concatenate(outputs).astype(np.float64) if outputs else np.empty(0))

    def _mode_outputs(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert self._modes is not None
        outputs: npt.NDArray[np.float32] = self._modes.run(None, {self._modes.get_inputs()[0].name: matrix})[-1]
        return outputs

    def _outputs(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.run(self._output, {self._input: matrix})[0][:, -1]

    def _checked(self, columns: Columns, events: Events) -> Columns:
        """The inputs, sensors as float64. Raises DataError that names a column that is missing or not numeric."""
        machine = self.machine
        if missing := [name for name in machine.required_input_names if name not in columns]:
            needed = ", ".join(machine.required_input_names)
            raise DataError(f"missing column: {', '.join(missing)}; a model needs {needed}")
        checked: dict[str, Any] = {name: columns[name] for name in machine.category_names}
        for name in machine.sensor_names:
            if name not in columns:
                continue
            try:
                checked[name] = np.asarray(columns[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise DataError(f"column {name} is not numeric: {error}") from None
        names = (*machine.history_names, *machine.history_features)
        return complete(machine, checked | {name: columns[name] for name in names if name in columns}, events)

    def _rows_that_cannot_be_scored(self, matrix: npt.NDArray[np.float32], columns: Columns) -> npt.NDArray[np.intp]:
        bad = ~np.isfinite(matrix)
        for position, sources in enumerate(self._optional_sources):
            if sources and bad[:, position].any():
                missing = [np.isnan(columns[name]) if name in columns else True for name in sources]
                bad[:, position] &= ~np.logical_or.reduce(missing)
        return np.flatnonzero(bad.any(axis=1))

    def _cause(self, columns: Columns, row: int) -> str:
        machine = self.machine
        for name, category in machine.description.categories.items():
            value = np.asarray(columns[name], dtype=object)[row]
            if category.unseen == "reject" and value not in category.values:
                return f"{name} is {value!r}, not one of {', '.join(category.values)}"
        for name in machine.sensor_names:
            value = float(columns[name][row]) if name in columns else np.nan
            if not np.isfinite(value) and not (np.isnan(value) and name in machine.optional_sensor_names):
                return f"{name} is {value}"
        for name, bad in machine.formula_faults(columns).items():
            if bad[row]:
                return f"the formula of {name} has no finite value: {machine.description.features[name].formula}"
        return "a feature is too large for float32"

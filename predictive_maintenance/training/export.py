"""Export a trained candidate to the files of a Scorer, and compare the predictions of both."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import Params
from ..errors import ModelError
from ..history.events import needed_events
from ..history.features import complete, needed_rows, take
from ..history.time_order import in_time_order
from ..machine.machine import Machine
from ..machine.machine_json import to_json
from ..machine.names import MACHINE_ID, READING_ID, TIMESTAMP
from ..scorer.scoring import Scorer
from ..scorer.training_rows import TrainingRows
from ..scorer.version_files import (
    GOLDEN_FILE,
    MACHINE_FILE,
    MODEL_FILE,
    MODES_FILE,
    MONITORING_FILE,
    REFERENCE_FILE,
    SPEC_FILE,
    TRAINING_ROWS_FILE,
    ScorerSpec,
    version_format,
)
from ..validation.row_identity import row_hashes
from .candidate import FittedCandidate
from .estimators import Estimator, failure_probabilities
from .modes import has_mode_model, train_modes
from .monitoring import monitoring_reference
from .splits import SplitRows

GOLDEN_ROWS = 64
REFERENCE_ROWS = 2000
_OPSET = {"": 15, "ai.onnx.ml": 3}


@dataclass(frozen=True)
class Agreement:
    """Differences between the exported scorer and the fitted estimator over `rows` readings."""

    rows: int
    max_probability_difference: float
    decision_flips: int

    def plus(self, other: Self) -> Self:
        """The differences over the readings of both."""
        return type(self)(
            rows=self.rows + other.rows,
            max_probability_difference=max(self.max_probability_difference, other.max_probability_difference),
            decision_flips=self.decision_flips + other.decision_flips,
        )


def export_model(trained: FittedCandidate, rows: SplitRows, params: Params) -> dict[str, bytes]:
    """Return the files of a version by name: those of `export_scorer`, and the hashes of the training rows."""
    training_rows = TrainingRows.of(np.sort(row_hashes(rows.fitted[READING_ID])))
    return export_scorer(trained, rows, params, training_rows.number) | {TRAINING_ROWS_FILE: training_rows.content}


def export_scorer(trained: FittedCandidate, rows: SplitRows, params: Params, fitted_rows: int) -> dict[str, bytes]:
    """Return the files of a scorer by name. Golden rows are held-out ones, the reference sample is of the training rows.

    Neither are rows for training only. `fitted_rows` is the number of rows that the model was fitted to: `rows` may be some of
    them.
    """
    machine, train = params.machine, rows.train
    spec = ScorerSpec(
        algorithm=trained.algorithm,
        output="log_odds" if trained.algorithm == "lightgbm" else "probability",
        features=trained.features,
        calibration=trained.calibration,
        threshold=trained.threshold,
        missed_failure_cost=params.costs.missed_failure,
        false_alarm_cost=params.costs.false_alarm,
        currency=params.costs.currency,
        missing_shares={name: float(train[name].isna().mean()) for name in machine.optional_sensor_names},
        format=version_format(machine, fitted_rows),
    )
    missing_values = bool(machine.optional_sensor_names or machine.history_features)
    onnx = to_onnx(trained.estimator, len(trained.features), missing_values)
    forest = (
        train_modes(rows.fitted, machine, trained.features, params.training.seed) if has_mode_model(machine) else None
    )
    modes = None if forest is None else modes_to_onnx(forest, len(trained.features))
    scorer = Scorer(spec, machine, onnx, modes=modes)
    probabilities = scorer.probabilities(rows.test)
    golden = _golden_rows(scorer, rows, probabilities)
    columns = (*machine.input_names, *machine.time_names, *machine.history_features, machine.label_name)
    reference = train.sample(min(REFERENCE_ROWS, len(train)), random_state=params.training.seed).sort_index()
    return {
        MODEL_FILE: onnx,
        SPEC_FILE: spec.to_json().encode(),
        MACHINE_FILE: to_json(machine).encode(),
        GOLDEN_FILE: json.dumps(golden).encode(),
        REFERENCE_FILE: json.dumps(_columnar(reference, columns)).encode(),
        MONITORING_FILE: monitoring_reference(
            rows, machine, probabilities, spec.threshold, params.monitoring.window_days
        )
        .model_dump_json()
        .encode(),
    } | ({} if modes is None else {MODES_FILE: modes})


def agreement(trained: FittedCandidate, scorer: Scorer, rows: pd.DataFrame) -> Agreement:
    """Compare the probabilities and decisions of the fitted estimator and the exported scorer on `rows`."""
    fitted = estimator_probabilities(trained, rows, scorer.machine)
    exported = scorer.probabilities(rows)
    flips = (fitted >= trained.threshold) != scorer.decisions(exported)
    return Agreement(len(rows), float(np.max(np.abs(fitted - exported))), int(flips.sum()))


def estimator_probabilities(trained: FittedCandidate, rows: pd.DataFrame, machine: Machine) -> npt.NDArray[np.float64]:
    """(n,) calibrated probabilities of the fitted estimator, not of its export."""
    features = machine.feature_matrix(rows, trained.features)
    return trained.calibration.apply(failure_probabilities(trained.estimator, features))


def to_onnx(estimator: Estimator, features: int, missing_values: bool = False) -> bytes:
    """Convert the fitted estimator to an ONNX model: (n, features) float32 in, (n, 1) float32 out.

    The output of a random forest is the probability of failure, that of LightGBM the log-odds. With `missing_values`, a
    feature may be NaN; without, the branches for NaN are left out, and inference is faster. Raises ModelError if the
    converters return anything but one tree ensemble with one weight a leaf.
    """
    from lightgbm import LGBMClassifier
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import to_onnx as convert
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    boosted = isinstance(estimator, LGBMClassifier)
    if boosted:
        estimator = _with_float32_thresholds(estimator)
        update_registered_converter(
            LGBMClassifier,
            "LightGbmLGBMClassifier",
            calculate_linear_classifier_output_shapes,
            convert_lightgbm,
            options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
        )
    model = convert(
        estimator,
        initial_types=[("features", FloatTensorType([None, features]))],
        options={id(estimator): {"zipmap": False}},
        target_opset=_OPSET,
    )
    branches = _branches_of_missing_values(estimator) if missing_values and not boosted else None
    return _as_regressor(model, missing_values, branches)


def modes_to_onnx(forest: Estimator, features: int) -> bytes:
    """Convert a random forest with several outputs to an ONNX model: (n, features) float32, also NaN, in, (n, outputs) out."""
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType

    model = convert(forest, initial_types=[("features", FloatTensorType([None, features]))], target_opset=_OPSET)
    kept = {name: value for name, value in _attributes_of_trees(model).items() if name != "nodes_hitrates"}
    return _as_tree_model(model, kept | {"post_transform": "NONE"}, _branches_of_missing_values(forest))


def _with_float32_thresholds(estimator: Estimator) -> Estimator:
    """Copy a LightGBM model with each split threshold rounded down to a float32.

    For float32 features this changes no prediction: x <= t if and only if x <= the largest float32 not above t. The
    converter rounds to the nearest float32. A threshold is midway between two training values. Rounded
    up it can equal a new reading's value, which then follows the other branch.
    """
    from lightgbm import Booster

    def rounded_down(text: str) -> str:
        threshold = float(text)
        nearest = np.float32(threshold)
        below = np.nextafter(nearest, np.float32(-np.inf)) if float(nearest) > threshold else nearest
        return repr(float(below))

    lines = [
        "threshold=" + " ".join(map(rounded_down, line.removeprefix("threshold=").split()))
        if line.startswith("threshold=")
        else line
        for line in estimator.booster_.model_to_string().splitlines()
    ]
    # The line tree_sizes has the length of each tree in bytes, now wrong. Without it LightGBM parses the whole text.
    text = "\n".join(line for line in lines if not line.startswith("tree_sizes=")) + "\n"
    rounded = copy.copy(estimator)
    rounded._Booster = Booster(model_str=text)
    return rounded


def _branches_of_missing_values(forest: Any) -> dict[tuple[int, int], int]:
    """By tree and node of a random forest: 1 if a missing value takes the left branch. The converter omits them."""
    return {
        (tree, node): int(left)
        for tree, estimator in enumerate(forest.estimators_)
        for node, left in enumerate(estimator.tree_.missing_go_to_left)
    }


def _as_regressor(classifier: Any, missing_values: bool, branches: dict[tuple[int, int], int] | None) -> bytes:
    """Rebuild a converted classifier as a regressor with the same trees and bit-identical sums.

    Inference takes a fifth less time without the unused parts: label, second probability, LightGBM's sigmoid, hit rates,
    and the branches for missing values if a Scorer rejects those before. `branches` replaces these by tree and node.
    """
    attributes = _attributes_of_trees(classifier)
    if len(set(attributes.get("class_ids", ()))) != 1 or "base_values" in attributes:
        raise ModelError(
            "the ONNX converters returned an unsupported graph: expected one tree ensemble with one output; "
            "install the versions of skl2onnx and onnxmltools in requirements.txt"
        )
    unused = ("nodes_hitrates",) if missing_values else ("nodes_hitrates", "nodes_missing_value_tracks_true")
    kept = {
        name.replace("class_", "target_"): value
        for name, value in attributes.items()
        if name.startswith(("nodes_", "class_")) and name not in unused
    }
    return _as_tree_model(classifier, kept | {"n_targets": 1}, branches)


def _attributes_of_trees(model: Any) -> dict[str, Any]:
    """The attributes of the one tree ensemble of a converted model; {} if it has another number of them."""
    from onnx import helper

    trees = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    return {part.name: helper.get_attribute_value(part) for part in trees[0].attribute} if len(trees) == 1 else {}


def _as_tree_model(converted: Any, kept: dict[str, Any], branches: dict[tuple[int, int], int] | None) -> bytes:
    """A model of one tree ensemble with the attributes `kept`. `branches` are those of missing values, by tree and node."""
    from onnx import helper

    if branches is not None:
        nodes = zip(kept["nodes_treeids"], kept["nodes_nodeids"], strict=True)
        kept["nodes_missing_value_tracks_true"] = [branches[node] for node in nodes]
    (features,) = converted.graph.input
    output = helper.make_tensor_value_info("output", features.type.tensor_type.elem_type, [None, kept["n_targets"]])
    node = helper.make_node("TreeEnsembleRegressor", [features.name], [output.name], domain="ai.onnx.ml", **kept)
    graph = helper.make_graph([node], "trees", [features], [output])
    model = helper.make_model(graph, opset_imports=converted.opset_import, ir_version=converted.ir_version)
    return bytes(model.SerializeToString())


def _golden_rows(scorer: Scorer, split: SplitRows, probabilities: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Pick held-out rows evenly by rank of probability, with their predictions, and with the readings in their windows."""
    test = split.test
    ranked = np.argsort(probabilities, kind="stable")
    alarms = int(scorer.decisions(probabilities).sum())
    # Half of them from all rows, half from the alarms and as many rows ranked next to them.
    picked = np.unique(
        np.concatenate(
            [
                ranked[np.linspace(0, len(ranked) - 1, GOLDEN_ROWS // 2).astype(int)],
                ranked[np.linspace(max(len(ranked) - 2 * alarms, 0), len(ranked) - 1, GOLDEN_ROWS // 2).astype(int)],
            ]
        )
    )
    machine = scorer.machine
    readings = _with_history(split, test[MACHINE_ID].iloc[picked].unique()) if machine.needs_history else test
    needed = needed_rows(machine, readings, picked)
    rows: Any = readings.iloc[needed]
    golden: dict[str, Any] = {"readings": _columnar(rows, machine.input_names)}
    if machine.needs_history:
        golden = {"readings": _columnar(_with_plain_times(rows), (*machine.history_names, *machine.input_names))}
        golden["rows"] = np.searchsorted(needed, picked).tolist()
        events = _needed_events(machine, split.events, rows, np.searchsorted(needed, picked))
        if machine.event_tables:
            golden["events"] = {
                name: _columnar(_with_plain_times(table), tuple(table)) for name, table in events.items()
            }
        rows = take(complete(machine, rows.drop(columns=list(machine.history_features)), events), golden["rows"])
    expected = scorer.probabilities(rows)
    if machine.needs_history and not np.array_equal(expected, probabilities[picked]):
        raise ModelError("the golden rows get other probabilities from their windows alone than from the whole table")
    if scorer.has_modes:
        golden["modes"] = scorer.mode_probabilities(rows).tolist()
    return golden | {"probabilities": expected.tolist(), "decisions": scorer.decisions(expected).tolist()}


def _with_history(split: SplitRows, machines: npt.NDArray[Any]) -> pd.DataFrame:
    """The held-out rows, followed by all other readings of `machines`, which may be in their windows."""
    others = [part[part[MACHINE_ID].isin(machines)] for part in (split.train, split.history)]
    return pd.concat([split.test, *(part for part in others if len(part))], ignore_index=True)


def _needed_events(
    machine: Machine, events: Mapping[str, pd.DataFrame], rows: pd.DataFrame, picked: npt.NDArray[np.int64]
) -> dict[str, pd.DataFrame]:
    """The events that the features of `rows` at the places `picked` depend on, by table."""
    order = in_time_order(machine, rows)
    places = np.flatnonzero(np.isin(order.positions, picked))
    return {name: events[name].iloc[kept] for name, kept in needed_events(machine, events, order, places).items()}


def _with_plain_times(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the timestamps as text without zone, in UTC."""
    if TIMESTAMP not in rows:
        return rows
    return rows.assign(**{TIMESTAMP: np.datetime_as_string(rows[TIMESTAMP].to_numpy(dtype="datetime64[us]"))})


def _columnar(rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """The columns `names`, with None for missing values and for a column that the rows do not have."""
    present = rows.reindex(columns=list(names)).astype(object)
    return {name: present[name].where(present[name].notna(), None).tolist() for name in names}

"""Open a model with the ONNX runtime, if it consists of operators that always end."""

from typing import Any

from ..errors import ModelError
from .version_files import MODEL_FILE

OPERATORS = frozenset(
    {"TreeEnsembleRegressor", "TreeEnsembleClassifier", "TreeEnsemble"}
    | {"Identity", "Cast", "Reshape", "Concat", "Add", "Sub", "Mul", "Div", "Sigmoid"}
)
"""Trees and the arithmetic that the converters add. Control flow, such as Loop, may never end."""


def open_session(onnx: bytes, features: int, name: str = MODEL_FILE) -> Any:
    """The inference session of a model, which errors call `name`. Raises ModelError if the runtime or this code cannot run it.

    The runtime optimises nothing: the model is one operator, and an optimiser would already run parts of a foreign one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        parts = session.get_provider_graph_assignment_info()
    except Exception as error:  # the runtime raises untyped errors for an invalid model
        raise ModelError(f"{name} is not a model that the ONNX runtime can run: {error}") from error
    used = {node.op_type for part in parts for node in part.get_nodes()}
    if refused := sorted(used - OPERATORS):
        raise ModelError(f"{name} has the operator {refused[0]}: a model may use {', '.join(sorted(OPERATORS))}")
    _check_inputs(session, features, name)
    return session


def _check_inputs(session: Any, features: int, name: str) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        found = ", ".join(f"{each.type} {each.shape}" for each in inputs)
        raise ModelError(f"{name} reads {found}, expected one float tensor of shape (rows, features)")
    if inputs[0].shape[1] != features:
        raise ModelError(f"{name} reads {inputs[0].shape[1]} features, scorer.json names {features}")
    if session.get_outputs()[-1].type != "tensor(float)":
        raise ModelError(f"{name} returns {session.get_outputs()[-1].type}, expected a float tensor")

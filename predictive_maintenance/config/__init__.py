"""params.yaml as frozen, strict models. Unknown keys, wrong types and values that contradict each other are errors."""

from .explain import neighbours
from .files import PARAMS_FILE, PROJECT_DIR, load_params, read_yaml
from .params import (
    Algorithm,
    Candidate,
    Cleaning,
    Columns,
    Costs,
    Evaluation,
    Features,
    Gate,
    Params,
    Range,
    Registry,
    Scalar,
    SearchSpace,
    Split,
    Threshold,
    Training,
    parse_params,
)
from .sources import Data, RemoteCopy, Source, parse_sources

__all__ = [
    "PARAMS_FILE",
    "PROJECT_DIR",
    "Algorithm",
    "Candidate",
    "Cleaning",
    "Columns",
    "Costs",
    "Data",
    "Evaluation",
    "Features",
    "Gate",
    "Params",
    "Range",
    "Registry",
    "RemoteCopy",
    "Scalar",
    "SearchSpace",
    "Source",
    "Split",
    "Threshold",
    "Training",
    "load_params",
    "neighbours",
    "parse_params",
    "parse_sources",
    "read_yaml",
]

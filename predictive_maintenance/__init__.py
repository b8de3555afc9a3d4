"""Train, evaluate, register and score machine-failure models.

`__all__` is the public API. Other modules may change in any release.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config.params_file import load_params
    from .config.project import project_dir
    from .errors import PredictiveMaintenanceError
    from .inference.explaining import Explainer
    from .scorer.scoring import Scorer

# The ONNX runtime reads it when it is imported, and sends usage data to its maker without it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Explainer", "PredictiveMaintenanceError", "Scorer", "__version__", "load_params", "project_dir"]

_MODULE_OF = {
    "Explainer": ".inference.explaining",
    "PredictiveMaintenanceError": ".errors",
    "Scorer": ".scorer.scoring",
    "load_params": ".config.params_file",
    "project_dir": ".config.project",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562): commands and services import only what they need."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name], __name__), name)

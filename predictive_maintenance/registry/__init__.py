"""The one place that talks to MLflow: its connection, the runs of a training, the versions of the model.

Only calls that an older, hosted server knows are used: runs, parameters, metrics, artifacts, versions, aliases, tags.
"""

from .connection import Connection, connect, connect_to_read, tracking_uri, web_address
from .entities import VERSION_FILE, ModelVersion, Training
from .failures import OLDEST_SERVER
from .packaging import package_version
from .reading import RegisteredVersions
from .runs import FlowRun
from .versions import Versions

__all__ = [
    "OLDEST_SERVER",
    "VERSION_FILE",
    "Connection",
    "FlowRun",
    "ModelVersion",
    "RegisteredVersions",
    "Training",
    "Versions",
    "connect",
    "connect_to_read",
    "package_version",
    "tracking_uri",
    "web_address",
]

"""Where the parts of a run are: beside the results of Metaflow, or where PDM_PARTS_FOLDER says."""

import os
from pathlib import Path

from ..config.uris import scheme_of
from ..errors import SourceError
from .part_folder import PartFolder

FOLDER_VARIABLE = "PDM_PARTS_FOLDER"

_NAME = "pdm.parts"
_REMOTE_ROOTS = {
    "s3": ("METAFLOW_DATASTORE_SYSROOT_S3", ""),
    "azure": ("METAFLOW_DATASTORE_SYSROOT_AZURE", "abfs://"),
    "gs": ("METAFLOW_DATASTORE_SYSROOT_GS", ""),
}


def parts_of_run(flow_run: str) -> PartFolder:
    """The folder of the parts of a run, such as TrainFlow/17."""
    return PartFolder(f"{parts_root()}/{flow_run}")


def check_parts_folder(flow_run: str) -> None:
    """Raise SourceError unless this process can write the parts of a run."""
    try:
        parts_of_run(flow_run).check_writable()
    except SourceError as error:
        text = f"{error}: the parts of the run would be there, and {FOLDER_VARIABLE} sets another folder"
        raise SourceError(text, transient=error.transient) from None


def parts_root() -> str:
    """The folder with the parts of all runs."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return given.rstrip("/") if scheme_of(given) else str(Path(given).expanduser().absolute())
    variable, scheme = _REMOTE_ROOTS.get(os.environ.get("METAFLOW_DEFAULT_DATASTORE", ""), ("", ""))
    if root := os.environ.get(variable):
        root = root.rstrip("/")
        return f"{root if '://' in root else scheme + root}/{_NAME}"
    return str(Path(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], ".metaflow", _NAME).absolute())

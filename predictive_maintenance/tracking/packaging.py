"""Build the folder of a model version: an MLflow pyfunc that contains its scorer's code, so that plain MLflow can load it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..machine.machine_json import from_json
from ..machine.names import MACHINE_ID
from ..scorer.version_files import MACHINE_FILE, VERSION_FILES

if TYPE_CHECKING:
    import pandas as pd

SCORER_FOLDER = "scorer"
_PACKAGE = Path(__file__).resolve().parents[1]
_NEED_PINT = ("dimensions.py", "units.py")
_MACHINE_MODULES = sorted(path.name for path in (_PACKAGE / "machine").glob("*.py") if path.name not in _NEED_PINT)
_MODULES = (
    *("errors.py", "strict_model.py", "machine/milling.json"),
    *(f"machine/{name}" for name in _MACHINE_MODULES),
    *(
        f"history/{name}"
        for name in ("__init__.py", "events.py", "features.py", "machine_rows.py", "time_order.py", "windows.py")
    ),
    *("scorer/__init__.py", "scorer/calibration.py", "scorer/onnx_session.py", "scorer/pyfunc.py"),
    *("scorer/scoring.py", "scorer/training_rows.py", "scorer/version_files.py"),
)
_CHUNK_BYTES = 2**20
_REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pandas", "pydantic")


def package_version(files: Mapping[str, bytes], example: pd.DataFrame, work: Path) -> Path:
    """Write the version's folder below `work` and return it. `files` are those of a scorer, `example` is some raw rows."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    scorer = work / SCORER_FOLDER
    scorer.mkdir()
    for name, content in files.items():
        (scorer / name).write_bytes(content)
    code = _copy_code(work)
    entry = work / "model.py"
    entry.write_text(
        "import mlflow.models\n"
        f"from {code.name}.scorer.pyfunc import PredictiveMaintenanceModel\n\n"
        "mlflow.models.set_model(PredictiveMaintenanceModel())\n"
    )
    # Not "double": MLflow rejects integers for it, and the speed and wear in a CSV file can be integers. The scorer
    # itself rejects values that are not numbers.
    machine = from_json(files[MACHINE_FILE])
    names = (*machine.history_names, *machine.input_names)
    required = (*machine.history_names, *machine.required_input_names)
    inputs = [
        ColSpec("string" if name in (MACHINE_ID, *machine.categories) else AnyType(), name, required=name in required)
        for name in names
    ]
    folder = work / "model"
    with _importable(work):
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(entry),
            code_paths=[str(code)],
            artifacts={SCORER_FOLDER: str(scorer)},
            signature=ModelSignature(
                Schema(inputs),
                Schema([ColSpec("double", "failure_probability"), ColSpec("integer", "predicted_failure")]),
                ParamSchema([ParamSpec("events", DataType.string, "")]) if machine.event_tables else None,
            ),
            input_example=example[[name for name in names if name in example]],
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
        )
    return folder


def files_sha256(folder: Path) -> str:
    """The hash of the scorer and its code, which determine the predictions. MLflow's own files contain timestamps.

    Compiled modules are left out: Python writes them beside the code when the version is loaded from where it is stored.
    """
    found = (path for part in ("artifacts", "code") for path in (folder / part).rglob("*") if path.is_file())
    return _sha256(folder, (path for path in found if "__pycache__" not in path.parts))


def scorer_sha256(folder: Path) -> str:
    """The hash of the scorer's files in `folder`, which may hold other files, too."""
    return _sha256(folder, (path for name in VERSION_FILES if (path := folder / name).is_file()))


def _sha256(folder: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _copy_code(work: Path) -> Path:
    """Copy the scorer's modules to a package named by their hash, so that versions in one process do not share code."""
    sources = {name: (_PACKAGE / name).read_bytes() for name in _MODULES}
    digest = hashlib.sha256(b"\0".join(sources.values())).hexdigest()[:12]
    package = work / f"pdm_scorer_{digest}"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, content in sources.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_bytes(content)
    return package


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Make `folder` importable: MLflow runs the model's code while it saves the model."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))

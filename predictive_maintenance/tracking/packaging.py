"""A model version's folder: an MLflow pyfunc from code that carries its own scorer, so that plain MLflow can load it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..machine.sensors import INPUT_NAMES, PRODUCT_TYPE

if TYPE_CHECKING:
    import pandas as pd

SCORER_FOLDER = "scorer"
_PACKAGE = Path(__file__).resolve().parents[1]
_MODULES = (
    "errors.py",
    *("machine/__init__.py", "machine/sensors.py", "machine/features.py"),
    *("scorer/__init__.py", "scorer/scoring.py", "scorer/pyfunc.py"),
)
_REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pandas")


def package_version(files: Mapping[str, bytes], example: pd.DataFrame, work: Path) -> Path:
    """Write the version's folder below `work` and return it. `files` are a scorer's, `example` some raw rows."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
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
    # MLflow refuses whole numbers for a column of doubles, and a CSV's speed and wear are whole numbers: any number may
    # come, and the scorer names the column that is none.
    inputs = [ColSpec("string" if name == PRODUCT_TYPE.name else AnyType(), name) for name in INPUT_NAMES]
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
            ),
            input_example=example[list(INPUT_NAMES)],
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
        )
    return folder


def files_sha256(folder: Path) -> str:
    """What a version's answers depend on, the scorer and its code, as one hash. MLflow's own files carry the time."""
    digest = hashlib.sha256()
    for path in sorted(path for part in ("artifacts", "code") for path in (folder / part).rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _copy_code(work: Path) -> Path:
    """The scorer's modules as a package named by their content: versions loaded side by side never mix their code."""
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
    """MLflow runs the code of a model once while it is saved, before the code is where it will be found later."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))

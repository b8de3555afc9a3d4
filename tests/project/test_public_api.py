"""The public names of the package resolve, and importing it loads no library."""

import os
import subprocess
import sys
import tomllib

import pytest

import predictive_maintenance
from app.child_process import child_environment
from tests.paths import REPOSITORY

HEAVY_LIBRARIES = ("lightgbm", "mlflow", "numpy", "onnxruntime", "pandas", "pyarrow", "pydantic", "sklearn")


def imported_libraries(statement: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has imported after `statement`."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return set(done.stdout.split()).intersection(HEAVY_LIBRARIES)


def test_importing_the_package_imports_no_library():
    assert imported_libraries("import predictive_maintenance") == set()


def test_the_onnx_runtime_sends_no_usage_data_unless_the_user_says_so(monkeypatch):
    code = "import os, predictive_maintenance; print(os.environ['ORT_DISABLE_TELEMETRY'])"

    def setting():
        return subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True
        ).stdout

    assert child_environment()["ORT_DISABLE_TELEMETRY"] == os.environ["ORT_DISABLE_TELEMETRY"]
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    assert setting() == "1\n"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert setting() == "0\n"


@pytest.mark.parametrize("name", ["Scorer", "Explainer"])
def test_scoring_and_explaining_need_no_pandas_and_no_mlflow(name):
    found = imported_libraries(f"from predictive_maintenance import {name}")
    assert found == {"numpy", "pydantic"}


def test_the_service_is_created_without_arrow_mlflow_and_the_onnx_runtime():
    """It imports them in its own processes or when it needs them: the start takes less than two seconds."""
    assert imported_libraries("import app.__main__, app.main") == {"numpy", "pydantic"}


@pytest.mark.parametrize("name", predictive_maintenance.__all__)
def test_every_public_name_resolves(name):
    assert getattr(predictive_maintenance, name)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'predictive_maintenance' has no attribute 'scorre'"):
        _ = predictive_maintenance.scorre


def test_the_version_is_the_one_of_the_distribution():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert predictive_maintenance.__version__ == project["version"]

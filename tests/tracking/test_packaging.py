"""The folder of a model version: it contains its code and no pickle, and plain MLflow loads it."""

import json
import os
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.tracking.packaging import files_sha256, package_version


def test_the_hash_of_the_files_changes_with_the_code_of_the_scorer(small, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        package_version(small.files, small.rows.test.head(2), tmp_path / name)
    one, two = (tmp_path / name / "model" for name in ("one", "two"))
    assert files_sha256(one) == files_sha256(two)
    code = next((two / "code").glob("*/machine/machine.py"))
    code.write_text(code.read_text() + "# changed\n")
    assert files_sha256(one) != files_sha256(two)


def test_plain_mlflow_loads_production_by_its_alias_and_returns_the_same_probabilities(train, small):
    import mlflow

    train("TrainFlow/1")
    model = mlflow.pyfunc.load_model("models:/predictive_maintenance@production")
    rows = small.rows.test[list(MILLING.input_names)]
    found = model.predict(rows)
    np.testing.assert_array_equal(found["failure_probability"], small.scorer.probabilities(rows))
    np.testing.assert_array_equal(
        found["predicted_failure"] == 1, small.scorer.decisions(small.scorer.probabilities(rows))
    )
    assert model.metadata.signature.inputs.input_names() == list(MILLING.input_names)
    whole_numbers = rows.astype({"rotational_speed_rpm": "int64", "tool_wear_min": "int64"})
    np.testing.assert_array_equal(model.predict(whole_numbers), found)


def test_a_version_contains_no_pickle(train, tmp_path):
    import mlflow

    train("TrainFlow/1")
    folder = Path(mlflow.artifacts.download_artifacts("models:/predictive_maintenance/1", dst_path=str(tmp_path)))
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "model.onnx", "scorer.json", "golden.json", "reference.json", "input_example.json"} <= names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))}
    assert not [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:2] == b"\x80\x04"]


@pytest.mark.environment
@pytest.mark.timeout(900)
def test_a_version_loads_where_only_its_own_requirements_are_installed(small, tmp_path):
    """A new environment with the version's requirements, MLflow's skinny build, and nothing of this project."""
    folder = package_version(small.files, small.rows.test.head(2), tmp_path)
    requirements = (folder / "requirements.txt").read_text().replace("mlflow==", "mlflow-skinny==")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (tmp_path / "requirements.txt").write_text(requirements)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", tmp_path / "requirements.txt"], check=True)
    rows = small.rows.test[list(MILLING.input_names)].head(50)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    code = """
import importlib.util, json, sys
import mlflow.pyfunc, pandas
absent = [name for name in ("sklearn", "lightgbm", "predictive_maintenance") if importlib.util.find_spec(name)]
predicted = mlflow.pyfunc.load_model(sys.argv[1]).predict(pandas.read_csv(sys.argv[2]))
print(json.dumps({"unwanted": absent, "probabilities": predicted["failure_probability"].tolist()}))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW"))}
    command = [python, "-I", "-c", code, folder, tmp_path / "rows.csv"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["unwanted"] == []
    np.testing.assert_array_equal(answer["probabilities"], small.scorer.probabilities(rows))

"""The notebooks run on a few rows, show results and figures, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.paths import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def output_media_types(notebook) -> list[str]:
    return [
        media_type
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for media_type in output.get("data", {})
    ]


def output_text(notebook) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") or output.get("data", {}).get("text/html", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "01_eda",
            ["4,000 clean rows of 4,000", "tool lives with a median of", "Heat dissipation", "violates a rule"],
        ),
        ("02_feature_engineering_experiments", ["+ margins", "without power_w", "random_forest"]),
        ("03_model_experiments", ["logistic regression", "lightgbm, tuned", "expected cost"]),
    ],
)
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_notebook_runs_and_shows_results_and_figures(name, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("PDM_SOURCES", "simulator://?rows=4000&seed=3")
    monkeypatch.setenv("PDM_TRIALS", "2")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(REPOSITORY / "notebooks")}}).execute()
    assert [text for text in expected if text not in output_text(notebook)] == []
    assert "image/png" in output_media_types(notebook)

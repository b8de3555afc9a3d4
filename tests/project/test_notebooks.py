"""The notebooks run from top to bottom on few rows, show what they promise, and are kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.paths import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def kinds(book) -> list[str]:
    """The MIME types of everything that it shows."""
    return [kind for cell in book.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]


def text(book) -> str:
    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") or output.get("data", {}).get("text/html", "") for output in shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert cells
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("01_eda", ["4,000 clean rows of 4,000", "tool lives, of", "Heat dissipation", "a rule is broken"]),
        ("02_feature_engineering_experiments", ["+ margins", "without power_w", "random_forest"]),
        ("03_model_experiments", ["logistic regression", "lightgbm, tuned", "expected cost"]),
    ],
)
@pytest.mark.timeout(300)
def test_a_notebook_runs_and_shows_figures_of_its_own(name, said, monkeypatch, tmp_path):
    monkeypatch.setenv("PDM_SOURCES", "simulator://?rows=4000&seed=3")
    monkeypatch.setenv("PDM_TRIALS", "2")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    book = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=200, resources={"metadata": {"path": str(REPOSITORY / "notebooks")}}).execute()
    assert [words for words in said if words not in text(book)] == []
    assert "image/png" in kinds(book)

"""Scores of the turbofan engine's model on the official test set of C-MAPSS FD001, with and without history.

    python benchmarks/cmapss.py --data data/raw      takes about 6 minutes

The flow trains on train_FD001.txt with the shipped description, in a registry of its own. It never reads the test set:
hyperparameters, calibration and threshold come from the training engines. The label of the test rows is "fails within 30
cycles", from the true remaining cycles in RUL_FD001.txt. Intervals are from a bootstrap over the test engines.

With --current-only, the flow also trains on the description without `history`: one reading alone.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measuring import describe_machine, markdown_table

if TYPE_CHECKING:
    import pandas as pd

    from predictive_maintenance.config.params import Params
    from predictive_maintenance.evaluation.metrics import Scores
    from predictive_maintenance.scorer.scoring import Scorer

PROJECT = Path(__file__).resolve().parents[1]
DESCRIPTION = PROJECT / "machines" / "turbofan" / "machine.yaml"
HORIZON_CYCLES = 30
_SHOWN = ("pr_auc", "f1", "precision", "recall")


def main() -> None:
    arguments = _arguments()
    data: Path = arguments.data.resolve()
    rows = []
    with tempfile.TemporaryDirectory(prefix="cmapss-benchmark-") as name:
        folder = Path(name)
        descriptions = {"with history": DESCRIPTION}
        if arguments.current_only:
            descriptions["current reading alone"] = _without_history(folder / "current.yaml")
        for what, description in descriptions.items():
            print(f"{what}: the flow ...", file=sys.stderr, flush=True)
            params, scorer = train(data, description, folder / what.replace(" ", "-"))
            every, last = evaluate(data, params, scorer)
            if description == DESCRIPTION:
                print(f"C-MAPSS FD001 test: PR-AUC {every['pr_auc'].value:.3f} F1 {every['f1'].value:.3f}")
            for set_of_rows, scores in (("all test rows", every), ("last cycle of each engine", last)):
                rows.append((f"{what}, {set_of_rows}", str(scores.rows), str(scores.failures), *_estimates(scores)))
    print(f"\n{describe_machine()}\n")
    print(markdown_table(("trained", "rows", "positives", "PR-AUC", "F1", "precision", "recall"), rows))


def train(data: Path, description: Path, work: Path) -> "tuple[Params, Scorer]":
    """Run the flow on the training engines. Returns its settings and the scorer of the registered version."""
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.tracking.connection import connect
    from predictive_maintenance.tracking.model_registry import ModelRegistry

    work.mkdir()
    settings = PROJECT / "machines" / "turbofan" / "params.yaml"
    machine = work / "turbofan" / "machine.yaml"
    machine.parent.mkdir()
    machine.write_text(description.read_text())
    machine.with_name("params.yaml").write_text(settings.read_text())
    uri = f"sqlite:///{work / 'mlflow.db'}"
    environment = {"MLFLOW_TRACKING_URI": uri, "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(work)}
    command = [sys.executable, str(PROJECT / "flows" / "train_flow.py"), "run", "--machine", str(machine)]
    command += ["--sources", str(data / "train_FD001.txt")]
    done = subprocess.run(command, cwd=work, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the flow failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    params = load_params(machine=str(machine))
    registry = ModelRegistry(connect(params.registry))
    return params, registry.load_scorer(registry.list_versions()[0].version)


def evaluate(data: Path, params: "Params", scorer: "Scorer") -> "tuple[Scores, Scores]":
    """Scores on all rows of the test set, and on the last row of each engine."""
    from predictive_maintenance.evaluation.row_sets import score_rows

    rows = read_test_set(data, params)
    probabilities = scorer.probabilities(rows)
    decisions = scorer.decisions(probabilities)
    last = rows.groupby("machine_id", sort=False)["counter"].transform("max").eq(rows["counter"]).to_numpy()
    every = score_rows(rows, probabilities, decisions, params)
    return every, score_rows(rows[last], probabilities[last], decisions[last], params)


def read_test_set(data: Path, params: "Params") -> "pd.DataFrame":
    """The test rows with canonical columns, the label, and the engine as group."""
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest

    rows = ingest((Source(uri=str(data / "test_FD001.txt")),), params.machine).frame
    remaining = np.loadtxt(data / "RUL_FD001.txt")
    ends = rows.groupby("machine_id", sort=False)["counter"].transform("max")
    left = ends - rows["counter"] + remaining[rows["machine_id"].astype(int) - 1]
    return rows.assign(
        **{params.machine.label_name: (left <= HORIZON_CYCLES).astype("int8"), "group": rows["machine_id"]}
    )


def _estimates(scores: "Scores") -> Iterator[str]:
    for name in _SHOWN:
        estimate = scores[name]
        yield f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _without_history(path: Path) -> Path:
    """The description without the section `history`, at `path`."""
    path.write_text(re.sub(r"^history:\n(  .*\n)+", "", DESCRIPTION.read_text(), flags=re.MULTILINE))
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=PROJECT / "data" / "raw", help="folder of the three files of FD001"
    )
    parser.add_argument("--current-only", action="store_true", help="also train on one reading alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""A run of the flow as files: tables, model, metrics and plots, for DVC and for whoever wants to look."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.metaflow_defaults import set_metaflow_defaults
from ..errors import DataError
from ..tracking.entities import VERSION_FILE, ModelVersion

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.metrics import Scores

FLOW_NAME = "TrainFlow"
_MAX_POINTS = 300  # of a curve: git keeps it


def export_results(target: Path, run: str | None = None) -> tuple[str, list[Path]]:
    """Write `run`, or the newest successful one, below `target`: (the run, the files written).

    data/processed/ gets the clean rows and the quarantine, data/features/ the two sides of the split, models/ the files
    of the scorer and which version it is, if it was registered; metrics.json the metrics; plots/ the curves. Raises
    DataError when there is no such run, or `target` cannot be written.
    """
    end = run_end(run)
    tables = {
        "data/processed/readings.parquet": end.cleaned.frame,
        "data/processed/quarantine.parquet": end.cleaned.quarantine,
        "data/features/train.parquet": end.rows.train,
        "data/features/held_out.parquet": end.rows.test,
    }
    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pdm-export-", dir=target) as work:
            for name, frame in tables.items():
                staged = Path(work, name)
                staged.parent.mkdir(parents=True, exist_ok=True)
                frame.to_parquet(staged, index=False)
            for name, content in {**end.files, **_version_file(end)}.items():
                staged = Path(work, "models", name)
                staged.parent.mkdir(exist_ok=True)
                staged.write_bytes(content)
            Path(work, "metrics.json").write_text(json.dumps(_metrics(end.evaluation), indent=2) + "\n")
            for name, frame in _plots(end).items():
                staged = Path(work, "plots", name)
                staged.parent.mkdir(exist_ok=True)
                frame.to_csv(staged, index=False, float_format="%.6g")
            # Only when all is written does any of it take its place. A model that was not registered is no version's.
            Path(target, "models", VERSION_FILE).unlink(missing_ok=True)
            for staged in sorted(path for path in Path(work).rglob("*") if path.is_file()):
                place = target / staged.relative_to(work)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(staged, place)
                written.append(place)
    except OSError as error:
        raise DataError(f"{error.filename or target}: cannot be written: {error.strerror}") from None
    return str(end.flow_run), written


def _version_file(end: Any) -> dict[str, bytes]:
    if end.outcome.version is None:
        return {}
    version = ModelVersion(
        version=end.outcome.version,
        aliases=(end.outcome.level,),
        run_id=end.mlflow_run_id,
        created=end.finished_at,
        tags=end.tags,
    )
    return {VERSION_FILE: version.to_json().encode()}


def run_end(run: str | None = None) -> Any:
    """The artifacts of the last step of `run`, by its id or as TrainFlow/ID; of the newest successful run without it."""
    set_metaflow_defaults()
    from metaflow import Flow, Run, namespace
    from metaflow.exception import MetaflowInvalidPathspec, MetaflowNotFound

    namespace(None)  # whoever ran it
    run = run and run.strip().removeprefix(f"{FLOW_NAME}/")
    try:
        found = Run(f"{FLOW_NAME}/{run}") if run else Flow(FLOW_NAME).latest_successful_run
    except (MetaflowNotFound, MetaflowInvalidPathspec):
        found = None
    if found is None:
        wanted = f"run {run!r}" if run else "successful run"
        where = os.environ.get("METAFLOW_DATASTORE_SYSROOT_S3") or os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"]
        raise DataError(f"no {wanted} of {FLOW_NAME} in {where}: run python flows/train_flow.py run first")
    if not found.successful:
        raise DataError(f"{FLOW_NAME}/{run} did not end well: python flows/train_flow.py resume --origin-run-id {run}")
    return found["end"].task.data


def _plots(end: Any) -> dict[str, pd.DataFrame]:
    """What dvc.yaml draws: on held-out rows, but for the trials."""
    evaluation, trials = end.evaluation, end.trained.trials
    return {
        "thresholds.csv": evaluation.thresholds.tail(_MAX_POINTS),
        "calibration.csv": evaluation.calibration,
        "importances.csv": evaluation.importances,
        "trials.csv": trials[trials["state"] == "complete"][["trial", "pr_auc"]],
    }


def _metrics(evaluation: Any) -> dict[str, Any]:
    sides = {
        "held_out": evaluation.held_out,
        "out_of_fold": evaluation.out_of_fold,
        "forward": evaluation.forward,
    }
    return {
        "algorithm": evaluation.algorithm,
        "threshold": evaluation.threshold,
        "level": evaluation.verdict.level or "rejected",
        **{name: _scores(scores) for name, scores in sides.items() if scores is not None},
    }


def _scores(scores: Scores) -> dict[str, Any]:
    estimates = {
        name: {"value": found.value, "low": found.low, "high": found.high} for name, found in scores.estimates.items()
    }
    return {"rows": scores.rows, "failures": scores.failures, "confusion": asdict(scores.confusion), **estimates}

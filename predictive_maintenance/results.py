"""The newest successful run of the flow as files: tables, model and metrics, for DVC and for whoever wants to look."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError
from .metaflow_defaults import set_metaflow_defaults
from .registry import VERSION_FILE, ModelVersion

if TYPE_CHECKING:
    from .evaluation.metrics import Scores

FLOW_NAME = "TrainFlow"


def export_results(target: Path) -> tuple[str, list[Path]]:
    """Write the newest successful run below `target`: (the run, the files written).

    data/processed/ gets the clean rows and the quarantine, data/features/ the two sides of the split, models/ the files
    of the scorer and which version it is, if it was registered; metrics.json the metrics. Raises DataError when there
    is no such run, or `target` cannot be written.
    """
    end = newest_end()
    tables = {
        "data/processed/readings.parquet": end.cleaned.frame,
        "data/processed/quarantine.parquet": end.cleaned.quarantine,
        "data/features/train.parquet": end.rows.train,
        "data/features/held_out.parquet": end.rows.test,
    }
    written = []
    try:
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
            # Only when all is written does any of it take its place.
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
    version = ModelVersion(end.outcome.version, (end.outcome.level,), end.mlflow_run_id, end.finished_at, end.tags)
    return {VERSION_FILE: version.to_json().encode()}


def newest_end() -> Any:
    """The artifacts of the last step of the newest successful run."""
    set_metaflow_defaults()
    from metaflow import Flow, namespace
    from metaflow.exception import MetaflowNotFound

    namespace(None)  # whoever ran it
    try:
        run = Flow(FLOW_NAME).latest_successful_run
    except MetaflowNotFound:
        run = None
    if run is None:
        where = os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"]
        raise DataError(f"no successful run of {FLOW_NAME} in {where}: run python flows/train_flow.py run first")
    return run["end"].task.data


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
    estimates = {name: asdict(estimate) for name, estimate in scores.estimates.items()}
    return {"rows": scores.rows, "failures": scores.failures, **estimates}

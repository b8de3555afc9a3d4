"""Export a run as files: tables, model, metrics and plots, as DVC tracks them."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DataError
from ..evaluation.evaluate import Evaluation
from ..evaluation.metrics import Scores
from ..scorer.training_rows import TrainingRows
from ..scorer.version_files import TRAINING_ROWS_FILE
from ..tracking.entities import VERSION_FILE, ModelVersion
from .event_tables import plain_events, plain_horizons, plain_modes
from .finished_run import FinishedRun

_MAX_POINTS = 300  # of a curve, because git keeps the file


def export_results(run: FinishedRun, target: Path, production: ModelVersion | None = None) -> list[Path]:
    """Write the results of `run` below the folder `target` and return the files written.

    - data/processed/: the rows as ingested and merged, the clean rows and the quarantine
    - data/features/: the training rows and the held-out rows
    - models/: the model files, and VERSION_FILE if the model was registered
    - metrics.json: the metrics
    - plots/: the curves

    `production` is the version of `run` if it is in production: VERSION_FILE then has it as it is in the registry.
    Raises DataError if `target` cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Written aside and moved at the end, so that an error leaves the former results complete.
        with tempfile.TemporaryDirectory(prefix=".pdm-export-", dir=target) as work:
            _write_all(run, Path(work), production)
            # That of a former export must not remain beside the files of a run that has none.
            (target / "models" / VERSION_FILE).unlink(missing_ok=True)
            return list(_move_files(Path(work), target))
    except OSError as error:
        raise DataError(f"{error.filename or target}: cannot be written: {error.strerror}") from None


def exported_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """The content of metrics.json: the level, which checks of the gate passed, and the metrics of each set of rows."""
    events = evaluation.events
    return {
        "algorithm": evaluation.algorithm,
        "threshold": evaluation.threshold,
        "level": evaluation.verdict.level or "rejected",
        "gate": {str(check.name): check.passed for check in evaluation.verdict.checks},
        **{name: _flat_scores(scores) for name, scores in evaluation.row_sets().items()},
        **({"failure_events": plain_events(events.held_out, events.rules)} if events else {}),
        **({"by_horizon": plain_horizons(events)} if events else {}),
        **({"failure_modes": plain_modes(events.modes)} if events and events.modes else {}),
    }


def _write_all(run: FinishedRun, folder: Path, production: ModelVersion | None) -> None:
    for part in ("data/processed", "data/features", "models", "plots"):
        (folder / part).mkdir(parents=True)
    run.ingested.frame.to_parquet(folder / "data/processed/merged.parquet", index=False)
    run.cleaned.frame.to_parquet(folder / "data/processed/readings.parquet", index=False)
    run.cleaned.quarantine.to_parquet(folder / "data/processed/quarantine.parquet", index=False)
    run.rows.train.to_parquet(folder / "data/features/train.parquet", index=False)
    run.rows.test.to_parquet(folder / "data/features/held_out.parquet", index=False)
    training_rows = {TRAINING_ROWS_FILE: TrainingRows.of(run.rows.training_ids()).content}
    for name, content in {**run.files, **training_rows, **_version_file(run, production)}.items():
        (folder / "models" / name).write_bytes(content)
    (folder / "metrics.json").write_text(json.dumps(exported_metrics(run.evaluation), indent=2) + "\n")
    for name, table in _plots(run).items():
        table.to_csv(folder / "plots" / name, index=False, float_format="%.6g")


def _move_files(source: Path, target: Path) -> Iterator[Path]:
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, place)
        yield place


def _version_file(run: FinishedRun, production: ModelVersion | None) -> Mapping[str, bytes]:
    """VERSION_FILE with its content, nothing if the model was not registered."""
    if production is not None:
        return {VERSION_FILE: replace(production, aliases=("production",)).to_json().encode()}
    version, level = run.outcome.version, run.outcome.level
    if version is None or level is None:
        return {}
    note = ModelVersion(
        version=version,
        aliases=(level,),
        run_id=run.mlflow_run_id,
        created=run.finished_at,
        tags={**run.tags, **run.outcome.file_tags},
    )
    return {VERSION_FILE: note.to_json().encode()}


def _plots(run: FinishedRun) -> dict[str, pd.DataFrame]:
    """The tables that dvc.yaml plots, of held-out rows except for the trials."""
    evaluation, trials = run.evaluation, run.trained.trials
    return {
        "thresholds.csv": evaluation.thresholds.tail(_MAX_POINTS),
        "calibration.csv": evaluation.calibration,
        "importances.csv": evaluation.importances,
        "trials.csv": trials[trials["state"] == "complete"][["trial", "pr_auc"]],
    }


def _flat_scores(scores: Scores) -> dict[str, Any]:
    estimates = {
        name: {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        for name, estimate in scores.estimates.items()
    }
    return {"rows": scores.rows, "failures": scores.failures, "confusion": asdict(scores.confusion), **estimates}

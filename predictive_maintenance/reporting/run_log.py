"""What a training run logs to MLflow. The names of parameters, metrics, tags and artifacts are defined here."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ..config.params import Params
from ..config.uris import redact
from ..evaluation.evaluate import Evaluation
from ..evaluation.metrics import Scores
from ..ingestion.merging import SourceRecord
from ..machine.machine_json import to_json
from ..partitions.cleaned_parts import CleanedParts
from ..partitions.split_parts import SplitParts
from ..scorer.version_files import MACHINE_FILE
from ..tracking.entities import (
    COMPARED_TAG,
    FINGERPRINT_TAG,
    FLOW_RUN_TAG,
    GATE_TAG,
    LEVEL_TAG,
    METRICS_TAG,
    SOURCES_TAG,
)
from ..tracking.lineage import package_versions, sources_file, sources_tag
from ..tracking.runs import FlowRun
from ..training.candidate import FittedCandidate
from ..training.estimators import save_estimator
from ..validation.quarantine import QUARANTINE_COLUMNS
from .event_tables import event_metrics
from .spreadsheet import spreadsheet_csv

_MAX_VERDICT_CHARACTERS = 1000


def log_data(
    run: FlowRun, records: tuple[SourceRecord, ...], cleaned: CleanedParts, rows: SplitParts, params: Params
) -> None:
    """Log the parameters, the data sets and their lineage, and the quarantine."""
    machine = params.machine
    settings = params.model_dump(mode="json", exclude={"machine"}) | {"machine": machine.description.name}
    settings["data"]["sources"] = [
        f"{'train' if source.for_training_only else source.merge}: {redact(source.uri)}"
        for source in params.data.sources
    ]
    run.log(
        params=settings,
        metrics={
            "ingested_rows": cleaned.ingested_rows,
            "quarantined_rows": cleaned.quarantined_rows,
            "collapsed_duplicates": cleaned.collapsed_duplicates,
            "training_rows": rows.train_rows,
            "held_out_rows": rows.test_rows,
        },
        tags={SOURCES_TAG: sources_tag(records), FINGERPRINT_TAG: rows.training_fingerprint},
    )
    names = ", ".join(record.name for record in records)
    run.log_data(rows.columns, rows.train_rows, "training", names, rows.training_fingerprint)
    run.log_data(rows.columns, rows.test_rows, "evaluation", names, rows.test_fingerprint)
    with _artifacts(run, "lineage") as folder:
        (folder / "sources.json").write_text(sources_file(records))
        (folder / MACHINE_FILE).write_text(to_json(machine))
        (folder / "packages.txt").write_text(package_versions())
    with _artifacts(run, "data") as folder, (folder / "quarantine.csv").open("wb") as file:
        file.write(spreadsheet_csv(pd.DataFrame(columns=list(QUARANTINE_COLUMNS))))
        for lines in cleaned.quarantine_parts():
            file.write(spreadsheet_csv(lines, header=False))


def log_candidate(run: FlowRun, trained: FittedCandidate, out_of_fold: Scores) -> None:
    """Log a candidate to its nested run: parameters, out-of-fold metrics, trials and the fitted estimator.

    The parameters are its hyperparameters and the settings that the free memory decided.
    """
    from .chart_style import save_png  # imports Altair, which is slow
    from .training_charts import trials

    with run.open():
        run.log(
            params={**trained.hyperparameters, **trained.chosen},
            metrics={"threshold": trained.threshold, **metric_values("out_of_fold", out_of_fold)},
            tags={"calibrated": str(not trained.calibration.is_identity).lower()},
        )
        with _artifacts(run, "candidate") as folder:
            trained.trials.to_csv(folder / "trials.csv", index=False)
            save_png({"trials": trials(trained.trials)}, folder)
            save_estimator(trained.estimator, folder)


def log_evaluation(run: FlowRun, evaluation: Evaluation, params: Params) -> None:
    """Log the metrics, charts, tables and gate of an evaluation."""
    from .chart_style import save_png  # imports Altair, which is slow
    from .evaluation_charts import evaluation_charts

    run.log(metrics=_evaluation_metrics(evaluation), tags=_verdict_tags(evaluation))
    with _artifacts(run, "figures") as folder:
        save_png(evaluation_charts(evaluation, params), folder)
    with _artifacts(run, "evaluation") as folder:
        (folder / "gate.json").write_text(evaluation.verdict.to_json())
        (folder / "modes.json").write_text(json.dumps([asdict(mode) for mode in evaluation.modes], indent=2))
        evaluation.thresholds.to_csv(folder / "thresholds.csv", index=False)
        evaluation.calibration.to_csv(folder / "calibration.csv", index=False)
        evaluation.importances.to_csv(folder / "importances.csv", index=False)


def log_card(run: FlowRun, name: str, html: str) -> None:
    """Log a card of the flow as an HTML page, which can be read without Metaflow."""
    with _artifacts(run, "cards") as folder:
        (folder / f"{name}.html").write_text(html, encoding="utf-8")


def version_tags(
    evaluation: Evaluation, fingerprint: str, records: tuple[SourceRecord, ...], flow_run: str, commit: str
) -> dict[str, str]:
    """The tags of a model version: its gate, its metrics with intervals, and its lineage."""
    return {
        "algorithm": evaluation.algorithm,
        "threshold": repr(evaluation.threshold),
        **_verdict_tags(evaluation),
        GATE_TAG: evaluation.verdict.to_json(),
        COMPARED_TAG: evaluation.comparison.version if evaluation.comparison else "",
        FINGERPRINT_TAG: fingerprint,
        SOURCES_TAG: sources_tag(records),
        FLOW_RUN_TAG: flow_run,
        "git_commit": commit,
        METRICS_TAG: json.dumps(
            {"held_out": _scores_for_tag(evaluation.held_out), "out_of_fold": _scores_for_tag(evaluation.out_of_fold)}
        ),
    }


def metric_values(prefix: str, scores: Scores) -> dict[str, float]:
    """MLflow metrics: `prefix_rows`, `prefix_failures`, and `prefix_recall`, `prefix_recall_low`, `prefix_recall_high` etc."""
    values: dict[str, float] = {f"{prefix}_rows": scores.rows, f"{prefix}_failures": scores.failures}
    for name, estimate in scores.estimates.items():
        values |= {
            f"{prefix}_{name}": estimate.value,
            f"{prefix}_{name}_low": estimate.low,
            f"{prefix}_{name}_high": estimate.high,
        }
    return values


def _evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    row_sets = evaluation.row_sets() | {
        "oracle": evaluation.oracle,
        "champion": evaluation.comparison and evaluation.comparison.champion,
    }
    values = {
        name: value
        for prefix, scores in row_sets.items()
        if scores
        for name, value in metric_values(prefix, scores).items()
    }
    return values | (event_metrics(evaluation.events) if evaluation.events else {})


def _verdict_tags(evaluation: Evaluation) -> dict[str, str]:
    verdict = evaluation.verdict
    return {LEVEL_TAG: verdict.level or "rejected", "verdict": verdict.summary()[:_MAX_VERDICT_CHARACTERS]}


def _scores_for_tag(scores: Scores) -> dict[str, object]:
    metrics = {
        name: {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        for name, estimate in scores.estimates.items()
    }
    return {"rows": scores.rows, "failures": scores.failures, "metrics": metrics}


@contextmanager
def _artifacts(run: FlowRun, path: str) -> Iterator[Path]:
    """A temporary folder whose files are logged as artifacts under `path` at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="pdm-log-") as folder:
        yield Path(folder)
        run.log_artifacts(Path(folder), path)

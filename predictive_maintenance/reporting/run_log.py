"""What a training run writes to MLflow: names of parameters, metrics, tags and artifacts are decided here."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..config.params import Params
from ..config.uris import redact
from ..evaluation.evaluate import Evaluation, training_fingerprint
from ..evaluation.metrics import Scores
from ..ingestion.merging import SourceRecord
from ..tracking.entities import FINGERPRINT_TAG, FLOW_RUN_TAG, GATE_TAG, LEVEL_TAG, METRICS_TAG, SOURCES_TAG
from ..tracking.lineage import package_versions, sources_file, sources_tag
from ..tracking.runs import FlowRun
from ..training.candidate import TrainedCandidate
from ..training.estimators import save_estimator
from ..training.splits import SplitRows
from ..validation.cleaning import Cleaned


def log_data(
    run: FlowRun, records: tuple[SourceRecord, ...], cleaned: Cleaned, rows: SplitRows, params: Params
) -> None:
    """The run's parameters, its data set and where that came from."""
    settings = params.model_dump(mode="json")
    settings["data"]["sources"] = [f"{source.merge}: {redact(source.uri)}" for source in params.data.sources]
    run.log(
        params=settings,
        metrics={
            "ingested_rows": cleaned.ingested_rows,
            "quarantined_rows": cleaned.quarantined_rows,
            "collapsed_duplicates": cleaned.collapsed_duplicates,
            "training_rows": len(rows.train),
            "held_out_rows": len(rows.test),
        },
        tags={SOURCES_TAG: sources_tag(records), FINGERPRINT_TAG: training_fingerprint(rows.train)},
    )
    names = ", ".join(record.name for record in records)
    run.log_data(rows.train, "training", names, training_fingerprint(rows.train))
    run.log_data(rows.test, "evaluation", names, training_fingerprint(rows.test))
    with _folder() as folder:
        (folder / "sources.json").write_text(sources_file(records))
        (folder / "packages.txt").write_text(package_versions())
        run.log_artifacts(folder, "lineage")
    with _folder() as folder:
        cleaned.quarantine.to_csv(folder / "quarantine.csv", index=False)
        run.log_artifacts(folder, "data")


def log_candidate(run: FlowRun, trained: TrainedCandidate, out_of_fold: Scores) -> None:
    """One candidate's hyperparameters, out-of-fold metrics, trials and fitted estimator, in its nested run."""
    from . import charts  # draws with Altair, which takes a while to import

    with run.open(), _folder() as folder:
        run.log(
            params=trained.hyperparameters,
            metrics={"threshold": trained.threshold, **metric_values("out_of_fold", out_of_fold)},
            tags={"calibrated": str(not trained.calibration.is_identity).lower()},
        )
        trained.trials.to_csv(folder / "trials.csv", index=False)
        charts.save_pictures({"trials": charts.trials(trained.trials)}, folder)
        save_estimator(trained.estimator, folder)
        run.log_artifacts(folder, "candidate")


def log_evaluation(run: FlowRun, evaluation: Evaluation, currency: str) -> None:
    """The evaluation's metrics, figures, tables and gate."""
    from . import charts  # draws with Altair, which takes a while to import

    metrics = metric_values("held_out", evaluation.held_out) | metric_values("out_of_fold", evaluation.out_of_fold)
    for prefix, scores in (("forward", evaluation.forward), ("oracle", evaluation.oracle)):
        metrics |= metric_values(prefix, scores) if scores else {}
    if evaluation.comparison and evaluation.comparison.champion:
        metrics |= metric_values("champion", evaluation.comparison.champion)
    level = evaluation.verdict.level or "rejected"
    run.log(metrics=metrics, tags={LEVEL_TAG: level, "verdict": evaluation.verdict.summary()[:1000]})
    with _folder() as folder:
        charts.save_pictures(charts.figures(evaluation, currency), folder)
        run.log_artifacts(folder, "figures")
    with _folder() as folder:
        (folder / "gate.json").write_text(evaluation.verdict.to_json())
        (folder / "modes.json").write_text(json.dumps([asdict(group) for group in evaluation.modes], indent=2))
        for name in ("thresholds", "calibration", "importances"):
            getattr(evaluation, name).to_csv(folder / f"{name}.csv", index=False)
        run.log_artifacts(folder, "evaluation")


def log_card(run: FlowRun, name: str, html: str) -> None:
    """A card of the flow as a page, readable without Metaflow."""
    with _folder() as folder:
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
        run.log_artifacts(folder, "cards")


def version_tags(
    evaluation: Evaluation, fingerprint: str, records: tuple[SourceRecord, ...], flow_run: str, commit: str
) -> dict[str, str]:
    """What a model version says of itself: the gate, its metrics with intervals, and its lineage."""
    return {
        "algorithm": evaluation.algorithm,
        "threshold": repr(evaluation.threshold),
        LEVEL_TAG: evaluation.verdict.level or "rejected",
        GATE_TAG: evaluation.verdict.to_json(),
        "verdict": evaluation.verdict.summary()[:1000],
        FINGERPRINT_TAG: fingerprint,
        SOURCES_TAG: sources_tag(records),
        FLOW_RUN_TAG: flow_run,
        "git_commit": commit,
        METRICS_TAG: json.dumps(
            {"held_out": _as_json(evaluation.held_out), "out_of_fold": _as_json(evaluation.out_of_fold)}
        ),
    }


def metric_values(prefix: str, scores: Scores) -> dict[str, float]:
    """`prefix_recall`, `prefix_recall_low`, `prefix_recall_high`, ... and the counts of rows and failures."""
    values: dict[str, float] = {f"{prefix}_rows": scores.rows, f"{prefix}_failures": scores.failures}
    for name, estimate in scores.estimates.items():
        values |= {
            f"{prefix}_{name}": estimate.value,
            f"{prefix}_{name}_low": estimate.low,
            f"{prefix}_{name}_high": estimate.high,
        }
    return values


def _as_json(scores: Scores) -> dict[str, object]:
    """Counts, and each metric with its interval."""
    metrics = {
        name: {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        for name, estimate in scores.estimates.items()
    }
    return {"rows": scores.rows, "failures": scores.failures, "metrics": metrics}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pdm-log-") as folder:
        yield Path(folder)

"""The report of a run as Markdown, for a pull request or a job summary: verdict and tables first, charts last."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from ..config.params import Params
from ..errors import DataError
from ..evaluation.comparison import Comparison
from ..evaluation.evaluate import ROW_SETS, Evaluation
from ..evaluation.event_evaluation import EventEvaluation
from .event_tables import event_sentences, events_table, horizon_table, mode_accuracy_table, policy_table
from .finished_run import FinishedRun
from .markdown import code, plain, table
from .revisions import Revision, changed_settings
from .tables import (
    Table,
    confusion_table,
    gate_table,
    modes_table,
    revision_table,
    scores_table,
    trivial_models_table,
)
from .terms import EVALUATION_TERMS

EVALUATION_CARD = "cards/evaluate.html"
REPORT_FILE, CHARTS_FOLDER = "report.md", "figures"
_MAX_REASONS = 10
_TITLES = {"production": "🟢 In production", "candidate": "🟡 Candidate, not in production", None: "🔴 Rejected"}


def write_report(run: FinishedRun, folder: Path, mlflow_url: str | None, base: Revision | None = None) -> Path:
    """Write the report and its charts to `folder` and return the report's path.

    `mlflow_url` is the address of MLflow's web pages, for links. With `base`, the report compares metrics and settings
    with that revision. Raises DataError if `folder` cannot be written.
    """
    from .chart_style import save_png  # imports Altair, which is slow
    from .evaluation_charts import evaluation_charts

    charts = evaluation_charts(run.evaluation, run.params)
    path = folder / REPORT_FILE
    text = "\n\n".join(report_sections(run, list(charts), mlflow_url, base)) + "\n"
    try:
        (folder / CHARTS_FOLDER).mkdir(parents=True, exist_ok=True)
        save_png(charts, folder / CHARTS_FOLDER)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from None
    return path


def report_sections(
    run: FinishedRun, charts: Sequence[str], mlflow_url: str | None, base: Revision | None = None
) -> Iterator[str]:
    """Yield the headings, paragraphs and tables of the report. `charts` are the names of its image files."""
    evaluation, outcome = run.evaluation, run.outcome
    yield f"## {_TITLES[outcome.level]}"
    version = f"Version {outcome.version}" if outcome.version else "No version was registered"
    yield f"{version}: {plain(outcome.summary)}."
    yield f"Metrics: {plain(outcome.headline)}."
    yield _run_table(run, mlflow_url)
    yield EVALUATION_TERMS
    yield "### Quality gate"
    yield _escaped_table(gate_table(evaluation.verdict.checks))
    yield from _metrics(evaluation, run.params.evaluation.confidence, run.params.machine.description.texts.groups)
    if evaluation.events:
        yield from _events(evaluation.events, run.params)
    yield from _champion(evaluation.comparison)
    if base:
        yield from _base(base, run)
    if evaluation.modes:
        yield "### Recall by failure mode, held-out rows"
        yield _escaped_table(modes_table(evaluation.modes))
    yield from _data(run)
    yield "### Candidates, out-of-fold rows"
    yield _escaped_table(scores_table(run.candidate_scores))
    yield "<details><summary>Charts</summary>"
    yield "\n".join(f"![{name.replace('_', ' ')}]({CHARTS_FOLDER}/{name}.png)" for name in charts)
    yield "</details>"


def _run_table(run: FinishedRun, mlflow_url: str | None) -> str:
    run_id, card = code(run.mlflow_run_id), code(EVALUATION_CARD)
    if mlflow_url:
        artifact = f"path={quote(EVALUATION_CARD, safe='')}&run_uuid={run.mlflow_run_id}"
        run_id = f"[{run_id}]({mlflow_url}/#/runs/{run.mlflow_run_id})"
        card = f"[{card}]({mlflow_url}/get-artifact?{artifact})"
    rows = [
        ["Flow run", code(run.flow_run)],
        ["Commit", code(run.commit)],
        ["MLflow run", run_id],
        ["Evaluation card", card],
    ]
    return table(["", ""], rows)


def _metrics(evaluation: Evaluation, confidence: float, groups: str) -> Iterator[str]:
    columns = {ROW_SETS[key]: scores for key, scores in evaluation.row_sets().items()}
    yield "### Metrics"
    yield _escaped_table(scores_table(columns))
    yield (
        f"Brackets contain {confidence:.0%} intervals, from a bootstrap over whole {groups}. {evaluation.notes(plain)}"
    )
    yield "### Confusion matrix, held-out rows"
    yield _escaped_table(confusion_table(evaluation.held_out.confusion))
    yield "### Comparison with trivial models, held-out rows"
    yield _escaped_table(trivial_models_table(evaluation.held_out, evaluation.trivial))


def _events(events: EventEvaluation, params: Params) -> Iterator[str]:
    settings = params.evaluation
    yield "### Failures caught and false alarms"
    yield _escaped_table(events_table(events, params.costs.currency))
    yield _escaped_table(horizon_table(events))
    if events.policies:
        yield _escaped_table(policy_table(events, params.costs.currency))
    if events.modes:
        yield _escaped_table(mode_accuracy_table(events.modes))
    yield " ".join(map(plain, event_sentences(events, settings.confidence, settings.bootstrap_samples)))


def _champion(comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        yield "### Comparison with the champion"
        yield "There is no champion yet."
        return
    yield f"### Comparison with the champion: version {plain(comparison.version)} ({plain(comparison.algorithm)})"
    difference = comparison.f1_difference
    if comparison.champion is None or comparison.challenger is None or difference is None:
        yield f"Not comparable: {plain(str(comparison.not_comparable))}."
        return
    left_out = (
        f", without {comparison.seen_rows:,} rows that the champion was trained on" if comparison.seen_rows else ""
    )
    yield (
        f"On the same {comparison.rows:,} held-out rows with {comparison.failures:,} failures{left_out}, F1 differs by "
        f"**{difference.value:+.3f}** [{difference.low:+.3f}, {difference.high:+.3f}]."
    )
    yield from (f"Note: {plain(note)}." for note in comparison.notes)
    columns = {"This model": comparison.challenger, f"Version {comparison.version}": comparison.champion}
    yield _escaped_table(scores_table(columns))


def _base(base: Revision, run: FinishedRun) -> Iterator[str]:
    name = plain(base.name)
    yield f"### Comparison with {name}"
    if held_out := base.metrics.get("held_out"):
        yield _escaped_table(revision_table(base.name, held_out, run.evaluation.held_out))
        yield "Held-out metrics. The held-out rows are the same only if both models were made from the same data."
    else:
        yield f"{name} has no metrics: no model was trained there, or `metrics.json` and `dvc.lock` were not committed."
    if base.params is None:
        yield f"The settings of {name} cannot be read."
    elif changed := changed_settings(base.params, run.params):
        yield table(["Setting", name, "This model"], [[code(cell) for cell in row] for row in changed])
    else:
        yield "The settings are the same."


def _data(run: FinishedRun) -> Iterator[str]:
    cleaned = run.cleaned
    yield "### Data"
    yield (
        f"{cleaned.rows:,} of {cleaned.ingested_rows:,} rows are clean. {cleaned.quarantined_rows:,} rows "
        f"({cleaned.quarantined_share:.2%}) are in quarantine, {cleaned.collapsed_duplicates:,} exact duplicates were removed."
    )
    sources = [
        [code(record.name), record.role, f"{record.rows:,}", code(record.sha256[:12]), code(record.dvc_md5 or "none")]
        for record in run.records
    ]
    yield table(["Source", "Merge", "Rows", "sha256", "DVC md5"], sources)
    if len(reasons := cleaned.reasons()):
        reasons = reasons.astype(str).head(_MAX_REASONS).to_numpy().tolist()
        yield table(["Column", "Reason for quarantine", "Cells"], [[code(cell) for cell in row] for row in reasons])


def _escaped_table(cells: Table) -> str:
    headers, rows = cells
    return table([plain(header) for header in headers], [[plain(cell) for cell in row] for row in rows])

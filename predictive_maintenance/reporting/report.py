"""The report of a training as Markdown, for a pull request or a job's summary: what matters is in tables, pictures follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .markdown import code, plain, table
from .tables import Table, confusion_table, gate_table, modes_table, revision_table, scores_table

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..evaluation.evaluate import Evaluation
    from .revisions import Revision

EVALUATION_CARD = "cards/evaluate.html"
REPORT_FILE, PICTURES_FOLDER = "report.md", "figures"
_MAX_REASONS = 10
_TITLES = {"production": "🟢 In production", "candidate": "🟡 A candidate, not in production", None: "🔴 Rejected"}


def write_report(end: Any, folder: Path, mlflow: str | None, base: Revision | None = None) -> Path:
    """The report of a run's last artifacts `end`, and its pictures beside it. `mlflow` is where its pages are, if anywhere.

    With `base`, what its metrics and settings were.

    Raises OSError where `folder` cannot be written.
    """
    from . import charts  # draws with Altair, which takes a while to import

    figures = charts.figures(end.evaluation, end.params.costs.currency)
    (folder / PICTURES_FOLDER).mkdir(parents=True, exist_ok=True)
    charts.save_pictures(figures, folder / PICTURES_FOLDER)
    path = folder / REPORT_FILE
    path.write_text("\n\n".join(sections(end, list(figures), mlflow, base)) + "\n", encoding="utf-8")
    return path


def sections(end: Any, pictures: Sequence[str], mlflow: str | None, base: Revision | None = None) -> Iterator[str]:
    """The report, paragraph by paragraph: the verdict first."""
    evaluation, outcome = end.evaluation, end.outcome
    yield f"## {_TITLES[outcome.level]}"
    registered = f"Version {outcome.version}: " if outcome.version else "Nothing was registered: "
    yield f"{registered}{plain(outcome.summary)}."
    yield f"{plain(outcome.headline)}."
    yield _facts(end, mlflow)
    yield "### Gate"
    yield _plain_table(gate_table(evaluation.verdict.checks))
    yield from _metrics(evaluation, end.params.evaluation.confidence)
    yield from _champion(evaluation.comparison)
    if base:
        yield from _base(base, end)
    if evaluation.modes:
        yield "### Failure modes"
        yield _plain_table(modes_table(evaluation.modes))
    yield from _data(end)
    yield "### Candidates, out of fold"
    yield _plain_table(scores_table(end.candidate_scores))
    yield "<details><summary>Pictures</summary>"
    yield "\n".join(f"![{name.replace('_', ' ')}]({PICTURES_FOLDER}/{name}.png)" for name in pictures)
    yield "</details>"


def _facts(end: Any, mlflow: str | None) -> str:
    run, card = code(end.mlflow_run_id), code(EVALUATION_CARD)
    if mlflow:
        run = f"[{run}]({mlflow}/#/runs/{end.mlflow_run_id})"
        card = f"[{card}]({mlflow}/get-artifact?path={quote(EVALUATION_CARD, safe='')}&run_uuid={end.mlflow_run_id})"
    run = f"run {run}, the card among its artifacts: {card}"
    return table(["", ""], [["Run", code(end.flow_run)], ["Commit", code(end.commit)], ["MLflow", run]])


def _metrics(evaluation: Evaluation, confidence: float) -> Iterator[str]:
    columns = {"Held-out rows": evaluation.held_out, "Out-of-fold rows": evaluation.out_of_fold}
    if evaluation.forward:
        columns["Forward in time"] = evaluation.forward
    yield "### Metrics"
    yield _plain_table(scores_table(columns))
    yield f"With {confidence:.0%} intervals over whole tool lives. On held-out rows nothing was trained and no threshold chosen."
    yield "### Held-out rows"
    yield _plain_table(confusion_table(evaluation.held_out.confusion))


def _champion(comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        yield "### Against the champion"
        yield "There is none yet."
        return
    yield f"### Against version {plain(comparison.version)} ({plain(comparison.algorithm)})"
    difference = comparison.f1_difference
    if comparison.champion is None or comparison.challenger is None or difference is None:
        yield "No held-out row with a failure is new to it: the two cannot be compared."
        return
    left_out = f", {comparison.seen_rows:,} that it was trained on left out" if comparison.seen_rows else ""
    yield (
        f"On the same {comparison.rows:,} rows with {comparison.failures:,} failures{left_out}, F1 differs by "
        f"**{difference.value:+.3f}** [{difference.low:+.3f}, {difference.high:+.3f}]."
    )
    columns = {"This model": comparison.challenger, f"Version {comparison.version}": comparison.champion}
    yield _plain_table(scores_table(columns))


def _base(base: Revision, end: Any) -> Iterator[str]:
    from .revisions import changed_settings

    yield f"### Against {plain(base.name)}"
    if held_out := base.metrics.get("held_out"):
        yield _plain_table(revision_table(base.name, held_out, end.evaluation.held_out))
        yield "Of held-out rows, which are the same ones only where both were made of the same data."
    else:
        yield "It has no metrics yet: nothing was trained there, or `metrics.json` and `dvc.lock` were not committed."
    if base.params is None:
        yield "Its settings cannot be read."
    elif changed := changed_settings(base.params, end.params):
        yield table(["Setting", "Before", "Now"], [[code(cell) for cell in row] for row in changed])
    else:
        yield "The settings are the same."


def _data(end: Any) -> Iterator[str]:
    cleaned = end.cleaned
    yield "### Data"
    yield (
        f"{len(cleaned.frame):,} clean rows of {cleaned.ingested_rows:,}; {cleaned.quarantined_rows:,} "
        f"({cleaned.quarantined_share:.2%}) in quarantine, {cleaned.collapsed_duplicates:,} exact duplicates collapsed."
    )
    yield table(
        ["Source", "Merge", "Rows", "sha256", "DVC md5"],
        [
            [
                code(record.name),
                record.merge,
                f"{record.rows:,}",
                code(record.sha256[:12]),
                code(record.dvc_md5 or "none"),
            ]
            for record in end.records
        ],
    )
    if not cleaned.quarantine.empty:
        reasons = cleaned.reasons().astype(str).head(_MAX_REASONS).to_numpy().tolist()
        yield table(["Column", "Reason", "Cells"], [[code(cell) for cell in row] for row in reasons])


def _plain_table(cells: Table) -> str:
    headers, rows = cells
    return table([plain(header) for header in headers], [[plain(cell) for cell in row] for row in rows])

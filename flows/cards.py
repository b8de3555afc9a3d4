"""The content of the flow's cards, as lists of Metaflow's card components.

Metaflow does not sanitise Markdown and HTML. Text from data is therefore put into table cells, which show it as is, or
escaped with `plain`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from metaflow import current
from metaflow.cards import BlankCard, Markdown, ProgressBar, Table, VegaChart

from predictive_maintenance.config.params import Params
from predictive_maintenance.evaluation.evaluate import ROW_SETS, Evaluation
from predictive_maintenance.evaluation.metrics import Scores
from predictive_maintenance.ingestion.merging import SourceRecord
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.partitions.cleaned_parts import CleanedParts
from predictive_maintenance.partitions.progress import FinishedPart
from predictive_maintenance.reporting import run_log
from predictive_maintenance.reporting.event_tables import (
    event_sentences,
    events_table,
    horizon_table,
    mode_accuracy_table,
    policy_table,
)
from predictive_maintenance.reporting.markdown import plain
from predictive_maintenance.reporting.tables import gate_table, modes_table, scores_table, trivial_models_table
from predictive_maintenance.reporting.terms import CALIBRATION, EVALUATION_TERMS, OUT_OF_FOLD
from predictive_maintenance.tracking.runs import FlowRun
from predictive_maintenance.training.candidate import FittedCandidate
from predictive_maintenance.training.parts_candidate import FinishedFit
from predictive_maintenance.training.tuning import FinishedTrial

if TYPE_CHECKING:
    import altair as alt

Component = Markdown | Table | VegaChart | ProgressBar

MAX_QUARANTINE_LINES = 50
MAX_CHARTED_ROWS = 200_000
_BAR_CHARACTERS = 24


class TrialProgress:
    """Shows each finished trial in the terminal and in the candidate's card."""

    def __init__(self, algorithm: str, trials: int, card: Any) -> None:
        self._algorithm, self._card = algorithm, card
        self._bar = ProgressBar(max=trials, label=algorithm, unit="trials")
        card.append(self._bar)

    def __call__(self, progress: FinishedTrial) -> None:
        print(f"{self._algorithm:<14} {_bar(progress.trial, progress.trials)} {progress}", flush=True)
        self._bar.update(progress.trial, metadata=f"best PR-AUC {progress.best:.4f}" if progress.best else "")
        self._card.refresh()


class FitProgress:
    """Shows how many models are fitted after the search, in the terminal and in the candidate's card."""

    def __init__(self, algorithm: str, card: Any) -> None:
        self._algorithm, self._card = algorithm, card
        self._bar: ProgressBar | None = None

    def __call__(self, progress: FinishedFit) -> None:
        if self._bar is None:
            self._bar = ProgressBar(max=progress.fits, label=f"{self._algorithm}, folds and final fit", unit="fits")
            self._card.append(self._bar)
        bar = _bar(progress.number, progress.fits)
        print(f"{self._algorithm:<14} {bar} fit {progress.number}/{progress.fits}", flush=True)
        self._bar.update(progress.number)
        self._card.refresh()


class PartProgress:
    """Shows how many parts of the rows are done, in the terminal and in the card of the step.

    With one part there is nothing to show. `engine` says where the work is done.
    """

    def __init__(self, step: str, engine: str) -> None:
        self._step, self._engine, self._card = step, engine, current.card[step]
        self._bars: dict[str, ProgressBar] = {}

    def __call__(self, done: FinishedPart) -> None:
        if done.parts == 1:
            return
        if done.stage not in self._bars:
            if not self._bars:
                print(f"{self._step}: on {self._engine}", flush=True)
                self._card.append(Markdown(plain(f"On {self._engine}")))
            self._bars[done.stage] = ProgressBar(max=done.parts, label=done.stage, unit="parts")
            self._card.append(self._bars[done.stage])
        print(f"{done.stage:<14} {_bar(done.number, done.parts)} {done.number:,}/{done.parts:,}", flush=True)
        self._bars[done.stage].update(done.number)
        self._card.refresh()


def _bar(done: int, all_of: int) -> str:
    return f"[{'#' * round(_BAR_CHARACTERS * done / all_of):-<{_BAR_CHARACTERS}}]"


def print_lines(name: str, lines: Sequence[str]) -> None:
    """Print `lines`, and add them to the card `name` of the current step."""
    print(*lines, sep="\n")
    current.card[name].extend([Markdown(plain(line)) for line in lines])


def show(name: str, components: Sequence[Component], run: FlowRun) -> None:
    """Add `components` to the card `name` of the current step, and log the card as an HTML artifact of `run`.

    Metaflow renders its own page after the step. On AWS Batch it does so only with a metadata service.
    """
    current.card[name].extend(components)
    task = SimpleNamespace(pathspec=current.pathspec)
    run_log.log_card(run, name, str(BlankCard().render(task, [component.render() for component in components])))


def data_card(records: Sequence[SourceRecord], cleaned: CleanedParts, machine: Machine) -> list[Component]:
    """Return the card of the step clean: sources, quarantine, failures and distributions."""
    from predictive_maintenance.reporting.training_charts import distributions  # imports Altair, which is slow

    components = [
        Markdown("# Data"),
        Markdown(
            f"**{cleaned.rows:,} clean rows** with {cleaned.failed:,} failures ({cleaned.failed / cleaned.rows:.2%}); "
            f"{cleaned.quarantined_rows:,} of {cleaned.ingested_rows:,} rows in quarantine "
            f"({cleaned.quarantined_share:.2%}), {cleaned.collapsed_duplicates:,} exact duplicates collapsed."
        ),
        Markdown("## Sources"),
        _table(
            ["Source", "Merge", "Rows", "Unmatched", "sha256", "DVC md5", "Columns not used"],
            [_source_row(record) for record in records],
        ),
        Markdown("## Quarantine"),
        *_quarantine(cleaned),
    ]
    if counts := cleaned.event_counts:
        tables = [[name, table.summary()] for name, table in counts.items()]
        components += [Markdown("## Events"), _table(["Table", "Events"], tables)]
    failures = [[machine.labels[machine.label_name], f"{cleaned.failed:,}"]]
    failures += [[machine.labels[name], f"{rows:,}"] for name, rows in cleaned.modes.items()]
    failures += [[f"no label: {reason}", f"{rows:,}"] for reason, rows in cleaned.unlabelled.items()]
    components += [Markdown("## Failures"), _table(["Failure", "Rows"], failures), *_missing_values(cleaned, machine)]
    components.append(Markdown("## Distributions"))
    frame, labels = cleaned.sample(MAX_CHARTED_ROWS)
    if len(frame) < cleaned.rows:
        components.append(Markdown(f"Of {len(frame):,} readings, all those of some machines."))
    return components + [_chart(chart) for chart in distributions(frame, labels.failed, machine)]


def _quarantine(cleaned: CleanedParts) -> list[Component]:
    """The reasons, and the first bad cells."""
    shown, lines = cleaned.first_of_quarantine(MAX_QUARANTINE_LINES)
    if not lines:
        return [Markdown("Every row is valid.")]
    columns = ["source", "row", "reading_id", "column", "value", "reason"]
    return [
        _table(["Column", "Reason", "Cells"], cleaned.reasons().astype(str).to_numpy().tolist()),
        Markdown(f"The first {len(shown)} of {lines:,} bad cells. The artifacts of the MLflow run have all:"),
        _table(
            [name.replace("_", " ").capitalize() for name in columns],
            shown[columns].astype(str).to_numpy().tolist(),
        ),
    ]


def _missing_values(cleaned: CleanedParts, machine: Machine) -> list[Component]:
    """The share of missing values of each optional sensor."""
    if not machine.optional_sensor_names:
        return []
    rows = [[machine.labels[name], f"{count / cleaned.rows:.1%}"] for name, count in cleaned.missing.items()]
    return [Markdown("## Missing values"), _table(["Optional sensor", "Missing"], rows)]


def candidate_card(trained: FittedCandidate, scores: Scores) -> list[Component]:
    """Return the card of one candidate: out-of-fold scores, trials and hyperparameters."""
    from predictive_maintenance.reporting.training_charts import trials  # imports Altair, which is slow

    calibration = trained.calibration
    calibrated = (
        "not calibrated, because calibration did not lower the out-of-fold log loss"
        if calibration.is_identity
        else f"calibrated by a sigmoid with slope {calibration.slope:.3f} and intercept {calibration.intercept:.3f}"
    )
    return [
        Markdown(f"# {trained.algorithm}"),
        Markdown(
            f"Threshold **{trained.threshold:.4f}**, selected on out-of-fold rows. The probabilities are {calibrated}."
        ),
        *(Markdown(f"**Note:** {note}.") for note in trained.notes),
        Markdown(f"{OUT_OF_FOLD} {CALIBRATION}"),
        Markdown(
            "The hyperparameters were selected on the same folds, so these scores are slightly optimistic. The scores on "
            "held-out rows are not."
        ),
        _scores({"Out-of-fold": scores}),
        *(Markdown(f"**Note:** {text}.") for text in scores.approximations),
        Markdown("## Search"),
        _chart(trials(trained.trials)),
        _table(["Hyperparameter", "Value"], [[name, _short(value)] for name, value in trained.hyperparameters.items()]),
        _table(
            [str(name) for name in trained.trials.columns],
            trained.trials.map(_short).to_numpy().tolist(),
        ),
    ]


def evaluation_card(
    evaluation: Evaluation,
    candidates: Mapping[str, Scores],
    params: Params,
    flow_run: str,
    notes: Sequence[str],
) -> list[Component]:
    """Return the card of the evaluation: the verdict, then gate, metrics, failure modes, costs and candidates."""
    from predictive_maintenance.reporting import training_charts  # imports Altair, which is slow
    from predictive_maintenance.reporting.evaluation_charts import evaluation_charts

    verdict = evaluation.verdict
    title = {"production": "Fit for production", "candidate": "Candidate, not for production", None: "Rejected"}
    figures = evaluation_charts(evaluation, params)
    columns = {ROW_SETS[key]: scores for key, scores in evaluation.row_sets().items()}
    if evaluation.oracle:
        columns["Ceiling: published rules, held-out"] = evaluation.oracle
    return [
        Markdown(f"# {title[verdict.level]}"),
        Markdown(f"The {evaluation.algorithm} of {flow_run} {plain(verdict.summary())}."),
        *(Markdown(f"**Note:** {note}.") for note in notes),
        Markdown(EVALUATION_TERMS),
        Markdown("## Gate"),
        _table(*gate_table(verdict.checks)),
        Markdown("## Metrics"),
        Markdown(
            f"Intervals of {params.evaluation.confidence:.0%} from {params.evaluation.bootstrap_samples:,} bootstrap samples "
            f"of {params.machine.description.texts.groups}. {evaluation.notes()}"
        ),
        _scores(columns),
        Markdown("## Comparison with trivial models, held-out rows"),
        _table(*trivial_models_table(evaluation.held_out, evaluation.trivial)),
        *_events(evaluation, figures, params),
        *_champion(evaluation),
        _chart(figures["confusion_matrix"]),
        _chart(figures["pr_curve"]),
        Markdown("## Failure modes"),
        *_modes(evaluation, figures),
        *_categories(evaluation),
        Markdown("## Threshold and cost"),
        Markdown(
            f"The threshold {evaluation.threshold:.4f} {_threshold_rule(evaluation, params)} on out-of-fold rows. A missed "
            f"failure costs {params.costs.missed_failure:,.0f} {params.costs.currency}, "
            f"a false alarm {params.costs.false_alarm:,.0f}."
        ),
        _chart(figures["cost_over_thresholds"]),
        Markdown(CALIBRATION),
        _chart(figures["calibration"]),
        Markdown("## Feature importances"),
        _chart(figures["importances"]),
        Markdown("## Candidates"),
        _scores(dict(candidates)),
        _chart(training_charts.candidates(candidates)),
    ]


def _source_row(record: SourceRecord) -> list[str]:
    unmatched = f"{record.unmatched_rows:,}" if record.merge == "join" else "-"
    ignored = ", ".join(record.ignored_columns) or "-"
    return [
        record.name, record.role, f"{record.rows:,}", unmatched, record.sha256[:12], record.dvc_md5 or "-", ignored,
    ]  # fmt: skip


def _threshold_rule(evaluation: Evaluation, params: Params) -> str:
    """How the threshold was selected, as the predicate of a sentence."""
    maximum, optimise = params.threshold.at_most_false_alarms, params.threshold.optimise
    if evaluation.events is None or maximum is None:
        return f"optimises {optimise}"
    unit = evaluation.events.rules.rate_unit.label
    return f"catches the most failures with at most {maximum:g} false alarms per {unit}, then optimises {optimise},"


def _events(evaluation: Evaluation, figures: Mapping[str, alt.Chart], params: Params) -> list[Component]:
    """Failures caught and false alarms, if the label has a horizon."""
    if evaluation.events is None:
        return []
    settings = params.evaluation
    sentences = event_sentences(evaluation.events, settings.confidence, settings.bootstrap_samples)
    charts = [_chart(figures[name]) for name in ("lead_times", "alarm_timelines") if name in figures]
    return [
        Markdown("## Failures caught and false alarms"),
        Markdown(plain(" ".join(sentences))),
        _table(*events_table(evaluation.events, params.costs.currency)),
        _table(*horizon_table(evaluation.events)),
        *([_table(*policy_table(evaluation.events, params.costs.currency))] if evaluation.events.policies else []),
        *([_table(*mode_accuracy_table(evaluation.events.modes))] if evaluation.events.modes else []),
        *charts,
    ]


def _champion(evaluation: Evaluation) -> list[Component]:
    comparison = evaluation.comparison
    if comparison is None:
        return [Markdown("There is no champion to compare with.")]
    seen = f"Without {comparison.seen_rows:,} held-out rows that it was trained on." if comparison.seen_rows else ""
    head = Markdown(f"## Comparison with version {comparison.version} ({comparison.algorithm})\n\n{seen}")
    if comparison.champion is None or comparison.challenger is None or comparison.f1_difference is None:
        return [
            head,
            Markdown(f"The two cannot be compared: {plain(str(comparison.not_comparable))}."),
        ]
    difference = comparison.f1_difference
    return [
        head,
        Markdown(
            f"F1 differs by **{difference.value:+.3f}** [{difference.low:+.3f}, {difference.high:+.3f}] on the same rows."
        ),
        *(Markdown(f"**Note:** {plain(note)}.") for note in comparison.notes),
        _scores({"Challenger": comparison.challenger, f"Version {comparison.version}": comparison.champion}),
    ]


def _modes(evaluation: Evaluation, figures: Mapping[str, alt.Chart]) -> list[Component]:
    if not evaluation.modes:
        return [Markdown("The data has no failure modes.")]
    return [_table(*modes_table(evaluation.modes)), _chart(figures["recall_by_mode"])]


def _categories(evaluation: Evaluation) -> list[Component]:
    components: list[Component] = []
    for category in evaluation.categories:
        components.append(Markdown(f"## {category.label}, held-out rows"))
        if category.left_out:
            shown = len(category.values)
            components.append(Markdown(f"The {shown} most frequent of {shown + category.left_out:,} values."))
        components.append(_scores(category.values))
    return components


def _scores(columns: Mapping[str, Scores]) -> Table:
    return _table(*scores_table(columns))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table with plain text in each cell, which the card does not interpret as Markdown or HTML."""
    return Table([[str(cell) for cell in row] for row in rows], headers=[str(header) for header in headers])


def _chart(chart: alt.Chart) -> VegaChart:
    return VegaChart(chart.to_dict())

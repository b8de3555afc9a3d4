"""Train, evaluate and promote a machine-failure classifier: python flows/train_flow.py run --help"""

import process_exit  # first, so that it runs last when the process ends
from metaflow_setup import RETRY_MINUTES, TRAIN_TIMEOUT_MINUTES, check_results_folder

# isort: split
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from metaflow import Config, FlowSpec, Parameter, card, current, package_sources, resources, retry, step, timeout

import card_rendering  # noqa: F401  renders cards in the process of their step
import cards
import disk_errors  # noqa: F401  reports a full disk as text
from metaflow_errors import (
    described_machine,
    machine_argument,
    plain_errors,
    print_warning,
    read_machine,
    read_settings,
    read_sources,
)
from permanent_errors import exit_code_of_permanent_errors
from predictive_maintenance.config.environment import warn_of_unknown_variables
from predictive_maintenance.config.machine_extras import oracle_of
from predictive_maintenance.config.params import parse_params
from predictive_maintenance.config.project import params_file
from predictive_maintenance.config.shown_settings import shown_settings
from predictive_maintenance.engine.engine import open_engine
from predictive_maintenance.evaluation.evaluate import evaluate, thresholds_file
from predictive_maintenance.evaluation.held_out import Judge
from predictive_maintenance.evaluation.out_of_fold import evaluate_out_of_fold, trained_rows
from predictive_maintenance.ingestion.ingest import check_sources
from predictive_maintenance.partitions.cleaned_parts import clean_parts
from predictive_maintenance.partitions.ingested_parts import ingest_parts
from predictive_maintenance.partitions.location import check_parts_folder, parts_of_run
from predictive_maintenance.partitions.split_parts import split_parts
from predictive_maintenance.reporting import run_log
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.training_rows import TrainingRows
from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE, TRAINING_ROWS_FILE
from predictive_maintenance.store.audit_log import SettingsInForce
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.launcher import LAUNCHER_VARIABLE
from predictive_maintenance.tracking.lineage import git_commit
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.production_audit import record_production
from predictive_maintenance.tracking.promotion import Outcome, register_and_promote
from predictive_maintenance.tracking.runs import FlowRun, incident_tag
from predictive_maintenance.tracking.unfinished_runs import close_abandoned_runs
from predictive_maintenance.training.export import export_scorer
from predictive_maintenance.training.hyperparameters import check_hyperparameters
from predictive_maintenance.training.parts_candidate import train_candidate_from_parts
from remote_steps import RemoteSteps, source_copies


@RemoteSteps
@package_sources(["../predictive_maintenance", "../machines"], suffixes=[".py", ".json", ".yaml", ".csv"])
class TrainFlow(FlowSpec):
    """Train a model from sensor readings and promote it if it passes the quality gate.

    start checks the settings, the sources and the registry; ingest and clean read, merge and clean the rows; features
    adds features and splits the rows; train tunes each candidate in parallel; select takes the better one; evaluate
    compares it with the champion on held-out rows; end registers it and promotes it if it passes the gate.
    """

    settings = Config("settings", default=str(params_file()), parser=read_settings)
    sources = Parameter(
        "sources",
        help="Data sources instead of those in params.yaml, separated by commas: paths, globs, s3://, https://, "
        "simulator://, store:// and SQLAlchemy URLs. The prefix `join:` marks a source that adds columns by reading id, `train:` "
        "one for training only, and the name of a table in machine.yaml one of its rows: errors:errors.csv. Write a "
        'comma within a URL as %2C, or use a JSON list: ["sqlite:///plant.db?query=SELECT a, b FROM t"].',
        default="",
        callback=read_sources,
    )
    trials = Parameter(
        "trials", help="Tuning trials of each candidate, instead of params.yaml.", type=int, default=None
    )
    machine = Parameter(
        "machine",
        help="Kind of machine instead of the one in params.yaml: a folder in machines with a machine.yaml.",
        default="",
        callback=read_machine,
    )
    seed = Parameter("seed", help="Random seed, instead of params.yaml.", type=int, default=None)
    promote = Parameter("promote", help="False: register the model as candidate only.", default=True)

    @plain_errors
    @resources(cpu=1, memory=2048)
    @step
    def start(self):
        """Check the settings, the sources and the registry before any work."""
        given = parse_params(self.settings.to_dict(), "settings").override(
            self.sources, self.trials, self.seed, *described_machine(self.machine)
        )
        self.params = given.with_copies(source_copies())
        check_hyperparameters(self.params)
        check_sources(self.params.data.sources, self.params.machine)
        # The MLflow run and the model version are found by this name. It is an artifact so that a resumed run keeps it.
        self.flow_run = f"{current.flow_name}/{current.run_id}"
        check_parts_folder(self.flow_run)
        self.commit = git_commit()
        connection = connect(self.params.registry)
        for closed in close_abandoned_runs(connection):
            print(f"closed {closed.run.flow_run}, which was still RUNNING: {closed.abandoned}")
        self.incident = incident_tag(current.tags)
        run = FlowRun.start(connection, self.flow_run, {"git_commit": self.commit} | self.incident)
        self.mlflow_run_id = run.run_id
        settings = shown_settings(self.params) | {"promote": self.promote}
        print_warning(SettingsInForce("training", self.params.registry.model_name, settings).record())
        print(f"sources that can be read: {len(self.params.data.sources)}; MLflow at {connection.redacted_uri} answers")
        self.next(self.ingest)

    @plain_errors
    @retry(times=2, minutes_between_retries=RETRY_MINUTES)
    @card(type="blank", id="ingest", refresh_interval=10)
    @resources(cpu=1, memory=4096)
    @step
    def ingest(self):
        """Read every source, merge the rows, and divide them into parts with all rows of some machines."""
        folder, rows = parts_of_run(self.flow_run), self.params.data.rows_per_part
        with open_engine() as engine:
            progress = cards.PartProgress("ingest", engine.description)
            self.ingested = ingest_parts(self.params.data.sources, self.params.machine, folder, engine, rows, progress)
        cards.print_lines("ingest", [record.summary() for record in self.ingested.records])
        self.next(self.clean)

    @plain_errors
    @retry(times=2, minutes_between_retries=RETRY_MINUTES)
    @card(type="blank", id="clean", refresh_interval=10)
    @resources(cpu=1, memory=4096)
    @step
    def clean(self):
        """Move bad rows to quarantine, with the reason, and label the others."""
        self.records = self.ingested.records
        with open_engine() as engine:
            progress = cards.PartProgress("clean", engine.description)
            self.cleaned = clean_parts(self.ingested, self.params.machine, self.params.cleaning, engine, progress)
        print(f"{self.cleaned.rows:,} rows are clean, {self.cleaned.quarantined_rows:,} in quarantine")
        for name, counts in self.cleaned.event_counts.items():
            print(f"{name}: {counts.summary()}")
        content = cards.data_card(self.records, self.cleaned, self.params.machine)
        cards.show("clean", content, self.flow_mlflow_run)
        self.next(self.features)

    @plain_errors
    @retry(times=2, minutes_between_retries=RETRY_MINUTES)
    @card(type="blank", id="features", refresh_interval=10)
    @resources(cpu=1, memory=4096)
    @step
    def features(self):
        """Compute the features, hold out some groups of rows, and assign the others to folds."""
        with open_engine() as engine:
            progress = cards.PartProgress("features", engine.description)
            settings, seed = self.params.split, self.params.training.seed
            only = self.params.data.training_only
            self.rows = split_parts(self.cleaned, self.params.machine, settings, seed, engine, progress, only)
        run_log.log_data(self.flow_mlflow_run, self.records, self.cleaned, self.rows, self.params)
        cards.print_lines("features", self.rows.summary())
        self.algorithms = sorted(self.params.candidates)
        self.next(self.train, foreach="algorithms")

    @plain_errors
    @retry(times=2, minutes_between_retries=RETRY_MINUTES)
    @timeout(minutes=TRAIN_TIMEOUT_MINUTES)
    @card(type="blank", id="train", refresh_interval=10)
    @resources(cpu=2, memory=8192)
    @step
    def train(self):
        """Tune, calibrate and fit one candidate."""
        progress = cards.TrialProgress(self.input, self.params.candidates[self.input].trials, current.card["train"])
        with self.rows.row_parts() as parts, tempfile.TemporaryDirectory(prefix="pdm-train-") as folder:
            self.trained, predictions = train_candidate_from_parts(
                self.input,
                parts,
                self.params,
                Path(folder),
                progress,
                self.rows.machine_times,
                on_fit=cards.FitProgress(self.input, current.card["train"]),
            )
            self.out_of_fold = evaluate_out_of_fold(trained_rows(predictions, self.rows), self.params)
        run = self.flow_mlflow_run.candidate(self.input)
        cards.show("train", cards.candidate_card(self.trained, self.out_of_fold.scores), run)
        run_log.log_candidate(run, self.trained, self.out_of_fold.scores)
        self.next(self.select)

    @plain_errors
    @resources(cpu=1, memory=4096)
    @step
    def select(self, inputs):
        """Take the candidate with the better out-of-fold PR-AUC."""
        best = max(inputs, key=lambda branch: branch.out_of_fold.scores["pr_auc"].value)
        # This passes them on without loading them: the rows may be many, and the model imports its library.
        passed_on = [
            "params",
            "flow_run",
            "commit",
            "incident",
            "mlflow_run_id",
            "records",
            "ingested",
            "cleaned",
            "rows",
            "trained",
            "out_of_fold",
        ]
        self.merge_artifacts([best], include=passed_on)
        self.candidate_scores = {branch.input: branch.out_of_fold.scores for branch in inputs}
        for algorithm, scores in self.candidate_scores.items():
            print(f"{algorithm}: out-of-fold PR-AUC {scores['pr_auc'].value:.3f}, F1 {scores['f1'].value:.3f}")
        self.next(self.evaluate)

    @plain_errors
    @retry(times=2, minutes_between_retries=RETRY_MINUTES)
    @card(type="blank", id="evaluate", refresh_interval=10)
    @resources(cpu=2, memory=8192)
    @step
    def evaluate(self):
        """Export the candidate and compare the export with the champion on the held-out rows."""
        rows = self.rows.load(self.rows.sample(self.params.evaluation.sample_rows))
        self.files = export_scorer(self.trained, rows, self.params, self.rows.fitted_rows)
        scorer = Scorer.from_files(self.files)
        judge = Judge(
            self.trained, scorer, ModelRegistry(self.flow_mlflow_run.connection).baseline_model(), self.params
        )
        with open_engine() as engine:
            held_out = judge.of_parts(self.rows, engine, cards.PartProgress("evaluate", engine.description))
        self.evaluation = evaluate(
            self.trained, self.out_of_fold, held_out, scorer, rows, self.params, oracle_of(self.params.machine)
        )
        self.files[THRESHOLDS_FILE] = thresholds_file(self.evaluation)
        run, about = self.flow_mlflow_run, (self.candidate_scores, self.params, self.flow_run, self.rows.notes)
        run_log.log_evaluation(run, self.evaluation, self.params)
        cards.show("evaluate", cards.evaluation_card(self.evaluation, *about), run)
        self.next(self.end)

    @plain_errors
    @retry(times=2, minutes_between_retries=RETRY_MINUTES)
    @resources(cpu=1, memory=4096)
    @step
    def end(self):
        """Register the model, and promote it if it passes the gate."""
        run = self.flow_mlflow_run
        # Not an artifact of `evaluate`: Metaflow copies one several times to store it, and this has 5 bytes for each row.
        files = self.files | {TRAINING_ROWS_FILE: TrainingRows.of(self.rows.training_ids()).content}
        self.tags = run_log.version_tags(
            self.evaluation,
            self.rows.training_fingerprint,
            self.records,
            self.flow_run,
            self.commit,
        )
        self.tags |= self.incident
        self.outcome: Outcome = register_and_promote(
            run, files, self.rows.examples(), self.evaluation, self.tags, self.params.registry, self.promote
        )
        if self.outcome.promoted:
            print_warning(record_production(self.outcome.promoted, self.params.registry.model_name))
        run.finish()
        self.finished_at = datetime.now(UTC)
        print(self.outcome.text(machine_argument(self.machine)))
        print(f"      the cards are also in MLflow: artifacts cards/ of run {run.run_id}")

    @property
    def flow_mlflow_run(self):
        """The MLflow run of this flow run. Every step is a process with its own connection."""
        return FlowRun(connect(self.params.registry), self.mlflow_run_id)


if __name__ == "__main__":
    if LAUNCHER_VARIABLE not in os.environ:  # not in the process of each step
        warn_of_unknown_variables()
    check_results_folder()
    with process_exit.exit_without_cleanup(), exit_code_of_permanent_errors():
        TrainFlow()

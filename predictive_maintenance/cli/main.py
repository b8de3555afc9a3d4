"""The command line: python -m predictive_maintenance. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from ..errors import PredictiveMaintenanceError

if TYPE_CHECKING:
    from ..config.params import Params
    from ..tracking.entities import ModelVersion
    from ..tracking.model_registry import ModelRegistry

NOTHING_IN_PRODUCTION = BELOW_THE_LEVEL = 3
FILE = click.Path(dir_okay=False, path_type=Path)
RUN = click.option("--run", help="A run's id.  [default: the newest successful run]")


class _Commands(click.Group):
    """A group that shows the package's own errors as text and leaves with exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PredictiveMaintenanceError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--params", "params_file", type=FILE, help="Another params.yaml.")
@click.version_option(package_name="predictive-maintenance")
@click.pass_context
def main(ctx: click.Context, params_file: Path | None) -> None:
    """Which machine will fail, how sure that is, and which model says so.

    \b
    Train a model:       python flows/train_flow.py run
    Look at it:          python -m predictive_maintenance status
    Score readings:      python -m predictive_maintenance score readings.csv
    Undo a promotion:    python -m predictive_maintenance rollback

    The registry is the one that MLFLOW_TRACKING_URI names, or mlflow.db in the project's folder.
    """
    ctx.obj = params_file


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For a program: everything, as JSON.")
@click.option("--require", is_flag=True, help="Exit code 3 when no version is in production.")
@click.pass_obj
def status(params_file: Path | None, as_json: bool, require: bool) -> None:
    """Champion, candidate, gate and lineage."""
    from ..reporting.version_summary import as_dict, describe

    versions = _versions(_params(params_file))
    champion, candidate = versions.production_version(), versions.candidate_version()
    if as_json:
        found = {"production": champion, "candidate": candidate}
        click.echo(json.dumps({alias: version and as_dict(version) for alias, version in found.items()}, indent=2))
    elif champion is None:
        click.echo("production: no version yet; train one with python flows/train_flow.py run")
    else:
        click.echo(describe("production", champion))
    if not as_json and candidate is not None and (champion is None or candidate.version != champion.version):
        click.echo(f"\n{describe('candidate', candidate)}")
    if require and champion is None:
        sys.exit(NOTHING_IN_PRODUCTION)


@main.command()
@click.argument("file", type=FILE)
@click.option(
    "-o", "--output", type=FILE, help="CSV, .csv.gz or .parquet.  [default: FILE with .scored before its ending]"
)
@click.option("--version", help="A version of the model instead of the one in production.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is already there.")
@click.pass_obj
def score(params_file: Path | None, file: Path, output: Path | None, version: str | None, overwrite: bool) -> None:
    """Score FILE (CSV or Parquet): its rows with probability, decision and model version behind them.

    The file is read and written in batches, so that it may be larger than memory. A row that cannot be scored stays in its
    place, with the reason in the column `rejected`.
    """
    from ..inference.files import score_file

    output = output or _scored_name(file)
    if output.exists() and not overwrite:
        raise click.ClickException(f"{output} is already there: name another with --output, or add --overwrite")
    params = _params(params_file)
    versions = _versions(params)
    version = version or _production(versions).version
    scorer = versions.load_scorer(version)
    with _RowCounter() as count:
        scored = score_file(file, output, scorer, version, params.columns.aliases, count)
    click.echo(
        f"{scored.rows:,} rows scored by version {version}: {scored.alarms:,} alarms, {scored.rejected:,} rejected"
    )
    click.echo(f"written to {output}")


@main.command()
@click.option("--write", is_flag=True, help="Also write a run, an artifact and an object, and remove them again.")
@click.pass_obj
def doctor(params_file: Path | None, write: bool) -> None:
    """Is all within reach that training and promotion need? Exit code 1 when something is not.

    Registry, credentials, the model in production, where results are kept, AWS Batch, DVC's remote: a line each, with the way
    out. `unset` is what this machine goes without.
    """
    from .doctor import examine

    failed = False
    for finding in examine(_params(params_file), write):
        failed |= finding.state == "FAIL"
        click.echo(f"{finding.state:<6}{finding.name:<18} {finding.text}")
    if failed:
        sys.exit(1)


@main.command()
@click.argument("file", type=FILE)
@click.pass_obj
def check(params_file: Path | None, file: Path) -> None:
    """Does FILE (CSV or Parquet) fit the schema? Exit code 1 when a cell does not."""
    from ..inference.files import check_file

    params = _params(params_file)
    checked = check_file(file, params.columns.limits, params.columns.aliases)
    click.echo(f"{file}: {checked.kind}, {checked.rows:,} rows")
    for name, (header, scale, offset) in checked.match.columns.items():
        converted = f", converted: x {scale:g} + {offset:g}" if (scale, offset) != (1.0, 0.0) else ""
        click.echo(f"  {header!r} reads as {name}{converted}")
    if ignored := ", ".join(repr(name) for name in checked.match.ignored):
        click.echo(f"  not used: {ignored}")
    if checked.failures is None:
        click.echo("  no column of labels: good for scoring, not for training")
    else:
        click.echo(f"  {checked.failures:,} failures")
    if checked.fits:
        click.echo("every row fits")
        return
    click.echo(f"{checked.bad_rows:,} rows do not fit:")
    for (column, reason), cells in sorted(checked.reasons.items(), key=lambda item: -item[1]):
        click.echo(f"  {cells:,} cells of {column}: {reason}")
    click.echo("the first ones:")
    for row, column, value, reason in checked.first:
        click.echo(f"  row {row}, {column} = {value!r}: {reason}")
    sys.exit(1)


@main.command()
@click.option("--rows", default=10_000, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(min=0))
@click.option("-o", "--output", type=FILE, default=Path("simulated.csv"), show_default=True, help=".csv or .parquet")
@click.option("--overwrite", is_flag=True, help="Replace an output that is already there.")
def simulate(rows: int, seed: int, output: Path, overwrite: bool) -> None:
    """Write simulated readings with labels and failure modes, the same for the same seed."""
    from ..ingestion.simulator import simulate as simulated

    if output.exists() and not overwrite:
        raise click.ClickException(f"{output} is already there: name another with --output, or add --overwrite")
    frame = simulated(rows, seed)
    try:
        frame.to_parquet(output, index=False) if output.suffix == ".parquet" else frame.to_csv(output, index=False)
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written: {error.strerror or error}") from None
    click.echo(f"{rows:,} rows with {int(frame['machine_failure'].sum()):,} failures written to {output}")
    click.echo(f"next: python flows/train_flow.py run --sources {output}")


@main.command("fetch-ai4i")
@click.option("-o", "--output", type=FILE, help="[default: data/raw/ai4i2020.csv in the project's folder]")
@click.option("--url", help="A copy of it elsewhere, as CSV or within a ZIP archive.  [default: its public home]")
def fetch_ai4i(output: Path | None, url: str | None) -> None:
    """Fetch the AI4I 2020 data set, 10,000 readings with 339 failures, and check that it is the one."""
    from ..config.project import project_dir
    from ..ingestion import ai4i

    path = output or project_dir() / "data" / "raw" / "ai4i2020.csv"
    fetched = ai4i.fetch(path, url or ai4i.HOME)
    click.echo(f"{'written to' if fetched else 'already at'} {path}\n{ai4i.LICENCE}")
    click.echo(
        f"next: python flows/train_flow.py run --sources {path}\n      dvc add {path}   to have its versions kept"
    )


@main.command()
@click.argument("version")
@click.option("--force", is_flag=True, help="Promote it although the gate stopped it.")
@click.pass_obj
def promote(params_file: Path | None, version: str, force: bool) -> None:
    """Point production to VERSION. Everything that follows production follows it."""
    versions = _versions(_params(params_file))
    chosen = versions.get_version(version)
    verdict = chosen.verdict
    if verdict and verdict.level != "production" and not force:
        raise click.ClickException(f"version {version} {verdict.summary()}\nadd --force to promote it all the same")
    current = versions.production_version()
    promotion = versions.promote(chosen.version, current.version if current else None)
    if not promotion.promoted:
        raise click.ClickException(promotion.reason)
    click.echo(f"production is version {chosen.version} (before: {promotion.previous or 'none'})")
    click.echo("undo it with: python -m predictive_maintenance rollback")


@main.command()
@click.pass_obj
def rollback(params_file: Path | None) -> None:
    """Point production back to the version that it left."""
    left, now = _versions(_params(params_file)).rollback()
    click.echo(f"production is version {now} again; version {left} is kept")


@main.command()
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="[default: the project's folder]"
)
@RUN
def export(output: Path | None, run: str | None) -> None:
    """Write a run's tables, model, metrics and curves to data/, models/, metrics.json and plots/."""
    from ..config.project import project_dir
    from ..reporting.finished_run import load_run
    from ..reporting.results import export_results

    target = output or project_dir()
    finished = load_run(run)
    written = export_results(finished, target)
    click.echo(f"{finished.flow_run}:")
    for path in written:
        click.echo(f"  {path.relative_to(target)}")


@main.command()
@click.option(
    "-o",
    "--output",
    default=Path("report"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.md and its pictures.",
)
@click.option(
    "--require",
    type=click.Choice(["production", "candidate"]),
    help="Exit code 3 when the model ended below that level.",
)
@click.option("--base", help="A branch, tag or commit to compare metrics and settings with, as DVC has them.")
@RUN
def report(output: Path, require: str | None, base: str | None, run: str | None) -> None:
    """Write a run's verdict, gate, metrics and data as Markdown, for a pull request."""
    from ..reporting.finished_run import load_run
    from ..reporting.report import write_report
    from ..reporting.revisions import load_revision
    from ..tracking.connection import web_ui_url

    finished = load_run(run)
    compared = load_revision(base) if base else None
    try:
        path = write_report(finished, output, web_ui_url(), compared)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or output}: cannot be written: {error.strerror or error}"
        ) from None
    click.echo(f"{finished.flow_run}: {finished.outcome.level or 'rejected'}\nwritten to {path}")
    if require and finished.outcome.level not in ("production", require):
        sys.exit(BELOW_THE_LEVEL)


def _params(params_file: Path | None) -> Params:
    from ..config.params_file import load_params

    return load_params(params_file)


def _versions(params: Params) -> ModelRegistry:
    from ..tracking.connection import connect
    from ..tracking.model_registry import ModelRegistry

    return ModelRegistry(connect(params.registry))


def _production(versions: ModelRegistry) -> ModelVersion:
    if (champion := versions.production_version()) is None:
        raise click.ClickException("no version is in production yet: train one with python flows/train_flow.py run")
    return champion


def _scored_name(file: Path) -> Path:
    endings = "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix
    return file.with_name(f"{file.name.removesuffix(endings)}.scored{endings}")


class _RowCounter:
    """Counts rows on a terminal while they are scored; silent when nobody watches."""

    def __enter__(self) -> Self:
        self._rows, self._shown = 0, sys.stderr.isatty()
        return self

    def __call__(self, rows: int) -> None:
        self._rows += rows
        if self._shown:
            click.echo(f"\r{self._rows:,} rows", nl=False, err=True)

    def __exit__(self, *exception: object) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)

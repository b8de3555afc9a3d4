"""Commands for the results of a training run: export, report."""

import sys
from pathlib import Path

import click

from .shared import FOLDER, Command, RenamedOption, run_option

_EXIT_BELOW_LEVEL = 3


@click.command(cls=Command)
@click.option("-o", "--output", type=FOLDER, help="The folder to write to.  [default: the project's folder]")
@run_option
def export(output: Path | None, run: str | None) -> None:
    """Write a run's tables, model, metrics and curves to files.

    Writes data/, models/, metrics.json and plots/, which DVC tracks.

    \b
    Examples:
      predictive-maintenance export
      predictive-maintenance export --run 17 --output results
    """
    from ..config.project import project_dir
    from ..reporting.finished_run import load_run
    from ..reporting.results import export_results

    target = output or project_dir()
    finished = load_run(run)
    written = export_results(finished, target)
    click.echo(f"{finished.flow_run}:")
    for path in written:
        click.echo(f"  {path.relative_to(target)}")


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("report"),
    show_default=True,
    help="The folder for report.md and charts.",
)
@click.option(
    "--fail-below",
    cls=RenamedOption,
    old_name="--require",
    type=click.Choice(["production", "candidate"]),
    help="Exit with code 3 if the model did not reach this level.",
)
@click.option(
    "--compare-to",
    cls=RenamedOption,
    old_name="--base",
    metavar="REVISION",
    help="Compare metrics and settings with those of a branch, tag or commit.",
)
@run_option
def report(output: Path, fail_below: str | None, compare_to: str | None, run: str | None) -> None:
    """Write a run's verdict, quality gate, metrics and data as Markdown.

    The report fits into a pull request. --compare-to reads the other revision's metrics.json and params.yaml from git.

    \b
    Examples:
      predictive-maintenance report
      predictive-maintenance report --compare-to main
      predictive-maintenance report --fail-below production
    """
    from ..reporting.finished_run import load_run
    from ..reporting.report import write_report
    from ..reporting.revisions import load_revision
    from ..tracking.connection import web_ui_url

    finished = load_run(run)
    compared = load_revision(compare_to) if compare_to else None
    path = write_report(finished, output, web_ui_url(), compared)
    click.echo(f"{finished.flow_run}: {finished.outcome.level or 'rejected'}\nwritten to {path}")
    if fail_below and finished.outcome.level not in ("production", fail_below):
        sys.exit(_EXIT_BELOW_LEVEL)

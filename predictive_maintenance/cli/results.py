"""Commands for the results of a training run: export, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import RegistryError
from .shared import (
    FOLDER,
    Command,
    RenamedOption,
    load_settings,
    machine_argument,
    machine_option,
    program_name,
    run_option,
)

if TYPE_CHECKING:
    from ..config.params import Params
    from ..reporting.finished_run import FinishedRun
    from ..tracking.registry_reader import RegistryReader

_EXIT_BELOW_LEVEL = 3


@click.command(cls=Command)
@click.option("-o", "--output", type=FOLDER, help="The folder to write to.  [default: the project's folder]")
@run_option
@click.option("--production", is_flag=True, help="Export the run of the version in production.")
@machine_option
@click.pass_obj
def export(params_file: Path | None, output: Path | None, run: str | None, production: bool) -> None:
    """Write a run's tables, model, metrics and curves to files.

    Writes data/, models/, metrics.json and plots/, which DVC tracks. The newest successful run can have a version that is
    not in production: --production exports the version in production.

    \b
    Examples:
      predictive-maintenance export
      predictive-maintenance export --production
      predictive-maintenance export --run 17 --output results
    """
    from ..config.project import project_dir
    from ..reporting.finished_run import load_run, load_run_of_version
    from ..reporting.results import export_results

    if production and run:
        raise click.UsageError("--production and --run exclude each other: leave one out")
    target = output or project_dir()
    champion = None
    if production:
        champion = _registry(load_settings(params_file)).production_version()
        if champion is None:
            raise click.ClickException("no version is in production: train a model, or promote a version")
    finished = load_run_of_version(champion) if champion else load_run(run)
    written = export_results(finished, target, champion)
    click.echo(f"{finished.flow_run}: {_exported_version(finished)}")
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


def _exported_version(run: FinishedRun) -> str:
    """The version of `run` and whether it is in production."""
    from ..reporting.version_summary import production_status

    number = run.outcome.version
    if number is None:
        return "no version, because the model was rejected"
    try:
        registry = _registry(run.params)
        version, champion = registry.get_version(number), registry.production_version()
    except RegistryError as error:
        return f"version {number} (unknown whether it is in production: {error})"
    if version.run_id != run.mlflow_run_id:
        return f"version {number} of another registry ({registry.connection.redacted_uri} has another version {number})"
    text = f"version {number} ({production_status(version, champion)})"
    if champion is None or champion.version == number:
        return text
    command = f"{program_name()} export --production{machine_argument()}"
    return f"{text}\nto export version {champion.version}, which is in production: {command}"


def _registry(params: Params) -> RegistryReader:
    from ..tracking.connection import connect_read_only
    from ..tracking.registry_reader import RegistryReader

    return RegistryReader(connect_read_only(params.registry))

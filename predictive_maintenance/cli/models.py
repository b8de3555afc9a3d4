"""Commands for model versions: status, promote, rollback, signing-key."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.commands import flow_command
from .shared import (
    FOLDER,
    Command,
    RenamedOption,
    load_settings,
    machine_argument,
    machine_option,
    open_registry,
    program_name,
    promote_command,
    train_command,
)

if TYPE_CHECKING:
    from ..config.params import Params
    from ..tracking.entities import ModelVersion, PromotionResult
    from ..tracking.unfinished_runs import UnfinishedRun

_EXIT_WITHOUT_PRODUCTION = 3


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--fail-without-production",
    cls=RenamedOption,
    old_name="--require",
    is_flag=True,
    help="Exit with code 3 if no version is in production.",
)
@machine_option
@click.pass_obj
def status(params_file: Path | None, as_json: bool, fail_without_production: bool) -> None:
    """Show the champion (the version in production), the candidate and unfinished training runs.

    A version is shown with its metrics, quality gate and lineage, the champion also with the reason why it is in
    production. A training run whose process was killed is reported as a warning.

    \b
    Examples:
      predictive-maintenance status
      predictive-maintenance status --json
    """
    from ..tracking.lost_registry import lost_registry
    from ..tracking.unfinished_runs import unfinished_runs

    params = load_settings(params_file)
    registry = open_registry(params)
    champion, candidate = registry.production_version(), registry.candidate_version()
    unfinished = unfinished_runs(registry.connection)
    if champion is None and (lost := lost_registry()):
        click.echo(f"warning: {lost}", err=True)
    if as_json:
        click.echo(_status_json(champion, candidate, unfinished))
    else:
        _print_status(champion, candidate, unfinished)
    if fail_without_production and champion is None:
        sys.exit(_EXIT_WITHOUT_PRODUCTION)


@click.command(cls=Command)
@click.argument("version")
@click.option("--force", is_flag=True, help="Promote a version that did not pass the gate.")
@machine_option
@click.pass_obj
def promote(params_file: Path | None, version: str, force: bool) -> None:
    """Move production to VERSION. Running services load it within seconds.

    If VERSION is older than the version in production, the newer version is marked as rolled back: a model trained on the
    same rows is then not promoted automatically. With PDM_STORE_URL, it is recorded in the audit log of that store.

    \b
    Example:
      predictive-maintenance promote 3
    """
    params = load_settings(params_file)
    registry = open_registry(params)
    chosen = registry.get_version(version)
    verdict = chosen.verdict
    if verdict and verdict.level != "production" and not force:
        raise click.ClickException(f"version {version} {verdict.summary()}\nadd --force to promote it anyway")
    current = registry.production_version()
    result = registry.promote(chosen.version, current.version if current else None)
    if not result.promoted:
        raise click.ClickException(f"{result.conflict}: run the command again")
    click.echo(f"production is version {chosen.version} (before: {result.previous or 'none'})")
    _record(params, result)
    if result.rolled_back and current:
        _print_rolled_back(current)
    if result.previous:
        click.echo(f"undo this with: {program_name()} rollback{machine_argument()}")


@click.command(cls=Command)
@machine_option
@click.pass_obj
def rollback(params_file: Path | None) -> None:
    """Move production back to the version before it.

    If that version is older, the version that production leaves is marked as rolled back: a model trained on the same rows
    is then not promoted automatically. No version is deleted. With PDM_STORE_URL, it is recorded in the audit log of that store.

    \b
    Example:
      predictive-maintenance rollback
    """
    params = load_settings(params_file)
    registry = open_registry(params)
    result = registry.rollback()
    click.echo(f"production is version {result.production} (before: {result.previous})")
    _record(params, result)
    if result.rolled_back and result.previous:
        _print_rolled_back(registry.get_version(result.previous))


@click.command("signing-key", cls=Command)
@click.option(
    "-o", "--output", type=FOLDER, default=Path(), show_default="the working directory", help="An existing folder."
)
def signing_key(output: Path) -> None:
    """Create a key pair to sign model versions.

    Writes model-signing-key.pem, which only training may read, and model-public-key.pem for the services and commands that
    use versions. Existing files are not overwritten.

    \b
    Example:
      predictive-maintenance signing-key --output ~/keys
    """
    from ..tracking.signing import PUBLIC_KEY_VARIABLE, SIGNING_KEY_VARIABLE, create_key_pair

    private, public = output / "model-signing-key.pem", output / "model-public-key.pem"
    create_key_pair(private, public)
    click.echo(f"training signs versions with:    export {SIGNING_KEY_VARIABLE}={private}")
    click.echo(f"consumers verify versions with:  export {PUBLIC_KEY_VARIABLE}={public}")


def _record(params: Params, result: PromotionResult) -> None:
    """Add a change of production to the audit log. It has happened: an error is a warning."""
    from ..tracking.production_audit import record_production

    if result.version and (warning := record_production(result.version, params.registry.model_name)):
        click.echo(f"warning: {warning}", err=True)


def _print_rolled_back(version: ModelVersion) -> None:
    number = version.version
    click.echo(
        f"version {number} is marked as rolled back: a model trained on the same rows is not promoted automatically.\n"
        f"Bring version {number} back with: {promote_command(version)}"
    )


def _print_status(
    champion: ModelVersion | None, candidate: ModelVersion | None, unfinished: list[UnfinishedRun]
) -> None:
    from ..reporting.version_summary import describe

    if champion is None:
        click.echo(f"production: no version yet; train one with {train_command()}")
    else:
        click.echo(describe("production", champion, in_production=True))
    if candidate is not None and (champion is None or candidate.version != champion.version):
        click.echo(f"\n{describe('candidate', candidate, in_production=False)}")
        click.echo(f"  promote it with: {promote_command(candidate)}")
    for found in unfinished:
        click.echo(f"\n{_describe_unfinished(found)}")


def _describe_unfinished(found: UnfinishedRun) -> str:
    run = f"{found.run.flow_run} (MLflow run {found.run.run_id})"
    if found.abandoned is None:
        return f"in progress: {run}, started {_age(found.age)} ago"
    return (
        f"warning: {run}, started {_age(found.age)} ago, has the status RUNNING, but {found.abandoned}\n"
        "         the next training run sets it to KILLED; to continue it: "
        + flow_command(f"resume --origin-run-id {found.run.flow_run.rpartition('/')[2]}")
    )


def _age(age: timedelta) -> str:
    minutes = int(age / timedelta(minutes=1))
    if minutes < 2 * 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2 * 24 * 60 else f"{minutes // (24 * 60)} days"


def _status_json(champion: ModelVersion | None, candidate: ModelVersion | None, unfinished: list[UnfinishedRun]) -> str:
    from ..reporting.version_summary import as_dict

    runs = [
        {
            "flow_run": found.run.flow_run,
            "run_id": found.run.run_id,
            "started": found.run.started.isoformat(timespec="seconds"),
            "abandoned": found.abandoned,
        }
        for found in unfinished
    ]
    versions = {"production": champion, "candidate": candidate}
    shown = {alias: version and as_dict(version) for alias, version in versions.items()}
    return json.dumps(shown | {"unfinished_runs": runs}, indent=2)

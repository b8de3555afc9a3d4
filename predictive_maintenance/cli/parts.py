"""The command parts: list and delete the parts of former training runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import SourceError
from .shared import Command, count, load_settings, machine_argument, machine_option, program_name

if TYPE_CHECKING:
    from ..partitions.stored_runs import StoredRun
    from ..tracking.known_runs import KnownRun

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


@click.command(cls=Command)
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Only runs that ended, and wrote their last part, before so many days.",
)
@click.option("--run", "run_id", metavar="ID", help="Only the run with this id.")
@click.option("--delete", is_flag=True, help="Delete the parts of these runs.")
@machine_option
@click.pass_obj
def parts(params_file: Path | None, days: int | None, run_id: str | None, delete: bool) -> None:
    """Show how much space the parts of training runs take, and delete them with --delete.

    The parts are the rows of a run in each step: some hundred bytes a reading, which nothing else deletes. Without --delete,
    nothing is deleted. The parts of a run in progress are always kept, and those of a run that the registry does not know
    unless --run names it. Afterwards `export` cannot write the rows of the run, and `resume` has to begin with `ingest`, which
    reads the sources again. Models, reports and cards are not affected.

    Exits with code 1 if the parts of a run cannot be deleted, or if those of the run that --run names are kept.

    \b
    Examples:
      predictive-maintenance parts
      predictive-maintenance parts --older-than 30
      predictive-maintenance parts --older-than 30 --delete
      predictive-maintenance parts --run 17 --delete
    """
    from ..config.metaflow_defaults import set_metaflow_defaults
    from ..config.uris import redact
    from ..partitions.location import parts_root
    from ..partitions.stored_runs import stored_runs
    from ..reporting.finished_run import FLOW_NAME
    from ..tracking.connection import connect_read_only
    from ..tracking.known_runs import known_runs

    if delete and not (days or run_id):
        raise click.UsageError("--delete needs --older-than DAYS or --run ID")
    set_metaflow_defaults()
    connection = connect_read_only(load_settings(params_file).registry)
    found, known = stored_runs(FLOW_NAME), known_runs(connection)
    flow_run = run_id and f"{FLOW_NAME}/{run_id.strip().removeprefix(f'{FLOW_NAME}/')}"
    if flow_run and flow_run not in {run.flow_run for run in found}:
        raise click.ClickException(f"{flow_run} has no parts in {redact(parts_root())}")
    end = datetime.now(UTC) - timedelta(days=days or 0)
    shown = [
        run for run in found if flow_run in (None, run.flow_run) and _last_change(run, known.get(run.flow_run)) <= end
    ]
    for run in shown:
        state = _state(known.get(run.flow_run))
        click.echo(f"{run.flow_run}  {run.size.written:%Y-%m-%d %H:%M UTC}  {_size([run]):>11}  {state}")
    click.echo(f"{count(len(shown), 'run')} with {_size(shown)} in {redact(parts_root())}")
    chosen = [run for run in shown if not _is_kept(known.get(run.flow_run), is_named=bool(flow_run))]
    if delete:
        deleted = [run for run in chosen if _is_deleted(run, known.get(run.flow_run))]
        click.echo(f"deleted {_size(deleted)} of {count(len(deleted), 'run')}")
        if len(deleted) < len(chosen):
            sys.exit(1)
        if flow_run and not chosen:
            reason = "is in progress" if shown else f"was changed less than {count(days or 0, 'day')} ago"
            raise click.ClickException(f"{flow_run} {reason}: its parts are kept")
    elif chosen and (days or flow_run):
        chosen_by = (f" --older-than {days}" if days else "") + (f" --run {run_id}" if run_id else "")
        command = f"{program_name()} parts{chosen_by} --delete{machine_argument()}"
        click.echo(f"to delete {_size(chosen)} of {count(len(chosen), 'run')}: {command}")


def _is_deleted(run: StoredRun, known: KnownRun | None) -> bool:
    """Delete the parts of a run, or print why they cannot be deleted: those of the other runs still can."""
    from ..partitions.stored_runs import delete_parts

    try:
        delete_parts(run.flow_run)
    except SourceError as error:
        click.echo(f"Error: the parts of {run.flow_run} are not deleted: {error}", err=True)
        return False
    click.echo(f"deleted the parts of {run.flow_run}: {_consequence(run, known)}")
    return True


def _last_change(run: StoredRun, known: KnownRun | None) -> datetime:
    """When the last part was written or, if that was later, when the run ended."""
    ended = known.run.ended if known else None
    return max(run.size.written, ended) if ended else run.size.written


def _is_kept(known: KnownRun | None, is_named: bool) -> bool:
    """Whether the parts of a run must not be deleted: something may work on them."""
    return known.is_in_progress if known else not is_named


def _state(known: KnownRun | None) -> str:
    if known is None:
        return "not in this registry: kept, unless --run names it"
    return "in progress: kept" if known.is_in_progress else known.run.status.lower()


def _consequence(run: StoredRun, known: KnownRun | None) -> str:
    run_id = run.flow_run.rpartition("/")[2]
    command = f"python flows/train_flow.py resume ingest --origin-run-id {run_id}"
    if known and known.run.status == "FINISHED":
        return "its rows can no longer be exported"
    return f"it can only be resumed from the beginning: {command}"


def _size(runs: Sequence[StoredRun]) -> str:
    """The bytes of the parts of runs, such as 1.2 GB."""
    size = sum(run.size.bytes for run in runs)
    place = min(len(_UNITS) - 1, max(0, len(str(size)) - 1) // 3)
    return f"{size / 1_000**place:,.{min(place, 1)}f} {_UNITS[place]}"

"""The command score."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from .shared import (
    Command,
    check_output,
    count,
    load_settings,
    machine_argument,
    machine_option,
    open_registry,
    overwrite_option,
    print_reasons,
    program_name,
    train_command,
)

if TYPE_CHECKING:
    from ..config.params import Params
    from ..inference.part_job import ScoringJob
    from ..inference.part_scoring import PartResult
    from ..ingestion.part_files import PartFile
    from ..partitions.progress import FinishedPart
    from ..scorer.scoring import Scorer
    from ..tracking.model_registry import ModelRegistry

_SHOWN_REASONS = 5
_SHOWN_FILES = 5


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    metavar="FILE|FOLDER",
    help="A .csv, .csv.gz or .parquet file; for several files, a folder, which may be a URL.  [default: FILE with .scored "
    "before its ending]",
)
@click.option("--version", help="Use this model version instead of the one in production.")
@click.option(
    "--tables",
    metavar="TABLE:SOURCE,...",
    help="Tables of events and of machine attributes, such as errors:errors.csv,machines:machines.csv.",
)
@machine_option
@overwrite_option
@click.pass_obj
def score(
    params_file: Path | None,
    files: Sequence[str],
    output: str | None,
    version: str | None,
    tables: str | None,
    overwrite: bool,
) -> None:
    """Add the failure probability and the decision to each row of FILE (CSV or Parquet).

    A file is read and written in batches, so it may be larger than memory. A row that cannot be scored is written
    without a probability; the column `rejected` has the reason. Exits with code 1 if no row can be scored.

    With several files, a pattern, or files in remote storage, --output is a folder, which the pattern must not reach. Each
    result there has the path that its file has below the folder of the pattern's first wildcard. If the model has a history,
    a row sees the earlier rows of its machine in all files. An interrupted command goes on where it stopped when it is run
    again. PDM_ENGINE=dask uses all cores, or the cluster at DASK_SCHEDULER_ADDRESS. Exits with code 1 if a file cannot be
    scored.

    \b
    Examples:
      predictive-maintenance score readings.csv
      predictive-maintenance score readings.parquet --output scored.parquet --version 3
      predictive-maintenance score readings.csv --machine fleet --tables errors:errors.csv,machines:machines.csv
      predictive-maintenance score 's3://plant/telemetry/*.parquet' --output s3://plant/scored
    """
    several = _is_data_set(files, output)
    if several and output is None:
        raise click.UsageError("several files need --output FOLDER, in which each has a result with the same name")
    target = Path(output) if output else _scored_name(Path(files[0]))
    if not several:
        check_output(target, overwrite)
    params = load_settings(params_file)
    registry = open_registry(params)
    version = version or _production_version(registry)
    if several:
        job = _job(registry, version, params, str(output), tables or "", overwrite)
        _score_data_set(files, job)
    else:
        _score_file(Path(files[0]), target, registry.load_scorer(version), version, params, tables or "")


def _score_file(file: Path, output: Path, scorer: Scorer, version: str, params: Params, tables: str) -> None:
    from ..config.sources import parse_tables
    from ..inference.files import score_file
    from ..inference.further_tables import read_further_tables

    further = read_further_tables(parse_tables(tables), scorer.machine)
    with _Progress() as progress:
        scored = score_file(file, output, scorer, version, params.columns.aliases, progress.add_rows, further)
    click.echo(
        f"{count(scored.rows, 'row')} scored by version {version}: {count(scored.alarms, 'alarm')}, "
        f"{scored.rejected:,} rejected"
    )
    print_reasons(scored.reasons.most_common(_SHOWN_REASONS))
    for warning in scored.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"written to {output}")
    if scored.rejected == scored.rows:
        click.echo(f"no row was scored: see `{program_name()} check {file}{machine_argument()}`", err=True)
        sys.exit(1)


def _job(
    registry: ModelRegistry, version: str, params: Params, output: str, tables: str, overwrite: bool
) -> ScoringJob:
    from ..config.sources import parse_tables
    from ..inference.further_tables import read_further_tables
    from ..inference.part_job import ScoringJob

    job = ScoringJob(
        model_files=registry.scorer_files(version),
        version=version,
        aliases=params.columns.aliases,
        output=output,
        overwrite=overwrite,
    )
    return replace(job, tables=read_further_tables(parse_tables(tables), job.scorer.machine))


def _score_data_set(files: Sequence[str], job: ScoringJob) -> None:
    from ..config.uris import redact
    from ..engine.engine import open_engine
    from ..inference.part_scoring import score_parts
    from ..ingestion.part_files import list_parts

    parts = list_parts(files)
    with open_engine() as engine, _Progress() as progress:
        click.echo(f"{count(len(parts), 'file')} to score with version {job.version}, by {engine.description}")
        scored = score_parts(parts, job, engine, _PartCounter(len(parts)), progress.show_stage)
    former = f", {count(scored.former, 'file')} of them by a former run" if scored.former else ""
    click.echo(
        f"{count(scored.rows, 'row')} scored in {count(scored.parts, 'file')}{former}: {count(scored.alarms, 'alarm')}, "
        f"{scored.rejected:,} rejected"
    )
    print_reasons(scored.reasons.most_common(_SHOWN_REASONS))
    _print_some([f"warning: {warning}" for warning in (*job.tables.warnings, *scored.warnings)], "warning")
    click.echo(f"written to {redact(job.output)}")
    if scored.errors:
        _print_some([f"{name}: not scored: {error}" for name, error in sorted(scored.errors.items())], "file")
        click.echo(f"{count(len(scored.errors), 'file')} not scored: mend them and run the command again", err=True)
    if scored.errors or scored.rejected == scored.rows:
        sys.exit(1)


def _is_data_set(files: Sequence[str], output: str | None) -> bool:
    """Whether the result is a folder with a file for each of `files`."""
    from ..config.uris import scheme_of

    is_file = len(files) == 1 and (Path(files[0]).is_file() or not (scheme_of(files[0]) or glob.has_magic(files[0])))
    is_folder = output is not None and (bool(scheme_of(output)) or output.endswith("/") or Path(output).is_dir())
    return is_folder or not is_file


def _production_version(registry: ModelRegistry) -> str:
    if (champion := registry.production_version()) is None:
        raise click.ClickException(
            f"no version is in production: train one with {train_command()}, or promote one with "
            f"{program_name()} promote"
        )
    return champion.version


def _scored_name(file: Path) -> Path:
    endings = "".join(file.suffixes[-2:]) if file.suffix == ".gz" else file.suffix
    return file.with_name(f"{file.name.removesuffix(endings)}.scored{endings}")


def _print_some(lines: Sequence[str], noun: str) -> None:
    for line in lines[:_SHOWN_FILES]:
        click.echo(line, err=True)
    if len(lines) > _SHOWN_FILES:
        click.echo(f"... and {count(len(lines) - _SHOWN_FILES, f'more {noun}')}", err=True)


class _PartCounter:
    """Prints a line for each file that ends."""

    def __init__(self, parts: int) -> None:
        self._parts, self._ended = parts, 0

    def __call__(self, part: PartFile, result: PartResult) -> None:
        self._ended += 1
        text = f"{count(result.rows, 'row')}, {count(result.alarms, 'alarm')}, {result.rejected:,} rejected"
        text += " (by a former run)" if result.is_former else ""
        click.echo(f"[{self._ended}/{self._parts}] {part.name}: {'not scored' if result.error else text}")


class _Progress:
    """Shows how far the work has come if stderr is a terminal: the rows of a file, or the files of a stage."""

    def __enter__(self) -> Self:
        self._rows, self._shown = 0, sys.stderr.isatty()
        return self

    def add_rows(self, rows: int) -> None:
        self._rows += rows
        self._show(count(self._rows, "row"))

    def show_stage(self, done: FinishedPart) -> None:
        self._show("" if done.number == done.parts else f"{done.stage} {done.number:,}/{done.parts:,}")

    def _show(self, text: str) -> None:
        if self._shown:
            click.echo(f"\r\033[K{text}", nl=False, err=True)

    def __exit__(self, *exception: object) -> None:
        self._show("")

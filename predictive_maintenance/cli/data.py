"""Commands for data: check, score, simulate, fetch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .shared import (
    FILE,
    Command,
    check_output,
    count,
    load_settings,
    machine_argument,
    machine_option,
    overwrite_option,
    print_reasons,
    program_name,
    train_command,
)

if TYPE_CHECKING:
    import pandas as pd

    from ..inference.files import CheckedFile
    from ..machine.machine import Machine


@click.command(cls=Command)
@click.argument("file", type=FILE)
@machine_option
@click.pass_obj
def check(params_file: Path | None, file: Path) -> None:
    """Check the columns and values of FILE (CSV or Parquet).

    Exits with code 1 if a value is missing, not a number, or outside its limits.

    \b
    Example:
      predictive-maintenance check readings.csv
      predictive-maintenance check pumps.csv --machine pump
    """
    from ..inference.files import check_file

    machine = load_settings(params_file).machine
    checked = check_file(file, machine)
    click.echo(f"{file}: {checked.kind}, {count(checked.rows, 'row')}")
    _print_columns(checked, machine)
    if checked.bad_rows:
        _print_bad_cells(checked)
        sys.exit(1)
    click.echo("every row is valid")
    click.echo(f"next: {program_name()} score {file}{machine_argument()}")


@click.command(cls=Command)
@click.option("--rows", type=click.IntRange(1, 10_000_000), help="The number of readings.  [default: 10000]")
@click.option("--machines", type=click.IntRange(1, 100_000), help="The number of machines of a fleet.  [default: 100]")
@click.option("--days", type=click.IntRange(1, 36_500), help="The days that a fleet is simulated for.  [default: 365]")
@click.option("--until", type=click.IntRange(1, 36_500), help="The days of a fleet that are written.  [default: all]")
@click.option("--seed", type=click.IntRange(min=0), help="The random seed.  [default: 7]")
@click.option(
    "-o", "--output", type=FILE, default=Path("simulated.csv"), show_default=True, help="A .csv or .parquet file."
)
@machine_option
@overwrite_option
@click.pass_obj
def simulate(params_file: Path | None, /, output: Path, overwrite: bool, **given: int | None) -> None:
    """Write simulated readings of a machine, with labels, or all tables of a fleet.

    The machine needs a simulator. The same seed gives the same rows. Each table of a fleet becomes a file: simulated.csv has the
    readings, simulated_errors.csv the errors.

    \b
    Examples:
      predictive-maintenance simulate --rows 50000 --seed 1 --output more.csv
      predictive-maintenance simulate --machine fleet --machines 20 --days 90
    """
    from ..config.machine_extras import simulator_of
    from ..config.sources import READINGS
    from ..ingestion.simulation import DEFAULTS

    described = load_settings(params_file).machine
    simulator = simulator_of(described)
    if unknown := [name for name, value in given.items() if value is not None and name not in simulator.options]:
        known = ", ".join(f"--{name}" for name in simulator.options)
        raise click.UsageError(
            f"--{unknown[0]} is not an option of the simulator of the {described.description.name}: {known}"
        )
    options = {name: DEFAULTS[name] if (value := given[name]) is None else value for name in simulator.options}
    # Outputs are checked before the simulation, which may take long.
    names = (READINGS, *described.attribute_tables, *described.description.events)
    paths = {name: _path_of_table(output, name) for name in (names if "machines" in simulator.options else (READINGS,))}
    for path in paths.values():
        check_output(path, overwrite)
    tables = {name: table for name, table in simulator.tables(**options).items() if name in paths}
    for name, frame in tables.items():
        _write(frame, paths[name])
        label = described.label_name
        failures = f" with {count(int(frame[label].sum()), 'failure')}" if label in frame else ""
        table = "" if name == READINGS else f"{name}: "
        click.echo(f"{table}{count(len(frame), 'row')}{failures} written to {paths[name]}")
    sources = ",".join(str(paths[name]) if name == READINGS else f"{name}:{paths[name]}" for name in tables)
    click.echo(f"next: {train_command()} --sources {sources}")


def _path_of_table(output: Path, table: str) -> Path:
    return output if table == "readings" else output.with_stem(f"{output.stem}_{table}")


def _write(frame: pd.DataFrame, path: Path) -> None:
    try:
        frame.to_parquet(path, index=False) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror or error}") from None


@click.command(cls=Command)
@machine_option
@click.option("-o", "--output", type=FILE, help="The file to write.  [default: in data/raw of the project's folder]")
@click.option("--url", help="Download from this URL.  [default: the home of the data set]")
@click.pass_obj
def fetch(params_file: Path | None, output: Path | None, url: str | None) -> None:
    """Download the public data set of a machine.

    The milling machine's is AI4I 2020: 10,000 readings with 339 failures.

    \b
    Example:
      predictive-maintenance fetch
    """
    from ..config.machine_extras import data_set_of
    from ..config.project import project_dir

    data_set = data_set_of(load_settings(params_file).machine)
    path = output or project_dir() / "data" / "raw" / data_set.FILE_NAME
    fetched = data_set.fetch(path, url)
    click.echo(f"{'written to' if fetched else 'already at'} {path}\n{data_set.LICENCE}")
    click.echo(f"next: {train_command()} --sources {path}\n      dvc add {path}   (to track its versions)")


def _print_columns(checked: CheckedFile, machine: Machine) -> None:
    from .machine_tables import label_rule

    for name, (header, scale, offset) in checked.match.columns.items():
        converted = f", converted: x {scale:g} + {offset:g}" if (scale, offset) != (1.0, 0.0) else ""
        click.echo(f"  {header!r} is used as {name}{converted}")
    if ignored := ", ".join(repr(name) for name in checked.match.ignored):
        click.echo(f"  not used: {ignored}")
    for table, names in machine.attribute_tables.items():
        if missing := ", ".join(checked.match.missing(names)):
            click.echo(f"  from the table {table}, not checked: {missing}")
    if rule := label_rule(machine):
        click.echo(f"  the label is computed in training: {rule}")
    elif checked.failures is None:
        click.echo("  no label column: the file can be scored, but not used for training")
    else:
        click.echo(f"  {count(checked.failures, 'failure')}")


def _print_bad_cells(checked: CheckedFile) -> None:
    click.echo(f"{count(checked.bad_rows, 'row')} with invalid values:")
    print_reasons(checked.reasons.most_common())
    click.echo("first invalid values:")
    for cell in checked.first:
        place = f"row {cell.row}" if cell.line is None else f"line {cell.line} (row {cell.row})"
        what = repr(cell.header) if cell.header else cell.column
        click.echo(f"  {place}, {what} = {cell.value!r}: {cell.reason}")
    for hint in checked.unit_hints:
        click.echo(f"hint: {hint}")

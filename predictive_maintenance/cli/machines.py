"""Commands for kinds of machine: init, describe."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.commands import flow_command
from .shared import FILE, Command, count, load_settings, program_name

if TYPE_CHECKING:
    from ..drafting.draft import Draft
    from ..drafting.readings_table import ReadingsTable
    from ..machine.table_format import TableFormat

SEPARATORS = ("comma", "semicolon", "tab", "pipe", "whitespace")
_SCHEMA = Path("docs", "reference", "machine.schema.json")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")

machine_option = click.option(
    "--machine",
    "name",
    metavar="NAME",
    help="A folder of machines/, or the path of a machine.yaml.  [default: PDM_MACHINE, or the one in params.yaml]",
)


@click.command(cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--label", metavar="COLUMN", help="The column that is 1 where the machine failed.  [see below]")
@click.option(
    "--tables",
    metavar="TABLE:FILE,...",
    help="Tables of events and of machine attributes, such as errors:errors.csv,failures:failures.csv,machines:machines.csv.",
)
@click.option(
    "--machine", "name", metavar="NAME", help="The folder in machines/.  [default: the name of the first FILE]"
)
@click.option(
    "--separator", type=click.Choice(SEPARATORS), help="What separates the cells.  [default: found in the file]"
)
@click.option("--columns", metavar="A,B,...", help="The names of the columns, if the files have no header.")
@click.option("--force", is_flag=True, help="Replace the description if it exists.")
def init(
    files: Sequence[Path],
    label: str | None,
    tables: str | None,
    name: str | None,
    separator: str | None,
    columns: str | None,
    force: bool,
) -> None:
    """Draft machines/NAME/machine.yaml from readings in FILE (CSV or Parquet).

    The draft has the columns, units, ranges, categories, failure modes and groups that the readings show. A comment
    "check:" marks each guess that you have to confirm. Several files are read as one table.

    With --tables, the draft also has events, attributes of machines, windows over earlier readings, and alarms. A table
    whose name says failures becomes the label, with a horizon. Without it and without --label, the command lists the
    columns that can be the label.

    \b
    Examples:
      predictive-maintenance init readings.csv
      predictive-maintenance init readings.csv --label Failure --machine pump
      predictive-maintenance init readings.csv --tables errors:errors.csv,failures:failures.csv,machines:machines.csv
      predictive-maintenance init log.txt --separator whitespace --columns time,oil,failure --label failure
    """
    from ..config.machine_folders import machine_names, machine_path
    from ..config.project import project_dir
    from ..drafting.draft import draft
    from ..drafting.readings_table import read_tables

    folder = project_dir()
    name = _checked_name(name) if name is not None else _name_of(files[0])
    path = machine_path(name, folder)
    if name in machine_names(folder) and not force:
        raise click.ClickException(
            f"machine {name} already exists: choose another --machine, or replace it with --force"
        )
    table = read_tables(files, _format(separator, columns))
    further = {table: read_tables(paths) for table, paths in _files_by_table(tables or "").items()}
    drafted = draft(table, label, name, _schema_beside(path, folder), further)
    _write(path, drafted.text)
    shown = Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
    click.echo("\n".join(_summary(drafted, table, shown)))
    for warning in drafted.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo("\n".join(_next_commands(files, tables or "", name, shown, drafted)))


@click.command(cls=Command)
@machine_option
@click.pass_obj
def describe(params_file: Path | None, name: str | None) -> None:
    """Print the description of a kind of machine as tables.

    \b
    Examples:
      predictive-maintenance describe
      predictive-maintenance describe --machine pump
    """
    from ..config.machine_file import find_machine
    from ..config.project import project_dir
    from .machine_tables import machine_tables

    machine = find_machine(name, project_dir()) if name else load_settings(params_file).machine
    click.echo(machine_tables(machine))


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.ClickException(
            f"--machine: {name!r} is not a name: use small letters, digits, _ and -, such as pump_2"
        )
    return name


def _files_by_table(text: str) -> dict[str, list[Path]]:
    """The files of --tables by table. Raises ConfigError for one that names no table."""
    from ..config.sources import parse_tables

    found: dict[str, list[Path]] = {}
    for source in parse_tables(text):
        found.setdefault(source.table, []).append(Path(source.uri))
    return found


def _format(separator: str | None, columns: str | None) -> TableFormat | None:
    """The format that the options give, or None without options."""
    from ..config.model_validation import validated
    from ..machine.table_format import TableFormat

    names = [name.strip() for name in columns.split(",")] if columns else []
    given = {key: value for key, value in (("separator", separator), ("columns", names)) if value}
    return validated(TableFormat, given, "--columns") if given else None


def _name_of(file: Path) -> str:
    """A name made from a file's: "Pump 7.csv.gz" becomes pump_7."""
    return re.sub(r"[^a-z0-9]+", "_", file.name.partition(".")[0].lower()).strip("_")[:60] or "machine"


def _schema_beside(path: Path, folder: Path) -> Path | None:
    """The path of the JSON Schema from the folder of the description, if the project has the schema."""
    schema = folder / _SCHEMA
    return Path(os.path.relpath(schema, path.parent)) if schema.is_file() else None


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror or error}") from None


def _summary(drafted: Draft, table: ReadingsTable, path: Path) -> Iterator[str]:
    from ..printable import printable
    from .machine_tables import group_text

    machine, roles = drafted.machine, drafted.roles
    names = ", ".join(table.names)
    yield f"{path}: drafted from {names}, {count(table.rows, 'row')}"
    what = "before a failure" if machine.description.label.is_computed else "failures"
    failures = f"{roles.failures:,} of {count(table.rows, 'row')} are {what}"
    is_known = roles.label or machine.description.label.is_computed
    columns = {
        "label": f"{machine.description.label.column}, {failures if is_known else 'which the files do not have yet'}",
        "failure modes": ", ".join(machine.mode_names),
        "id": roles.id.header if roles.id else "",
        "machine": roles.machine.header if roles.machine else "",
        "time": roles.time.header if roles.time else "",
        "categories": ", ".join(machine.category_names),
        "sensors": ", ".join(machine.sensor_names),
        "group": group_text(machine.description.group),
    }
    if roles.further:
        columns["tables"] = ", ".join([*machine.description.events, *machine.attribute_tables])
        columns["windows"] = ", ".join(machine.description.history.windows if machine.description.history else ())
    for what, text in columns.items():
        if text:
            yield f"  {what:14}{text}"
    for header, reason in roles.left_out.items():
        yield f"  left out      {printable(header)}: {printable(reason)}"


def _next_commands(files: Sequence[Path], tables: str, name: str, path: Path, drafted: Draft) -> Iterator[str]:
    sources = shlex.quote(",".join([*map(str, files), *filter(None, [tables])]))
    yield f'next: confirm or correct {count(drafted.checks, "line")} with "check:" in {path}, then'
    yield f"  {program_name()} describe --machine {name}"
    yield f"  {program_name()} check {shlex.quote(str(files[0]))} --machine {name}"
    yield f"  {flow_command(f'run --machine {name} --sources {sources}')}"

"""Draft a description from a table of readings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.machine_file import parse_machine
from ..errors import DataError, SourceError
from ..machine.header_matching import Column, match_headers
from ..machine.machine import Machine
from ..printable import printable
from .column_headers import ColumnNamer
from .column_kinds import is_called_failure
from .labels import chosen_label
from .readings_table import ReadingsTable
from .roles import Roles, roles_of
from .sections import Sections
from .yaml_lines import CHECK, yaml_lines

_NEXT = """\
# Features are numbers computed from sensors; operating limits are values that a person can act on. Add them, for example:
# features:
#   power_w: {label: Power, unit: W, formula: torque_nm * speed_rpm * 2 * pi / 60}
# operating_limits:
#   - {name: power, label: Power, measure: power_w, maximum: 9000, action: lower torque or speed}
"""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The text of a drafted machine.yaml, the machine that it describes, and a summary for the user.

    `checks` counts the guesses that a person has to confirm.
    """

    text: str
    machine: Machine
    roles: Roles
    warnings: tuple[str, ...]
    checks: int


def draft(
    table: ReadingsTable,
    label: str | None,
    name: str,
    schema: Path | None = None,
    tables: Mapping[str, ReadingsTable] | None = None,
) -> Draft:
    """Draft the machine `name`. `label` is the header of the label; `schema` is the path in the first line of the file.

    `tables` are those of events and of machine attributes, by name. Without `label`, the label is computed from the one that is
    called failures. Raises DataError if the label is not clear, no column can be a sensor, or a table does not fit the readings.
    """
    tables = tables or {}
    failures = next(filter(is_called_failure, tables), None) if label is None else None
    chosen = None if failures else chosen_label(table, label)
    roles = roles_of(table, chosen, tables, failures)
    if not roles.sensors:
        reasons = "\n".join(f"  {header}: {reason}" for header, reason in roles.left_out.items())
        raise DataError(
            f"{', '.join(table.names)}: no column can be a sensor, which is a column of numbers that differ\n{reasons}"
        )
    written_out: set[str] = set()
    while True:
        namer = ColumnNamer(_input_headers(table, roles), written_out, tables)
        text = _text([table, *tables.values()], roles, Sections(roles, namer, label or "", table.written), name, schema)
        machine = parse_machine(text)
        unmatched, errors = _unmatched(table, machine, namer.names)
        for other, found in tables.items():
            also_unmatched, more = _unmatched_of_table(other, found, machine, namer.names)
            unmatched, errors = unmatched | also_unmatched, [*errors, *more]
        if unmatched <= written_out:
            break
        written_out |= unmatched
    return Draft(
        text=text,
        machine=machine,
        roles=roles,
        warnings=(*errors, *_warnings(table, roles, tables)),
        checks=text.count(f"# {CHECK}"),
    )


def _input_headers(table: ReadingsTable, roles: Roles) -> list[str]:
    """The headers of all files with columns of readings: readings, and attributes of machines."""
    attributes = roles.further.attributes if roles.further else ()
    return [
        header for part in (table, *(found.table for found in attributes)) for names in part.headers for header in names
    ]


def _text(tables: Sequence[ReadingsTable], roles: Roles, sections: Sections, name: str, schema: Path | None) -> str:
    lines = [f"# yaml-language-server: $schema={schema.as_posix()}"] if schema else []
    for place, table in enumerate(tables):
        part = "" if table.is_complete else " (the first ones; the rest was not read)"
        names = printable(", ".join(Path(name).name for name in table.names))
        lines.append(f"# {'and' if place else 'Drafted from'} {names}: {table.rows:,} rows{part}.")
    lines += [
        f'# Confirm or correct each line with "{CHECK.strip()}".',
        "",
    ]
    single = True
    for key, value in sections.all(name).items():
        block = list(yaml_lines({key: value}))
        single, follows_single = len(block) == 1, single
        lines += block if single and follows_single else ["", *block]
    lines += ["", *_NEXT.splitlines()]
    if roles.left_out:
        lines += ["", "# Left out:", *_left_out(roles)]
    return "\n".join(lines) + "\n"


def _left_out(roles: Roles) -> Iterator[str]:
    for header, reason in roles.left_out.items():
        yield f"# {CHECK if header in roles.leaks else '  '}{printable(header)}: {printable(reason)}"


def _unmatched(table: ReadingsTable, machine: Machine, expected: dict[str, str]) -> tuple[set[str], list[str]]:
    """The expected headers that the machine does not match to their column in the files, and errors of matching."""
    return _unmatched_columns(table, machine.columns, expected)


def _unmatched_of_table(
    name: str, table: ReadingsTable, machine: Machine, names: Mapping[str, str]
) -> tuple[set[str], list[str]]:
    """As `_unmatched`, for a table of events or of attributes."""
    if name in machine.description.events:
        return _unmatched_columns(table, machine.event_columns(name), {})
    if name in machine.attribute_tables:
        columns = machine.attribute_columns(name)
        return _unmatched_columns(
            table,
            columns,
            {header: column for header, column in names.items() if column in machine.attribute_tables[name]},
        )
    return set(), []


def _unmatched_columns(
    table: ReadingsTable, columns_of: Mapping[str, Column], expected: Mapping[str, str]
) -> tuple[set[str], list[str]]:
    unmatched: set[str] = set()
    errors: list[str] = []
    for name, headers in zip(table.names, table.headers, strict=True):
        try:
            columns = {column: found[0] for column, found in match_headers(columns_of, headers).columns.items()}
        except SourceError as error:
            errors.append(f"{name}: {error}")
            continue
        unmatched |= {
            header for header, column in expected.items() if header in headers and columns.get(column) != header
        }
    return unmatched, errors


def _warnings(table: ReadingsTable, roles: Roles, tables: Mapping[str, ReadingsTable]) -> Iterator[str]:
    if malformed := table.malformed + sum(other.malformed for other in tables.values()):
        yield f"rows with more or fewer cells than the header: {malformed:,}; training puts them in quarantine"
    for name in tables:
        if roles.further and roles.further.failures is None and is_called_failure(name):
            yield f"the label is a column of the readings, so the table {name} is not used: leave out --label to compute it"
    if not table.is_complete:
        yield f"only the first {table.rows:,} rows were read: check the ranges and the categories"
    for header, reason in roles.suspects.items():
        yield f"{header!r}: {reason}. Remove it from the file if it is known only after the failure"

"""Draft a description from a table of readings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config.machine_file import parse_machine
from ..errors import DataError, SourceError
from ..machine.machine import Machine
from .column_headers import ColumnNamer
from .column_names import printable
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


def draft(table: ReadingsTable, label: str | None, name: str, schema: Path | None = None) -> Draft:
    """Draft the machine `name`. `label` is the header of the label; `schema` is the path in the first line of the file.

    Raises DataError if the label is not clear, or no column can be a sensor.
    """
    chosen = chosen_label(table, label)
    roles = roles_of(table, chosen)
    if not roles.sensors:
        reasons = "\n".join(f"  {header}: {reason}" for header, reason in roles.left_out.items())
        raise DataError(
            f"{', '.join(table.names)}: no column can be a sensor, which is a column of numbers that differ\n{reasons}"
        )
    written_out: set[str] = set()
    while True:
        namer = ColumnNamer([header for headers in table.headers for header in headers], written_out)
        text = _text(table, roles, Sections(roles, namer, label or "", table.written), name, schema)
        machine = parse_machine(text)
        unmatched, errors = _unmatched(table, machine, namer.names)
        if unmatched <= written_out:
            break
        written_out |= unmatched
    return Draft(
        text=text,
        machine=machine,
        roles=roles,
        warnings=(*errors, *_warnings(table, roles)),
        checks=text.count(f"# {CHECK}"),
    )


def _text(table: ReadingsTable, roles: Roles, sections: Sections, name: str, schema: Path | None) -> str:
    lines = [f"# yaml-language-server: $schema={schema.as_posix()}"] if schema else []
    part = "" if table.is_complete else " (the first ones; the rest was not read)"
    lines += [
        f"# Drafted from {printable(', '.join(Path(name).name for name in table.names))}: {table.rows:,} rows{part}.",
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
    unmatched: set[str] = set()
    errors: list[str] = []
    for name, headers in zip(table.names, table.headers, strict=True):
        try:
            columns = {column: found[0] for column, found in machine.match_headers(headers).columns.items()}
        except SourceError as error:
            errors.append(f"{name}: {error}")
            continue
        unmatched |= {
            header for header, column in expected.items() if header in headers and columns.get(column) != header
        }
    return unmatched, errors


def _warnings(table: ReadingsTable, roles: Roles) -> Iterator[str]:
    if table.malformed:
        yield f"rows with more or fewer cells than the header: {table.malformed:,}; training puts them in quarantine"
    if not table.is_complete:
        yield f"only the first {table.rows:,} rows were read: check the ranges and the categories"
    for header, reason in roles.suspects.items():
        yield f"{header!r}: {reason}. Remove it from the file if it is known only after the failure"

"""Read machine.yaml with its units checked, and find a machine by its name. Checking units needs pint."""

from pathlib import Path

from ..machine.description import MachineDescription
from ..machine.machine import Machine
from ..strict_model import LocatedValueError
from .description_file import LineFinder, parse_description
from .machine_folders import BUNDLED, MACHINE_FILE, description_path
from .model_validation import located_error
from .text_file import read_text


def find_machine(name: str, project: Path) -> Machine:
    """The machine `name`: described by machines/NAME/machine.yaml in `project`, by the package, or by a file of this path.

    Raises ConfigError that names the machines there are, and for every mistake in the description.
    """
    path = description_path(name, project)
    if path is None:
        return BUNDLED[name]
    description, line_of = parse_description(read_text(path), str(path))
    bundled = BUNDLED.get(name)
    # The units of an unchanged description need no check.
    return bundled if bundled and bundled.description == description else _checked(description, str(path), line_of)


def load_machine(path: Path) -> Machine:
    """Read a machine.yaml. Raises ConfigError that names the file, the line and every mistake."""
    return parse_machine(read_text(path), str(path))


def parse_machine(text: str, origin: str = MACHINE_FILE) -> Machine:
    """Parse and check the text of a machine.yaml. Raises ConfigError that names `origin`, the line and every mistake."""
    description, line_of = parse_description(text, origin)
    return _checked(description, origin, line_of)


def _checked(description: MachineDescription, origin: str, line_of: LineFinder) -> Machine:
    from ..machine.dimensions import unit_conversions  # imports pint, which is slow; most processes read no description

    try:
        return Machine(description, unit_conversions(description))
    except LocatedValueError as error:
        raise located_error(list(error.errors), origin, line_of) from None

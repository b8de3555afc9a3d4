"""Read machine.yaml with its units checked, and find a machine by its name. Needs pint."""

from pathlib import Path

from ..machine.dimensions import unit_conversions
from ..machine.machine import Machine
from ..strict_model import LocatedValueError
from .description_file import parse_description
from .machine_folders import MACHINE_FILE, bundled_or_file
from .model_validation import located_error
from .text_file import read_text


def find_machine(name: str, project: Path) -> Machine:
    """The machine `name` of the package or the project folder. Raises ConfigError if there is none, or for its mistakes."""
    found = bundled_or_file(name, project)
    return load_machine(found) if isinstance(found, Path) else found


def load_machine(path: Path) -> Machine:
    """Read a machine.yaml. Raises ConfigError that names the file, the line and every mistake."""
    return parse_machine(read_text(path), str(path))


def parse_machine(text: str, origin: str = MACHINE_FILE) -> Machine:
    """Parse and check the text of a machine.yaml. Raises ConfigError that names `origin`, the line and every mistake."""
    description, line_of = parse_description(text, origin)
    try:
        return Machine(description, unit_conversions(description))
    except LocatedValueError as error:
        raise located_error(list(error.errors), origin, line_of) from None

"""Read machine.yaml, the description of a kind of machine. Its units are checked in machine_file.py, which needs pint."""

from collections.abc import Callable

from ..errors import ConfigError
from ..machine.description import MachineDescription
from ..strict_model import Location
from .machine_folders import MACHINE_FILE
from .model_validation import validated
from .yaml_reader import line_finder, read_plain_yaml

LineFinder = Callable[[Location], int | None]


def parse_description(text: str, origin: str = MACHINE_FILE) -> tuple[MachineDescription, LineFinder]:
    """Parse the text of a machine.yaml. Returns the description and a function from a location in it to its line.

    Raises ConfigError that names `origin`, the line and every mistake.
    """
    raw = read_plain_yaml(text, origin)
    if not isinstance(raw, dict):
        raise ConfigError(f"{origin}: the file must have settings such as name and sensors")
    line_of = line_finder(text)
    return validated(MachineDescription, raw, origin, line_of), line_of

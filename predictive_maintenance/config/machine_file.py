"""Read machine.yaml, the description of a kind of machine."""

from pathlib import Path

from ..errors import ConfigError
from ..machine.description import MachineDescription
from ..machine.dimensions import unit_conversions
from ..machine.machine import Machine
from ..strict_model import LocatedValueError
from .model_validation import located_error, validated
from .text_file import read_text
from .yaml_reader import line_finder, read_plain_yaml

MACHINE_FILE = "machine.yaml"


def load_machine(path: Path) -> Machine:
    """Read a machine.yaml. Raises ConfigError that names the file, the line and every mistake."""
    return parse_machine(read_text(path), str(path))


def parse_machine(text: str, origin: str = MACHINE_FILE) -> Machine:
    """Parse and check the text of a machine.yaml. Raises ConfigError that names `origin`, the line and every mistake."""
    raw = read_plain_yaml(text, origin)
    if not isinstance(raw, dict):
        raise ConfigError(f"{origin}: the file must have settings such as name and sensors")
    line_of = line_finder(text)
    description = validated(MachineDescription, raw, origin, line_of)
    try:
        return Machine(description, unit_conversions(description))
    except LocatedValueError as error:
        raise located_error(list(error.errors), origin, line_of) from None

"""Find the description of a kind of machine by its name: the folder of the project that contains its machine.yaml."""

import re
from pathlib import Path

from ..errors import ConfigError
from ..machine.machine import Machine
from ..machine.milling import MILLING
from ..strict_model import suggestion

MACHINE_FILE = "machine.yaml"
MACHINES_FOLDER = "machines"
DEFAULT_MACHINE = "milling"

BUNDLED = {DEFAULT_MACHINE: MILLING}
"""The machines that the package contains, ready for use. They are read without YAML and pint."""


def machine_names(project: Path) -> list[str]:
    """The names of all machines: those that the package contains, and the folders of the project."""
    found = (path.parent.name for path in (project / MACHINES_FOLDER).glob(f"*/{MACHINE_FILE}"))
    return sorted({*BUNDLED, *found})


def bundled_or_file(name: str, project: Path) -> Machine | Path:
    """The machine `name` if the package contains it, else the path of its description. Raises ConfigError if there is none."""
    if name in BUNDLED:
        return BUNDLED[name]
    path = project / MACHINES_FOLDER / name / MACHINE_FILE
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or not path.is_file():
        raise ConfigError(
            f"{name!r} is not a machine: {project / MACHINES_FOLDER} has no folder {name} with a {MACHINE_FILE}"
            f"{suggestion(name, machine_names(project))}"
        )
    return path

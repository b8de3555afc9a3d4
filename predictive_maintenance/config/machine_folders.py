"""Find the description of a kind of machine by its name: a folder of the project, the package, or a file."""

from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..machine.machine import Machine
from ..machine.milling import MILLING
from ..strict_model import suggestion

MACHINE_FILE = "machine.yaml"
MACHINES_FOLDER = "machines"
DEFAULT_MACHINE = "milling"

BUNDLED: Mapping[str, Machine] = {DEFAULT_MACHINE: MILLING}
"""The machines that the package contains, ready for use: they need no file and no pint."""


def machine_names(project: Path) -> tuple[str, ...]:
    """The names of all machines, sorted: those that the package contains, and the folders of the project."""
    found = (path.parent.name for path in (project / MACHINES_FOLDER).glob(f"*/{MACHINE_FILE}"))
    return tuple(sorted({*BUNDLED, *found}))


def machine_path(name: str, project: Path) -> Path:
    """Where the description of the machine `name` is, or would be. A name with a slash, or with .yaml, is a path."""
    if "/" in name or "\\" in name or name.endswith((".yaml", ".yml")):
        return Path(name).expanduser()
    return project / MACHINES_FOLDER / name / MACHINE_FILE


def description_path(name: str, project: Path) -> Path | None:
    """The path of the machine's description; None if the package alone has it. Raises ConfigError if there is none."""
    path = machine_path(name, project)
    if path.is_file():
        return path
    if name in BUNDLED:
        return None
    raise ConfigError(f"machine {name!r}: {path} does not exist{suggestion(name, machine_names(project))}")

"""Find a kind of machine by its name: a folder in machines of the project or of the installation, the package, or a file.

The installation's machines are beside the package: in a checkout those of the project.
"""

import re
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


INSTALLATION = Path(__file__).parents[2]
"""The folder that contains the package."""


def machine_names(project: Path) -> tuple[str, ...]:
    """The names of all machines, sorted: those that the package contains, and the folders with a description."""
    found = (
        path.parent.name
        for root in (project, INSTALLATION)
        for path in (root / MACHINES_FOLDER).glob(f"*/{MACHINE_FILE}")
    )
    return tuple(sorted({*BUNDLED, *found}))


def machine_folders(name: str, project: Path) -> list[Path]:
    """The folders `name` in machines, the project's first. A name with a dot or a slash is not that of a folder."""
    if not re.fullmatch(r"[\w-]+", name):
        return []
    found = (root / MACHINES_FOLDER / name for root in (project, INSTALLATION))
    return [path for path in dict.fromkeys(found) if path.is_dir()]


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
    for folder in machine_folders(name, project):
        if (folder / MACHINE_FILE).is_file():
            return folder / MACHINE_FILE
    raise ConfigError(f"machine {name!r}: {path} does not exist{suggestion(name, machine_names(project))}")

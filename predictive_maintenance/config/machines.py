"""Find a kind of machine by name: one of the project, the milling machine of the package, or a file."""

from difflib import get_close_matches
from pathlib import Path

from ..errors import ConfigError
from ..machine.machine import Machine
from ..machine.milling import MILLING
from .machine_file import MACHINE_FILE, load_machine

DEFAULT_MACHINE = "milling"
"""The machine that the package contains, so that it needs no file."""

_FOLDER = "machines"


def find_machine(name: str, project_dir: Path) -> Machine:
    """The machine `name`: described by machines/NAME/machine.yaml in `project_dir`, or milling, which the package contains.

    A name with a slash, or one that ends in .yaml, is the path of a description.
    Raises ConfigError that names the machines there are, and for every mistake in the description.
    """
    if _is_path(name):
        return load_machine(Path(name).expanduser())
    path = machine_path(name, project_dir)
    if path.is_file():
        return load_machine(path)
    if name == DEFAULT_MACHINE:
        return MILLING
    names = machine_names(project_dir)
    near = get_close_matches(name, names, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"machine {name!r}: {path} does not exist; {hint}machines: {', '.join(names)}")


def machine_names(project_dir: Path) -> tuple[str, ...]:
    """The names that find_machine knows, sorted."""
    described = {path.parent.name for path in (project_dir / _FOLDER).glob(f"*/{MACHINE_FILE}")}
    return tuple(sorted(described | {DEFAULT_MACHINE}))


def machine_path(name: str, project_dir: Path) -> Path:
    """Where the description of the machine `name` is, or would be."""
    return project_dir / _FOLDER / name / MACHINE_FILE


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.endswith((".yaml", ".yml"))

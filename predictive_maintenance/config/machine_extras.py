"""Find what only some kinds of machine have, by name: the simulator, oracle, data set and sample of a folder in machines/.

The folders `machines` of the project and of the installation are one namespace package, the project's first. The package
imports its modules here only, by the name of a machine. Each file of a machine is optional:

- simulator.py: `simulate(rows, seed)`, a data frame of readings and labels with canonical column names, or
  `simulate_tables(machines, days, seed)`, a data frame for each table of the description. A fourth argument `until` is optional:
  only the rows of so many first days.
- oracle.py: `violates_rules(rows)`, the rules that made the labels, and `INPUTS`, the columns that they read.
- data_set.py: `FILE_NAME`, `LICENCE` and `fetch(path, url)`, the download of a public data set.
- sample_fleet.csv: readings that the dashboard offers as a sample.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ConfigError
from ..machine.machine import Machine
from ..strict_model import suggestion
from .machine_folders import BUNDLED, INSTALLATION, MACHINE_FILE, MACHINES_FOLDER, machine_folders, machine_names
from .project import project_dir
from .sources import READINGS
from .text_file import read_text
from .yaml_reader import read_plain_yaml

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True)
class Simulator:
    """Simulates readings or, with the option machines, all tables of a fleet. `options` name the arguments, all integers."""

    function: Callable[..., Any]
    options: tuple[str, ...]

    def tables(self, **options: int) -> "Mapping[str, pd.DataFrame]":
        """The simulated tables by name, readings among them."""
        simulated = self.function(**options)
        return simulated if "machines" in self.options else {READINGS: simulated}


Oracle = Callable[["pd.DataFrame"], "npt.NDArray[np.bool_]"]
"""The rules that made the labels of a data set: (n,) whether a row violates them."""

_SIMULATOR, _ORACLE, _DATA_SET, _SAMPLE = "simulator.py", "oracle.py", "data_set.py", "sample_fleet.csv"


class DataSet(Protocol):
    """A public data set. `fetch` downloads it to `path`, by default from its home, and returns False if it is already there."""

    FILE_NAME: str
    LICENCE: str

    def fetch(self, path: Path, url: str | None = None) -> bool: ...


def simulator_of(machine: Machine) -> Simulator:
    """The simulator of `machine`. Raises ConfigError that names the file that would have it."""
    path = _file_of(machine, _SIMULATOR)
    if path is None:
        raise ConfigError(f"the {machine.description.name} has no simulator: {_way_out(machine, _SIMULATOR)}")
    return _simulator(path)


def simulator_named(name: str) -> Simulator:
    """The simulator of the folder `name` in machines. Raises ConfigError if there is no such folder or no simulator in it."""
    if not _folders(name):
        raise ConfigError(f"there is no machine {name!r}{suggestion(name, _names())}")
    path = _file(name, _SIMULATOR)
    if path is None:
        raise ConfigError(f"machine {name!r} has no simulator: {_folders(name)[0] / _SIMULATOR} does not exist")
    return _simulator(path)


def oracle_of(machine: Machine) -> Oracle | None:
    """The rules that made the labels of the data of `machine`; None if they are unknown, or read columns it does not have."""
    path = _file_of(machine, _ORACLE)
    if path is None:
        return None
    module = _module(path, "violates_rules", "INPUTS")
    return module.violates_rules if set(module.INPUTS) <= set(machine.input_names) else None


def data_set_of(machine: Machine) -> DataSet:
    """The public data set of `machine`. Raises ConfigError that names the file that would download it."""
    path = _file_of(machine, _DATA_SET)
    if path is None:
        raise ConfigError(f"the {machine.description.name} has no data set: {_way_out(machine, _DATA_SET)}")
    data_set: DataSet = _module(path, "FILE_NAME", "LICENCE", "fetch")
    return data_set


def sample_fleet_of(machine: Machine) -> Path | None:
    """The CSV file with sample readings of `machine`, if there is one."""
    return _file_of(machine, _SAMPLE)


def _simulator(path: Path) -> Simulator:
    module = _module(path)
    if hasattr(module, "simulate_tables"):
        has_until = "until" in signature(module.simulate_tables).parameters
        return Simulator(module.simulate_tables, ("machines", "days", "seed", *(("until",) if has_until else ())))
    return Simulator(_module(path, "simulate").simulate, ("rows", "seed"))


def _module(path: Path, *needed: str) -> Any:
    """The module at `path`. Raises ConfigError unless it can be imported and has the `needed` names."""
    for root in (str(INSTALLATION), str(_project())):  # the project's last, so that it is the first on the path
        if root not in sys.path:
            sys.path.insert(0, root)
    try:
        module = import_module(f"{MACHINES_FOLDER}.{path.parent.name}.{path.stem}")
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"{path}: cannot be imported: {error}") from None
    if missing := [name for name in needed if not hasattr(module, name)]:
        raise ConfigError(f"{path}: does not define {', '.join(missing)}")
    return module


def _way_out(machine: Machine, file: str) -> str:
    """Where the file would be."""
    names = _names_of(machine)
    if not names:
        return f"its description is in no folder of {MACHINES_FOLDER}, the place of its {file}"
    return f"{_folders(names[0])[0] / file} does not exist"


def _file_of(machine: Machine, file: str) -> Path | None:
    return next((path for name in _names_of(machine) if (path := _file(name, file))), None)


def _file(name: str, file: str) -> Path | None:
    return next((folder / file for folder in _folders(name) if (folder / file).is_file()), None)


def _names_of(machine: Machine) -> list[str]:
    """The folders whose description has the name of `machine`: a model version has the description, but no folder."""
    return [name for name in _names() if _described_name(name) == machine.description.name]


def _described_name(name: str) -> str | None:
    """The name in the description of the folder `name`; None if it cannot be read, which is another machine's mistake."""
    if path := _file(name, MACHINE_FILE):
        with suppress(ConfigError):
            return _name_in(read_text(path))
        return None
    return BUNDLED[name].description.name if name in BUNDLED else None


@lru_cache
def _name_in(text: str) -> str | None:
    """The name in the text of a machine.yaml. Parsing one takes 50 ms, and the dashboard asks at each click."""
    described = read_plain_yaml(text, MACHINE_FILE)
    return described.get("name") if isinstance(described, dict) else None


def _names() -> tuple[str, ...]:
    return machine_names(_project())


def _folders(name: str) -> list[Path]:
    return machine_folders(name, _project())


def _project() -> Path:
    """The project's folder; without one, the installation."""
    with suppress(ConfigError):
        return project_dir()
    return INSTALLATION

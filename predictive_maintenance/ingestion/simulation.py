"""Sources of simulated readings: simulator://NAME?rows=10000&seed=7. Without a name, those of the machine that is trained."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

import pandas as pd
import pyarrow as pa

from ..config.machine_extras import Simulator, simulator_named, simulator_of
from ..errors import ConfigError, SourceError
from ..machine.machine import Machine

DEFAULT_ROWS = 10_000
DEFAULT_SEED = 7
MAX_ROWS = 10_000_000
_MAX_DIGITS = 18


@dataclass(frozen=True)
class Simulation:
    """What a URI asks for. `name` is a folder in machines; '' is the machine that is trained."""

    name: str
    rows: int
    seed: int


def parse_simulation(uri: str) -> Simulation:
    """Parse `simulator://NAME?rows=10000&seed=7`; every part is optional. Raises SourceError for an unknown or invalid option."""
    name, _, query = uri.partition("://")[2].partition("?")
    if "=" in name:
        raise SourceError(f"{uri}: options must follow a question mark: simulator://?rows=10000&seed=7")
    options = {"rows": DEFAULT_ROWS, "seed": DEFAULT_SEED}
    for option, text in parse_qsl(query, keep_blank_values=True):
        if option not in options:
            raise SourceError(f"{uri}: {option!r} is not an option of the simulator; options: rows, seed")
        if not text.isdecimal() or len(text) > _MAX_DIGITS or (option == "rows" and not 0 < int(text) <= MAX_ROWS):
            allowed = f" from 1 to {MAX_ROWS:,}" if option == "rows" else f" of at most {_MAX_DIGITS} digits"
            raise SourceError(f"{uri}: {option} must be a whole number{allowed}, not {text[:40]!r}")
        options[option] = int(text)
    return Simulation(name, **options)


def check_simulation(uri: str, machine: Machine) -> None:
    """Raise SourceError unless `uri` is valid and its machine has a simulator."""
    _simulator(uri, parse_simulation(uri), machine)


def simulated_table(uri: str, machine: Machine) -> pa.Table:
    """Simulate what `uri` asks for. Raises SourceError if the readings are not those of `machine`."""
    asked = parse_simulation(uri)
    frame = _simulator(uri, asked, machine)(asked.rows, asked.seed)
    if not isinstance(frame, pd.DataFrame) or len(frame) != asked.rows:
        raise SourceError(f"{uri}: the simulator must return a data frame of {asked.rows:,} rows")
    if missing := [name for name in machine.required_input_names if name not in frame]:
        raise SourceError(
            f"{uri}: the simulated readings do not fit the {machine.description.name}: no column {', '.join(missing)}"
            f"{_other_machine(asked.name)}"
        )
    return pa.Table.from_pandas(frame)


def _simulator(uri: str, asked: Simulation, machine: Machine) -> Simulator:
    try:
        return simulator_named(asked.name) if asked.name else simulator_of(machine)
    except ConfigError as error:
        way_out = "" if asked.name else "; read files instead: --sources readings.csv"
        raise SourceError(f"{uri}: {error}{way_out}") from None


def _other_machine(name: str) -> str:
    return f"; train the machine that they are of (--machine {name}), or use its own readings" if name else ""

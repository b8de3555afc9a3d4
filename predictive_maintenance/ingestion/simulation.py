"""Sources of simulated tables: simulator://NAME?rows=10000&seed=7. Without a name, those of the machine that is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import pandas as pd
import pyarrow as pa

from ..config.machine_extras import Simulator, simulator_named, simulator_of
from ..config.sources import READINGS
from ..errors import ConfigError, SourceError
from ..machine.machine import Machine

DEFAULTS = {"rows": 10_000, "machines": 100, "days": 365, "seed": 7, "until": 36_500}
MAXIMA = {"rows": 10_000_000, "machines": 100_000, "days": 36_500, "until": 36_500}
"""The maximum of `rows` is also that of the readings of a fleet. All of them are in memory."""

_MAX_DIGITS = 18
_SAMPLED_MACHINES = 10


@dataclass(frozen=True)
class Simulation:
    """What a URI asks for. `name` is a folder in machines; '' is the machine that is trained."""

    name: str
    options: Mapping[str, int]


def parse_simulation(uri: str) -> Simulation:
    """Parse `simulator://NAME?rows=10000&seed=7`; every part is optional. Raises SourceError for an unknown or invalid option."""
    name, _, query = uri.partition("://")[2].partition("?")
    if "=" in name:
        raise SourceError(f"{uri}: options must follow a question mark: simulator://?rows=10000&seed=7")
    options: dict[str, int] = {}
    for option, text in parse_qsl(query, keep_blank_values=True):
        if option not in DEFAULTS:
            raise SourceError(f"{uri}: {option!r} is not an option of a simulator; options: {', '.join(DEFAULTS)}")
        largest = MAXIMA.get(option)
        if not text.isdecimal() or len(text) > _MAX_DIGITS or (largest and not 0 < int(text) <= largest):
            allowed = f" from 1 to {largest:,}" if largest else f" of at most {_MAX_DIGITS} digits"
            raise SourceError(f"{uri}: {option} must be a whole number{allowed}, not {text[:40]!r}")
        options[option] = int(text)
    return Simulation(name, options)


def check_simulation(uri: str, machine: Machine) -> None:
    """Raise SourceError unless `uri` is valid and its machine has a simulator with these options, of not too many readings."""
    simulated_rows(uri, machine)


def simulated_rows(uri: str, machine: Machine) -> int:
    """About the number of readings of `uri`: of a fleet, by those of some machines. Raises SourceError if it is too large."""
    simulator, options = _simulator_and_options(uri, machine)
    if "machines" not in options:
        return options["rows"]
    sample = min(options["machines"], _SAMPLED_MACHINES)
    readings = _simulate(uri, simulator, {**options, "machines": sample}, machine)[READINGS]
    rows = len(readings) * options["machines"] // sample
    if rows > MAXIMA["rows"]:
        raise SourceError(
            f"{uri}: about {rows:,} readings, and a simulator keeps all of them in memory: simulate fewer machines or days, with "
            f"at most {MAXIMA['rows']:,} readings"
        )
    return rows


def simulated_tables(uri: str, machine: Machine) -> dict[str, pa.Table]:
    """Simulate what `uri` asks for. Raises SourceError if the readings are not those of `machine`.

    Tables that the description of `machine` does not have are left out.
    """
    frames = _simulate(uri, *_simulator_and_options(uri, machine), machine)
    known = (READINGS, *machine.attribute_tables, *machine.description.events)
    return {name: pa.Table.from_pandas(frame) for name, frame in frames.items() if name in known}


def _simulate(
    uri: str, simulator: Simulator, options: Mapping[str, int], machine: Machine
) -> Mapping[str, pd.DataFrame]:
    try:
        frames = simulator.tables(**options)
    except ConfigError as error:
        raise SourceError(f"{uri}: {error}") from None
    _check_readings(uri, frames.get(READINGS), machine, options.get("rows"))
    return frames


def _check_readings(uri: str, frame: object, machine: Machine, rows: int | None) -> None:
    if not isinstance(frame, pd.DataFrame) or (rows and len(frame) != rows):
        expected = f"a data frame of {rows:,} rows" if rows else "data frames by table, with readings"
        raise SourceError(f"{uri}: the simulator must return {expected}")
    attributes = {name for names in machine.attribute_tables.values() for name in names}
    if missing := [name for name in machine.required_input_names if name not in frame and name not in attributes]:
        raise SourceError(
            f"{uri}: the simulated readings do not fit the {machine.description.name}: no column {', '.join(missing)}"
            f"{_other_machine(parse_simulation(uri).name)}"
        )


def _simulator_and_options(uri: str, machine: Machine) -> tuple[Simulator, dict[str, int]]:
    asked = parse_simulation(uri)
    simulator = _simulator(uri, asked, machine)
    if unknown := [option for option in asked.options if option not in simulator.options]:
        raise SourceError(
            f"{uri}: {unknown[0]!r} is not an option of this simulator; options: {', '.join(simulator.options)}"
        )
    return simulator, {option: asked.options.get(option, DEFAULTS[option]) for option in simulator.options}


def _simulator(uri: str, asked: Simulation, machine: Machine) -> Simulator:
    try:
        return simulator_named(asked.name) if asked.name else simulator_of(machine)
    except ConfigError as error:
        way_out = "" if asked.name else "; read files instead: --sources readings.csv"
        raise SourceError(f"{uri}: {error}{way_out}") from None


def _other_machine(name: str) -> str:
    return f"; train the machine that they are of (--machine {name}), or use its own readings" if name else ""

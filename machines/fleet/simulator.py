"""Simulate a fleet of centrifugal pumps with the five tables of a plant: simulator://fleet?machines=100&days=365&seed=7.

Components wear and are replaced. Wear shows in the sensors and raises the rate of errors, mostly in the last days before a
failure; process upsets look like wear for some hours. README.md describes the model and its parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictive_maintenance.errors import ConfigError

from .components import COMPONENTS, Stop, Wear, simulate_service
from .error_codes import draw_errors
from .plant_time import START, YEAR_H, Floats
from .pump import DECIMALS, NOMINAL_FLOW, Pump, draw_pump, draw_upsets, flow_shares, sensor_values

MIN_DAYS, ALL_DAYS = 30, 36_500
OPTIONAL_SENSOR = "vibration_mm_s"
_LATE_SHARE, _LATEST_START = 0.12, 0.4  # share of the machines, share of the days
_GAPS_PER_DAY, _GAP_HOURS = 8 / 365, (2.0, 24.0)
_LOST_SHARE, _LOST_PER_DAY, _LOST_HOURS = 0.005, 1 / 120, (6.0, 48.0)
_DELAYED_SHARE, _JITTER_S, _DELAY_S = 0.03, 15, (60, 900)

_DAY_SECONDS = 86_400

Seconds = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def simulate_tables(
    machines: int = 100, days: int = 365, seed: int = 7, until: int = ALL_DAYS
) -> dict[str, pd.DataFrame]:
    """Simulate the tables readings, errors, maintenance, failures and machines of `machines` pumps over `days` days.

    The same arguments give the same tables. The rows of a machine depend on its number, `days` and `seed`, not on `machines`.
    Rows after the first `until` days are left out: a model that is trained on the others has not seen them. Rows are in order of
    machine and time; timestamps are in UTC. Raises ConfigError if an argument is too small.
    """
    for name, value, least in (
        ("machines", machines, 1), ("days", days, MIN_DAYS), ("seed", seed, 0), ("until", until, MIN_DAYS),
    ):  # fmt: skip
        if value < least:
            raise ConfigError(f"simulator of the fleet: {name} is {value}; it must be at least {least}")
    fleet = [_simulate_pump(number, days, seed) for number in range(1, machines + 1)]
    names = [f"P{number:03d}" for number in range(1, machines + 1)]
    return {
        "readings": _table(names, [simulated.readings for simulated in fleet], until),
        "errors": _table(names, [simulated.errors for simulated in fleet], until),
        "maintenance": _table(names, [simulated.maintenance for simulated in fleet], until),
        "failures": _table(names, [simulated.failures for simulated in fleet], until),
        "machines": pd.DataFrame(
            {
                "machine_id": names,
                "model": [simulated.pump.model.name for simulated in fleet],
                "rated_power_kw": [simulated.pump.model.power_kw for simulated in fleet],
                "age_years": [simulated.pump.age_years for simulated in fleet],
            }
        ),
    }


@dataclass(frozen=True)
class _Rows:
    """(n,) seconds since the start of the simulation, ascending, and (n,) values of each column."""

    seconds: Seconds
    columns: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class _SimulatedPump:
    pump: Pump
    readings: _Rows
    errors: _Rows
    maintenance: _Rows
    failures: _Rows


def _simulate_pump(number: int, days: int, seed: int) -> _SimulatedPump:
    """Simulate machine `number`, with a stream of random numbers of its own."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    pump = draw_pump(tuple(component.name for component in COMPONENTS), random)
    hours = _hours(days, random)
    start_h, end_h = float(hours[0]), 24.0 * days
    shares = flow_shares(pump, hours, random)
    wears = {part.name: Wear(shares / NOMINAL_FLOW, part, pump.wear[part.name], start_h) for part in COMPONENTS}
    service = simulate_service(wears, pump.age_years * YEAR_H + start_h, start_h, end_h, random)

    reading_s = np.round(hours * 3600).astype(np.int64) + _delays_s(len(hours), random)
    signs = service.signs(reading_s / 3600)
    upsets = draw_upsets(hours, random)
    sensors = sensor_values(pump, hours, shares, signs, upsets, random)
    sensors[OPTIONAL_SENSOR][_lost(hours, random)] = np.nan
    recorded = _recorded(reading_s, service.stops, end_h) & ~_intervals(hours, _GAPS_PER_DAY, _GAP_HOURS, random)

    error_h, codes = draw_errors(hours, {**signs, **upsets}, random)
    error_s = np.floor(error_h * 3600).astype(np.int64)
    reported = _recorded(error_s, service.stops, end_h)

    done = [stop for stop in (*service.earlier, *service.stops) if stop.to_h < end_h]
    failed = [stop for stop in service.stops if stop.failed]
    return _SimulatedPump(
        pump=pump,
        readings=_Rows(reading_s[recorded], {name: sensors[name][recorded] for name in DECIMALS}),
        errors=_Rows(error_s[reported], {"error": codes[reported]}),
        maintenance=_component_rows([stop.to_h for stop in done], done),
        failures=_component_rows([stop.from_h for stop in failed], failed),
    )


def _table(names: Sequence[str], rows: Sequence[_Rows], until: int) -> pd.DataFrame:
    seconds = np.concatenate([part.seconds for part in rows])
    table = pd.DataFrame(
        {
            "machine_id": np.repeat(names, [len(part.seconds) for part in rows]),
            "timestamp": START + pd.to_timedelta(seconds, unit="s").as_unit("us"),
            **{name: np.concatenate([part.columns[name] for part in rows]) for name in rows[0].columns},
        }
    )
    return table[seconds < until * _DAY_SECONDS].reset_index(drop=True)


def _component_rows(hours: Sequence[float], stops: Sequence[Stop]) -> _Rows:
    order = np.argsort(hours, kind="stable")
    return _Rows(
        _whole_seconds(hours)[order], {"component": np.array([stop.component for stop in stops], dtype=np.str_)[order]}
    )


def _hours(days: int, random: np.random.Generator) -> Floats:
    """(n,) hours since the start of the simulation, one apart, from the first reading of the machine to the end."""
    late = random.random() < _LATE_SHARE
    first_h = int(random.integers(3600)) / 3600 + late * int(24 * days * random.uniform(0, _LATEST_START))
    return first_h + np.arange(np.ceil(24 * days - first_h), dtype=np.float64)


def _delays_s(count: int, random: np.random.Generator) -> Seconds:
    """(count,) seconds by which readings come later than on the hour of the machine; less than the hour between them."""
    delayed = random.random(count) < _DELAYED_SHARE
    return random.integers(0, _JITTER_S, count) + delayed * random.integers(*_DELAY_S, count)


def _recorded(seconds: Seconds, stops: Sequence[Stop], end_h: float) -> Flags:
    """(n,) whether the machine ran at `seconds`, and the simulation had not ended."""
    begun = np.searchsorted(_whole_seconds([stop.from_h for stop in stops]), seconds, side="right")
    ended = np.searchsorted(_whole_seconds([stop.to_h for stop in stops]), seconds, side="left")
    return (begun == ended) & (seconds < end_h * 3600)


def _whole_seconds(hours: Sequence[float]) -> Seconds:
    return np.round(np.array(hours, dtype=float) * 3600).astype(np.int64)


def _lost(hours: Floats, random: np.random.Generator) -> Flags:
    """(n,) whether the value of the optional sensor is lost: single values, and all for hours."""
    single = random.random(len(hours)) < _LOST_SHARE
    return single | _intervals(hours, _LOST_PER_DAY, _LOST_HOURS, random)


def _intervals(hours: Floats, per_day: float, length_h: tuple[float, float], random: np.random.Generator) -> Flags:
    """(n,) whether `hours` are in one of some random intervals."""
    inside = np.zeros(len(hours), dtype=bool)
    count = random.poisson(per_day * (hours[-1] - hours[0]) / 24)
    for start, length in zip(random.uniform(hours[0], hours[-1], count), random.uniform(*length_h, count), strict=True):
        inside |= (hours >= start) & (hours < start + length)
    return inside

"""The physics of one pump: its load, process upsets, and what its sensors show of both and of worn components."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from .plant_time import SATURDAY, YEAR_H, Floats, weekday

NOMINAL_FLOW = 0.8
"""The share of the rated flow that counts as nominal load."""
DECIMALS = {
    "flow_m3_h": 1,
    "discharge_pressure_bar": 2,
    "vibration_mm_s": 2,
    "bearing_temperature_c": 1,
    "motor_current_a": 1,
}
"""The sensors, and the decimals of their resolution."""
UPSETS_PER_DAY = {"cavitation": 1 / 18, "pipe_vibration": 1 / 25, "bypass_open": 1 / 25, "viscous_product": 1 / 18}
UPSET_HOURS = (2.0, 48.0)


@dataclass(frozen=True, kw_only=True)
class PumpModel:
    """A model of pump at its rated point. `wear` multiplies the wear of some components."""

    name: str
    share: float
    flow_m3_h: float
    pressure_bar: float
    current_a: float
    power_kw: float
    wear: Mapping[str, float]


MODELS = (
    PumpModel(
        name="CP-40", share=0.4, flow_m3_h=40, pressure_bar=5.2, current_a=17.5, power_kw=11.0, wear={"bearing": 0.9}
    ),
    PumpModel(
        name="CP-65", share=0.35, flow_m3_h=65, pressure_bar=6.0, current_a=34.0, power_kw=18.5, wear={"seal": 1.3}
    ),
    PumpModel(
        name="CP-100",
        share=0.25,
        flow_m3_h=100,
        pressure_bar=6.8,
        current_a=55.0,
        power_kw=30.0,
        wear={"bearing": 1.3, "impeller": 1.15},
    ),
)


@dataclass(frozen=True, kw_only=True)
class Pump:
    """One pump. Factors are relative to its model; `duty` is its mean share of the rated flow."""

    model: PumpModel
    age_years: float
    duty: float
    daily_swing: float
    weekend_flow: float
    flow_factor: float
    pressure_factor: float
    current_factor: float
    vibration_mm_s: float
    temperature_rise_k: float
    hall_c: float
    wear: Mapping[str, float]


def draw_pump(components: tuple[str, ...], random: np.random.Generator) -> Pump:
    """Draw a pump, with a speed of wear for each of `components`: of its model, its age and itself."""
    model = MODELS[int(random.choice(len(MODELS), p=[model.share for model in MODELS]))]
    age_years = round(float(random.uniform(0.5, 15)), 1)
    return Pump(
        model=model,
        age_years=age_years,
        duty=float(random.uniform(0.7, 0.9)),
        daily_swing=float(random.uniform(0.03, 0.12)),
        weekend_flow=float(random.uniform(0.8, 1.0)),
        flow_factor=float(random.normal(1, 0.02)),
        pressure_factor=float(random.normal(1, 0.03)),
        current_factor=float(random.normal(1, 0.03)),
        vibration_mm_s=float(1.6 * random.lognormal(0, 0.2) * (1 + 0.02 * age_years)),
        temperature_rise_k=float(random.normal(26, 2.5)),
        hall_c=float(random.normal(22, 2)),
        wear={
            name: model.wear.get(name, 1.0) * (0.9 + 0.02 * age_years) * float(random.lognormal(0, 0.2))
            for name in components
        },
    )


def flow_shares(pump: Pump, hours: Floats, random: np.random.Generator) -> Floats:
    """(n,) share of the rated flow that the process asks for: a cycle of a day, weekends, and slow variation."""
    daily = pump.daily_swing * np.sin(2 * np.pi * (hours % 24 - 9) / 24)
    weekend = np.where(weekday(hours) >= SATURDAY, pump.weekend_flow, 1.0)
    return np.clip(pump.duty * weekend * (1 + daily) + variation(len(hours), 0.04, 12, random), 0.35, 1.1)


def variation(count: int, deviation: float, correlation_h: float, random: np.random.Generator) -> Floats:
    """(count,) hourly normal values with standard deviation `deviation` whose correlation fades over `correlation_h`."""
    keep = float(np.exp(-1 / correlation_h))
    steps = random.normal(0, deviation * np.sqrt(1 - keep**2), count)
    steps[0] = random.normal(0, deviation)
    varied: Floats = lfilter([1.0], [1.0, -keep], steps)
    return varied


def draw_upsets(hours: Floats, random: np.random.Generator) -> dict[str, Floats]:
    """(n,) strength of each kind of process upset: it grows and fades within hours, and has nothing to do with wear."""
    return {name: _upset(hours, per_day, random) for name, per_day in UPSETS_PER_DAY.items()}


def _upset(hours: Floats, per_day: float, random: np.random.Generator) -> Floats:
    count = random.poisson(per_day * (hours[-1] - hours[0]) / 24)
    starts = random.uniform(hours[0], hours[-1], count)
    durations = np.clip(random.lognormal(np.log(10), 0.7, count), *UPSET_HOURS)
    strength = np.zeros_like(hours)
    for start, duration, peak in zip(starts, durations, random.lognormal(-0.1, 0.35, count), strict=True):
        inside = slice(*np.searchsorted(hours, [start, start + duration]))
        strength[inside] += peak * np.sin(np.pi * (hours[inside] - start) / duration) ** 0.5
    return strength


def sensor_values(
    pump: Pump,
    hours: Floats,
    shares: Floats,
    wear: Mapping[str, Floats],
    upsets: Mapping[str, Floats],
    random: np.random.Generator,
) -> dict[str, Floats]:
    """(n,) values of each sensor, rounded to its resolution.

    `shares` is the asked share of the rated flow, `wear` the signs of wear of each component, `upsets` the strength of each kind.
    """
    bearing, seal, impeller, winding = (wear[name] for name in ("bearing", "seal", "impeller", "motor_winding"))
    cavitation, shaking, bypass, viscous = (upsets[name] for name in UPSETS_PER_DAY)
    count, model = len(hours), pump.model

    def noise(deviation: float) -> Floats:
        return random.normal(0, deviation, count)

    density = 1 + variation(count, 0.012, 240, random)
    flow = shares * (1 - 0.10 * seal - 0.04 * impeller - 0.08 * cavitation - 0.10 * bypass - 0.03 * viscous)
    head = (1.25 - 0.25 * shares**2) * (1 - 0.12 * impeller - 0.08 * seal - 0.09 * cavitation - 0.07 * bypass)
    power = (0.4 + 0.6 * shares) * density * (1 + 0.07 * impeller + 0.13 * winding + 0.09 * viscous)
    imbalance = 1 + 3 * (shares - NOMINAL_FLOW) ** 2 + variation(count, 0.06, 240, random)
    vibration = pump.vibration_mm_s * imbalance * np.exp(noise(0.10)) + np.exp(noise(0.15)) * (
        2.2 * bearing + 0.8 * impeller + 1.0 * cavitation + 1.8 * shaking
    )
    hall = pump.hall_c + 5 * np.sin(2 * np.pi * (hours / YEAR_H - 0.3)) + 2 * np.sin(2 * np.pi * (hours % 24 - 10) / 24)
    hall += variation(count, 1.5, 72, random)
    rise = (
        pump.temperature_rise_k * (0.5 + 0.5 * shares / NOMINAL_FLOW)
        + 10 * bearing
        + 11 * winding
        + 7 * viscous
        + 2 * shaking
    )
    values = {
        "flow_m3_h": model.flow_m3_h * pump.flow_factor * flow * (1 + noise(0.012)),
        "discharge_pressure_bar": model.pressure_bar * pump.pressure_factor * head * density * (1 + noise(0.012)),
        "vibration_mm_s": vibration,
        "bearing_temperature_c": hall + _delayed(rise, hours=2) + noise(0.7),
        "motor_current_a": model.current_a * pump.current_factor * power * (1 + noise(0.012)),
    }
    return {name: np.round(np.maximum(values[name], 0.0), decimals) for name, decimals in DECIMALS.items()}


def _delayed(values: Floats, hours: float) -> Floats:
    """`values` behind a thermal mass with the time constant `hours`."""
    keep = float(np.exp(-1 / hours))
    delayed: Floats = lfilter([1 - keep], [1.0, -keep], values, zi=[keep * values[0]])[0]
    return delayed

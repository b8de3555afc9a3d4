"""The components of a pump: how long they live, how they are replaced and how they stop the machine.

Times are hours since the start of the simulation. Negative times are before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .plant_time import Floats, whole_seconds, working_time

SUDDEN_SHARE = 0.12
"""The share of component lives that end without warning."""
REPAIR_H = (3.0, 60.0)
PLANNED_WORK_H = (2.0, 8.0)
_WARNING_RANGE_H = (3 * 24.0, 28 * 24.0)
_WARNING_SPREAD, _GROWTH = 0.35, (0.4, 1.2)
_MEDIAN_SEVERITY, _SEVERITY_SPREAD = 2.0, 0.25
_PLAN_DEVIATION_DAYS = 7
_MEDIAN_REPAIR_H, _REPAIR_SPREAD = 12, 0.6


@dataclass(frozen=True, kw_only=True)
class Component:
    """A kind of component.

    `life_days` and `life_shape` are the scale and the shape of the Weibull distribution of lives at nominal load. Wear per
    hour is load**`load_exponent`. `planned_every_days` after its installation it is replaced if it has not failed.
    `warning_days` is the median time from the first sign of wear to the failure.
    """

    name: str
    life_days: float
    life_shape: float
    load_exponent: float
    planned_every_days: float
    warning_days: float


COMPONENTS = (
    Component(name="bearing", life_days=300, life_shape=2.5, load_exponent=2.5, planned_every_days=270, warning_days=9),
    Component(name="seal", life_days=240, life_shape=2.0, load_exponent=1.0, planned_every_days=180, warning_days=8),
    Component(
        name="impeller", life_days=390, life_shape=3.0, load_exponent=1.5, planned_every_days=360, warning_days=10
    ),
    Component(
        name="motor_winding", life_days=560, life_shape=2.0, load_exponent=2.0, planned_every_days=540, warning_days=8
    ),
)


@dataclass(frozen=True, kw_only=True)
class Life:
    """One installed component. It fails at `fails_h` unless it is removed before.

    Signs of wear grow from 0 at `fails_h - warning_h` to `severity` at the failure, along a power `growth` of time.
    `severity` is 0 if the failure is sudden.
    """

    component: Component
    installed_h: float
    fails_h: float
    removed_h: float
    warning_h: float
    severity: float
    growth: float

    def signs(self, hours: Floats) -> Floats:
        """(n,) signs of wear at `hours`; 0 before the warning, and after the failure or the removal."""
        progress = np.clip(1 - (self.fails_h - hours) / self.warning_h, 0, None)
        installed = (hours >= self.installed_h) & (hours < min(self.fails_h, self.removed_h))
        return np.where(installed, self.severity * progress**self.growth, 0.0)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A standstill from `from_h` to `to_h`, when the component is replaced: after a failure, or as planned."""

    component: str
    from_h: float
    to_h: float
    failed: bool


@dataclass(frozen=True, kw_only=True)
class Service:
    """What happened to the components of one machine: all lives, all stops in time order, and replacements before the start."""

    lives: tuple[Life, ...]
    stops: tuple[Stop, ...]
    earlier: tuple[Stop, ...]

    def signs(self, hours: Floats) -> dict[str, Floats]:
        """(n,) signs of wear of each component at `hours`, ascending."""
        signs = {component.name: np.zeros_like(hours) for component in COMPONENTS}
        for life in self.lives:
            visible = slice(*np.searchsorted(hours, [life.fails_h - life.warning_h, life.fails_h]))
            signs[life.component.name][visible] += life.signs(hours[visible])
        return signs


class Wear:
    """Accumulated wear of one component of one machine over time, in hours at nominal load."""

    def __init__(self, load: Floats, component: Component, speed: float, first_h: float) -> None:
        """`load` is hourly, from `first_h` on; 1 is nominal. `speed` multiplies the wear. Outside, wear has its mean rate."""
        rate = speed * load**component.load_exponent
        self._hours = first_h + np.arange(len(load) + 1)
        self._wear = np.concatenate([[0.0], np.cumsum(rate)])
        self._mean_rate = float(rate.mean())

    def at(self, hour: float) -> float:
        """Wear from the first hour to `hour`; negative before it."""
        outside = min(hour - self._hours[0], 0.0) + max(hour - self._hours[-1], 0.0)
        return float(np.interp(hour, self._hours, self._wear)) + outside * self._mean_rate

    def hour_of(self, wear: float) -> float:
        """The inverse of `at`."""
        outside = min(wear, 0.0) + max(wear - self._wear[-1], 0.0)
        return float(np.interp(wear, self._wear, self._hours)) + outside / self._mean_rate


class InstalledComponent:
    """The component that is installed now. Time when the machine stands still does not wear it."""

    def __init__(
        self, component: Component, wear: Wear, installed_h: float, life_h: float, random: np.random.Generator
    ) -> None:
        self.component = component
        self.wear = wear
        self.installed_h = installed_h
        self._worn_out_at = wear.at(installed_h) + life_h
        self.planned_h = _planned_time(component, installed_h, random)
        self._warning_h = float(
            np.clip(24 * component.warning_days * random.lognormal(0, _WARNING_SPREAD), *_WARNING_RANGE_H),
        )
        self._severity = (
            _MEDIAN_SEVERITY * float(random.lognormal(0, _SEVERITY_SPREAD)) * (random.random() >= SUDDEN_SHARE)
        )
        self._growth = float(random.uniform(*_GROWTH))

    @property
    def fails_h(self) -> float:
        return whole_seconds(self.wear.hour_of(self._worn_out_at))

    def stand_still(self, stop: Stop, next_work_h: float) -> None:
        """Shift the failure by a standstill. Planned work that falls into it is done at `next_work_h`."""
        self._worn_out_at += self.wear.at(stop.to_h) - self.wear.at(stop.from_h)
        if stop.from_h <= self.planned_h <= stop.to_h:
            self.planned_h = next_work_h

    def life(self, removed_h: float) -> Life:
        return Life(
            component=self.component,
            installed_h=self.installed_h,
            fails_h=self.fails_h,
            removed_h=removed_h,
            warning_h=min(self._warning_h, self.fails_h - self.installed_h),
            severity=self._severity,
            growth=self._growth,
        )


def simulate_service(
    wears: Mapping[str, Wear], age_h: float, start_h: float, end_h: float, random: np.random.Generator
) -> Service:
    """Simulate failures and replacements from `start_h` to `end_h`.

    `wears` has the wear of each component by name, `age_h` is the machine's age at `start_h`.
    """
    installed = [
        _installed_before(component, wears[component.name], age_h, start_h, random) for component in COMPONENTS
    ]
    earlier = [
        Stop(component=part.component.name, from_h=part.installed_h, to_h=part.installed_h, failed=False)
        for part in installed
        if part.installed_h > start_h - age_h
    ]
    lives: list[Life] = []
    stops: list[Stop] = []
    while True:
        index = min(range(len(installed)), key=lambda i: min(installed[i].fails_h, installed[i].planned_h))
        part = installed[index]
        failed = part.fails_h <= part.planned_h
        from_h = part.fails_h if failed else part.planned_h
        if from_h >= end_h:
            break
        stop = Stop(
            component=part.component.name, from_h=from_h, to_h=from_h + _work_hours(failed, random), failed=failed
        )
        stops.append(stop)
        lives.append(part.life(removed_h=from_h))
        life_h = _life_hours(part.component, random)
        installed[index] = InstalledComponent(part.component, part.wear, stop.to_h, life_h, random)
        for other in installed:
            if other is not installed[index]:
                other.stand_still(stop, next_work_h=working_time(stop.to_h + 24, random))
    lives += [part.life(removed_h=np.inf) for part in installed]
    return Service(lives=tuple(lives), stops=tuple(stops), earlier=tuple(earlier))


def _installed_before(
    component: Component, wear: Wear, age_h: float, start_h: float, random: np.random.Generator
) -> InstalledComponent:
    """A component that was installed before `start_h`, at a random time, and has not failed since."""
    part_age_h = min(random.uniform(0, 24 * component.planned_every_days), age_h)
    installed_h = start_h - part_age_h if part_age_h == age_h else working_time(start_h - part_age_h, random)
    installed_h = min(whole_seconds(installed_h), start_h - 1)
    worn = wear.at(start_h) - wear.at(installed_h)
    life_h = _life_hours(component, random, survived_h=max(worn, 0.0))
    part = InstalledComponent(component, wear, installed_h, life_h, random)
    part.planned_h = max(part.planned_h, working_time(start_h + 24, random))
    return part


def _life_hours(component: Component, random: np.random.Generator, survived_h: float = 0.0) -> float:
    """A life from the Weibull distribution of the lives that are longer than `survived_h`, in hours at nominal load."""
    scale_h, shape = 24 * component.life_days, component.life_shape
    return float(scale_h * ((survived_h / scale_h) ** shape + random.exponential()) ** (1 / shape))


def _work_hours(failed: bool, random: np.random.Generator) -> float:
    if failed:
        return whole_seconds(float(np.clip(_MEDIAN_REPAIR_H * random.lognormal(0, _REPAIR_SPREAD), *REPAIR_H)))
    return whole_seconds(random.uniform(*PLANNED_WORK_H))


def _planned_time(component: Component, installed_h: float, random: np.random.Generator) -> float:
    """When a component that was installed at `installed_h` is replaced as planned, in working time."""
    return working_time(
        installed_h + 24 * (component.planned_every_days + random.normal(0, _PLAN_DEVIATION_DAYS)), random
    )

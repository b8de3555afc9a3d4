"""How far back the windows of a machine's description reach."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..machine.machine import Machine
from .times import FIRST_KEY, as_keys, as_times


@dataclass(frozen=True)
class Lookback:
    """The earlier readings that windows need: those within `length` (microseconds or counts), and the latest `readings`."""

    length: float = 0.0
    readings: int = 0

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """What the features of `machine` need."""
        spans = [feature.span for feature in machine.window_features.values()]
        readings = max((span.readings or 1 for span in spans), default=1) - 1
        return cls(max((span.length for span in spans), default=0.0), readings)

    def beginning(self, key: int, machine: Machine) -> int:
        """The key of the time that lies `length` before the time of `key`."""
        times = as_times([key], machine)
        if times.dtype.kind == "i":
            return max(key - int(self.length), FIRST_KEY)
        return int(as_keys(times - np.float64(self.length))[0])

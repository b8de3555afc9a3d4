"""How long to wait before the next attempt."""

import random
from dataclasses import dataclass


@dataclass
class Backoff:
    """Delays that double from `shortest` to `longest` seconds. Half of each is random, so that clients do not retry together."""

    shortest: float = 0.5
    longest: float = 30.0
    attempts: int = 0

    def next_delay(self) -> float:
        """The seconds to wait after another failure."""
        delay = min(self.longest, self.shortest * 2 ** min(self.attempts, 32))
        self.attempts += 1
        return delay * random.uniform(0.5, 1)  # noqa: S311  # not for security

    def reset(self) -> None:
        self.attempts = 0

"""Limit the bytes of bodies and answers that the service holds for all batches, and for what it reads from the store."""

from ..problems import busy


class ByteBudget:
    """The bytes held for all batches. New ones are refused beyond `max_bytes`, so that single readings go on."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    def check(self, more: int = 0) -> None:
        """Raise Problem 503 if `more` bytes do not fit."""
        if self.held_bytes + more > self._max_bytes:
            raise busy("the bodies and answers of other requests take all of the memory for batches")


class HeldBytes:
    """The bytes held for one batch: its body, then its answer."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self._size = budget, 0

    def add(self, size: int) -> None:
        """Hold further bytes of the body. Raises Problem 503 if they do not fit."""
        self._budget.check(size)
        self._set(self._size + size)

    def replace(self, size: int) -> None:
        """Hold `size` bytes of an answer in place of the body. It may exceed the limit, since it exists already."""
        self._set(size)

    def release(self) -> None:
        """Hold nothing."""
        self._set(0)

    def _set(self, size: int) -> None:
        self._budget.held_bytes += size - self._size
        self._size = size

"""Predictions on their way into the log of a store, and back: by column, as JSON. Needs no database."""

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

_MOST_VALUES = 100_000

_ENCODER = msgspec.json.Encoder()

Value = float | str | None
"""An input: the number of a sensor, the text of a category, or missing."""


def rows_of_block(inputs: int) -> int:
    """How many predictions with a number of inputs one block has at most: some 1 MB."""
    return max(1, _MOST_VALUES // (inputs + 4))


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Some predictions as the store keeps them: when the first one was made, their number, those that are failures.

    `content` is a `Predictions` in JSON. `began` is in microseconds since 1970.
    """

    began: int
    rows: int
    alarms: int
    content: bytes


class LoggedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block of a model version's predictions, with its number in the process that writes it."""

    number: int
    version: str
    block: Block


class Predictions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """n predictions of one version: lists of n values, or one value that all of them share.

    `scored` is in microseconds since 1970. `row` is the place of a reading in its batch from 1, or the place of the first one
    if the others follow. `time` is a key of `times`. Without `inputs`, the store has the readings by machine and time.
    """

    scored: list[int] | int
    request_id: list[str] | str
    failure_probability: list[float]
    predicted_failure: list[bool]
    row: list[int] | int | None = None
    reading_id: Sequence[str | None] | None = None
    machine_id: Sequence[str | None] | None = None
    time: Sequence[int | None] | None = None
    inputs: Mapping[str, Sequence[Value]] | None = None

    @classmethod
    def from_json(cls, content: str | bytes | bytearray) -> Self:
        """The predictions in a block."""
        return msgspec.json.decode(content, type=cls)

    def as_block(self) -> Block:
        """The predictions as the store keeps them. A number that is not finite is null."""
        # msgspec crashes if it cannot make a buffer of its own larger; with this one, it raises MemoryError.
        content = bytearray()
        _ENCODER.encode_into(self, content)
        return Block(
            began=self.scored if isinstance(self.scored, int) else self.scored[0],
            rows=len(self.failure_probability),
            alarms=sum(self.predicted_failure),
            content=bytes(content),
        )

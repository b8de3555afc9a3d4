"""Predictions on their way into the log of a store, and back: by column, as JSON. Needs no database."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec

_MOST_VALUES = 100_000

_ENCODER = msgspec.json.Encoder()

Value = float | str | None
"""An input: the number of a sensor, the text of a category, or missing."""

ReadingKey = str | tuple[str, int] | None
"""What names a reading: its id, or its machine and the key of its time."""


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


class PredictedReadings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which readings n predictions of one version are about, and when they were made: lists of n values, or one for all of them.

    `scored` is in microseconds since 1970. `row` is the place of a reading in its batch from 1, or the place of the first one
    if the others follow. `time` is a key of `times`.
    """

    scored: list[int] | int
    request_id: list[str] | str
    row: list[int] | int | None = None
    reading_id: Sequence[str | None] | None = None
    machine_id: Sequence[str | None] | None = None
    time: Sequence[int | None] | None = None

    @classmethod
    def from_json(cls, content: str | bytes | bytearray) -> Self:
        """What a block has of them."""
        return msgspec.json.decode(content, type=cls)

    def keys(self) -> list[ReadingKey] | None:
        """(n,) what names each reading: its id or, without one, its machine and time. None if no reading has a name."""
        ids = self.reading_id
        if self.machine_id is None or self.time is None:
            return None if ids is None else [name or None for name in ids]
        places: list[ReadingKey] = [
            None if name is None or time is None else (name, time)
            for name, time in zip(self.machine_id, self.time, strict=True)
        ]
        return places if ids is None else [name or place for name, place in zip(ids, places, strict=True)]


class NamedReadings(PredictedReadings, frozen=True, kw_only=True, omit_defaults=True):
    """What tells the predictions of a reading apart. The inputs are not decoded; without them, the store keeps the readings."""

    inputs: msgspec.Raw = msgspec.Raw()


class Predictions(PredictedReadings, frozen=True, kw_only=True, omit_defaults=True):
    """n predictions of one version. Without `inputs`, the store has the readings by machine and time."""

    failure_probability: list[float]
    predicted_failure: list[bool]
    inputs: Mapping[str, Sequence[Value]] | None = None

    def at(self, positions: Sequence[int]) -> Self:
        """The predictions at some positions."""

        def chosen(values: Any) -> Any:
            return values if values is None or isinstance(values, int | str) else [values[place] for place in positions]

        count = len(self.failure_probability)
        rows = range(self.row, self.row + count) if isinstance(self.row, int) else self.row
        return type(self)(
            scored=chosen(self.scored),
            request_id=chosen(self.request_id),
            row=chosen(rows),
            reading_id=chosen(self.reading_id),
            machine_id=chosen(self.machine_id),
            time=chosen(self.time),
            failure_probability=chosen(self.failure_probability),
            predicted_failure=chosen(self.predicted_failure),
            inputs=self.inputs and {name: chosen(values) for name, values in self.inputs.items()},
        )

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

"""What a source of messages does. MQTT is one; another broker needs a class with the same methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as its source delivered it.

    `received` is its time of arrival in seconds since 1970. `is_repeated`: the source may have delivered it before.
    `is_retained`: it is a topic's last message, sent again because of a new subscription.
    `delivery` identifies the delivery in its acknowledgement. `identity` is the same for all deliveries of a message, None if
    there is only one. After an acknowledgement, another message may have it.
    """

    topic: str
    payload: bytes
    received: float
    is_repeated: bool = False
    is_retained: bool = False
    identity: int | None = None
    delivery: Any = None


class MessageSource(Protocol):
    """A source that delivers each message again until it is acknowledged, also to the next process."""

    @property
    def waiting(self) -> int:
        """How many messages have arrived and were not received yet. It is bounded."""

    @property
    def lost(self) -> int:
        """How many messages were dropped, because they cannot be delivered again and too many waited."""

    def start(self) -> None:
        """Begin to listen, and to connect again whenever the connection is lost."""

    def close(self) -> None:
        """Send what was acknowledged, and end the connection."""

    def receive(self, most: int, seconds: float) -> list[Message]:
        """At most `most` messages in the order of their arrival. Waits up to `seconds` for the first one.

        Raises SourceError if no messages can come until a person acts. A lost connection is no error.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the source not to deliver these messages again."""

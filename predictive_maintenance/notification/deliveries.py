"""Send the alarms of a store that opened and closed: at least once each, several at once.

Those of a machine leave in their order; one that must be repeated may arrive after a later one. What was sent is in the store.
So a message waits while its receiver is away, and several processes do not send it twice at the same time. A process that ends
between a message and its note sends it again: the receiver knows it by its id.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from ..machine.machine import Machine
from ..store.rows import Delivery, DeliveryState
from ..store.store import Store
from ..store.times import shown_time
from .webhook import TIMEOUT_SECONDS, NotSentError, Webhook

MAX_ATTEMPTS = 56
"""With the pauses between them, a receiver may be away for about two days."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 10, 3600
_LEASE_SECONDS = 4 * round(TIMEOUT_SECONDS)
"""For which a process has a message to itself: longer than an attempt, also if the clocks of two machines differ by a minute."""
_DUE_AT_A_TIME = 100

_random = random.Random()  # noqa: S311  not a secret: receivers that come back should not get all messages at once


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends the alarms of a registered model to a webhook: those of at most `at_once` machines at the same time.

    `clock` returns seconds since 1970. Each attempt reads it: those before may have waited for a slow receiver.
    """

    store: Store
    model: str
    machine: Machine
    webhook: Webhook
    client: httpx.AsyncClient
    at_once: int
    clock: Callable[[], float] = time.time

    def begin(self) -> None:
        """Note in the store that alarms of the model are delivered from now on, at the first call. Raises StoreError.

        What opens later is sent, whether this or another process runs when it closes. What is closed already is not sent.
        """
        with self.store.writing() as transaction:
            transaction.begin_deliveries(self.model, int(self.clock()))

    async def send_due(self) -> Counter[str]:
        """Send what is due, after `begin`. Returns how many were delivered, wait, or are given up (dead).

        Raises StoreError, after the messages under way are ended.
        """
        of_machines: defaultdict[int, list[Delivery]] = defaultdict(list)
        for delivery in self.store.due_deliveries(self.model, now=int(self.clock()), most=_DUE_AT_A_TIME):
            of_machines[delivery.machine].append(delivery)
        found: Counter[str] = Counter()
        left = iter(of_machines.values())  # which the workers share

        async def work() -> None:
            for deliveries in left:
                for delivery in sorted(deliveries, key=lambda one: one.alarm.opened):
                    if await asyncio.to_thread(self._claim, delivery):  # the answers to others arrive meanwhile
                        found[await self._send(delivery)] += 1

        ends = await asyncio.gather(*(work() for _ in range(self.at_once)), return_exceptions=True)
        for error in ends:
            if error:
                raise error
        return found

    def _claim(self, delivery: Delivery) -> bool:
        with self.store.writing() as transaction:
            return transaction.claim_delivery(delivery, int(self.clock()) + _LEASE_SECONDS)

    async def _send(self, delivery: Delivery) -> DeliveryState:
        """Send a message and note what became of it."""
        attempts, due, reason = delivery.attempts + 1, 0, ""
        state: DeliveryState
        message = message_of(delivery, self.model, self.machine)
        try:
            await self.webhook.send(message, identity_of(delivery, self.model), self.client)
            state = "delivered"
        except NotSentError as error:
            state = "waiting" if error.transient and attempts < MAX_ATTEMPTS else "dead"
            due, reason = int(self.clock()) + _pause(attempts, error.retry_seconds), str(error)
        await asyncio.to_thread(self._end, delivery, state, due, reason)
        return state

    def _end(self, delivery: Delivery, state: DeliveryState, due: int, reason: str) -> None:
        with self.store.writing() as transaction:
            transaction.end_delivery(delivery, state, due=due, reason=reason)


def message_of(delivery: Delivery, model: str, machine: Machine) -> dict[str, Any]:
    """The message about an alarm, in the names of the API."""
    alarm = delivery.alarm
    return {
        "event": f"alarm.{delivery.what}",
        "id": identity_of(delivery, model),
        "model_name": model,
        "model_version": alarm.version,
        "machine_id": delivery.machine_id,
        "opened": shown_time(alarm.opened, machine),
        "closed": shown_time(alarm.closed, machine) if delivery.what == "closed" and alarm.closed is not None else None,
        "closed_by": alarm.closed_by if delivery.what == "closed" else None,
        "failure_probability": alarm.probability,
        "failure_mode": alarm.mode,
        "failure_mode_probability": alarm.mode_probability,
    }


def identity_of(delivery: Delivery, model: str) -> str:
    """What a message is known by, also if it is sent again."""
    return f"{model}/{delivery.machine}/{delivery.alarm.opened}/{delivery.what}"


def describe(deliveries: list[Delivery], machine: Machine) -> Iterator[str]:
    """A line for each delivery that was given up."""
    for one in deliveries:
        yield (
            f"{one.machine_id}: alarm of {shown_time(one.alarm.opened, machine)} {one.what}; "
            f"{one.attempts} attempts; {one.reason}"
        )


def _pause(attempts: int, asked: float) -> int:
    """Seconds until the next attempt: twice as long each time or as long as the receiver asks, and up to a quarter more.

    A receiver that asks for less does not shorten a pause: the attempts would be used up within minutes. No pause is longer than
    the longest one.
    """
    pause = min(max(_FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), asked), _LONGEST_PAUSE_SECONDS)
    return round(pause * (1 + _random.random() / 4))

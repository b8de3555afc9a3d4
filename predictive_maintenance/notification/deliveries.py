"""Send the alarms of a store that opened and closed: at least once each, an opening before its end.

What was sent is in the store. So a message waits while its receiver is away, and several processes do not send it twice at the
same time. A process that ends between a message and its note sends it again: the receiver knows it by its id.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx

from ..machine.machine import Machine
from ..store.rows import Delivery, DeliveryState
from ..store.store import Store
from ..store.times import shown_time
from .webhook import NotSentError, Webhook

MAX_ATTEMPTS = 18
"""With the pauses between them, a receiver may be away for about two days."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 10, 6 * 3600
_LEASE_SECONDS = 60
_AT_A_TIME = 100

_random = random.Random()  # noqa: S311  not a secret: receivers that come back should not get all messages at once


def begin(store: Store, model: str) -> None:
    """Note in the store that alarms of a model are delivered from now on, at the first call. Raises StoreError.

    What opens later is sent, whether this or another process runs when it closes. What is closed already is not sent.
    """
    with store.writing() as transaction:
        transaction.begin_deliveries(model, int(time.time()))


def send_due(
    store: Store, model: str, machine: Machine, webhook: Webhook, client: httpx.Client, now: int
) -> Counter[str]:
    """Send what is due at `now`, in seconds since 1970. Returns how many were delivered, wait, or are given up (dead).

    `begin` comes first. Raises StoreError.
    """
    return Counter(
        _send(store, delivery, model, machine, webhook, client, now)
        for delivery in store.due_deliveries(model, now=now, most=_AT_A_TIME)
        if _claim(store, delivery, now)
    )


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


def _claim(store: Store, delivery: Delivery, now: int) -> bool:
    with store.writing() as transaction:
        return transaction.claim_delivery(delivery, now + _LEASE_SECONDS)


def _send(
    store: Store, delivery: Delivery, model: str, machine: Machine, webhook: Webhook, client: httpx.Client, now: int
) -> str:
    """Send a message and note what became of it."""
    attempts, due, reason = delivery.attempts + 1, 0, ""
    state: DeliveryState
    try:
        webhook.send(message_of(delivery, model, machine), identity_of(delivery, model), client)
        state = "delivered"
    except NotSentError as error:
        state = "waiting" if error.transient and attempts < MAX_ATTEMPTS else "dead"
        due, reason = now + _pause(attempts), str(error)
    with store.writing() as transaction:
        transaction.end_delivery(delivery, state, due=due, reason=reason)
    return state


def _pause(attempts: int) -> int:
    """Seconds until the next attempt: twice as long each time, and up to a quarter more."""
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), _LONGEST_PAUSE_SECONDS)
    return round(pause * (1 + _random.random() / 4))

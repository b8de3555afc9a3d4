"""The command notify."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import PredictiveMaintenanceError
from .shared import Command, count, load_served_settings, machine_option, open_service_store

if TYPE_CHECKING:
    from ..config.params import Params
    from ..notification.webhook import Webhook
    from ..store.audit_log import SettingsInForce

_SHOWN = 1_000


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="Send the messages that are due, and end.")
@click.option("--dead", is_flag=True, help="List the messages that were given up, with the reasons.")
@click.option("--repeat-dead", is_flag=True, help="Send the messages that were given up again.")
@click.option(
    "--every",
    "seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds between two checks of the store.",
)
@click.option(
    "--at-once",
    default=4,
    show_default=True,
    type=click.IntRange(1, 16),
    help="Most messages under way at the same time, about different machines.",
)
@machine_option
@click.pass_obj
def notify(params_file: Path | None, once: bool, dead: bool, repeat_dead: bool, seconds: float, at_once: int) -> None:
    """Send each alarm that opens or closes to another system, such as one for work orders.

    Alarms are those in the store at PDM_STORE_URL. Each change is posted as JSON to PDM_WEBHOOK_URL, signed with
    PDM_WEBHOOK_SECRET in the header X-PDM-Signature. A message that is not accepted waits in the store, and is sent again
    with growing pauses for two days and with the same Idempotency-Key. It is then given up, or at once after an answer that
    refuses the message itself (400, 413, 422).

    At the first start, open alarms are sent, and closed ones are not. From then on, every alarm is sent, also one that opens
    and closes while this command does not run.

    \b
    Examples:
      predictive-maintenance notify --machine fleet
      predictive-maintenance notify --machine fleet --dead
    """
    from ..config.shown_settings import shown_settings
    from ..notification.deliveries import describe
    from ..notification.webhook import Webhook
    from ..store.audit_log import SettingsInForce

    params = load_served_settings(params_file)
    model = params.registry.model_name
    if dead or repeat_dead:
        with open_service_store() as store:
            for line in describe(store.deliveries(model, "dead", most=_SHOWN), params.machine):
                click.echo(line)
            if repeat_dead:
                with store.writing() as transaction:
                    repeated = transaction.repeat_dead_deliveries(model)
                click.echo(f"{count(repeated, 'message')} to send again")
        return
    webhook = Webhook.checked(os.environ.get("PDM_WEBHOOK_URL"), os.environ.get("PDM_WEBHOOK_SECRET"))
    settings = shown_settings(params, "registry.model_name")
    settings |= {"webhook": webhook.receiver, "webhook_secret": "set", "at_once": at_once}
    in_force = SettingsInForce("notify", model, settings | ({} if once else {"every_seconds": seconds}))
    asyncio.run(
        _send(params, webhook, in_force, at_once) if once else _watch(params, webhook, in_force, at_once, seconds)
    )


async def _watch(params: Params, webhook: Webhook, in_force: SettingsInForce, at_once: int, seconds: float) -> None:
    """Send what becomes due. After an error, the store is opened again: its file may be another one."""
    while True:
        try:
            await _send(params, webhook, in_force, at_once, seconds)
        except (PredictiveMaintenanceError, click.ClickException) as error:  # such as a store that is away
            click.echo(f"{_now()} {error}", err=True)
        await asyncio.sleep(seconds)


async def _send(
    params: Params, webhook: Webhook, in_force: SettingsInForce, at_once: int, seconds: float | None = None
) -> None:
    """Send what is due: once, or again and again with a pause in seconds."""
    import httpx

    from ..notification.deliveries import Sender

    with open_service_store() as store:
        in_force.add_to(store)
        async with httpx.AsyncClient() as client:
            sender = Sender(
                store=store,
                model=params.registry.model_name,
                machine=params.machine,
                webhook=webhook,
                client=client,
                at_once=at_once,
            )
            sender.begin()
            while True:
                sent = await sender.send_due()
                if sent or seconds is None:
                    click.echo(
                        f"{_now()} delivered {sent['delivered']}, waiting {sent['waiting']}, given up {sent['dead']}"
                    )
                if seconds is None:
                    return
                await asyncio.sleep(seconds)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")

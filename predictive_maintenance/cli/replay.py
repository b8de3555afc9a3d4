"""The command replay: send past readings and events to the service, faster than they happened."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .shared import Command, count, load_settings, machine_option, service_client, url_option

if TYPE_CHECKING:
    import httpx

    from ..inference.replay import Step

_READINGS_AT_A_TIME = 5_000
_EVENTS_AT_A_TIME = 1_000
_SHOWN_ALARMS = 1_000
_LOADING_SECONDS = 60


def _parse_shifts(_ctx: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """The changes by sensor."""
    shifts = {}
    for text in texts:
        name, _, change = text.partition("=")
        try:
            shifts[name] = float(change)
        except ValueError:
            shifts[name] = math.nan
        if not math.isfinite(shifts[name]):
            raise click.BadParameter(f"{text!r}: write the sensor and a number, such as vibration_mm_s=+2")
    return shifts


@click.command(cls=Command)
@url_option
@click.option("--sources", help="Read these sources instead of those in params.yaml.")
@click.option("--start", metavar="TIME", help="The first time that is sent, in UTC.  [default: the last days]")
@click.option(
    "--days", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True), help="The days to send."
)
@click.option(
    "--past-days",
    type=click.FloatRange(min=0),
    help="Days before --start to send at once.  [default: the longest window]",
)
@click.option(
    "--step-hours",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Hours that are sent together.",
)
@click.option(
    "--speed",
    default=3600.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="How many times faster than real time.",
)
@click.option(
    "--shift",
    "shifts",
    metavar="SENSOR=CHANGE",
    multiple=True,
    callback=_parse_shifts,
    help="Add CHANGE to the values of SENSOR from --start on, in the unit of the description; several times for several sensors.",
)
@machine_option
@click.pass_obj
def replay(
    params_file: Path | None,
    url: str,
    sources: str | None,
    start: str | None,
    days: float,
    past_days: float | None,
    step_hours: float,
    speed: float,
    shifts: dict[str, float],
) -> None:
    """Send past readings and events to a running service, as machines would have.

    The history before the first reading is sent at once. Then each step of time is sent and the alarms that opened and closed
    are shown. A repeated replay changes nothing: the service has these readings. A service with an API key needs it in
    PDM_API_KEY.

    With --shift, a sensor reads higher or lower than before, as after a change of the plant: monitor should find it. The service
    keeps the first reading of a machine and a time, so shift readings that were not sent before, and leave out the past that was.

    \b
    Examples:
      predictive-maintenance replay --machine fleet
      predictive-maintenance replay --machine fleet --start 2025-11-03 --days 14 --step-hours 6 --speed 86400
      predictive-maintenance replay --machine fleet --start 2025-11-17 --days 7 --past-days 0 --shift vibration_mm_s=+2
    """
    from ..inference.replay import read_replay

    with service_client(url) as client:
        _wait_for_model(client)
        _open_alarms(client)  # before the sources are read, which may take long
        found = read_replay(load_settings(params_file).override(sources), start, days, step_hours, past_days, shifts)
        past = found.past
        click.echo(f"history: {count(len(past.readings), 'reading')} since {past.begins[:16]}, {_count_events(past)}")
        _send(client, past, progress=True)
        known = _open_alarms(client)
        click.echo(f"sending {count(len(found.steps), 'step')} of {step_hours:g} h; {count(len(known), 'alarm')} open")
        for step in found.steps:
            begun = time.monotonic()
            _send(client, step)
            alarms = _open_alarms(client)
            click.echo(_line(step, known, alarms))
            known = alarms
            time.sleep(max(0.0, step_hours * 3600 / speed - (time.monotonic() - begun)))
    # Without an address: that of a container's service cannot be reached from the machine that a person is at.
    click.echo("next: open the page Fleet of the dashboard, or ask the service for GET /alarms?state=all")


def _wait_for_model(client: httpx.Client) -> None:
    """Wait while a service that has just started loads its model."""
    for second in range(_LOADING_SECONDS):
        if _answer(client, "GET", "/ready").status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            return
        if not second:
            click.echo(f"waiting for the service at {_address(client)}, which has no model yet")
        time.sleep(1)


def _send(client: httpx.Client, step: Step, progress: bool = False) -> None:
    """Send the events of a step, then its readings."""
    for table, events in step.events.items():
        for place in range(0, len(events), _EVENTS_AT_A_TIME):
            _request(client, "POST", "/events", json={table: events[place : place + _EVENTS_AT_A_TIME]})
    for place in range(0, len(step.readings), _READINGS_AT_A_TIME):
        answer = _request(client, "POST", "/readings", json=step.readings[place : place + _READINGS_AT_A_TIME])
        if rejected := answer["rejected_rows"]:
            first = next(row["errors"][0] for row in answer["predictions"] if row.get("errors"))
            raise click.ClickException(f"{count(rejected, 'reading')} rejected: {first['field']}: {first['reason']}")
        if progress:
            done = min(place + _READINGS_AT_A_TIME, len(step.readings))
            click.echo(f"\r  {done:,} of {len(step.readings):,} readings sent", nl=done == len(step.readings))


def _open_alarms(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """The open alarms by machine."""
    found = _request(client, "GET", "/alarms", params={"limit": _SHOWN_ALARMS})["alarms"]
    return {alarm["machine_id"]: alarm for alarm in found}


def _request(client: httpx.Client, method: str, path: str, **options: Any) -> Any:
    """The JSON answer. Raises ClickException with the reason of the service."""
    response = _answer(client, method, path, **options)
    if response.is_error:
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = response.text[:200]
        raise click.ClickException(f"{_address(client)}: {method} {path} answers {response.status_code}: {detail}")
    return response.json()


def _answer(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """The answer. Raises ClickException if the service cannot be reached."""
    import httpx

    try:
        return client.request(method, path, **options)
    except httpx.HTTPError as error:
        raise click.ClickException(
            f"{_address(client)}: the service cannot be reached: {error or type(error).__name__}: start it with python -m app"
        ) from None


def _address(client: httpx.Client) -> str:
    from ..config.web_address import shown_address

    return shown_address(client.base_url)


def _line(step: Step, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> str:
    """What was sent in a step, and which alarms opened and closed."""
    opened = [f"{name} ({after[name]['failure_probability']:.2f})" for name in sorted(after.keys() - before.keys())]
    closed = sorted(before.keys() - after.keys())
    parts = [step.begins[:16], count(len(step.readings), "reading"), _count_events(step)]
    parts += [f"opened: {', '.join(opened)}"] if opened else []
    parts += [f"closed: {', '.join(closed)}"] if closed else []
    return "; ".join([*parts, f"{count(len(after), 'alarm')} open"])


def _count_events(step: Step) -> str:
    return count(sum(map(len, step.events.values())), "event")

"""The command monitor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .production import check_now, warn_of_retention, watched_version
from .shared import (
    Command,
    count,
    load_served_settings,
    load_settings,
    machine_option,
    open_service_store,
    train_command,
)
from .watching import Watch, stopped_by_sigterm

if TYPE_CHECKING:
    from ..config.params import MonitoringSettings
    from ..monitoring.production_check import ProductionCheck

_DRIFT_EXIT_CODE = 4
_SHOWN_MACHINES = 10
_SETTINGS = ("monitoring", "evaluation", "registry", "training.seed")
"""What of params.yaml a check depends on."""


@click.command(cls=Command)
@click.option("--version", help="Check this model version instead of the one in production.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--fail-on-drift", is_flag=True, help=f"Exit with code {_DRIFT_EXIT_CODE} if there is a lasting difference."
)
@click.option(
    "--watch", is_flag=True, help="Repeat it, keep incidents in the store, and train as monitoring.retrain says."
)
@click.option(
    "--every",
    "minutes",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Minutes between two checks of --watch.",
)
@machine_option
@click.pass_obj
def monitor(
    params_file: Path | None, version: str | None, as_json: bool, fail_on_drift: bool, watch: bool, minutes: float
) -> None:
    """Compare what the service scored recently with what the model was trained on.

    The readings are those that the service has scored and kept in the store at PDM_STORE_URL. They are compared in complete
    windows of monitoring.window_days: the distribution of each sensor, category and the predictions, and the shares of
    missing and rejected values. Where labels are known, metrics are compared with those at evaluation.

    A difference exceeds its limit if the lower end of its confidence interval is above it. The limit includes what usually
    differs between windows of training rows. A difference is lasting if it exceeds its limit in the newest window and in
    monitoring.least of monitoring.windows.

    With --watch, a lasting difference opens one incident. It closes after monitoring.least windows without any, or when
    another version is in production. When it opens, monitoring.retrain says how a training is started: once for an
    incident, and not within monitoring.cool_down_days. With monitoring.retrain_every_days, one is also started when the
    last one is as old. The gate decides about its model as always. Checks go on while a training runs; one that takes
    longer than monitoring.retrain_max_hours is stopped. With --params, it has these settings, too.
    With PDM_STORE_URL, the settings are in the audit log.

    \b
    Examples:
      predictive-maintenance monitor --machine fleet
      predictive-maintenance monitor --fail-on-drift; [ $? -eq 4 ] && python flows/train_flow.py run
      predictive-maintenance monitor --machine fleet --watch --every 60
    """
    from ..config.shown_settings import shown_settings
    from ..monitoring.production_check import content
    from ..monitoring.retraining import check_retraining
    from ..store.audit_log import SettingsInForce

    params = load_served_settings(params_file)
    if not watch:
        with open_service_store() as store:
            seen = check_now(store, watched_version(params, version), params)
            warn_of_retention(store, seen, set())
        click.echo(json.dumps(content(seen), indent=2) if as_json else "\n".join(_lines(seen, params.monitoring)))
        if seen.lasting and fail_on_drift:
            sys.exit(_DRIFT_EXIT_CODE)
        return
    if version or as_json or fail_on_drift:
        raise click.UsageError("--watch follows the version in production and prints text: leave out the other options")
    check_retraining(
        params.monitoring,
        watched=params.registry.model_name,
        trained=load_settings(params_file).registry.model_name,
        params_file=params_file,
    )
    settings = shown_settings(params, *_SETTINGS) | {"every_minutes": minutes}
    in_force = SettingsInForce("monitor", params.registry.model_name, settings)
    with stopped_by_sigterm(), closing(Watch(params, params_file, minutes, in_force)) as watching:
        while True:
            watching.check()
            watching.pause()


def _lines(seen: ProductionCheck, settings: MonitoringSettings) -> Iterator[str]:
    from ..monitoring.texts import finding_name, metric_text, performance_text
    from ..monitoring.window_text import window_text

    machine, silent, performance = seen.watched.machine, seen.silent, seen.windows[-1].performance
    yield f"{seen.watched.model} version {seen.watched.version}, windows of {settings.window_days:g} days:"
    for window in seen.windows:
        exceeded = [finding for finding in window.findings or () if finding.exceeds_limit]
        state = ", ".join(finding_name(finding, machine) for finding in exceeded) or "no difference"
        if window.rows < settings.min_rows:
            state = f"not compared: fewer than {settings.min_rows:,} readings" + (f"; {state}" if exceeded else "")
        yield f"  {window_text(window.begins, window.ends)}  {count(window.rows, 'reading'):>20}  {state}"
    yield f"predictions from {window_text(performance.begins, performance.ends)}: {performance_text(performance)}"
    yield from (f"  {metric_text(metric)}" for metric in performance.metrics)
    if silent:
        more = f" and {len(silent) - _SHOWN_MACHINES:,} more" if len(silent) > _SHOWN_MACHINES else ""
        shown = ", ".join(f"{one.machine_id} (since {_day(one.received)})" for one in silent[:_SHOWN_MACHINES])
        yield f"{count(len(silent), 'machine')} without a reading for {settings.silent_hours:g} hours: {shown}{more}"
    if all(window.findings is None for window in seen.windows):
        yield (
            f"nothing was compared: no window has {settings.min_rows:,} readings that version {seen.watched.version} scored "
            "(monitoring.min_rows); the present window is compared when it is complete. If that changes nothing, check that "
            "the service has the same PDM_STORE_URL, and logs its predictions"
        )
        return
    if not seen.lasting:
        yield f"no difference exceeds its limit in {settings.least} of {settings.windows} windows"
        return
    yield f"differences above their limit in at least {settings.least} of {settings.windows} windows:"
    yield from (f"  {reason}" for reason in seen.reasons)
    yield f"next: find out why, or train on newer readings: {train_command()}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")

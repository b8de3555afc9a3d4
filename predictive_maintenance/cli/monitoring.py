"""The command monitor."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import PredictiveMaintenanceError
from .shared import (
    Command,
    count,
    given_machine,
    load_served_settings,
    load_settings,
    machine_option,
    open_registry,
    open_service_store,
    train_command,
)

if TYPE_CHECKING:
    from ..config.params import MonitoringSettings, Params
    from ..monitoring.incidents import Change
    from ..monitoring.production import WatchedVersion
    from ..monitoring.production_check import ProductionCheck
    from ..store.audit_log import SettingsInForce
    from ..store.store import Store

_DRIFT_EXIT_CODE = 4
_SHOWN_MACHINES = 10
_SETTINGS = ("monitoring", "evaluation", "registry", "training.seed")
"""What of params.yaml a check depends on."""
_DONE = {"here": "successful", "batch": "successful", "repository_dispatch": "requested"}


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
    last one is as old. The gate decides about its model as always. With PDM_STORE_URL, the settings are in the audit log.

    \b
    Examples:
      predictive-maintenance monitor --machine fleet
      predictive-maintenance monitor --fail-on-drift || python flows/train_flow.py run
      predictive-maintenance monitor --machine fleet --watch --every 60
    """
    from ..config.shown_settings import shown_settings
    from ..monitoring.production_check import content
    from ..monitoring.retraining import check_retraining
    from ..store.audit_log import SettingsInForce

    params = load_served_settings(params_file)
    warned = set[str]()
    if not watch:
        with open_service_store() as store:
            seen = _check(store, _watched_version(params, version), params)
            _warn_of_retention(store, seen, warned)
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
    )
    settings = shown_settings(params, *_SETTINGS) | {"every_minutes": minutes}
    in_force = SettingsInForce("monitor", params.registry.model_name, settings)
    while True:
        try:
            _watch(params, in_force, warned)
        except (
            PredictiveMaintenanceError,
            click.ClickException,
        ) as error:  # such as a registry or a store that is away
            click.echo(f"{_now()} {error}; the next check is in {minutes:g} min", err=True)
        time.sleep(minutes * 60)


def _check(store: Store, watched: WatchedVersion, params: Params) -> ProductionCheck:
    from ..monitoring.production import Rules
    from ..monitoring.production_check import check_production

    rules = Rules(monitoring=params.monitoring, evaluation=params.evaluation, seed=params.training.seed)
    return check_production(store, watched, rules, time.time())


def _warn_of_retention(store: Store, seen: ProductionCheck, warned: set[str]) -> None:
    """Print each warning about what the service removes too early, unless it is in `warned`, and add it."""
    from ..monitoring.retention import needed_days, retention_warnings
    from ..store.retention import retention_days

    needed = needed_days(seen.watched, seen.windows)
    for warning in retention_warnings(retention_days(store, seen.watched.model), needed):
        if warning not in warned:
            click.echo(f"warning: {warning}", err=True)
            warned.add(warning)


def _watch(params: Params, in_force: SettingsInForce, warned: set[str]) -> None:
    """Check once, follow the incident, and train for it."""
    from ..monitoring.incidents import follow, give_back, may_train, open_incident
    from ..monitoring.production_check import save_check
    from ..monitoring.retraining import NotStartedError, train_for
    from ..monitoring.schedule import claim_scheduled

    settings = params.monitoring
    with open_service_store() as store:
        in_force.add_to(store)
        watched = _watched_version(params, None)
        seen = _check(store, watched, params)
        save_check(store, seen, time.time())
        _warn_of_retention(store, seen, warned)
        changes = follow(store, watched, seen.windows, seen.reasons, settings, time.time())
        for change in changes:
            click.echo(f"{_now()} {_change_text(change)}")
        newest = seen.windows[-1]
        if not changes:
            silent = f", {count(len(seen.silent), 'silent machine')}" if seen.silent else ""
            click.echo(
                f"{_now()} version {watched.version}, {count(newest.rows, 'reading')} in the newest window{silent}"
            )
        incident = open_incident(store, watched)
        if not (incident and settings.retrain != "never" and may_train(store, incident, settings, time.time())):
            incident = claim_scheduled(store, watched, settings, partial(_last_run, params), time.time())
    if incident:
        click.echo(f"{_now()} incident {incident.key}: training ({settings.retrain})")
        try:
            train_for(incident, settings, given_machine() or "")
        except NotStartedError:
            with open_service_store() as store:
                give_back(store, incident)
            raise
        click.echo(f"{_now()} incident {incident.key}: the training was {_DONE[settings.retrain]}")


def _last_run(params: Params) -> float:
    """When the latest training that the registry knows was started, in seconds since 1970; 0 without one."""
    return max((run.started.timestamp() for run in open_registry(params).training_runs(1)), default=0.0)


def _watched_version(params: Params, version: str | None) -> WatchedVersion:
    from ..config.params import CostSettings
    from ..monitoring.performance import EvaluationMetrics, evaluation_metrics
    from ..monitoring.production import WatchedVersion
    from ..scorer.monitoring_reference import read_monitoring
    from ..scorer.scoring import Scorer

    registry = open_registry(params)
    found = registry.production_version() if version is None else registry.get_version(version)
    if found is None:
        raise click.ClickException(f"no version is in production: run `{train_command()}`")
    with tempfile.TemporaryDirectory(prefix="pdm-version-") as work:
        folder = registry.download(found.version, Path(work))
        scorer = Scorer.load(folder)
        reference = read_monitoring(folder, scorer.machine)
    spec = scorer.spec
    costs = CostSettings(
        currency=spec.currency, missed_failure=spec.missed_failure_cost, false_alarm=spec.false_alarm_cost
    )
    return WatchedVersion(
        model=params.registry.model_name,
        version=found.version,
        machine=scorer.machine,
        reference=reference,
        at_evaluation=EvaluationMetrics(metrics=evaluation_metrics(found.tags), costs=costs),
    )


def _lines(seen: ProductionCheck, settings: MonitoringSettings) -> Iterator[str]:
    from ..monitoring.texts import finding_name, metric_text, performance_text

    machine, silent, performance = seen.watched.machine, seen.silent, seen.windows[-1].performance
    yield f"{seen.watched.model} version {seen.watched.version}, windows of {settings.window_days:g} days:"
    for window in seen.windows:
        exceeded = [finding for finding in window.findings or () if finding.exceeds_limit]
        state = ", ".join(finding_name(finding, machine) for finding in exceeded) or "no difference"
        if window.rows < settings.min_rows:
            state = f"not compared: fewer than {settings.min_rows:,} readings" + (f"; {state}" if exceeded else "")
        yield f"  {_day(window.begins)} to {_day(window.ends)}  {count(window.rows, 'reading'):>20}  {state}"
    yield f"predictions from {_day(performance.begins)} to {_day(performance.ends)}: {performance_text(performance)}"
    yield from (f"  {metric_text(metric)}" for metric in performance.metrics)
    if silent:
        more = f" and {len(silent) - _SHOWN_MACHINES:,} more" if len(silent) > _SHOWN_MACHINES else ""
        shown = ", ".join(f"{one.machine_id} (since {_day(one.received)})" for one in silent[:_SHOWN_MACHINES])
        yield f"{count(len(silent), 'machine')} without a reading for {settings.silent_hours:g} hours: {shown}{more}"
    if not seen.lasting:
        yield f"no difference exceeds its limit in {settings.least} of {settings.windows} windows"
        return
    yield f"differences above their limit in at least {settings.least} of {settings.windows} windows:"
    yield from (f"  {reason}" for reason in seen.reasons)
    yield f"next: find out why, or train on newer readings: {train_command()}"


def _change_text(change: Change) -> str:
    incident = change.incident
    because = f" ({incident.closed_by})" if change.what == "closed" else f": {'; '.join(incident.reasons)}"
    return f"incident {incident.key} {change.what}{because}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")

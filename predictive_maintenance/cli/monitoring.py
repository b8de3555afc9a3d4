"""The command monitor."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import PredictiveMaintenanceError
from .shared import (
    TRAIN_COMMAND,
    Command,
    count,
    given_machine,
    load_settings,
    machine_argument,
    machine_option,
    open_registry,
    open_service_store,
)

if TYPE_CHECKING:
    from ..config.params import MonitoringSettings, Params
    from ..machine.machine import Machine
    from ..monitoring.drift import Finding
    from ..monitoring.incidents import Change
    from ..monitoring.production import WatchedVersion, Window
    from ..store.store import Store

_DRIFT_EXIT_CODE = 4
_SHOWN_MACHINES = 10
_DONE = {"here": "successful", "batch": "successful", "repository_dispatch": "requested"}


@click.command(cls=Command)
@click.option("--version", help="Watch this model version instead of the one in production.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fail-on-drift", is_flag=True, help=f"Exit with code {_DRIFT_EXIT_CODE} if a difference lasts.")
@click.option(
    "--watch", is_flag=True, help="Repeat it, keep incidents in the store, and train as monitoring.retrain says."
)
@click.option(
    "--every",
    "minutes",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Minutes between two looks of --watch.",
)
@machine_option
@click.pass_obj
def monitor(
    params_file: Path | None, version: str | None, as_json: bool, fail_on_drift: bool, watch: bool, minutes: float
) -> None:
    """Compare what the service scored recently with what the model was trained on.

    The readings are those of the store at PDM_STORE_URL: the service keeps there what it scores. They are compared in
    windows of monitoring.window_days, for each sensor, category, share of missing values, and the predictions. A difference
    counts by its size, not by the number of readings: the lower end of its interval must exceed a limit, to which what
    windows of training differ by is added. It lasts if it counts in the newest window and in monitoring.least of
    monitoring.windows.

    With --watch, a difference that lasts opens an incident, once. It closes when nothing lasts any more, or when another
    version is in production. When it opens, monitoring.retrain says how a training is started: once for an incident, and not
    within monitoring.cool_down_days. With monitoring.retrain_every_days, one is also started when the last one is as old. The
    gate decides about its model as always.

    \b
    Examples:
      predictive-maintenance monitor --machine fleet
      predictive-maintenance monitor --fail-on-drift || python flows/train_flow.py run
      predictive-maintenance monitor --machine fleet --watch --every 60
    """
    from ..monitoring.retraining import check_retraining

    params = load_settings(params_file)
    if not watch:
        with open_service_store() as store:
            seen = _look(store, _watched_version(params, version), params.monitoring)
        click.echo(_as_json(seen) if as_json else _as_text(seen, params.monitoring))
        if seen.reasons and fail_on_drift:
            sys.exit(_DRIFT_EXIT_CODE)
        return
    if version or as_json or fail_on_drift:
        raise click.UsageError("--watch follows the version in production and prints text: leave out the other options")
    check_retraining(params.monitoring)
    while True:
        try:
            _watch(params)
        except (
            PredictiveMaintenanceError,
            click.ClickException,
        ) as error:  # such as a registry or a store that is away
            click.echo(f"{_now()} {error}; the next look is in {minutes:g} min", err=True)
        time.sleep(minutes * 60)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What one look at production found."""

    watched: WatchedVersion
    windows: Sequence[Window]
    reasons: Sequence[Finding]
    silent: Sequence[str]


def _look(store: Store, watched: WatchedVersion, settings: MonitoringSettings) -> _Seen:
    from ..monitoring.production import recent_windows, silent_machines
    from ..monitoring.rule import lasting

    windows = list(recent_windows(store, watched, settings, time.time()))
    return _Seen(
        watched=watched,
        windows=windows,
        reasons=lasting([window.findings for window in windows], least=settings.least, among=settings.windows),
        silent=silent_machines(store, watched, windows),
    )


def _watch(params: Params) -> None:
    """Look once, follow the incident, and train for it."""
    from ..monitoring.incidents import follow, may_train, open_incident
    from ..monitoring.retraining import train_for
    from ..monitoring.schedule import claim_scheduled

    settings = params.monitoring
    with open_service_store() as store:
        watched = _watched_version(params, None)
        seen = _look(store, watched, settings)
        reasons = [_long(finding, watched.machine) for finding in seen.reasons]
        changes = follow(store, watched, seen.windows, reasons, time.time())
        for change in changes:
            click.echo(f"{_now()} {_change_text(change)}")
        newest = seen.windows[-1]
        if not changes:
            click.echo(f"{_now()} version {watched.version}, {count(newest.rows, 'reading')} in the newest window")
        incident = open_incident(store, watched)
        if not (incident and settings.retrain != "never" and may_train(store, incident, settings, time.time())):
            incident = claim_scheduled(store, watched, settings, partial(_last_run, params), time.time())
    if incident:
        click.echo(f"{_now()} incident {incident.key}: training ({settings.retrain})")
        train_for(incident, settings, given_machine() or "")
        click.echo(f"{_now()} incident {incident.key}: the training was {_DONE[settings.retrain]}")


def _last_run(params: Params) -> float:
    """When the latest training that the registry knows was started, in seconds since 1970; 0 without one."""
    return max((run.started.timestamp() for run in open_registry(params).training_runs(1)), default=0.0)


def _watched_version(params: Params, version: str | None) -> WatchedVersion:
    from ..monitoring.production import WatchedVersion
    from ..scorer.monitoring_reference import read_monitoring
    from ..scorer.scoring import Scorer

    registry = open_registry(params)
    if version is None:
        production = registry.production_version()
        if production is None:
            raise click.ClickException(f"no version is in production: run `{TRAIN_COMMAND}{machine_argument()}`")
        version = production.version
    with tempfile.TemporaryDirectory(prefix="pdm-version-") as work:
        folder = registry.download(version, Path(work))
        machine = Scorer.load(folder).machine
        reference = read_monitoring(folder, machine)
    model = os.environ.get("PDM_MODEL_NAME") or params.registry.model_name
    return WatchedVersion(model=model, version=version, machine=machine, reference=reference)


def _as_text(seen: _Seen, settings: MonitoringSettings) -> str:
    return "\n".join(_lines(seen, settings))


def _lines(seen: _Seen, settings: MonitoringSettings) -> Iterator[str]:
    machine, silent = seen.watched.machine, seen.silent
    yield f"{seen.watched.model} version {seen.watched.version}, windows of {settings.window_days:g} days:"
    for window in seen.windows:
        counting = [finding for finding in window.findings or () if finding.counts]
        state = ", ".join(_short(finding, machine) for finding in counting) or "nothing differs"
        if window.findings is None:
            state = f"not judged: fewer than {settings.min_rows:,} readings"
        yield f"  {_day(window.begins)} to {_day(window.ends)}  {count(window.rows, 'reading'):>20}  {state}"
    if silent:
        more = f" and {len(silent) - _SHOWN_MACHINES:,} more" if len(silent) > _SHOWN_MACHINES else ""
        yield f"silent in the newest window: {', '.join(silent[:_SHOWN_MACHINES])}{more}"
    if not seen.reasons:
        yield f"no difference counts in {settings.least} of {settings.windows} windows"
        return
    yield f"differences in at least {settings.least} of {settings.windows} windows:"
    yield from (f"  {_long(finding, machine)}" for finding in seen.reasons)
    yield f"next: find out why, or train on newer readings: {TRAIN_COMMAND}{machine_argument()}"


def _change_text(change: Change) -> str:
    incident = change.incident
    because = f" ({incident.closed_by})" if change.what == "closed" else f": {'; '.join(incident.reasons)}"
    return f"incident {incident.key} {change.what}{because}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _short(finding: Finding, machine: Machine) -> str:
    """The kind with the column, unless the kind has only one."""
    alone = finding.kind in ("predictions", "alarm rate")
    return finding.kind if alone else f"{finding.kind} of {_label(finding.column, machine)}"


def _label(column: str, machine: Machine) -> str:
    for name, codes in machine.categories.items():
        if codes.code_name == column:
            return machine.description.categories[name].label
    return machine.columns[column].label


def _long(finding: Finding, machine: Machine) -> str:
    effect = f"{finding.effect:.2f} [{finding.low:.2f}, {finding.high:.2f}], limit {finding.limit:.2f}"
    unit = f" {machine.unit(finding.column)}" if finding.column in machine.sensor_names else ""
    match finding.kind:
        case "constant values":
            names = ", ".join(finding.machines[:_SHOWN_MACHINES])
            text = f"one value all the time at {count(len(finding.machines), 'machine')}: {names}"
        case "missing values":
            text = f"{finding.now:.1%} missing, in training {finding.before:.1%}; change {effect}"
        case "alarm rate":
            text = f"{finding.now:.2%} of the readings, in held-out rows {finding.before:.2%}; ratio {effect}"
        case _ if finding.column in machine.sensor_names or finding.kind == "predictions":
            text = f"mean {finding.now:.4g}{unit}, in training {finding.before:.4g}{unit}; PSI {effect}"
        case _:
            text = f"PSI {effect}"
    return f"{_short(finding, machine)}: {text}"


def _as_json(seen: _Seen) -> str:
    def shown(finding: Finding) -> dict[str, object]:
        return asdict(finding) | {"counts": finding.counts}

    answer = {
        "model_name": seen.watched.model,
        "model_version": seen.watched.version,
        "windows": [
            {
                "begins": datetime.fromtimestamp(window.begins, UTC).isoformat(),
                "ends": datetime.fromtimestamp(window.ends, UTC).isoformat(),
                "readings": window.rows,
                "findings": None if window.findings is None else [shown(finding) for finding in window.findings],
            }
            for window in seen.windows
        ],
        "lasting": [shown(finding) for finding in seen.reasons],
        "silent_machines": seen.silent,
    }
    return json.dumps(answer, indent=2)

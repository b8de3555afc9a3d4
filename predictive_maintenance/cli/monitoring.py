"""The command monitor."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .shared import TRAIN_COMMAND, Command, count, load_settings, machine_argument, machine_option, open_registry

if TYPE_CHECKING:
    from ..config.params import MonitoringSettings, Params
    from ..machine.machine import Machine
    from ..monitoring.drift import Finding
    from ..monitoring.production import WatchedVersion, Window

_DRIFT_EXIT_CODE = 4
_TIMEOUT_SECONDS = 30.0
_SHOWN_MACHINES = 10


@click.command(cls=Command)
@click.option("--version", help="Watch this model version instead of the one in production.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fail-on-drift", is_flag=True, help=f"Exit with code {_DRIFT_EXIT_CODE} if a difference lasts.")
@machine_option
@click.pass_obj
def monitor(params_file: Path | None, version: str | None, as_json: bool, fail_on_drift: bool) -> None:
    """Compare what the service scored recently with what the model was trained on.

    The readings are those of the store at PDM_STORE_URL: the service keeps there what it scores. They are compared in
    windows of monitoring.window_days, for each sensor, category, share of missing values, and the predictions. A difference
    counts by its size, not by the number of readings: the lower end of its interval must exceed a limit, to which what
    windows of training differ by is added. It lasts if it counts in the newest window and in monitoring.least of
    monitoring.windows.

    \b
    Examples:
      predictive-maintenance monitor --machine fleet
      predictive-maintenance monitor --fail-on-drift || python flows/train_flow.py run
    """
    from ..monitoring.production import recent_windows, silent_machines
    from ..monitoring.rule import lasting
    from ..store.location import store_url
    from ..store.store import Store

    params = load_settings(params_file)
    watched, settings = _watched_version(params, version), params.monitoring
    store = Store.open(store_url(), timeout_seconds=_TIMEOUT_SECONDS, create=False)
    try:
        windows = list(recent_windows(store, watched, settings, time.time()))
        silent = silent_machines(store, watched, windows)
    finally:
        store.close()
    reasons = lasting([window.findings for window in windows], least=settings.least, among=settings.windows)
    if as_json:
        click.echo(_as_json(watched, windows, reasons, silent))
    else:
        _print(watched, windows, reasons, silent, settings)
    if reasons and fail_on_drift:
        sys.exit(_DRIFT_EXIT_CODE)


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


def _print(
    watched: WatchedVersion,
    windows: Sequence[Window],
    reasons: Sequence[Finding],
    silent: Sequence[str],
    settings: MonitoringSettings,
) -> None:
    click.echo(f"{watched.model} version {watched.version}, windows of {settings.window_days:g} days:")
    for window in windows:
        counting = [finding for finding in window.findings or () if finding.counts]
        state = ", ".join(_short(finding, watched.machine) for finding in counting) or "nothing differs"
        if window.findings is None:
            state = f"fewer than {settings.min_rows:,} readings tell nothing"
        click.echo(f"  {_day(window.begins)} to {_day(window.ends)}  {count(window.rows, 'reading'):>20}  {state}")
    if silent:
        shown = ", ".join(silent[:_SHOWN_MACHINES])
        more = f" and {len(silent) - _SHOWN_MACHINES:,} more" if len(silent) > _SHOWN_MACHINES else ""
        click.echo(f"silent in the newest window: {shown}{more}")
    if not reasons:
        click.echo(f"no difference counts in {settings.least} of {settings.windows} windows")
        return
    click.echo(f"differences in at least {settings.least} of {settings.windows} windows:")
    for finding in reasons:
        click.echo(f"  {_long(finding, watched.machine)}")
    click.echo(f"next: find out why, or train on newer readings: {TRAIN_COMMAND}{machine_argument()}")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _short(finding: Finding, machine: Machine) -> str:
    return f"{finding.kind} of {_label(finding.column, machine)}"


def _label(column: str, machine: Machine) -> str:
    for name, codes in machine.categories.items():
        if codes.code_name == column:
            return machine.description.categories[name].label
    described = machine.columns.get(column)
    return described.label if described else column.replace("_", " ")


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


def _as_json(
    watched: WatchedVersion, windows: Sequence[Window], reasons: Sequence[Finding], silent: Sequence[str]
) -> str:
    def shown(finding: Finding) -> dict[str, object]:
        return asdict(finding) | {"counts": finding.counts}

    answer = {
        "model_name": watched.model,
        "model_version": watched.version,
        "windows": [
            {
                "begins": datetime.fromtimestamp(window.begins, UTC).isoformat(),
                "ends": datetime.fromtimestamp(window.ends, UTC).isoformat(),
                "readings": window.rows,
                "findings": None if window.findings is None else [shown(finding) for finding in window.findings],
            }
            for window in windows
        ],
        "lasting": [shown(finding) for finding in reasons],
        "silent_machines": silent,
    }
    return json.dumps(answer, indent=2)

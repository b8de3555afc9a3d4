"""Find MLflow runs with the status RUNNING, and close those that a killed process has abandoned.

A run is abandoned if its launcher ran on this machine and no longer exists. The launcher of a run on another machine
cannot be checked: such a run counts as abandoned when it is older than `registry.abandoned_run_hours`.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import RegistryError
from .connection import Connection
from .entities import FLOW_RUN_TAG, LAUNCHER_TAG, TrainingRun
from .launcher import Launcher

CLOSED_TAG = "closed_because"
"""On an MLflow run that was closed by a later run: the reason."""


@dataclass(frozen=True, kw_only=True)
class UnfinishedRun:
    """A training run with the status RUNNING. `abandoned` is the reason why nothing works on it; None if something may."""

    run: TrainingRun
    age: timedelta
    abandoned: str | None


def unfinished_runs(connection: Connection) -> list[UnfinishedRun]:
    """Every training run with the status RUNNING, newest first."""
    with connection.errors("listing unfinished runs"):
        experiment = connection.client.get_experiment_by_name(connection.settings.experiment)
        if experiment is None:
            return []
        found = connection.client.search_runs(
            [experiment.experiment_id],
            f"attributes.status = 'RUNNING' and tags.`{FLOW_RUN_TAG}` LIKE '%'",
            order_by=["attributes.start_time DESC"],
        )
    limit = timedelta(hours=connection.settings.abandoned_run_hours)
    return [
        _unfinished(TrainingRun.from_mlflow(run), Launcher.parse(run.data.tags.get(LAUNCHER_TAG, "")), limit)
        for run in found
    ]


def close_abandoned_runs(connection: Connection) -> list[UnfinishedRun]:
    """Set the abandoned runs and their candidates' runs to KILLED, and return those that were closed."""
    closed = []
    for unfinished in unfinished_runs(connection):
        if unfinished.abandoned is None:
            continue
        with suppress(RegistryError):  # this account may not be allowed to change another one's run
            _close(connection, unfinished.run, unfinished.abandoned)
            closed.append(unfinished)
    return closed


def _unfinished(run: TrainingRun, launcher: Launcher | None, limit: timedelta) -> UnfinishedRun:
    age = datetime.now(UTC) - run.started
    if launcher and launcher.is_on_this_machine:
        abandoned = None if launcher.exists else f"its process {launcher.pid} on {launcher.host} no longer exists"
    else:
        abandoned = f"it is older than {limit / timedelta(hours=1):g} hours" if age > limit else None
    return UnfinishedRun(run=run, age=age, abandoned=abandoned)


def _close(connection: Connection, run: TrainingRun, reason: str) -> None:
    with connection.errors("closing an abandoned run"):
        client = connection.client
        children = client.search_runs(
            [run.experiment_id], f"attributes.status = 'RUNNING' and tags.`mlflow.parentRunId` = '{run.run_id}'"
        )
        for run_id in (*(child.info.run_id for child in children), run.run_id):
            client.set_tag(run_id, CLOSED_TAG, reason)
            client.set_terminated(run_id, "KILLED")

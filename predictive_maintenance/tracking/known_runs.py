"""The training runs that the registry knows, and whether something may still work on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run

from .connection import Connection
from .entities import FLOW_RUN_TAG, LAUNCHER_TAG, TrainingRun
from .launcher import Launcher

_PAGE = 1_000


@dataclass(frozen=True)
class KnownRun:
    """A training run, with whether something may still work on it."""

    run: TrainingRun
    is_in_progress: bool


def known_runs(connection: Connection) -> dict[str, KnownRun]:
    """The runs of all experiments by their flow run, such as TrainFlow/17. Raises RegistryError."""
    limit = timedelta(hours=connection.settings.abandoned_run_hours)
    with connection.errors("listing runs"):
        found = {run.data.tags[FLOW_RUN_TAG]: run for run in _flow_runs(connection)}
    return {
        flow_run: KnownRun(TrainingRun.from_mlflow(run), _is_in_progress(run, limit)) for flow_run, run in found.items()
    }


def _flow_runs(connection: Connection) -> Iterator[Run]:
    experiments = [experiment.experiment_id for experiment in connection.client.search_experiments()]
    token: str | None = None
    while experiments:
        page = connection.client.search_runs(
            experiments, f"tags.`{FLOW_RUN_TAG}` LIKE '%'", max_results=_PAGE, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _is_in_progress(found: Run, limit: timedelta) -> bool:
    """Whether its process exists or, on another machine, its status is RUNNING and it is not older than `limit`.

    A run with the status FAILED goes on while its process repeats a step, or trains another candidate.
    """
    run = TrainingRun.from_mlflow(found)
    if run.status == "FINISHED":
        return False
    launcher = Launcher.parse(found.data.tags.get(LAUNCHER_TAG, ""))
    if launcher and launcher.is_on_this_machine:
        return launcher.exists
    return run.status == "RUNNING" and datetime.now(UTC) - run.started <= limit

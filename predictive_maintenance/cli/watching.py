"""`monitor --watch`: check production repeatedly, follow the incident, and train for it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import PredictiveMaintenanceError
from .production import check_now, warn_of_retention, watched_version
from .shared import count, given_machine, open_registry, open_service_store, train_command

if TYPE_CHECKING:
    from ..config.params import Params
    from ..monitoring.incidents import Change
    from ..monitoring.production import WatchedVersion
    from ..monitoring.training_run import TrainingResult, TrainingRun
    from ..store.audit_log import SettingsInForce
    from ..store.rows import Incident
    from ..store.store import Store


class Watch:
    """Checks production every `minutes`, follows the incident, and trains for it. Checks go on while a training runs."""

    def __init__(self, params: Params, params_file: Path | None, minutes: float, in_force: SettingsInForce) -> None:
        self._params, self._params_file, self._minutes = params, params_file, minutes
        self._in_force = in_force
        self._warned = set[str]()
        self._training: TrainingRun | None = None
        self._unnoted: tuple[Incident, TrainingResult | None] | None = None
        """How the last training ended, None if it was not started, until the store has it."""

    def check(self) -> None:
        """Check once. What is away, such as a registry or a store, is reported."""
        with self._reported(), open_service_store() as store:
            watched = self._follow_incident(store)
            if self._training is None:
                # What is claimed must be started or given back, and what is started must be known.
                with _signals_wait() as stopped:
                    incident = self._claimed(store, watched)
                    if incident and stopped:
                        self._unnoted = incident, None
                    elif incident:
                        self._train(incident)

    def pause(self) -> None:
        """Wait for the next check. If a training ends or has to end before, its result is noted."""
        next_check = time.monotonic() + self._minutes * 60
        with self._reported():
            self._follow_training(self._minutes * 60)
        time.sleep(max(0.0, next_check - time.monotonic()))

    def close(self) -> None:
        """End the training that runs: its deadline applies only while this process runs. Note what the store does not have yet.

        The next monitor starts no training again that may have run. So one that was not started is lost if the store is away.
        """
        if training := self._training:
            self._unnoted = training.incident, training.wait(0) or training.stop("was stopped with the monitor")
        if self._unnoted is None:
            return
        incident, result = self._unnoted
        try:
            self._note_end()
        except (PredictiveMaintenanceError, click.ClickException) as error:
            ended = f"the training {result.text}" if result else "no training was started"
            text = f"{_now()} incident {incident.key}: {ended}{_way_on(result)}; the store does not have this: {error}"
            click.echo(text, err=True)

    def _follow_incident(self, store: Store) -> WatchedVersion:
        """Check production, open or close the incident, and print what was seen. Returns the version in production."""
        from ..monitoring.incidents import end_lost_trainings, follow
        from ..monitoring.production_check import save_check

        self._in_force.add_to(store)
        self._note_end_in(store)
        watched = watched_version(self._params, None)
        seen = check_now(store, watched, self._params)
        save_check(store, seen, time.time())
        warn_of_retention(store, seen, self._warned)
        changes = follow(store, watched, seen.windows, seen.reasons, self._params.monitoring, time.time())
        for change in changes:
            click.echo(f"{_now()} {_change_text(change)}")
        if not changes:
            silent = f", {count(len(seen.silent), 'silent machine')}" if seen.silent else ""
            newest = count(seen.windows[-1].rows, "reading")
            click.echo(f"{_now()} version {watched.version}, {newest} in the newest window{silent}")
        end_lost_trainings(store, watched, self._params.monitoring, time.time())
        return watched

    def _claimed(self, store: Store, watched: WatchedVersion) -> Incident | None:
        """The incident for which a training starts now, if any: the open one, or one of the schedule."""
        from ..monitoring.incidents import may_train, open_incident
        from ..monitoring.schedule import claim_scheduled

        settings = self._params.monitoring
        incident = open_incident(store, watched)
        if incident and settings.retrain != "never" and may_train(store, incident, settings, time.time()):
            return incident
        return claim_scheduled(store, watched, settings, partial(_last_run, self._params), time.time())

    def _train(self, incident: Incident) -> None:
        from ..monitoring.retraining import NotStartedError, TrainingError, start_training
        from ..monitoring.training_run import TrainingResult

        settings = self._params.monitoring
        click.echo(f"{_now()} incident {incident.key}: training ({settings.retrain})")
        try:
            self._training = start_training(incident, settings, given_machine() or "", self._params_file)
        except NotStartedError:
            self._unnoted = incident, None
            raise
        except TrainingError as error:
            self._unnoted = incident, TrainingResult(f"may have been requested: {error}")
            return
        if self._training is None:
            self._unnoted = incident, TrainingResult("was requested", succeeded=True)

    def _follow_training(self, seconds: float) -> None:
        """Wait for the end of the training for at most `seconds`, and note its result."""
        if self._training and (result := self._training.wait(seconds)):
            self._unnoted = self._training.incident, result
            self._training = None
        self._note_end()

    def _note_end(self) -> None:
        if self._unnoted:
            with open_service_store() as store:
                self._note_end_in(store)

    def _note_end_in(self, store: Store) -> None:
        """Note how the last training ended, if the store does not have it yet. One that was not started may be started again."""
        from ..monitoring.incidents import end_training, give_back

        if self._unnoted is None:
            return
        incident, result = self._unnoted
        if result is None:
            give_back(store, incident)
        else:
            end_training(store, incident, result.text, time.time())
            text = f"{_now()} incident {incident.key}: the training {result.text}{_way_on(result)}"
            click.echo(text, err=not result.succeeded)
        self._unnoted = None

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Report the errors of the block that may be over at the next check, such as a store that is away or a full disk."""
        try:
            yield
        except (PredictiveMaintenanceError, click.ClickException, OSError) as error:
            click.echo(f"{_now()} {error}; the next check is in {self._minutes:g} min", err=True)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """End the block as by an exit when SIGTERM comes, once: what it leaves must not be ended in between."""

    def stop(number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _signals_wait() -> Iterator[list[int]]:
    """Let Ctrl+C and SIGTERM wait for the end of the block, which gets those that wait."""
    came: list[int] = []
    former = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for waiting in came:
            signal.raise_signal(waiting)


def _last_run(params: Params) -> float:
    """When the latest training that the registry knows was started, in seconds since 1970; 0 without one."""
    return max((run.started.timestamp() for run in open_registry(params).training_runs(1)), default=0.0)


def _way_on(result: TrainingResult | None) -> str:
    return "" if result and result.succeeded else f"; no other one is started for it: run `{train_command()}`"


def _change_text(change: Change) -> str:
    incident = change.incident
    because = f" ({incident.closed_by})" if change.what == "closed" else f": {'; '.join(incident.reasons)}"
    return f"incident {incident.key} {change.what}{because}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")

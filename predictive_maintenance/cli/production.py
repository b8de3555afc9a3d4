"""What the command monitor checks: the version in production, on what the service has scored."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .shared import open_registry, train_command

if TYPE_CHECKING:
    from ..config.params import Params
    from ..monitoring.production import WatchedVersion
    from ..monitoring.production_check import ProductionCheck
    from ..store.store import Store


def check_now(store: Store, watched: WatchedVersion, params: Params) -> ProductionCheck:
    """Check the windows up to now. Raises StoreError."""
    from ..monitoring.production import Rules
    from ..monitoring.production_check import check_production

    rules = Rules(monitoring=params.monitoring, evaluation=params.evaluation, seed=params.training.seed)
    return check_production(store, watched, rules, time.time())


def warn_of_retention(store: Store, seen: ProductionCheck, warned: set[str]) -> None:
    """Print each warning about what the service removes too early, unless it is in `warned`, and add it."""
    from ..monitoring.retention import needed_days, retention_warnings
    from ..store.retention import retention_days

    needed = needed_days(seen.watched, seen.windows)
    for warning in retention_warnings(retention_days(store, seen.watched.model), needed):
        if warning not in warned:
            click.echo(f"warning: {warning}", err=True)
            warned.add(warning)


def watched_version(params: Params, version: str | None) -> WatchedVersion:
    """A version of the registry, by default the one in production, with what is needed to check it."""
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

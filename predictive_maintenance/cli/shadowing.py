"""The command shadow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import PredictiveMaintenanceError
from .shared import Command, count, load_served_settings, machine_option, open_registry, open_service_store

if TYPE_CHECKING:
    from ..config.params import Params
    from ..shadow.comparing import Shadow, ShadowCheck
    from ..shadow.summary import Summary
    from ..store.audit_log import SettingsInForce
    from ..store.rows import Comparison, Labelled

_SHOWN_MACHINES = 10
_SHOWN_DAYS = 7
_SETTINGS = (
    "shadow", "registry", "monitoring.label_days", "monitoring.failures_are_reported", "evaluation.min_assessable_failures",
)  # fmt: skip
"""What of params.yaml a comparison depends on."""


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="Score what is new, print the comparison, and end.")
@click.option(
    "--every",
    "seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds between two checks of the log.",
)
@machine_option
@click.pass_obj
def shadow(params_file: Path | None, once: bool, seconds: float) -> None:
    """Compare the candidate with the version in production on the readings that the service scores.

    The service logs each prediction in the store at PDM_STORE_URL. This command scores the same readings with the version
    that has the candidate alias, from the time of its registration on, and delays no answer of the service. A reading of a
    machine with history gets the history that was known when it was scored. The dashboard (Models) and GET /shadow show
    the comparison: the same decisions, the same alarms, the machines that differ most, and the expected costs.

    Several of these commands may run: each prediction counts once. A new candidate, or another version in production,
    begins a new comparison. A candidate that cannot be loaded, or fails while it scores, is reported and tried again after
    1, 2, 4 ... 60 minutes.

    With shadow.days_of_agreement in params.yaml, a candidate that passed its quality gate is promoted after so many days on
    which both agree, if they agree on alarms as well, and its known errors do not cost more. Without it (the default), nothing
    is promoted: use the command promote.
    With PDM_STORE_URL, the settings and the promotion are in the audit log.

    \b
    Examples:
      predictive-maintenance shadow --once
      predictive-maintenance shadow --machine fleet --every 30
    """
    from ..config.shown_settings import shown_settings
    from ..store.audit_log import SettingsInForce

    params = load_served_settings(params_file)
    settings = shown_settings(params, *_SETTINGS) | ({} if once else {"every_seconds": seconds})
    in_force = SettingsInForce("shadow", params.registry.model_name, settings)
    if once:
        click.echo(_compare_once(params, in_force))
    else:
        _follow(params, in_force, seconds)


def _shadow(params: Params) -> Shadow:
    from ..shadow.comparing import Shadow
    from ..shadow.labels import LabelRules

    rules = LabelRules(
        label_days=params.monitoring.label_days,
        min_failures=params.evaluation.min_assessable_failures,
        are_reported=params.monitoring.failures_are_reported,
    )
    return Shadow(open_registry(params), params.registry.model_name, params.shadow, rules)


def _compare_once(params: Params, in_force: SettingsInForce) -> str:
    from ..shadow.summary import summarise

    following = _shadow(params)
    with open_service_store() as store:
        in_force.add_to(store)
        while (check := following.check(store, time.time())).is_more:
            pass
        if check.comparison is None:
            return f"nothing to compare: {check.reason}"
        return "\n".join(_lines(summarise(store, check.comparison, most_machines=_SHOWN_MACHINES)))


def _follow(params: Params, in_force: SettingsInForce, seconds: float) -> None:
    """Check the log repeatedly, and print what changes."""
    following: Shadow | None = None
    shown = ""
    while True:
        is_more = False
        try:
            following = following or _shadow(params)
            with open_service_store() as store:
                in_force.add_to(store)
                check = following.check(store, time.time())
            is_more = check.is_more
            if (state := _state(check)) != shown and not is_more:
                click.echo(f"{_now()} {state}")
                shown = state
        except (
            PredictiveMaintenanceError,
            click.ClickException,
            OSError,
        ) as error:  # such as a registry or a store that is away, or a full disk
            click.echo(f"{_now()} {error}; the next check is in {seconds:g} s", err=True)
        if not is_more:
            time.sleep(seconds)


def _state(check: ShadowCheck) -> str:
    """What is worth a line: a state that changes, or a promotion."""
    if check.promoted:
        return f"version {check.promoted} is in production: {check.comparison and check.comparison.promotion}"
    return f"nothing to compare: {check.reason}" if check.comparison is None else _headline(check.comparison)


def _headline(comparison: Comparison) -> str:
    versions = f"candidate version {comparison.candidate}, version {comparison.version} in production"
    reason = f": {comparison.reason}" if comparison.reason else ""
    return f"{versions}: {comparison.state}{reason}"


def _lines(summary: Summary) -> Iterator[str]:
    comparison, counts, share = summary.comparison, summary.counts, summary.agreement
    yield _headline(comparison)
    yield f"  {count(counts.predictions, 'prediction')} since {_minute(comparison.started)}"
    yield from (f"  {number:,} left out: {reason}" for reason, number in comparison.left_out.items())
    if share is not None:
        yield f"  same decision   {share.value:.2%} [{share.low:.2%}, {share.high:.2%}]"
        if (alarms := summary.alarm_agreement) is None:
            yield "  same alarm      cannot be judged: neither version has raised an alarm"
        else:
            yield f"  same alarm      {alarms.value:.2%} [{alarms.low:.2%}, {alarms.high:.2%}] of {counts.alarms:,} of either"
        yield (
            f"  alarms of both  {counts.both:,}; of production only {counts.only_production:,}, of the candidate only "
            f"{counts.only_candidate:,}"
        )
        yield f"  probabilities   differ by {counts.difference / counts.predictions:.4f} on average"
        yield f"  expected costs per 1,000 readings in {comparison.currency}, by the probabilities of:"
        for name, own in (
            ("production", (counts.costs_production, counts.costs_candidate_by_production)),
            ("the candidate", (counts.costs_production_by_candidate, counts.costs_candidate)),
        ):
            production, candidate = (cost / counts.predictions * 1_000 for cost in own)
            yield f"    {name:<14} production {production:,.0f}, candidate {candidate:,.0f}"
        for day in sorted(summary.days)[-_SHOWN_DAYS:]:
            found = summary.days[day]
            yield f"  {_minute(day * 86_400)[:10]}  {found.same / found.predictions:.2%} of {found.predictions:,}"
    if comparison.labelled:
        yield from _outcomes(comparison.labelled, comparison.currency)
    for name, found in summary.machines:
        if found.different:
            yield f"  {name}: {found.different:,} of {found.predictions:,} decisions differ"
    if comparison.promotion:
        yield f"  automatic promotion: {comparison.promotion}"


def _outcomes(labelled: Labelled, currency: str) -> Iterator[str]:
    if labelled.readings:
        if labelled.source == "failures":
            yield f"  {count(labelled.readings, 'reading')} with known outcome, {labelled.failures:,} before a failure:"
        elif labelled.source == "confirmed alarms":
            yield f"  {count(labelled.readings, 'reading')} in alarms with feedback, {labelled.failures:,} before a failure:"
        else:
            yield f"  {count(labelled.readings, 'reading')} with feedback, {count(labelled.failures, 'failure')}:"
        for name, errors in (("production", labelled.production), ("candidate", labelled.candidate)):
            interval = "" if errors.low is None else f" [{errors.low:,.0f}, {errors.high:,.0f}]"
            yield (
                f"    {name:<10}  {errors.missed_failures:,} missed, {count(errors.false_alarms, 'false alarm')}, "
                f"{errors.costs:,.0f}{interval} {currency}"
            )
    if saving := labelled.saving:
        yield f"    the candidate costs {saving.value:,.0f} [{saving.low:,.0f}, {saving.high:,.0f}] {currency} less"
    if labelled.reason:
        yield f"  costs by {labelled.source} are not judged: {labelled.reason}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")

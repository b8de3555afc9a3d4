"""The candidate beside production, on the readings that production scored: before anyone promotes it."""

import streamlit as st

from app.schemas.shadow import AgreementShare, Comparison, KnownErrors
from dashboard.components import common
from dashboard.formatting import NO_VALUE, money, utc_time
from dashboard.service_monitor import Snapshot
from predictive_maintenance.reporting.markdown import plain, table

_SHOWN_DAYS = 14
_OUTCOMES = {
    "feedback": "reported: {:,} readings with feedback, {:,} failures",
    "failures": "by failures: {:,} readings with known outcome, {:,} before a failure",
    "confirmed alarms": "by alarms with feedback: {:,} readings, {:,} before a failure",
}


def candidate_on_production(snapshot: Snapshot) -> None:
    """Show how the candidate decides about the readings that production scored."""
    if snapshot.comparisons is None:
        return
    st.subheader("Candidate on production's readings", anchor=False)
    found = snapshot.comparisons.comparisons
    if not found:
        st.caption(
            f"Nothing was compared yet. `{snapshot.program_command('shadow')}` lets the candidate score the readings that "
            "production scores."
        )
        return
    comparison = found[0]
    candidate, production = plain(comparison.candidate_version), plain(comparison.model_version)
    st.markdown(f"**Candidate: version {candidate}. Production: version {production}.**")
    if comparison.state == "ended":
        st.info(f"This comparison has ended: {plain(comparison.reason)}.", icon="🏁")
    elif comparison.state != "comparing":
        st.warning(f"**The candidate is {comparison.state}.** {plain(comparison.reason)}", icon="⚠️")
    if comparison.predictions:
        _tiles(comparison)
        _costs(comparison)
        _machines(comparison)
        _days(comparison)
    else:
        st.caption("No reading was compared yet.")
    left_out = "; ".join(f"{count:,} {plain(reason)}" for reason, count in comparison.left_out.items())
    st.caption(
        f"Predictions since {utc_time(comparison.started)} count; up to date at {utc_time(comparison.updated)}."
        f"{f' Left out: {left_out}.' if left_out else ''} Automatic promotion: {plain(comparison.promotion) or NO_VALUE}."
    )


def _tiles(comparison: Comparison) -> None:
    agreement, alarm_agreement, alarms, difference = st.columns(4)
    different = comparison.only_production + comparison.only_candidate
    with agreement:
        _share("Same decision", comparison.agreement, f"of {comparison.predictions:,} readings", "")
    with alarm_agreement:
        either = comparison.alarms_of_both + different
        of = f"of {either:,} readings with an alarm of either version"
        _share("Same alarm", comparison.alarm_agreement, of, "cannot be judged: neither version has raised an alarm")
    with alarms:
        common.tile(
            "Different alarms",
            f"{different:,}",
            f"{comparison.only_production:,} of production only, {comparison.only_candidate:,} of the candidate only; "
            f"{comparison.alarms_of_both:,} of both",
        )
    with difference:
        mean = comparison.mean_absolute_difference
        common.tile(
            "Difference of probabilities", NO_VALUE if mean is None else f"{mean:.4f}", "mean absolute difference"
        )


def _share(label: str, share: AgreementShare | None, of: str, without: str) -> None:
    note = f"[{share.low:.2%}, {share.high:.2%}] {of}" if share else without
    common.tile(label, f"{share.value:.2%}" if share else NO_VALUE, note)


def _costs(comparison: Comparison) -> None:
    rows, currency = list[list[str]](), comparison.currency
    for label, costs in (
        ("expected, by the probabilities of production", comparison.costs_by_production),
        ("expected, by the probabilities of the candidate", comparison.costs_by_candidate),
    ):
        if costs:
            rows.append([label, money(costs.production, currency), money(costs.candidate, currency)])
    known = comparison.outcomes
    if known and known.readings:
        scale, both = 1_000 / known.readings, (known.production, known.candidate)
        rows.append(
            [
                _OUTCOMES[known.source].format(known.readings, known.failures),
                *(_cost(one, scale, currency) for one in both),
            ]
        )
        rows.append(["errors", *(f"{one.missed_failures:,} missed, {one.false_alarms:,} false" for one in both)])
    st.markdown(table(["Cost per 1,000 readings", "Production", "Candidate"], rows))
    st.caption(
        "Each version decides at its own threshold. Expected costs trust the probabilities of one version; feedback is not a "
        "random sample, because people report on alarms."
    )
    if known and known.reason:
        st.caption(f"Costs by {known.source} are not judged: {plain(known.reason)}.")
    if known and (saving := known.saving):
        value, low, high = (
            money(cost * 1_000 / known.readings, currency) for cost in (saving.value, saving.low, saving.high)
        )
        st.caption(f"By {known.source}, the candidate costs {value} [{low}, {high}] less per 1,000 readings.")


def _cost(errors: KnownErrors, scale: float, currency: str) -> str:
    costs = money(errors.costs * scale, currency)
    if errors.low is None or errors.high is None:
        return costs
    return f"{costs} [{money(errors.low * scale, currency)}, {money(errors.high * scale, currency)}]"


def _machines(comparison: Comparison) -> None:
    if not comparison.machines:
        return
    rows = [
        [
            plain(one.machine_id), f"{one.predictions:,}", f"{one.only_production:,}", f"{one.only_candidate:,}",
            f"{one.mean_absolute_difference:.4f}",
        ]
        for one in comparison.machines
    ]  # fmt: skip
    headers = ["Machine", "Readings", "Alarms of production only", "Alarms of the candidate only", "Mean difference"]
    st.markdown(table(headers, rows))


def _days(comparison: Comparison) -> None:
    rows = [
        [day.day, f"{day.predictions:,}", f"{day.same_decision / day.predictions:.2%}"]
        for day in comparison.days[-_SHOWN_DAYS:]
    ]
    with st.expander("By day", icon="📅"):
        st.markdown(table(["Day", "Readings", "Same decision"], rows))

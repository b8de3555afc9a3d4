"""Elements of the monitoring page: windows, performance, differences, silent machines."""

import math
from datetime import datetime

import streamlit as st

from app.schemas.monitoring import Finding, Interval, MetricComparison, Monitoring, Performance, Window
from dashboard.formatting import NO_VALUE
from dashboard.service_monitor import Snapshot
from predictive_maintenance.evaluation.metrics import METRICS
from predictive_maintenance.monitoring.window_text import window_text
from predictive_maintenance.reporting.markdown import plain, table

_MOST_SHOWN = 30
_SOURCES = {
    "failures": "failures in the store",
    "confirmed alarms": "feedback on alarms",
    "feedback": "feedback on predictions",
}


def how_to_monitor(snapshot: Snapshot) -> None:
    """Show that production was not checked yet, and the command that checks it."""
    st.info(
        "Production has not been checked yet. Set `PDM_STORE_URL` for the service, so that it keeps what it scores, and start "
        "the command below with the same setting. Reload this page to see the result.",
        icon="📭",
    )
    st.code(snapshot.program_command("monitor --watch --every 60"), language="bash")


def lasting(found: Monitoring, snapshot: Snapshot) -> None:
    """Show the lasting differences, which are a reason to act, or that there are none."""
    checked = f"Version {plain(found.model_version or '')}, checked at {_moment(found.checked or '')} UTC."
    if not found.lasting:
        if found.windows[-1].findings is None:
            st.info(f"**The newest window was not compared:** it has too few readings. {checked}", icon="🕓")
        else:
            st.success(f"**No lasting difference.** {checked}", icon="✅")
        return
    reasons = "\n".join(f"- {plain(finding.text)}" for finding in found.lasting[:_MOST_SHOWN])
    st.warning(
        f"**Production differs from training or evaluation.** {checked}\n\n{reasons}\n\nFind out why, or train on newer "
        f"readings: `{snapshot.flow_command('run')}`.",
        icon="⚠️",
    )


def windows(found: Monitoring) -> None:
    """Show each window with the differences above their limit."""
    st.subheader("Windows", anchor=False)
    rows = [
        [_span(window), f"{window.readings:,}", _rejected(window), _state(window)] for window in reversed(found.windows)
    ]
    st.markdown(table(["Window (UTC)", "Readings scored", "Rejected", "What differs"], rows))
    caption = "A difference is listed if the lower end of its confidence interval is above its limit."
    if any(window.readings and _rejected(window) == NO_VALUE for window in found.windows):
        caption += (
            f" {NO_VALUE} for rejected readings: the service counts them in intervals of ten minutes, and none of these began in "
            "the window."
        )
    st.caption(caption)


def performance(found: Monitoring) -> None:
    """Show the metrics of the newest predictions whose outcome is known, beside those at evaluation."""
    st.subheader("Performance once labels are known", anchor=False)
    newest = found.windows[-1].performance
    rows = [_metric(metric) for metric in newest.metrics]
    for row, before in reversed(list(zip(rows[1:], rows, strict=False))):
        if row[-1] == before[-1] and row[1] == NO_VALUE:
            row[-1] = "not available, for the same reason"
    st.markdown(table(["Metric", "In production", "At evaluation", "Predictions"], rows))
    st.caption(_labelled(newest))


def findings(found: Monitoring, snapshot: Snapshot) -> None:
    """Show all differences of the newest window, the largest beside their limits first."""
    newest = found.windows[-1].findings
    if not newest:
        return
    st.subheader("Differences in the newest window", anchor=False)
    ordered = sorted(newest, key=lambda one: (not one.exceeds_limit, -one.low / (one.limit or 1)))
    rows = [["⚠️" if one.exceeds_limit else "", *map(plain, _parts(one))] for one in ordered[:_MOST_SHOWN]]
    st.markdown(table(["", "What", "How much"], rows))
    if len(ordered) > _MOST_SHOWN:
        st.caption(
            f"{len(ordered) - _MOST_SHOWN:,} smaller ones are not shown: `{snapshot.program_command('monitor --json')}`."
        )


def silent_machines(found: Monitoring) -> None:
    """Show the machines that have fallen silent."""
    if not found.silent_count:
        return
    st.subheader("Silent machines", anchor=False)
    names = ", ".join(
        f"{plain(one.machine_id)} (since {_moment(one.received)})" for one in found.silent_machines[:_MOST_SHOWN]
    )
    further = found.silent_count - min(len(found.silent_machines), _MOST_SHOWN)
    st.markdown(names + (f", and {further:,} more" if further else ""))
    st.caption(
        "They sent no reading for longer than `monitoring.silent_hours` before the check. In brackets: the time in UTC at which "
        "the latest one arrived."
    )


def _state(window: Window) -> str:
    if window.findings is None:
        return "too few readings to compare"
    exceeded = [plain(_parts(finding)[0]) for finding in window.findings if finding.exceeds_limit]
    further = f", and {len(exceeded) - 3} more" if len(exceeded) > 3 else ""
    return "⚠️ " + ", ".join(exceeded[:3]) + further if exceeded else "no difference"


def _rejected(window: Window) -> str:
    total = window.accepted + window.rejected
    return f"{window.rejected:,} ({window.rejected / total:.1%})" if total else NO_VALUE


def _metric(metric: MetricComparison) -> list[str]:
    of = {"precision": "predicted failures", "recall": "failures"}.get(metric.metric, "predictions")
    source = f"{metric.count:,} {of}" if metric.now else f"not available: {plain(metric.reason)}"
    return [METRICS[metric.metric], _interval(metric.now), _interval(metric.at_evaluation), source]


def _labelled(performance: Performance) -> str:
    if performance.source is None:
        return "No prediction has a label."
    return (
        f"Of {performance.predictions:,} predictions from {_span(performance)} UTC, "
        f"whose labels are due by now, {performance.labelled:,} have a label from {_SOURCES[performance.source]}; "
        f"{performance.failures:,} are failures. At evaluation: on held-out rows of training. Ranges are confidence intervals."
    )


def _interval(found: Interval | None) -> str:
    if found is None:
        return NO_VALUE
    digits = 3 if max(math.fabs(found.value), math.fabs(found.high)) < 10 else 0
    return f"{found.value:,.{digits}f} ({found.low:,.{digits}f} to {found.high:,.{digits}f})"


def _parts(finding: Finding) -> tuple[str, str]:
    what, _, how_much = finding.text.partition(": ")
    return what, how_much


def _span(measured: Window | Performance) -> str:
    return window_text(*(datetime.fromisoformat(text).timestamp() for text in (measured.begins, measured.ends)))


def _moment(text: str) -> str:
    """A time of the API, to the minute."""
    return text[:16].replace("T", " ")

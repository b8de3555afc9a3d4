"""Elements used on several pages: header, service banner, tiles, quality gate, API errors."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import streamlit as st

from app.schemas.model import Estimate, GateCheck, ModelCard, Scores
from dashboard import shared
from dashboard.api_client import ApiError, ApiStatusError
from dashboard.formatting import NO_VALUE, duration, interval
from dashboard.page_end import end_page
from dashboard.service_monitor import Snapshot
from predictive_maintenance.config.commands import in_containers
from predictive_maintenance.evaluation.metrics import METRICS
from predictive_maintenance.reporting.markdown import code, plain, table

_ROW_HEIGHT, _BORDER = 33, 1
"""Pixels of a table's row, and of its header, with the font size in .streamlit/config.toml."""


def auto_refresh(draw: Callable[[Snapshot], None]) -> None:
    """Call `draw` now and at every polling interval."""

    @st.fragment(run_every=shared.settings().dashboard_poll_seconds)
    def refresh() -> None:
        draw(current_snapshot())

    # A place that is part of the page: if a refresh begins before the first one was sent, Streamlit drops what that has drawn.
    # Its place would be missing, and the browser refuses whatever comes after it.
    with st.container():
        refresh()


def current_snapshot() -> Snapshot:
    """Return the state of the service. Shows a spinner during the first poll."""
    monitor = shared.monitor()
    if not monitor.is_new:
        return monitor.snapshot()
    with st.spinner(f"Waiting for {monitor.api.url} …"):
        return monitor.snapshot()


def page_header(title: str, subtitle: str) -> Snapshot:
    """Show the title and the service banner. Reruns the page when another version is served."""
    st.title(title, anchor=False)
    st.caption(subtitle)
    drawn = current_snapshot()

    def refresh(snapshot: Snapshot) -> None:
        if snapshot.redraw_key != drawn.redraw_key:
            st.rerun(scope="app")
        service_banner(snapshot)

    auto_refresh(refresh)
    return drawn


def _how_to_start() -> str:
    if in_containers():
        return "Check the container of the service and its log."
    return "Start the service with `make serve`, or set `PDM_API_URL` to its address."


def service_banner(snapshot: Snapshot) -> None:
    """Show which version is served, or what is wrong and how to fix it."""
    health = snapshot.health
    if snapshot.error:
        age = snapshot.age_seconds(datetime.now(UTC))
        shown = "No data was received yet." if age is None else f"The data shown is {duration(age)} old."
        st.error(
            f"**The service is not reachable.** {plain(snapshot.error)}. {shown} {_how_to_start()} "
            "This page reconnects automatically.",
            icon="🔌",
        )
    elif health is None or health.serving_version is None:
        reason = plain(health.warning) if health and health.warning else "the service is starting"
        st.warning(
            f"**No model is served:** {reason}. Train one with `{snapshot.flow_command('run')}`. The service loads it after its "
            "promotion.",
            icon="⏳",
        )
    elif health.status == "degraded":
        st.warning(
            f"**Version {plain(health.serving_version)} is served, with a warning:** {plain(health.warning or '')}.",
            icon="⚠️",
        )
    elif health.serving_version != health.production_version and health.production_version:
        st.info(
            f"**Version {plain(health.serving_version)} is served.** Version {plain(health.production_version)} is now in "
            "production and is being loaded.",
            icon="⏳",
        )
    else:
        st.success(
            f"**Version {plain(health.serving_version)} is served.** It is the version in production.", icon="✅"
        )
    if snapshot.failed_requests and not snapshot.error and health and health.serving_version:
        st.warning("Some data is missing: " + "; ".join(map(plain, snapshot.failed_requests)), icon="⚠️")


def tile(label: str, value: str, note: str, sign: str = "") -> None:
    """Show a value that wraps where `st.metric` would cut it. `value` and `note` are Markdown."""
    with st.container(border=True, height="stretch"):
        st.caption(label)
        st.subheader(f"{sign} {value}" if sign else value, anchor=False)
        st.caption(note)


def table_height(rows: int, most: int) -> int | Literal["content"]:
    """Height of a table with `rows` rows of which `most` are visible at once, the last of them completely."""
    return "content" if rows <= most else _ROW_HEIGHT * (1 + most) + 2 * _BORDER


def metric_tiles(scores: Scores, names: Sequence[str], required: dict[str, str] | None = None) -> None:
    """Show a tile for each metric, with its interval and the value that the quality gate requires."""
    for column, name in zip(st.columns(len(names)), names, strict=True):
        estimate = scores.metrics.get(name)
        minimum = (required or {}).get(name)
        with column:
            if estimate is None:
                tile(METRICS[name], NO_VALUE, "not recorded for this version")
            else:
                goal = f"; required: {plain(minimum)}" if minimum else ""
                tile(METRICS[name], f"{estimate.value:.3f}", f"{interval(estimate)}{goal}")
    st.caption(
        f"On {scores.rows:,} held-out rows with {scores.failures:,} failures. These rows were not used in training. "
        "Ranges are confidence intervals."
    )


def gate_table(checks: Sequence[GateCheck]) -> None:
    """Show every check of the quality gate."""
    if not checks:
        st.caption("No checks are recorded for this version.")
        return
    rows = [
        ["✅" if check.passed else "❌", *map(plain, (check.name, check.measured, check.required, check.why))]
        for check in checks
    ]
    st.markdown(table(["", "Check", "Measured", "Required", "Explanation"], rows))


def rate_tile(label: str, estimate: Estimate | None, note: str, *, with_interval: bool) -> None:
    """Show a rate, with its interval or without, or no value where it is undefined."""
    if estimate is None:
        tile(label, NO_VALUE, note)
    else:
        tile(label, f"{estimate.value:.3f}", f"{interval(estimate)}; {note}" if with_interval else note)


def require_model(snapshot: Snapshot, content: str) -> ModelCard:
    """Return the served model's card. Without one, show what is missing and stop the page."""
    if snapshot.model_card is None:
        waits_for_service = snapshot.error or snapshot.version
        condition = "when the service responds" if waits_for_service else "when a model is served"
        st.info(f"{content} will be shown {condition}.", icon="🕓")
        end_page()
    return snapshot.model_card


def api_error(error: ApiError, summary: str) -> None:
    """Show a failed request: the invalid fields one per line, or the error's message."""
    fields = error.errors if isinstance(error, ApiStatusError) else ()
    lines = "".join(f"\n- {code(field or 'request')}: {plain(reason)}" for field, reason in fields[:20])
    st.error(f"**{summary}** {plain(str(error)) if not fields else ''}{lines}", icon="🚫")

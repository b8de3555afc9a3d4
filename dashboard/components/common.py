"""What several pages show alike: the state of the service, tiles, the gate, links to MLflow."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import streamlit as st

from app.schemas.model import Estimate, GateCheck, ModelCard, Scores
from dashboard import shared
from dashboard.api_client import ApiError, ApiRefusedError
from dashboard.formatting import NOTHING, ago, duration, interval
from dashboard.service_monitor import Snapshot
from predictive_maintenance.evaluation.metrics import METRICS
from predictive_maintenance.reporting.markdown import code, plain, table


def live(draw: Callable[[Snapshot], None]) -> None:
    """Draw now, and again every few seconds."""

    @st.fragment(run_every=shared.settings().dashboard_poll_seconds)
    def again() -> None:
        draw(look())

    again()


def look() -> Snapshot:
    """The state of the service; a person is told where the first answer is waited for."""
    watch = shared.watch()
    if not watch.is_new:
        return watch.snapshot()
    with st.spinner(f"Asking {watch.api.url} ..."):
        return watch.snapshot()


def head(title: str, about: str) -> Snapshot:
    """A page's title and the state of the service, live: the page is drawn again when another version serves."""
    st.title(title, anchor=False)
    st.caption(about)
    drawn = look()

    def follow(snapshot: Snapshot) -> None:
        if snapshot.signature != drawn.signature:
            st.rerun(scope="app")
        banner(snapshot)

    live(follow)
    return drawn


def banner(snapshot: Snapshot) -> None:
    """One sentence: what is wrong and what to do, or which version serves."""
    health = snapshot.health
    if snapshot.trouble:
        age = snapshot.age_seconds(datetime.now(UTC))
        known = "Nothing is known of it yet." if age is None else f"What is shown is {duration(age)} old."
        st.error(
            f"**The service is away.** {plain(snapshot.trouble)}. {known} Start it with `make serve`, or set "
            "`PDM_API_URL` to where it runs; this page goes on by itself.",
            icon="🔌",
        )
    elif health is None or health.serving_version is None:
        reason = plain(health.trouble) if health and health.trouble else "the service has just started"
        st.warning(
            f"**No model serves yet:** {reason}. `make train` makes one, and it is followed as soon as it is promoted.",
            icon="⏳",
        )
    elif health.status == "degraded":
        st.warning(f"**Version {plain(health.serving_version)} serves, but:** {plain(health.trouble or '')}.", icon="⚠️")
    elif health.serving_version != health.production_version and health.production_version:
        st.info(
            f"Version {plain(health.serving_version)} serves; version {plain(health.production_version)} is being fetched.",
            icon="⏳",
        )
    else:
        st.success(f"**Version {plain(health.serving_version)} serves** and is what `production` points to.", icon="✅")
    if snapshot.gaps and not snapshot.trouble and health and health.serving_version:
        st.warning("Not everything could be asked: " + "; ".join(plain(gap) for gap in snapshot.gaps), icon="⚠️")


def tile(label: str, value: str, note: str, sign: str = "") -> None:
    """A value that is never cut: it wraps. `value` and `note` are Markdown."""
    with st.container(border=True, height="stretch"):
        st.caption(label)
        st.subheader(f"{sign} {value}" if sign else value, anchor=False)
        st.caption(note)


def estimates(scores: Scores, names: Sequence[str], required: dict[str, str] | None = None) -> None:
    """A tile for each metric with its interval."""
    for column, name in zip(st.columns(len(names)), names, strict=True):
        found = scores.metrics.get(name)
        least = (required or {}).get(name)
        with column:
            if found is None:
                tile(METRICS[name], NOTHING, "not told by this version")
            else:
                goal = f"; the gate asks for {plain(least)}" if least else ""
                tile(METRICS[name], f"{found.value:.3f}", f"{interval(found)}{goal}")
    st.caption(
        f"On {scores.rows:,} held-out rows with {scores.failures:,} failures, none of them trained on; the ranges are intervals."
    )


def gate(checks: Sequence[GateCheck]) -> None:
    """Every check with what was measured and required."""
    if not checks:
        st.caption("This version does not tell its checks.")
        return
    rows = [
        ["✅" if check.passed else "❌", *map(plain, (check.name, check.measured, check.required, check.why))]
        for check in checks
    ]
    st.markdown(table(["", "Check", "Measured", "Required", "Why"], rows))


def rate(label: str, found: Estimate | None, of: str) -> None:
    """A tile of a share that may not be defined."""
    if found is None:
        tile(label, NOTHING, f"there is {of}")
    else:
        tile(label, f"{found.value:.3f}", f"{interval(found)}, {of}")


def need_model(snapshot: Snapshot, what: str) -> ModelCard:
    """The champion's card; without one the page ends here and says what it waits for."""
    if snapshot.card is None:
        when = "the service tells of it" if snapshot.trouble or snapshot.version else "a model serves"
        st.info(f"{what} is here as soon as {when}.", icon="🕓")
        st.stop()
    return snapshot.card


def refusal(error: ApiError, what: str) -> None:
    """An answer that was none, in words, each field on a line."""
    fields = error.errors if isinstance(error, ApiRefusedError) else ()
    lines = "".join(f"\n- {code(field or 'all of it')}: {plain(reason)}" for field, reason in fields[:20])
    st.error(f"**{what}** {plain(str(error)) if not fields else ''}{lines}", icon="🚫")


def known_since(snapshot: Snapshot) -> str:
    return f"Last answer {ago(snapshot.answered)}." if snapshot.answered else "No answer yet."

"""Charts of the training data and of the candidates."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from ..evaluation.metrics import METRICS, Scores
from ..machine.machine import Machine
from .chart_style import BLUE, VERMILION, WIDTH, titled

_COMPARED_METRICS = ("pr_auc", "f1", "recall", "precision")


def distributions(
    rows: pd.DataFrame, failed: npt.NDArray[np.bool_], machine: Machine, bins: int = 30
) -> list[alt.Chart]:
    """A histogram of each sensor: shares of the healthy readings and shares of the failures, which `failed` (n,) marks."""
    charts = []
    for name in machine.sensor_names:
        if name not in rows:
            continue
        table = _histogram(rows[name].to_numpy(), failed, bins)
        colour = alt.Color(
            "state:N", title=None, scale=alt.Scale(domain=["healthy", "failed"], range=[BLUE, VERMILION])
        )
        chart = alt.Chart(table).mark_bar(opacity=0.5).encode(
            x=alt.X("low:Q", bin="binned", title=machine.header(name), scale=alt.Scale(zero=False)),
            x2="high:Q", y=alt.Y("share:Q", stack=None, title="Share", axis=alt.Axis(format="%")), color=colour,
        )  # fmt: skip
        charts.append(chart.properties(width=WIDTH - 80, height=140))
    return charts


def trials(table: pd.DataFrame) -> alt.Chart:
    """PR-AUC of each completed trial, and the best one so far."""
    done = table[table["state"] == "complete"].assign(best=lambda t: t["pr_auc"].cummax())
    x = alt.X("trial:Q", title="Trial", axis=alt.Axis(tickMinStep=1))
    axis = alt.Axis(format=".3f")
    y = alt.Y("pr_auc:Q", title="PR-AUC, mean over folds", scale=alt.Scale(zero=False), axis=axis)
    dots = alt.Chart(done).mark_circle(size=80, color=BLUE, opacity=1).encode(x=x, y=y, tooltip=list(table.columns))
    best = alt.Chart(done).mark_line(interpolate="step-after", color=VERMILION).encode(
        x=x, y=alt.Y("best:Q", title="PR-AUC, mean over folds", scale=alt.Scale(zero=False), axis=axis)
    )  # fmt: skip
    pruned = int((table["state"] == "pruned").sum())
    return titled(
        best + dots, "PR-AUC by trial", f"{len(done)} completed trials, {pruned} pruned; line: best trial so far"
    )


def candidates(scores: Mapping[str, Scores]) -> alt.Chart:
    """Out-of-fold metrics of the candidates side by side, with intervals."""
    table = pd.DataFrame(
        [
            {"candidate": name, "metric": METRICS[metric], "value": e.value, "low": e.low, "high": e.high}
            for name, score in scores.items()
            for metric in _COMPARED_METRICS
            for e in (score[metric],)
        ]
    )
    y = alt.Y("candidate:N", title=None)
    colour = alt.Color("candidate:N", scale=alt.Scale(range=[BLUE, VERMILION]), legend=None)
    base = alt.Chart().encode(y=y, color=colour)
    dots = base.mark_circle(size=100, opacity=1).encode(x=alt.X("value:Q", title=None, scale=alt.Scale(zero=False)))
    rules = base.mark_rule().encode(x=alt.X("low:Q", title=None, scale=alt.Scale(zero=False)), x2="high:Q")
    chart = alt.layer(rules, dots, data=table).properties(width=WIDTH - 60, height=50)
    order = [METRICS[metric] for metric in _COMPARED_METRICS]
    facets = chart.facet(
        row=alt.Row("metric:N", title=None, sort=order, header=alt.Header(labelAngle=0, labelAlign="left"))
    )
    return facets.properties(title="Candidates on out-of-fold rows").configure_view(stroke=None)


def _histogram(values: np.ndarray, failed: np.ndarray, bins: int) -> pd.DataFrame:
    """Columns: state (healthy or failed), low and high edge of the bin, share of the readings in that state."""
    edges = np.histogram_bin_edges(values[~np.isnan(values)], bins)
    lines = []
    for state, chosen in (("healthy", ~failed), ("failed", failed)):
        counts = np.histogram(values[chosen], edges)[0]
        shares = counts / max(counts.sum(), 1)
        lines += [(state, low, high, share) for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True)]
    return pd.DataFrame(lines, columns=["state", "low", "high", "share"])

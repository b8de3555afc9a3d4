"""Failure events in the report, in exported results and in what a run logs, and their charts."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.evaluation.mode_scores import ModeAccuracy, ModeScores
from predictive_maintenance.reporting.chart_style import save_png
from predictive_maintenance.reporting.event_charts import event_charts
from predictive_maintenance.reporting.event_tables import (
    event_metrics,
    event_sentences,
    events_table,
    horizon_table,
    mode_accuracy_table,
    plain_events,
    policy_table,
)
from predictive_maintenance.reporting.report import report_sections
from predictive_maintenance.reporting.results import exported_metrics


@pytest.fixture
def run_of_alarms(run, engine_events):
    run.evaluation = replace(run.evaluation, events=engine_events)
    return run


def unknown(scores):
    """`scores` without an interval and without a caught failure."""
    nothing = dict.fromkeys(("low", "high", "lower_bound", "upper_bound"), math.nan)
    estimates = {name: replace(estimate, **nothing) for name, estimate in scores.estimates.items()}
    lead = replace(estimates["median_lead_time"], value=math.nan, count="no caught failure")
    note = "no intervals, which need 2 machines: there is 1"
    return replace(scores, estimates=estimates | {"median_lead_time": lead}, notes=(note,), lead_times=np.empty(0))


def test_the_table_has_the_model_beside_the_naive_rules(engine_events):
    headers, rows = events_table(engine_events, "EUR")
    assert headers[:3] == ["Metric", "This model, held-out", "This model, out-of-fold"]
    assert re.fullmatch(r"Age >= \d+\.\d h, held-out", headers[3])
    assert [row[0] for row in rows] == [
        "Failures caught",
        "Median lead time, h",
        "False alarms per machine-month",
        "Alarms per failure",
        "Share of time under alarm",
        "Cost per machine-year, EUR",
        "Machines",
    ]
    found = engine_events.held_out["failures_caught"]
    assert rows[0][1] == f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]; {found.count}"


def test_policies_are_compared_with_that_of_the_description_first(engine_events):
    headers, rows = policy_table(engine_events, "EUR")
    assert headers[:4] == ["An alarm", "Threshold", "Failures caught", "Median lead time, h"]
    own = engine_events.rules.policy.text()
    assert rows[0][0] == f"{own} (description)"
    assert "opens at 2 positive of 3 decisions, closes after 6 negative ones in a row" in [row[0] for row in rows]
    assert "The table of policies" not in " ".join(event_sentences(replace(engine_events, policies=()), 0.95, 1000))


def test_a_number_that_there_is_not_is_not_shown(engine_events):
    events = replace(engine_events, held_out=unknown(engine_events.held_out))
    _, rows = events_table(events, "EUR")
    assert rows[0][1] == "{0.value:.3f}; {0.count}".format(events.held_out["failures_caught"])
    assert rows[1][1] == "no caught failure"
    assert list(event_sentences(events, 0.95, 1000))[-1] == (
        "Note on held-out machines: no intervals, which need 2 machines: there is 1."
    )


def test_the_rules_are_in_words(engine_events):
    text = " ".join(event_sentences(engine_events, 0.95, 1000))
    assert text == (
        "An alarm opens at a positive decision, closes after 1 negative one. A failure is caught if an alarm was open within "
        "24 h before it. An alarm that stays open is a false alarm for each 24 h without a failure in reach. Intervals of 95% "
        "from 1,000 bootstrap samples of machines. The second table judges the same decisions and alarms as if failures within a "
        "part of the horizon were to be predicted: a decision before that is then a false one. The table of policies has the "
        "out-of-fold rows, each policy with the threshold that is best for it on them: its numbers are a little optimistic."
    )
    lead = replace(engine_events.rules.horizon, text="6 h", length=6 * 3.6e9)
    ahead = replace(engine_events, rules=replace(engine_events.rules, min_lead=lead))
    assert "within 24 h before it, at least 6 h ahead." in " ".join(event_sentences(ahead, 0.95, 1000))
    assert events_table(ahead, "EUR")[1][0][0] == "Failures caught, at least 6 h ahead"


def test_a_run_logs_the_numbers_with_their_units_and_omits_unknown_ones(engine_events):
    metrics = event_metrics(replace(engine_events, held_out=unknown(engine_events.held_out)))
    assert metrics["held_out_failures_caught"] == engine_events.held_out["failures_caught"].value
    assert metrics["out_of_fold_false_alarms_per_machine_month_high"] == (
        engine_events.out_of_fold["false_alarm_rate"].high
    )
    assert metrics["naive_age_cost_per_machine_year"] == engine_events.naive[0].scores["cost_rate"].value
    assert "out_of_fold_median_lead_time_hours" in metrics
    assert "held_out_median_lead_time_hours" not in metrics
    assert "held_out_failures_caught_low" not in metrics


def test_exported_metrics_are_valid_json_without_numbers_that_there_are_not(run_of_alarms, engine_events):
    exported = exported_metrics(run_of_alarms.evaluation)["failure_events"]
    assert exported["failures_caught"]["value"] == engine_events.held_out["failures_caught"].value
    assert exported["failures"] == engine_events.held_out.failures
    plain = plain_events(unknown(engine_events.held_out), engine_events.rules)
    assert json.loads(json.dumps(plain, allow_nan=False))["median_lead_time_hours"]["value"] is None


def test_a_run_without_failure_events_exports_none(run):
    assert "failure_events" not in exported_metrics(run.evaluation)


def test_the_report_has_the_table_after_the_metrics(run_of_alarms):
    text = "\n\n".join(report_sections(run_of_alarms, [], None))
    assert text.index("### Comparison with trivial models") < text.index("### Failures caught and false alarms")
    assert "| Failures caught | " in text


def test_the_chart_of_lead_times_has_some_of_many_failures(engine_events):
    leads = np.random.default_rng(0).uniform(1, 100, 20_000)
    scores = replace(engine_events.held_out, failures=40_000, lead_times=leads)
    chart = event_charts(replace(engine_events, held_out=scores, naive=()), 0.5)["lead_times"].to_dict()
    (line,) = [rows for rows in chart["datasets"].values() if "share" in rows[0]]
    assert len(line) <= 500
    assert (line[0]["lead"], line[0]["share"]) == (0, 0.5)
    assert line[-1]["lead"] == leads.max()


def test_the_lead_times_are_the_shares_of_failures_caught_so_long_ahead(engine_events):
    scores = replace(engine_events.held_out, failures=4, lead_times=np.array([9.0, 3.0]))
    chart = event_charts(replace(engine_events, held_out=scores, naive=()), 0.5)["lead_times"].to_dict()
    (table,) = (rows for rows in chart["datasets"].values() if "share" in rows[0])
    assert [(row["lead"], row["share"]) for row in table] == [(0, 0.5), (3, 0.5), (9, 0.25)]


def test_the_timelines_are_drawn_and_left_out_without_machines(engine_events, tmp_path):
    charts = event_charts(engine_events, 0.5)
    save_png(charts, tmp_path)
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in ("lead_times", "alarm_timelines"))
    assert len(charts["alarm_timelines"].to_dict()["vconcat"]) == len(engine_events.timelines)
    assert list(event_charts(replace(engine_events, timelines=()), 0.5)) == ["lead_times"]


@pytest.fixture
def events_with_modes(engine_events):
    at_alarm = ModeAccuracy(
        failures=10,
        correct=7,
        low=0.4,
        high=0.89,
        usual_mode="Seal failure",
        usual=6,
        by_mode=(("Seal failure", 6, 5), ("Bearing failure", 4, 2)),
    )
    nothing = ModeAccuracy(
        failures=0, correct=0, low=math.nan, high=math.nan, usual_mode="Seal failure", usual=0, by_mode=()
    )
    return replace(engine_events, modes=ModeScores(at_alarm=at_alarm, at_failure=nothing))


def test_the_table_by_horizon_has_a_row_for_each_part_of_it(engine_events):
    headers, rows = horizon_table(engine_events)
    assert headers[0] == "Ahead, h"
    assert [row[0] for row in rows] == ["6", "12", "18", "24"]
    last = engine_events.horizons[-1]
    assert rows[-1][1] == f"{last.rows:,}"
    assert rows[-1][2].startswith(f"{last.recall.value:.3f}")
    assert f"{last.precision.value:.3f} [{last.precision.low:.3f}, {last.precision.high:.3f}]" == rows[-1][3]


def test_the_table_of_modes_has_the_share_with_its_interval_beside_the_usual_mode(events_with_modes):
    headers, rows = mode_accuracy_table(events_with_modes.modes)
    assert headers[-2:] == ["Seal failure", "Bearing failure"]
    assert rows[0][1:] == ["0.700 [0.400, 0.890]; 7 of 10", "6 of 10 (Seal failure)", "5 of 6", "2 of 4"]
    assert rows[1][1:] == ["no failure", "0 of 0 (Seal failure)", "0 of 0", "0 of 0"]


def test_the_report_and_the_results_have_both_tables(run, events_with_modes):
    run.evaluation = replace(run.evaluation, events=events_with_modes)
    text = "\n".join(report_sections(run, [], None))
    assert "Readings with a failure within it" in text
    assert "When the alarm opens, caught failures" in text
    exported = json.loads(json.dumps(exported_metrics(run.evaluation)))
    assert [part["ahead_hours"] for part in exported["by_horizon"]] == [6, 12, 18, 24]
    assert exported["failure_modes"]["at_alarm"] == {
        "failures": 10, "correct": 7, "usual_mode_correct": 6, "value": 0.7, "low": 0.4, "high": 0.89,
    }  # fmt: skip
    assert exported["failure_modes"]["at_last_reading"]["value"] is None


def test_without_modes_there_is_no_table_of_them(run_of_alarms):
    assert "When the alarm opens, caught failures" not in "\n".join(report_sections(run_of_alarms, [], None))
    assert "failure_modes" not in exported_metrics(run_of_alarms.evaluation)

"""Metrics by horizon and the accuracy of failure modes, against counts by hand."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.evaluation.failure_events import judge_alarms
from predictive_maintenance.evaluation.horizon_scores import horizon_sums, score_horizon_sums
from predictive_maintenance.evaluation.mode_scores import score_modes
from predictive_maintenance.history.labels import NEXT_FAILURE
from predictive_maintenance.history.observed import observe
from predictive_maintenance.machine.machine_json import to_plain
from tests.fixtures.evaluations import events_of
from tests.fixtures.pumps import pump

START = pd.Timestamp("2024-01-01")


@pytest.fixture
def rules(pump_params):
    return event_rules(pump_params)


@pytest.fixture(scope="module")
def rows():
    """Two pumps with a reading an hour: P0 fails at 48.5 h by a seal, P1 at 40.5 h by a bearing; the label is for 24 h."""
    parts = []
    for name, hours, mode in (("P0", 48.5, "seal_failure"), ("P1", 40.5, "bearing")):
        failure = START + pd.Timedelta(hours=hours)
        times = START + pd.to_timedelta(np.arange(int(hours) + 1), unit="h")
        label = (failure - times <= pd.Timedelta("24h")).astype(int)
        modes = {other: label if other == mode else 0 for other in ("seal_failure", "bearing")}
        part = {"machine_id": name, "timestamp": times, "fails_soon": label, NEXT_FAILURE: failure, **modes}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def judged(rows, decisions, rules):
    return judge_alarms(observe(pump(), rows), decisions, rules)


def hours_left(rows):
    return ((rows[NEXT_FAILURE] - rows["timestamp"]) / pd.Timedelta("1h")).to_numpy()


def score_horizons(alarms, decisions, rules, settings, seed):
    return score_horizon_sums(horizon_sums(alarms, decisions, rules), rules, settings, seed)


def test_scores_by_horizon_are_those_of_the_rows_within_it(rows, rules, pump_params):
    left = hours_left(rows)
    decisions = np.where(rows["machine_id"] == "P0", left < 8, (left < 30) & (left > 2))
    found = score_horizons(judged(rows, decisions, rules), decisions, rules, pump_params.evaluation, seed=7)
    assert [scores.ahead for scores in found] == [6, 12, 18, 24]
    for scores in found:
        within = left <= scores.ahead
        assert scores.rows == within.sum()
        assert scores.recall.value == pytest.approx((within & decisions).sum() / within.sum())
        assert scores.precision.value == pytest.approx((within & decisions).sum() / decisions.sum())
    caught = {scores.ahead: scores.caught.value for scores in found}
    # P0's alarm opens 7.5 h before its failure, and P1's 29.5 h before.
    assert caught == {6: 1.0, 12: 0.5, 18: 0.5, 24: 0.5}


def test_intervals_hold_the_value_and_need_two_machines(rows, rules, pump_params):
    decisions = hours_left(rows) < 10
    decisions[rows["machine_id"] == "P1"] &= hours_left(rows)[rows["machine_id"] == "P1"] < 5
    both = score_horizons(judged(rows, decisions, rules), decisions, rules, pump_params.evaluation, seed=7)
    assert both[1].recall.low <= both[1].recall.value <= both[1].recall.high
    one = rows["machine_id"] == "P0"
    alone = score_horizons(
        judged(rows[one], decisions[one], rules), decisions[one], rules, pump_params.evaluation, seed=7
    )
    assert np.isnan(alone[1].recall.low)


def test_rows_without_a_failure_in_the_horizon_have_no_recall(rows, rules, pump_params):
    early = rows[hours_left(rows) > 30].assign(fails_soon=0)
    decisions = np.zeros(len(early), dtype=bool)
    found = score_horizons(judged(early, decisions, rules), decisions, rules, pump_params.evaluation, seed=7)
    assert all(np.isnan(scores.recall.value) and np.isnan(scores.caught.value) for scores in found)


class _Modes:
    """Says seal from 12 h before a failure on, and bearing before."""

    machine = pump()
    has_modes = True

    def mode_probabilities(self, table):
        is_seal = (hours_left(table) < 12).astype(float)
        return np.stack([is_seal, 1 - is_seal], axis=1)


def test_the_mode_at_the_opening_of_an_alarm_is_compared_with_that_of_its_failure(rows, rules, pump_params):
    left = hours_left(rows)
    decisions = np.where(rows["machine_id"] == "P0", left < 20, left < 10)
    scores = score_modes(_Modes(), judged(rows, decisions, rules), rows, rows, pump_params.evaluation)
    # P0's alarm opens at 19.5 h, where the model says bearing; P1's at 9.5 h, where it says seal. Both are wrong.
    assert (scores.at_alarm.failures, scores.at_alarm.correct) == (2, 0)
    # At the last reading it says seal: right for P0 alone.
    assert (scores.at_failure.failures, scores.at_failure.correct) == (2, 1)
    assert scores.at_failure.by_mode == (("Seal failure", 1, 1), ("Bearing failure", 1, 0))
    assert scores.at_failure.low < 0.5 < scores.at_failure.high


def test_the_opening_of_an_alarm_is_found_for_a_counter_with_decimals():
    """33.3 - (33.3 - 3.6) is not 3.6."""
    strokes = np.round(np.arange(0.3, 33.3, 0.3), 1)
    label = (strokes >= 33.3 - 30).astype(int)
    rows = pd.DataFrame(
        {"machine_id": "P0", "counter": strokes, "fails_soon": label, NEXT_FAILURE: 33.3, "left": label}
    )
    press = parse_machine("""
name: press
model_name: press
units: [stroke]
machine: {}
time: {kind: counter, unit: stroke}
sensors: {force: {label: Force, unit: N, range: [0, 10]}}
events: {failures: {label: Failures, type: {label: Side, values: [left, right]}}}
label: {column: fails_soon, failures: {horizon: 30}, modes: {left: {label: Left}, right: {label: Right}}}
group: machine
""")
    params = load_params().override(machine=to_plain(press))
    scorer = _Modes()
    scorer.machine = press
    scorer.mode_probabilities = lambda table: np.tile([0.9, 0.1], (len(table), 1))
    for opening in strokes[12::7]:
        found = judge_alarms(observe(press, rows), strokes >= opening, event_rules(params))
        scores = score_modes(scorer, found, rows.assign(right=0), rows, params.evaluation)
        assert (scores.at_alarm.failures, scores.at_alarm.correct) == (1, 1)


def test_missed_failures_count_at_the_last_reading_only(rows, rules, pump_params):
    decisions = np.where(rows["machine_id"] == "P0", hours_left(rows) < 10, False)
    scores = score_modes(_Modes(), judged(rows, decisions, rules), rows, rows, pump_params.evaluation)
    assert (scores.at_alarm.failures, scores.at_alarm.correct) == (1, 1)
    assert scores.at_failure.failures == 2


def test_the_usual_mode_is_that_of_the_training_rows(rows, rules, pump_params):
    train = rows[rows["machine_id"] == "P1"]
    scores = score_modes(
        _Modes(), judged(rows, np.zeros(len(rows), dtype=bool), rules), rows, train, pump_params.evaluation
    )
    assert (scores.at_failure.usual_mode, scores.at_failure.usual) == ("Bearing failure", 1)
    assert np.isnan(scores.at_alarm.accuracy)


def test_a_version_without_modes_has_no_scores(rows, rules, pump_params):
    scorer = _Modes()
    scorer.has_modes = False
    assert (
        score_modes(scorer, judged(rows, np.zeros(len(rows), dtype=bool), rules), rows, rows, pump_params.evaluation)
        is None
    )


def test_the_evaluation_of_a_trained_version_has_both(small_pump):
    test = small_pump.rows.test
    decisions = small_pump.scorer.decisions(small_pump.scorer.probabilities(test))
    events = events_of(small_pump)
    assert [scores.ahead for scores in events.horizons] == [6, 12, 18, 24]
    assert events.horizons[-1].recall.value == pytest.approx(decisions[test["fails_soon"] == 1].mean())
    assert events.horizons[-1].precision.value == pytest.approx((test["fails_soon"] == 1)[decisions].mean(), abs=0.02)
    assert events.modes.at_alarm.failures == events.held_out.caught
    assert events.modes.at_failure.failures == events.held_out.failures


def test_scores_by_horizon_of_added_sums_are_those_of_all_machines(rows, rules, params):
    decisions = np.arange(len(rows)) % 3 == 0
    whole = score_horizons(judged(rows, decisions, rules), decisions, rules, params.evaluation, 1)
    parts = []
    for _, part in rows.groupby("machine_id"):
        own = decisions[part.index]
        parts.append(horizon_sums(judged(part.reset_index(drop=True), own, rules), own, rules))
    assert score_horizon_sums(np.concatenate(parts, axis=2), rules, params.evaluation, 1) == whole

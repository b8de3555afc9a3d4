"""The machines that the evaluation card shows as examples."""

import numpy as np
import pandas as pd

from predictive_maintenance.evaluation.failure_events import judge_alarms
from predictive_maintenance.evaluation.timelines import sample_timelines

from .test_failure_events import RULES, observed

CAUGHT = (101, [(94, 100)], [100])
MISSED = (101, [], [100])
FALSE = (101, [(20, 21)], [])


def sampled(machines, seed=7):
    found, decisions = observed(machines)
    risk = np.where(decisions, 0.9, 0.1)
    return sample_timelines(judge_alarms(found, decisions, RULES), risk, seed)


def test_there_are_at_most_two_machines_of_each_kind():
    kinds = [timeline.kinds for timeline in sampled([CAUGHT] * 5 + [MISSED] * 5 + [FALSE] * 5)]
    assert kinds == [("missed",)] * 2 + [("false",)] * 2 + [("caught",)] * 2


def test_a_machine_is_an_example_of_all_that_happened_to_it():
    (timeline,) = sampled([(201, [(20, 21), (94, 100)], [100, 200])])
    assert timeline.kinds == ("missed", "false", "caught")
    assert timeline.alarms.to_dict("list") == {"begin": [20, 94], "end": [22, 100], "kind": ["false", "true"]}
    assert timeline.failures.to_dict("list") == {"time": [100, 200], "kind": ["caught", "missed"]}


def test_a_machine_without_alarms_and_failures_is_no_example():
    assert sampled([(50, [], [])]) == ()


def test_the_same_seed_draws_the_same_machines():
    fleet = [CAUGHT] * 9
    assert [timeline.machine for timeline in sampled(fleet)] == [timeline.machine for timeline in sampled(fleet)]
    assert {tuple(timeline.machine for timeline in sampled(fleet, seed)) for seed in range(9)} != {("M0", "M1")}


def test_a_long_machine_keeps_the_peaks_of_its_risk():
    (timeline,) = sampled([(5000, [(2000, 2000)], [])])
    assert len(timeline.risk) == 300
    assert timeline.risk.loc[timeline.risk["probability"] == 0.9, "time"].tolist() == [2000]


def test_timestamps_are_shown_as_times(small_engine, engine_events):
    last = small_engine.rows.test.groupby("machine_id")["timestamp"].max()
    assert engine_events.timelines
    for timeline in engine_events.timelines:
        assert timeline.failures["time"].tolist() == [last[timeline.machine]]
        assert isinstance(timeline.risk["time"].dtype, pd.DatetimeTZDtype)

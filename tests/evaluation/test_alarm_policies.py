"""Alarm policies are compared on the out-of-fold rows, each with the threshold that is best for it."""

from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.evaluation.alarm_policies import score_policies
from predictive_maintenance.evaluation.failure_events import judge_alarms
from predictive_maintenance.history.observed import observe
from predictive_maintenance.machine.alarm import Alarm, AlarmPolicy

STATED = (Alarm(open="2 of 3", close_after=6), Alarm(open="3 of 3", close_after=2))


@pytest.fixture(scope="module")
def compared(small_engine):
    """A function that scores the policies of the settings on the training rows."""
    rows, trained = small_engine.rows, small_engine.trained
    labels = rows.train[small_engine.params.machine.label_name].to_numpy()
    observed = observe(small_engine.params.machine, rows.train)

    def compare(policies, maximum=None):
        params = small_engine.params
        evaluation = params.evaluation.model_copy(update={"alarm_policies": policies})
        threshold = params.threshold.model_copy(update={"at_most_false_alarms": maximum})
        params = params.model_copy(update={"evaluation": evaluation, "threshold": threshold})
        return score_policies(observed, labels, trained.out_of_fold.probabilities, event_rules(params), params)

    return compare


def test_the_policy_of_the_description_comes_first_and_once(small_engine, compared):
    own = small_engine.params.machine.description.alarm_policy()
    assert [found.policy for found in compared(STATED)] == [own, *(alarm.policy() for alarm in STATED)]
    again = Alarm(open=f"{own.positive} of {own.of}", close_after=own.close_after)
    assert [found.policy for found in compared((again, STATED[0]))] == [own, STATED[0].policy()]


def test_nothing_is_compared_with_the_policy_of_the_description_alone(small_engine, compared):
    own = small_engine.params.machine.description.alarm_policy()
    assert compared(()) == compared((Alarm(open=f"{own.positive} of {own.of}", close_after=own.close_after),)) == ()


def test_without_a_limit_all_policies_have_the_same_threshold_and_stricter_ones_fewer_alarms(compared):
    found = {score.policy: score for score in compared(STATED)}
    assert len({score.threshold for score in found.values()}) == 1
    assert found[AlarmPolicy(positive=3, of=3, close_after=2)].scores.alarms < found[AlarmPolicy()].scores.alarms


def test_each_policy_has_the_threshold_that_keeps_it_within_the_limit_of_false_alarms(compared):
    unlimited = compared(STATED)
    limit = float(np.median([score.scores["false_alarm_rate"].value for score in unlimited])) / 2
    limited = compared(STATED, maximum=limit)
    assert all(score.scores["false_alarm_rate"].value <= limit for score in limited)
    assert len({score.threshold for score in limited}) > 1


def test_the_scores_are_those_of_the_policys_alarms(small_engine, compared):
    rows, trained, params = small_engine.rows, small_engine.trained, small_engine.params
    found = compared(STATED)[1]
    rules = event_rules(params)
    observed = observe(params.machine, rows.train)
    judged = judge_alarms(
        observed, trained.out_of_fold.probabilities >= found.threshold, replace(rules, policy=found.policy)
    )
    assert (found.scores.alarms, found.scores.caught) == (
        len(judged.alarms.machine),
        np.isfinite(judged.outcomes.lead).sum(),
    )

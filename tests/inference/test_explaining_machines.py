"""Explanations of any machine: what is explained, against which readings, and how far contributions can be trusted."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from predictive_maintenance.errors import DataError
from predictive_maintenance.inference.explaining import EXACT_INPUTS, MAX_SCORED_ROWS, REFERENCE_ROWS, Explainer
from tests.fixtures.scorers import AdditiveScorer, TreeScorer
from tests.fixtures.wide_machines import wide_machine
from tests.paths import REPOSITORY

from .conftest import readings_of


@pytest.fixture(scope="session")
def explained(any_machine):
    """A model of trees with its explanations."""
    scorer = TreeScorer(any_machine.machine)
    explainer = Explainer(scorer, any_machine.machine, any_machine.sample)
    return scorer, [(reading, explainer.explain(reading)) for reading in any_machine.single]


def test_contributions_add_up_to_the_difference_in_probability(explained):
    scorer, explanations = explained
    for reading, explanation in explanations:
        total = explanation.reference.mean_probability + sum(explanation.contributions.values())
        assert total == pytest.approx(scorer.probability(reading), abs=1e-12)


def test_estimates_have_a_standard_error_for_each_input_and_exact_values_have_none(any_machine, explained):
    machine = any_machine.machine
    exact = len(machine.sensor_names) <= EXACT_INPUTS
    for _, explanation in explained[1]:
        if exact:
            assert explanation.standard_errors is None
            continue
        assert explanation.standard_errors.keys() == explanation.contributions.keys()
        assert all(error >= 0 for error in explanation.standard_errors.values())
        assert max(explanation.standard_errors.values()) > 0


def test_contributions_of_additive_effects_are_those_effects(any_machine):
    machine = any_machine.machine
    scorer = AdditiveScorer(machine)
    explainer = Explainer(scorer, machine, any_machine.sample)
    for reading in any_machine.single:
        explanation = explainer.explain(reading)
        for name, contribution in explanation.contributions.items():
            own = scorer.effects(name, [reading.get(name, np.nan)])[0]
            expected = own - scorer.effects(name, explanation.reference.columns[name]).mean()
            assert contribution == pytest.approx(expected, abs=1e-12)


def test_a_missing_value_contributes_like_any_other_value(any_machine):
    """The effect of a missing value is lower than that of all others."""
    machine, scorer = any_machine.machine, AdditiveScorer(any_machine.machine)
    optional = [name for name in machine.sensor_names if name not in machine.required_sensor_names]
    explainer = Explainer(scorer, machine, any_machine.sample)
    for name in optional[:3]:
        without = {key: value for key, value in any_machine.single[0].items() if key != name}
        assert explainer.explain(without).contributions[name] < 0
        assert explainer.explain(without | {name: None}).contributions == explainer.explain(without).contributions


@pytest.mark.parametrize(("sensors", "categories"), [(6, 0), (8, 0), (12, 0), (100, 10), (600, 0)])
def test_the_number_of_scored_rows_is_limited_for_any_number_of_inputs(sensors, categories):
    readings = readings_of(wide_machine(sensors, categories))
    scorer = AdditiveScorer(readings.machine)
    explainer = Explainer(scorer, readings.machine, readings.sample)
    explainer.explain(readings.single[0])
    first = scorer.scored
    explainer.explain(readings.single[1])
    assert MAX_SCORED_ROWS / 2 < scorer.scored - first <= MAX_SCORED_ROWS + 1
    assert first - (scorer.scored - first) <= REFERENCE_ROWS


def test_ten_inputs_are_exact_with_sixteen_reference_readings():
    readings = readings_of(wide_machine(10))
    explanation = Explainer(TreeScorer(readings.machine), readings.machine, readings.sample).explain(readings.single[0])
    assert explanation.standard_errors is None
    assert explanation.reference.name == "16 healthy readings"


def test_a_machine_without_categories_is_compared_with_any_healthy_reading():
    readings = readings_of(wide_machine(5))
    reference = (
        Explainer(AdditiveScorer(readings.machine), readings.machine, readings.sample)
        .explain(readings.single[0])
        .reference
    )
    assert reference.name == "64 healthy readings"
    healthy = {
        value for value, failed in zip(readings.sample["s1"], readings.sample["failed"], strict=True) if not failed
    }
    assert set(reference.columns["s1"]) <= healthy


def test_several_categories_are_explained_and_a_single_one_is_the_same_in_the_reference():
    for categories, explained in ((1, set()), (2, {"c0", "c1"})):
        readings = readings_of(wide_machine(5, categories))
        explanation = Explainer(AdditiveScorer(readings.machine), readings.machine, readings.sample).explain(
            readings.single[0]
        )
        assert explanation.contributions.keys() == {f"s{number}" for number in range(5)} | explained


def test_an_unknown_value_of_a_category_is_compared_with_the_readings_of_other_unknown_values():
    readings = readings_of(wide_machine(3, 1))
    sample = readings.sample | {"c0": ["q" if row % 3 else "a" for row in range(len(readings.sample["c0"]))]}
    explainer = Explainer(AdditiveScorer(readings.machine), readings.machine, sample)
    assert (
        explainer.explain(readings.single[0] | {"c0": "z"}).reference.name == "64 healthy readings of category 0 other"
    )
    assert explainer.explain(readings.single[0] | {"c0": "b"}).reference.name == "64 healthy readings of any category 0"


def test_one_healthy_reading_is_enough_for_an_estimate():
    readings = readings_of(wide_machine(12))
    only = readings.sample | {"failed": [int(row != 5) for row in range(len(readings.sample["failed"]))]}
    explanation = Explainer(TreeScorer(readings.machine), readings.machine, only).explain(readings.single[0])
    assert explanation.reference.name == "1 healthy reading"
    assert np.isfinite(list(explanation.standard_errors.values())).all()


EXPLAIN = """
import json
from predictive_maintenance.inference.explaining import Explainer
from tests.fixtures.scorers import TreeScorer
from tests.fixtures.wide_machines import wide_machine
from tests.inference.conftest import readings_of
readings = readings_of(wide_machine(12, 2))
explainer = Explainer(TreeScorer(readings.machine), readings.machine, readings.sample)
explained = [explainer.explain(reading) for reading in readings.single[{order}]]
print(json.dumps([[each.contributions, each.standard_errors] for each in explained]))
"""


def test_the_same_reading_gets_the_same_estimate_in_every_process():
    results = []
    for hash_seed, order in (("1", "::1"), ("2", "::-1")):
        done = subprocess.run(
            [sys.executable, "-c", EXPLAIN.format(order=order)], cwd=REPOSITORY, check=True, capture_output=True, text=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
        results.append(json.loads(done.stdout))
    assert results[0] == results[1][::-1]


def test_neither_the_order_of_fields_nor_an_id_changes_an_estimate():
    readings = readings_of(wide_machine(12))
    explainer = Explainer(TreeScorer(readings.machine), readings.machine, readings.sample)
    reading = readings.single[0]
    other = dict(reversed(reading.items())) | {"reading_id": "a"}
    assert explainer.explain(other).contributions == explainer.explain(reading).contributions


ROOT = "  root: {label: Root, formula: sqrt(s2 - s1)}"


@pytest.mark.parametrize("sensors", [5, 12])
def test_a_mix_for_which_a_formula_has_no_value_counts_as_the_reference_reading(sensors):
    readings = readings_of(wide_machine(sensors, features=ROOT))
    sample = readings.sample | {"s1": [0.1] * 300, "s2": [0.2] * 300}
    scorer = TreeScorer(wide_machine(sensors, features=ROOT.replace("s2 - s1", "s2")))
    scorer = Refusing(scorer, readings.machine)
    reading = readings.single[0] | {"s1": 0.7, "s2": 0.8}
    explanation = Explainer(scorer, readings.machine, sample).explain(reading)
    assert scorer.refused
    total = explanation.reference.mean_probability + sum(explanation.contributions.values())
    assert total == pytest.approx(scorer.probability(reading), abs=1e-12)


class Refusing:
    """A scorer that refuses readings for which a formula of `machine` has no value, and counts them."""

    def __init__(self, scorer, machine):
        self._scorer, self._machine, self.refused = scorer, machine, 0

    def probabilities(self, columns):
        if faults := self._machine.formula_faults(columns):
            self.refused += int(next(iter(faults.values())).sum())
            raise DataError("root has no value")
        return self._scorer.probabilities(columns)

    def probability(self, reading):
        return self._scorer.probability(reading)

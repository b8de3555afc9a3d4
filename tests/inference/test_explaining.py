"""Explanations of the milling machine are exact: contributions add up and agree with the shap package."""

import json

import numpy as np
import pytest

from predictive_maintenance.inference.explaining import Explainer
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.scoring import Scorer


@pytest.fixture(scope="module")
def sample(small):
    return json.loads(small.files["reference.json"])


@pytest.fixture(scope="module")
def explainer(small, sample):
    return Explainer(small.scorer, MILLING, sample)


@pytest.fixture(scope="module")
def readings(small):
    """Failures of each product type and some healthy rows."""
    rows = small.rows.test
    failed = rows[rows[MILLING.label_name] == 1].groupby("product_type").head(3)
    return [
        *failed[list(MILLING.input_names)].to_dict("records"),
        *rows.head(5)[list(MILLING.input_names)].to_dict("records"),
    ]


def table_of(reference):
    """The sensors (n, 5) of the reference readings."""
    return np.column_stack([reference.columns[name] for name in MILLING.sensor_names])


def test_contributions_add_up_to_the_difference_in_probability(small, explainer, readings):
    for reading in readings:
        explanation = explainer.explain(reading)
        total = explanation.reference.mean_probability + sum(explanation.contributions.values())
        assert total == pytest.approx(small.scorer.probability(reading), abs=1e-12)


@pytest.mark.long
def test_contributions_agree_with_the_shap_package(small, explainer, readings):
    import shap  # slow: compiles functions

    for reading in readings:
        product_type, explanation = reading["product_type"], explainer.explain(reading)

        def probabilities(table, product_type=product_type):
            columns = dict(zip(MILLING.sensor_names, np.asarray(table, dtype=float).T, strict=True))
            columns["product_type"] = np.full(len(table), product_type, dtype=object)
            return small.scorer.probabilities(columns)

        masker = shap.maskers.Independent(table_of(explanation.reference), max_samples=1000)
        theirs = shap.ExactExplainer(probabilities, masker)(
            np.array([[reading[name] for name in MILLING.sensor_names]])
        )
        np.testing.assert_allclose(list(explanation.contributions.values()), theirs.values[0], atol=1e-9)
        assert explanation.reference.mean_probability == pytest.approx(theirs.base_values[0], abs=1e-9)


def test_the_reference_has_healthy_readings_of_the_same_product_type(explainer, readings, sample):
    healthy = {
        tuple(values)
        for *values, kind, failed in zip(
            *(sample[name] for name in MILLING.sensor_names),
            sample["product_type"],
            sample[MILLING.label_name],
            strict=True,
        )
        if kind == "L" and not failed
    }
    reference = explainer.explain(next(r for r in readings if r["product_type"] == "L")).reference
    assert {tuple(row) for row in table_of(reference)} <= healthy
    assert reference.name == "64 healthy readings of product type L"


def test_a_product_type_that_is_not_in_the_sample_is_compared_with_all_types(small, sample, readings):
    kept = [index for index, name in enumerate(sample["product_type"]) if name != "H"]
    without_h = {name: [values[index] for index in kept] for name, values in sample.items()}
    explanation = Explainer(small.scorer, MILLING, without_h).explain(readings[0] | {"product_type": "H"})
    assert explanation.reference.name == "64 healthy readings of any product type"


@pytest.mark.parametrize("sensor", MILLING.sensor_names)
def test_a_sensor_with_the_same_value_in_the_reference_contributes_nothing(small, explainer, readings, sensor):
    reading = readings[0]
    same = {name: list(values) for name, values in json.loads(small.files["reference.json"]).items()}
    same[sensor] = [reading[sensor]] * len(same[sensor])
    assert Explainer(small.scorer, MILLING, same).explain(reading).contributions[sensor] == pytest.approx(0, abs=1e-12)


def test_a_scorer_that_is_loaded_twice_gives_the_same_contributions(small, explainer, sample, readings):
    again = Explainer(Scorer.from_files(small.files), MILLING, sample)
    assert again.explain(readings[0]).contributions == explainer.explain(readings[0]).contributions

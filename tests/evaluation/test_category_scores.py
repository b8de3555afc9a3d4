"""Scores by the values of a machine's categories: none, one or several."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import load_machine, parse_machine
from predictive_maintenance.evaluation.category_scores import MAX_VALUES, scores_by_category
from predictive_maintenance.machine.milling import MILLING
from tests.paths import REPOSITORY

PUMP = f"""
name: pump
model_name: pump
categories:
  medium: {{label: Medium, values: [water, oil], unseen: other}}
  site: {{label: Site, values: [{", ".join(f"site {number}" for number in range(30))}]}}
sensors: {{flow_l_min: {{label: Flow, unit: l/min, range: [0, 500]}}}}
label: {{column: machine_failure}}
"""


@pytest.fixture
def scored(params):
    """A function that returns the scores by category of rows of a machine, with alarms for half of the failures."""
    quick = params.model_copy(update={"evaluation": params.evaluation.model_copy(update={"bootstrap_samples": 100})})

    def score(machine, **columns):
        count = len(next(iter(columns.values()), range(60)))
        labels = np.arange(count) % 3 == 0
        rows = pd.DataFrame(
            {
                "machine_failure": labels.astype(int),
                "group": [f"life {row // 5}" for row in range(count)],
                **columns,
            }
        )
        decisions = labels & (np.arange(count) % 2 == 0)
        return scores_by_category(rows, decisions * 1.0, decisions, quick.model_copy(update={"machine": machine}))

    return score


def test_a_machine_without_categories_has_no_scores_by_category(scored):
    assert scored(load_machine(REPOSITORY / "tests" / "machines" / "compressor" / "machine.yaml")) == ()


def test_values_that_occur_have_scores_in_the_order_of_the_description(scored):
    (category,) = scored(MILLING, product_type=["H", "L", "L"] * 20)
    assert (category.name, category.label, category.left_out) == ("product_type", "Product type", 0)
    assert [(value, scores.rows) for value, scores in category.values.items()] == [("L", 40), ("H", 20)]
    assert category.values["H"].failures == 20
    assert category.values["H"]["recall"].value == 0.5


def test_every_category_has_scores_and_unlisted_values_count_as_other(scored):
    medium, site = scored(parse_machine(PUMP), medium=["water", "glycol", "brine"] * 20, site=["site 7"] * 60)
    assert {value: scores.rows for value, scores in medium.values.items()} == {"water": 20, "other": 40}
    assert {value: scores.rows for value, scores in site.values.items()} == {"site 7": 60}


def test_the_most_frequent_of_many_values_have_scores_and_the_others_are_counted(scored):
    sites = [f"site {number}" for number in range(30) for _ in range(number + 1)]
    _, site = scored(parse_machine(PUMP), medium=["oil"] * len(sites), site=sites)
    assert list(site.values) == [f"site {number}" for number in range(30 - MAX_VALUES, 30)]
    assert site.left_out == 30 - MAX_VALUES

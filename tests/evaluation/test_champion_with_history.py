"""A champion whose features come from earlier readings, compared on the held-out rows of a challenger."""

from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.champion_rows import latest_trained, read_rows, why_not_comparable
from predictive_maintenance.validation.row_identity import row_hashes
from tests.fixtures.evaluations import compare
from tests.fixtures.run_to_failure import DESCRIPTION


@pytest.fixture
def champion(small_engine):
    """The model in production, which was trained on none of the rows."""
    return BaselineModel(
        version="3",
        scorer=small_engine.scorer,
        training_rows=np.empty(0, dtype=np.uint64),
        training_fingerprint="other",
    )


def test_a_champion_of_the_same_description_gets_its_own_probabilities(small_engine, champion):
    rows, scorer = small_engine.rows, small_engine.scorer
    probabilities = scorer.probabilities(rows.test)
    comparison = compare(
        champion, rows.test, probabilities, scorer.decisions(probabilities), "new", small_engine.params, rows.train
    )
    assert comparison.rows == len(rows.test)
    assert comparison.champion == comparison.challenger


def test_a_champion_with_other_windows_gets_them_from_all_held_out_rows(small_engine, champion):
    rows, machine = small_engine.rows, small_engine.params.machine
    challenger = parse_machine(DESCRIPTION.replace("[12h, 3 readings]", "[6h, 12h]"))
    test = rows.test.drop(columns=[name for name in machine.window_features if name.endswith("3readings")])
    read = read_rows(champion, machine, challenger, test, rows.train)
    np.testing.assert_array_equal(
        small_engine.scorer.probabilities(read.frame), small_engine.scorer.probabilities(rows.test)
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("horizon: 24h", "horizon: 48h", "fails_soon is within 24 h for it and within 48 h in the held-out rows"),
        (
            "run_to_failure: {horizon: 24h}",
            "headers: [x]",
            "fails_soon is within 24 h for it and a column in the held-out",
        ),
    ],
)
def test_a_label_with_another_meaning_is_not_comparable(small_engine, old, new, reason):
    challenger = parse_machine(DESCRIPTION.replace(old, new))
    assert reason in why_not_comparable(small_engine.params.machine, challenger, small_engine.rows.test)


def test_rows_without_the_places_in_time_are_not_comparable(small_engine):
    challenger = parse_machine(DESCRIPTION.replace("kind: timestamp", "kind: counter, unit: h"))
    rows = small_engine.rows.test.rename(columns={"timestamp": "counter"})
    assert "it needs column timestamp" in why_not_comparable(small_engine.params.machine, challenger, rows)


@pytest.fixture
def sampled_champion(small_pump):
    """A champion that was trained on a few rows from the first half of the held-out time."""
    test = small_pump.rows.test.sort_values("timestamp")
    some = test.iloc[: len(test) // 2 : 10]
    return some["timestamp"].max(), BaselineModel(
        version="3",
        scorer=small_pump.scorer,
        training_rows=np.sort(row_hashes(some["reading_id"])),
        training_fingerprint="other",
    )


def split_by(params, by):
    """The settings with another way of splitting."""
    return params.model_copy(update={"split": params.split.model_copy(update={"by": by})})


def test_in_a_split_by_time_a_champion_is_compared_on_rows_after_its_own_training_only(small_pump, sampled_champion):
    until, champion = sampled_champion
    rows, scorer = small_pump.rows, small_pump.scorer
    probabilities = scorer.probabilities(rows.test)
    arguments = (champion, rows.test, probabilities, scorer.decisions(probabilities), "new")
    comparison = compare(*arguments, split_by(small_pump.params, "time"), rows.train, rows.events, rows.history)
    assert comparison.rows == (rows.test["timestamp"] > until).sum()
    by_group = compare(*arguments, split_by(small_pump.params, "group"), rows.train, rows.events, rows.history)
    assert by_group.seen_rows == len(champion.training_rows)


def test_a_champion_of_other_rows_is_compared_on_all_of_them(small_pump, sampled_champion):
    _, champion = sampled_champion
    other = replace(champion, training_rows=np.empty(0, dtype=np.uint64))
    machine, rows = small_pump.params.machine, small_pump.rows
    latest = latest_trained(other, machine, machine, rows.test, rows.train)
    assert latest is None
    read = read_rows(other, machine, machine, rows.test, rows.train, rows.events, rows.history, latest)
    assert not read.seen.any()

"""The models page shows how the candidate decides about production's readings."""

from contextlib import closing

import pytest

from predictive_maintenance.store import comparisons
from predictive_maintenance.store.rows import DecisionCounts, Errors, Labelled, Saving
from predictive_maintenance.store.store import Store
from tests.app.test_shadow import DAY, MODEL, STARTED, compare

from .conftest import page_text

ERRORS = Errors(missed_failures=1, false_alarms=20, costs=10_000.0)


@pytest.fixture
def shown(open_page, transport, make_client, clock, tmp_path):
    """A function that changes the store, and returns the text of the page then."""
    transport.start = lambda: make_client(prediction_log=True)
    page = open_page("models")

    def show(change=lambda _: None):
        with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store:
            change(store)
        clock.now += 31
        page.run()
        clock.now += 31
        return page_text(page.run())

    return show


def test_without_a_comparison_the_page_says_what_makes_one(shown):
    assert "Nothing was compared yet. `predictive-maintenance shadow`" in shown()


def test_agreement_costs_and_machines_are_shown(shown):
    text = shown(compare)
    assert "Candidate: version 2. Production: version 1." in text
    assert "99.00%" in text
    assert "of 2,000 readings" in text
    assert "50.00%" in text
    assert "of 40 readings with an alarm of either version" in text
    assert "8 of production only, 12 of the candidate only; 20 of both" in text
    assert "| expected, by the probabilities of production | 500 EUR | 450 EUR |" in text
    assert "| A | 2,000 | 8 | 12 | 0.0200 |" in text
    assert "| 2027-01-15 | 1,000 | 99.00% |" in text
    assert "Predictions since 2027-01-15 08:00 UTC count" in text
    assert "No reading was compared yet." not in text
    assert "Left out: 3 gone." in text
    assert "Automatic promotion: 1 of 7 days of agreement." in text


def with_outcomes(**changed):
    """A function that adds a comparison with outcomes by failures to a store."""
    production, candidate = (
        Errors(missed_failures=2, false_alarms=8, costs=12_000.0, low=4_000.0, high=20_000.0),
        ERRORS,
    )
    labelled = Labelled(
        readings=4_000, failures=40, production=production, candidate=candidate, source="failures", **changed
    )

    def change(store):
        found = compare(store)
        with store.writing() as transaction:
            comparisons.set_labelled(transaction, found, labelled)

    return change


def test_costs_by_failures_are_shown_with_their_intervals(shown):
    text = shown(with_outcomes(saving=Saving(value=2_000.0, low=-1_000.0, high=5_000.0)))
    assert (
        "| by failures: 4,000 readings with known outcome, 40 before a failure | 3,000 EUR [1,000 EUR, 5,000 EUR] | 2,500 EUR |"
    ) in text
    assert "| errors | 2 missed, 8 false | 1 missed, 20 false |" in text
    assert "By failures, the candidate costs 500 EUR [-250 EUR, 1,250 EUR] less per 1,000 readings." in text


def test_known_outcomes_that_prevent_a_promotion_are_shown(shown):
    def is_blocked(store):
        with_outcomes(saving=Saving(value=-2_000.0, low=-5_000.0, high=-1_000.0))(store)
        (found,) = comparisons.find(store, MODEL, most=1)
        with store.writing() as transaction:
            comparisons.note_check(transaction, found, STARTED, "the errors of version 2 cost 2,000 EUR more")

    assert "Automatic promotion: the errors of version 2 cost 2,000 EUR more." in shown(is_blocked)


def test_costs_that_are_not_judged_have_a_reason(shown):
    text = shown(with_outcomes(reason="the failures are of 3 machines"))
    assert "Costs by failures are not judged: the failures are of 3 machines." in text


def test_without_alarms_the_same_alarms_cannot_be_judged(shown):
    def calm(store):
        with store.writing() as transaction:
            found = comparisons.begin(transaction, MODEL, "1", "2", started=STARTED, now=STARTED)
            days = {(DAY, 1): DecisionCounts(predictions=1_000)}
            comparisons.add(transaction, found, comparisons.Place(1, None), 5, days=days, machines={}, left_out={})

    assert "cannot be judged: neither version has raised an alarm" in shown(calm)


def test_a_broken_candidate_is_reported(shown):
    def is_broken(store):
        found = compare(store)
        with store.writing() as transaction:
            comparisons.set_state(transaction, found, "broken", "model.onnx is damaged", attempts=2, due=0)

    assert "The candidate is broken.** model.onnx is damaged" in shown(is_broken)


def test_an_ended_comparison_says_why(shown):
    def ended(store):
        compare(store)
        with store.writing() as transaction:
            comparisons.end_others(transaction, MODEL, because="version 2 is in production")

    assert "This comparison has ended: version 2 is in production." in shown(ended)

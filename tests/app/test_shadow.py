"""GET /shadow shows how a candidate decides about the readings that production scored."""

import pytest

from predictive_maintenance.store import comparisons
from predictive_maintenance.store.rows import DecisionCounts, Errors, Labelled
from predictive_maintenance.store.store import Store

MODEL = "predictive_maintenance"
STARTED = 1_800_000_000
DAY = STARTED // 86_400


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    yield store
    store.close()


def compare(store, candidate="2"):
    """A comparison of 2,000 readings of two machines, over two days."""
    counts = DecisionCounts(
        predictions=1_000, both=10, only_production=4, only_candidate=6, difference=20.0, costs_production=500.0,
        costs_production_by_candidate=600.0, costs_candidate_by_production=450.0, costs_candidate=400.0,
    )  # fmt: skip
    with store.writing() as transaction:
        found = comparisons.begin(transaction, MODEL, "1", candidate, started=STARTED, now=STARTED)
        comparisons.set_currency(transaction, found, "EUR")
        comparisons.add(
            transaction, found, comparisons.Place(1, None), 5, days={(DAY, 1): counts, (DAY + 1, 2): counts},
            machines={"A": counts + counts, "B": DecisionCounts(predictions=7)}, left_out={"gone": 3},
        )  # fmt: skip
        comparisons.note_check(transaction, found, STARTED + 3_600, "1 of 7 days of agreement")
    return found


def test_without_a_comparison_the_list_is_empty(client):
    assert client.get("/shadow").json() == {"model_name": MODEL, "comparisons": []}


def test_a_comparison_is_shown_with_counts_costs_days_and_machines(client, store):
    found = compare(store)
    errors = Errors(missed_failures=1, false_alarms=2, costs=5_500.0)
    with store.writing() as transaction:
        comparisons.set_labelled(
            transaction, found, Labelled(readings=50, failures=4, production=errors, candidate=errors)
        )
    (shown,) = client.get("/shadow").json()["comparisons"]
    share = shown.pop("agreement")
    assert share["value"] == 0.99
    assert share["low"] < 0.99 < share["high"]
    alarms = shown.pop("alarm_agreement")
    assert alarms["value"] == 0.5
    assert alarms["low"] < 0.5 < alarms["high"]
    assert shown == {
        "model_version": "1", "candidate_version": "2", "state": "comparing", "reason": "",
        "started": "2027-01-15T08:00:00Z", "updated": "2027-01-15T09:00:00Z", "predictions": 2_000, "left_out": {"gone": 3},
        "alarms_of_both": 20, "only_production": 8, "only_candidate": 12, "mean_absolute_difference": 0.02, "currency": "EUR",
        "costs_by_production": {"production": 500.0, "candidate": 450.0},
        "costs_by_candidate": {"production": 600.0, "candidate": 400.0},
        "outcomes": {
            "readings": 50, "failures": 4, "production": vars(errors), "candidate": vars(errors), "source": "feedback",
            "saving": None, "reason": "",
        },
        "days": [
            {"day": "2027-01-15", "predictions": 1_000, "same_decision": 990},
            {"day": "2027-01-16", "predictions": 1_000, "same_decision": 990},
        ],
        "machines": [
            {
                "machine_id": "A", "predictions": 2_000, "only_production": 8, "only_candidate": 12,
                "mean_absolute_difference": 0.02,
            }
        ],
        "promotion": "1 of 7 days of agreement",
    }  # fmt: skip


def test_the_current_comparison_comes_before_those_that_ended(client, store):
    compare(store)
    compare(store, candidate="3")
    shown = client.get("/shadow?limit=5").json()["comparisons"]
    assert [(one["candidate_version"], one["state"]) for one in shown] == [("3", "comparing"), ("2", "ended")]
    compare(store)
    assert client.get("/shadow").json()["comparisons"][0]["candidate_version"] == "2"
    assert client.get("/shadow?limit=0").status_code == 422


def test_it_needs_the_key(make_client):
    client = make_client(api_key="secret")
    assert client.get("/shadow").status_code == 401
    assert client.get("/shadow", headers={"X-API-Key": "secret"}).status_code == 200

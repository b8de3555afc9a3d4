"""Predictions and reports: of several predictions of a reading, the latest counts, with the newest report about any of them."""

import tracemalloc
from contextlib import closing

import pytest

from predictive_maintenance.store import outcomes
from predictive_maintenance.store.outcomes import (
    labelled_predictions,
    latest_predictions,
    reading_name,
    reported_predictions,
)
from predictive_maintenance.store.predictions import Predictions
from predictive_maintenance.store.rows import Feedback, Subject
from predictive_maintenance.store.store import Store


@pytest.fixture
def store(empty_store_url):
    with closing(Store.open(empty_store_url, timeout_seconds=5)) as store:
        yield store


def block(scored, *ids, request_id="r", **values):
    return Predictions(
        scored=scored, request_id=request_id, row=1, failure_probability=[0.5] * len(ids), predicted_failure=[True] * len(ids),
        reading_id=ids if any(ids) else None, **values,
    )  # fmt: skip


def report(store, subject, verdict):
    with store.writing() as transaction:
        transaction.add_feedback(
            "m", Feedback(subject=subject, verdict=verdict, mode=None, failed=None, comment="", author="A"), 1
        )


def counting(*blocks):
    return [counts.tolist() for _, counts in latest_predictions(lambda kind: blocks)]


def test_the_latest_prediction_of_a_reading_counts_within_a_block_and_over_blocks():
    assert counting(block(1, "a", "b", "b"), block(2, "c", "a")) == [[False, False, True], [True, True]]


def test_predictions_without_reading_id_all_count():
    assert counting(block(1, None, "a", None), block(2, None, None), block(3, "a")) == [
        [True, False, True], [True, True], [True],
    ]  # fmt: skip


def test_readings_with_an_empty_id_all_count():
    assert counting(block(1, "", "a", ""), block(2, "", "a")) == [[True, False, True], [True, True]]


def test_an_id_that_no_database_keeps_does_not_hide_the_reports_about_others(store):
    report(store, Subject("reading", "a"), "false")
    blocks = [block(1, "b\0", "a")]
    (found,) = reported_predictions(store, "m", lambda kind: blocks)
    assert {place: found.reports[place].verdict for place in found.reports} == {1: "false"}


def test_a_reading_without_id_is_named_by_its_machine_and_time():
    retried = {"machine_id": ["E1", "E1", "E2", None], "time": [5, 6, 5, 5]}
    assert counting(
        block(1, None, None, None, None, **retried), block(2, None, None, machine_id=["E1", None], time=[5, 5])
    ) == [[False, True, True, True], [True, True]]
    assert counting(block(1, "a", machine_id=["E1"], time=[5]), block(2, "b", machine_id=["E1"], time=[5])) == [
        [True], [True],
    ]  # fmt: skip


KEPT = {"machine_id": ["E1"], "time": [5]}
SENT = KEPT | {"inputs": {"heat": [1.0]}}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(KEPT, SENT, [[True], [False]]), (SENT, KEPT, [[False], [True]]), (KEPT, KEPT, [[False], [True]])],
)
def test_beside_kept_readings_the_prediction_at_their_arrival_counts(first, second, expected):
    blocks = [block(1, None, **first), block(2, None, **second)]
    found = latest_predictions(lambda kind: blocks, beside_kept=True)
    assert [counts.tolist() for _, counts in found] == expected


def test_a_report_about_the_later_prediction_of_a_kept_reading_is_not_lost(store):
    blocks = [block(1, None, request_id="kept", **KEPT), block(2, None, request_id="sent", **SENT)]
    report(store, Subject("request", "sent", 1), "false")
    kept, sent = reported_predictions(store, "m", lambda kind: blocks)
    assert (kept.counts.tolist(), dict(kept.reports)) == ([False], {})
    assert sent.reports[0].verdict == "false"


def test_a_request_id_that_a_client_chooses_again_is_another_prediction():
    assert counting(block(1, "a", request_id="same"), block(2, "a", request_id="same")) == [[False], [True]]


def test_a_block_that_is_written_between_both_readings_of_the_log_changes_nothing_for_the_others():
    blocks = [block(1, "a", "b"), block(3, "a")]
    reads = iter([blocks, [blocks[0], block(2, "d"), blocks[1]]])
    assert [counts.tolist() for _, counts in latest_predictions(lambda kind: next(reads))] == [
        [False, True],
        [True],
        [True],
    ]


def test_ids_that_do_not_fit_into_memory_together_are_compared_in_parts(monkeypatch):
    blocks = [block(number, *(f"id {one % 70}" for one in range(number * 9, number * 9 + 9))) for number in range(20)]
    expected = counting(*blocks)
    monkeypatch.setattr(outcomes, "_PAIRS_TOGETHER", 16)
    assert counting(*blocks) == expected
    assert sum(map(sum, expected)) == 70


def test_memory_does_not_grow_with_the_log(monkeypatch):
    monkeypatch.setattr(outcomes, "_PAIRS_TOGETHER", 1_000)

    def peak(blocks):
        def read(kind):
            return (block(number, *(f"{number} {one}" for one in range(500))) for number in range(blocks))

        tracemalloc.start()
        try:
            assert all(counts.all() for _, counts in latest_predictions(read))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(4)
    assert peak(80) < 1.5 * peak(8)


def test_the_newest_report_about_any_prediction_of_a_reading_is_that_of_the_latest(store):
    report(store, Subject("request", "s", 1), "false")
    report(store, Subject("request", "r", 1), "confirmed")
    blocks = [block(1, "a", "b"), block(2, "a", "b", request_id="s")]
    first, second = reported_predictions(store, "m", lambda kind: blocks)
    assert first.reports == {}
    assert {place: found.verdict for place, found in second.reports.items()} == {0: "confirmed"}
    report(store, Subject("reading", "a"), "partly")
    assert list(labelled_predictions(store, "m", lambda kind: blocks)) == []


def test_without_reports_the_log_is_not_read_for_labels(store):
    assert list(labelled_predictions(store, "m", lambda kind: pytest.fail("read"))) == []


def test_a_reading_without_id_is_named_by_its_request_and_row():
    assert [reading_name(block(1, "a", None), position) for position in range(2)] == ["a", "r/2"]

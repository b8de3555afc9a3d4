"""The entry of the audit log about a version in production, by its tags."""

from datetime import UTC, datetime

import pytest

from predictive_maintenance.store.rows import Actor
from predictive_maintenance.tracking.entities import ModelVersion
from predictive_maintenance.tracking.production_audit import production_entry

SEEN = 1_800_000_000.5
TAGS = {
    "production_reason": "passed every check of the gate", "production_by": "TrainFlow/7", "production_from": "2",
    "production_moved_at": "2026-01-01T00:00:00.000001+00:00", "flow_run": "TrainFlow/7", "previous_production_version": "1",
}  # fmt: skip


def entry(**tags):
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return production_entry(ModelVersion(version="3", aliases=(), run_id="r", created=created, tags=tags), SEEN)


def test_who_when_from_where_and_why():
    found = entry(**TAGS, incident="5")
    assert (found.at, found.action, found.actor, found.subject) == (
        1_767_225_600, "promotion", Actor("TrainFlow/7"), "version 3"
    )  # fmt: skip
    assert found.detail == {
        "reason": "passed every check of the gate", "before": "2", "moved_at": "2026-01-01T00:00:00.000001+00:00",
        "flow_run": "TrainFlow/7", "incident": "5",
    }  # fmt: skip


def test_a_rollback_names_the_version_that_it_left_and_not_the_one_before_its_promotion():
    found = entry(**TAGS | {"production_reason": "rolled back from version 4 at noon", "production_from": "4"})
    assert (found.action, found.detail["before"]) == ("rollback", "4")


def test_a_version_that_an_earlier_release_promoted_has_the_entry_of_that_release():
    found = entry(promoted_at="2026-01-01T00:00:00+00:00", previous_production_version="1")
    assert (found.at, found.actor) == (int(SEEN), Actor("unknown"))
    assert found.detail == {"promoted": "2026-01-01T00:00:00+00:00", "before": "1"}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("at noon", int(SEEN)), ("9999-12-31T23:59:59+00:00", int(SEEN)), ("0001-01-01T00:00:00+14:00", 0),
        ("2026-01-01T00:00:00", 1_767_225_600),
    ],
)  # fmt: skip
def test_a_time_that_somebody_wrote_into_the_registry_is_neither_an_error_nor_in_the_future(text, at):
    assert entry(**TAGS | {"production_moved_at": text}).at == at

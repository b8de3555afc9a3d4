"""Filters, names, latest readings and download of a scored file."""

import pandas as pd
import pytest

from dashboard.fleet import display_name, filter_readings, latest_per_machine

RANKED = pd.DataFrame(
    {
        "machine_id": ["a", "b", "a"],
        "reading_id": ["1", "2", None],
        "timestamp": ["2026-11-20 08:00", "2026-11-20 08:00", "2026-11-20T09:00:00Z"],
        "risk_level": ["high", "elevated", "low"],
        "product_type": ["L", "M", "H"],
        "broken_limits": ["strain; tool_wear", "tool_wear", ""],
    }
)


def matching(**filters):
    return filter_readings(RANKED, **({"risks": [], "categories": {}, "limits": [], "text": ""} | filters))


def test_the_latest_readings_keep_their_order():
    assert latest_per_machine(RANKED)["risk_level"].tolist() == ["elevated", "low"]


@pytest.mark.parametrize("changed", [{"timestamp": "yesterday"}, {"machine_id": None}])
def test_there_is_no_latest_reading_without_machine_or_valid_time(changed):
    assert latest_per_machine(RANKED.assign(**changed)) is None
    assert latest_per_machine(RANKED.drop(columns=list(changed))) is None


def test_readings_match_all_filters_at_once():
    assert matching().equals(RANKED)
    assert matching(risks=["high", "elevated"], limits=["tool_wear"])["machine_id"].tolist() == ["a", "b"]
    assert matching(limits=["strain", "tool_wear"])["machine_id"].tolist() == ["a"]
    assert matching(categories={"product_type": ["M", "H"]}, text="09:00")["product_type"].tolist() == ["H"]


def test_the_text_filter_is_not_a_regular_expression():
    assert matching(text="(").empty


def test_a_reading_has_the_name_of_its_machine_otherwise_its_own_id():
    assert display_name({"machine_id": "press", "reading_id": "7"}) == "press"
    assert display_name({"machine_id": None, "reading_id": "7"}) == "7"
    assert display_name({"timestamp": "2026"}) == ""

"""A difference is a reason to act if it lasts: k of the last n windows, and the newest."""

import pytest

from predictive_maintenance.monitoring.drift import Finding
from predictive_maintenance.monitoring.rule import is_resolved, lasting


def window(*low):
    """A finding of each of several columns, whose interval begins at `low`; the limit is 1."""
    return [
        Finding(kind="distribution", column=name, effect=2.0, low=each, high=9.0, limit=1.0, before=0.0, now=0.0)
        for name, each in zip("abc", low, strict=False)
    ]


CALM, DRIFT = window(0.5, 0.5), window(2.0, 0.5)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], []),
        ([DRIFT], []),
        ([DRIFT, DRIFT, DRIFT], ["a"]),
        ([DRIFT, CALM, DRIFT, CALM, DRIFT], ["a"]),
        ([DRIFT, DRIFT, DRIFT, CALM], []),  # below the limit again
        ([DRIFT, DRIFT, CALM, CALM, CALM, DRIFT], []),  # too long ago
        ([DRIFT, DRIFT, None, DRIFT], ["a"]),
        ([DRIFT, DRIFT, DRIFT, None], []),  # the newest window is not compared
        ([window(0.5, 2.0), DRIFT, DRIFT], []),  # another column
    ],
)
def test_three_of_five_windows_and_the_newest(windows, expected):
    assert [finding.column for finding in lasting(windows, least=3, among=5)] == expected


def of_kind(kind, low, **own):
    return Finding(kind=kind, column="f1", effect=2.0, low=low, high=9.0, limit=1.0, before=0.0, now=0.0, **own)


LOSS, AS_EVALUATED = of_kind("performance", 2.0), of_kind("performance", 0.0)
NO_FAILURE = of_kind("performance", 2.0, own=float("nan"))


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([], False),
        ([DRIFT, CALM], False),  # one window could be chance
        ([DRIFT, CALM, CALM], True),
        ([DRIFT, CALM, DRIFT, CALM], False),
        ([DRIFT, CALM, CALM, None], False),
        ([DRIFT, CALM, None, CALM], True),
        ([[LOSS], [AS_EVALUATED], [AS_EVALUATED]], True),
        ([[LOSS], [NO_FAILURE], [NO_FAILURE]], False),
        ([[LOSS, *DRIFT], [AS_EVALUATED, *CALM], CALM], False),  # no labels in the newest window
        ([DRIFT, CALM, [AS_EVALUATED]], False),  # labels, and too few readings
        ([[of_kind("rejected readings", 2.0)], CALM, CALM], False),
        ([[LOSS], CALM, CALM, CALM, CALM], True),  # too long ago
        ([None, None, None, CALM], False),
    ],
)
def test_an_incident_is_resolved_after_some_windows_that_measured_again_what_exceeded_its_limit(windows, expected):
    assert is_resolved(windows, least=2, among=4) is expected

"""Verdicts in version tags."""

import json

import pytest

from predictive_maintenance.evaluation.verdict import Check, CheckName, Verdict

LONG_REASON = "trained on the same rows as version 1234, F1 differs by +0.000 on 1,000,000 rows, and so on and so on"


def check(name, passed=True, why="it is"):
    return Check(name=name, level="production", measured="0.123", required=">= 0.7", passed=passed, why=why)


def test_a_verdict_is_read_from_its_tag():
    verdict = Verdict((check(CheckName.HELD_OUT_RECALL), check(CheckName.NO_F1_LOSS, passed=False)))
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_the_verdict_of_every_check_fits_into_a_tag():
    """Registries limit a tag to 5,000 characters."""
    assert len(Verdict(tuple(check(name, why=LONG_REASON) for name in CheckName)).to_json()) < 4500


def test_the_tag_of_an_older_version_is_read_with_its_names():
    tag = json.dumps(
        [
            {
                "name": "Earns the place",
                "level": "production",
                "measured": "+0.000",
                "required": "new training rows, or a better F1",
                "passed": False,
                "why": "trained on the same rows as version 1, F1 differs by +0.000",
            }
        ]
    )
    verdict = Verdict.from_json(tag)
    assert verdict.level == "candidate"
    reason = "trained on the same rows as version 1, F1 differs by +0.000"
    assert verdict.summary() == f"stays a candidate, because a check failed: Earns the place ({reason})"


def test_the_summary_counts_the_failed_checks():
    names = (CheckName.RECALL_LOWER_BOUND, CheckName.NO_F1_LOSS)
    verdict = Verdict(tuple(check(name, passed=False) for name in names))
    listed = f"{names[0]} (it is); {names[1]} (it is)"
    assert verdict.summary() == f"stays a candidate, because 2 checks failed: {listed}"


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("Recall lower bound, out-of-fold", CheckName.RECALL_LOWER_BOUND),
        ("F1 lower bound, out-of-fold", CheckName.F1_LOWER_BOUND),
        ("Exported scorer agrees", CheckName.EXPORT_AGREES),
        ("No F1 loss against champion", CheckName.NO_F1_LOSS),
        ("No failure mode lost", CheckName.NO_MODE_RECALL_LOSS),
        ("Earns the place", CheckName.IMPROVES_ON_CHAMPION),
    ],
)
def test_a_check_is_found_by_its_former_name(former, current):
    assert CheckName.lookup(former) is current


@pytest.mark.parametrize("name", CheckName)
def test_a_check_is_found_by_its_current_name(name):
    assert CheckName.lookup(str(name)) is name


def test_no_check_is_found_by_an_unknown_name():
    assert CheckName.lookup("Something else") is None

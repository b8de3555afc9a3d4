"""The cards explain their terms where they use them."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.reporting.terms import CALIBRATION, EVALUATION_TERMS, OUT_OF_FOLD

from .in_process import import_flow


@pytest.fixture(scope="module")
def cards():
    import_flow()
    return sys.modules["cards"]


def text_of(components):
    """The text of each component of a card, in order."""
    return [str(component.render()) for component in components]


def position(texts, part):
    """The position of the first text that contains `part`."""
    return next(place for place, text in enumerate(texts) if part in text)


def test_the_evaluation_card_explains_its_terms_before_the_gate_uses_them(cards, small, evaluate_small):
    evaluation = evaluate_small()
    card = text_of(cards.evaluation_card(evaluation, {"lightgbm": small.out_of_fold}, small.params, "TrainFlow/1", []))
    assert position(card, EVALUATION_TERMS) < position(card, "Recall on held-out rows")
    assert position(card, CALIBRATION) == position(card, "'title': {'text': 'Calibration'") - 1


def test_the_card_of_a_candidate_explains_out_of_fold_and_calibration(cards, small):
    trials = pd.DataFrame({"trial": [1], "state": ["complete"], "pr_auc": [0.9]})
    card = text_of(cards.candidate_card(replace(small.trained, trials=trials), small.out_of_fold))
    assert position(card, OUT_OF_FOLD) == position(card, CALIBRATION) < position(card, "'Out-of-fold'")


def test_the_evaluation_card_says_why_the_champion_cannot_be_compared_and_shows_foreign_text_as_it_is(
    cards, small, evaluate_small
):
    champion = BaselineModel(
        version="3",
        scorer=None,
        training_rows=np.empty(0, dtype=np.uint64),
        training_fingerprint="",
        unreadable="machine.json is damaged: <img src=x>",
    )
    evaluation = evaluate_small(champion)
    card = text_of(cards.evaluation_card(evaluation, {"lightgbm": small.out_of_fold}, small.params, "TrainFlow/1", []))
    shown = [text for text in card if "machine.json is damaged" in text and "'type': 'markdown'" in text]
    assert len(shown) == 2
    assert all(r"\<img" in text for text in shown)

"""The cards explain their terms where they use them."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.engine.engine import InProcess
from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.partitions.cleaned_parts import clean_parts
from predictive_maintenance.partitions.ingested_parts import ingest_parts
from predictive_maintenance.partitions.part_folder import PartFolder
from predictive_maintenance.reporting.terms import CALIBRATION, EVALUATION_TERMS, OUT_OF_FOLD
from predictive_maintenance.training.parts_candidate import FinishedFit

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


@pytest.fixture
def data_card(cards, tmp_path):
    """The card of the step clean for a file of a machine."""

    def of(path, params):
        machine, folder, engine = params.machine, PartFolder(str(tmp_path / "parts")), InProcess()
        ingested = ingest_parts((Source(uri=str(path)),), machine, folder, engine, params.data.rows_per_part)
        cleaned = clean_parts(ingested, machine, params.cleaning, engine)
        return text_of(cards.data_card(ingested.records, cleaned, machine))

    return of


def test_the_data_card_has_the_share_of_missing_values_of_each_optional_sensor(
    data_card, compressor_csv, compressor_params
):
    card = data_card(compressor_csv, compressor_params)
    table = card[position(card, "## Missing values") + 1]
    readings = pd.read_csv(compressor_csv).drop(index=2)  # the third row is in quarantine
    for name in ("oil_degc", "vibration_mm_s", "humidity"):
        assert f"{readings[name].isna().mean():.1%}" in table
    assert "Oil temperature" in table


def test_the_evaluation_card_explains_its_terms_before_the_gate_uses_them(cards, small, evaluate_small):
    evaluation = evaluate_small()
    card = text_of(cards.evaluation_card(evaluation, {"lightgbm": small.out_of_fold}, small.params, "TrainFlow/1", []))
    assert position(card, EVALUATION_TERMS) < position(card, "Recall on held-out rows")
    assert position(card, CALIBRATION) == position(card, "'title': {'text': 'Calibration'") - 1


def test_the_card_of_a_machine_over_time_has_failures_caught_lead_times_and_timelines(
    cards, small, evaluate_small, small_engine, engine_events
):
    evaluation = replace(evaluate_small(), events=engine_events)
    params = small_engine.params.model_copy(update={"machine": small.params.machine})
    card = text_of(cards.evaluation_card(evaluation, {"lightgbm": small.out_of_fold}, params, "TrainFlow/1", []))
    heading = position(card, "## Failures caught and false alarms")
    assert "An alarm opens at a positive decision" in card[heading + 1]
    assert "False alarms per machine-month" in card[heading + 2]
    assert "Readings with a failure within it" in card[heading + 3]
    assert "(description)" in card[heading + 4]  # the table of alarm policies
    assert position(card, "Failures caught by lead time") == heading + 5
    assert position(card, "Alarms of some held-out machines") == heading + 6


def test_the_card_of_a_machine_without_times_has_no_failure_events(cards, small, evaluate_small):
    card = text_of(
        cards.evaluation_card(evaluate_small(), {"lightgbm": small.out_of_fold}, small.params, "TrainFlow/1", [])
    )
    assert not any("Failures caught" in text or "Alarms of some" in text for text in card)


def test_the_card_says_how_a_limit_of_false_alarms_selected_the_threshold(cards, small, evaluate_small, engine_events):
    threshold = small.params.threshold.model_copy(update={"at_most_false_alarms": 0.5})
    params = small.params.model_copy(update={"threshold": threshold})
    scores = {"lightgbm": small.out_of_fold}
    limited = replace(evaluate_small(), events=engine_events)
    text = "catches the most failures with at most 0.5 false alarms per machine-month, then optimises f1,"
    assert any(text in part for part in text_of(cards.evaluation_card(limited, scores, params, "TrainFlow/1", [])))
    other = text_of(cards.evaluation_card(evaluate_small(), scores, params, "TrainFlow/1", []))
    assert any("optimises f1 on out-of-fold rows" in part for part in other)


def test_the_card_of_a_candidate_explains_out_of_fold_and_calibration(cards, small):
    trials = pd.DataFrame({"trial": [1], "state": ["complete"], "pr_auc": [0.9]})
    card = text_of(cards.candidate_card(replace(small.trained, trials=trials), small.out_of_fold))
    assert position(card, OUT_OF_FOLD) == position(card, CALIBRATION) < position(card, "'Out-of-fold'")


def test_the_fits_after_the_search_are_shown_in_the_terminal_and_in_the_card(cards, capsys):
    shown = []
    progress = cards.FitProgress("lightgbm", SimpleNamespace(append=shown.append, refresh=lambda: None))
    for number in range(3):
        progress(FinishedFit(number, 2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["0/2", "1/2", "2/2"]
    (bar,) = shown
    assert (bar.render()["max"], bar.render()["value"]) == (2, 2)


def test_the_cards_state_what_is_not_exact_and_nothing_if_all_is(cards, small, evaluate_small):
    trained = replace(small.trained, trials=pd.DataFrame({"trial": [1], "state": ["complete"], "pr_auc": [0.9]}))
    text = "PR-AUC has an error of at most 2.4e-06"
    rough = replace(small.out_of_fold, approximations=(text,))
    evaluation = replace(evaluate_small(), held_out=replace(evaluate_small().held_out, approximations=(text,)))
    about = ({"lightgbm": small.out_of_fold}, small.params, "TrainFlow/1", [])
    exact = text_of(cards.candidate_card(trained, small.out_of_fold)) + text_of(
        cards.evaluation_card(evaluate_small(), *about)
    )
    assert not any("error of at most" in part or "Approximations" in part for part in exact)
    assert any(f"{text}." in part for part in text_of(cards.candidate_card(trained, rough)))
    card = text_of(cards.evaluation_card(evaluation, *about))
    assert any(f"Approximations, held-out rows: {text}." in part for part in card)


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

"""A champion of another description of the machine: which held-out rows it is compared on, and when it cannot be."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean
from predictive_maintenance.validation.row_identity import content_ids, row_hashes
from tests.fixtures.changed_machines import bare, changed, renamed, with_sensor, without
from tests.fixtures.evaluations import compare
from tests.fixtures.machines import random_readings


def read_split(path, params):
    """The rows of a file of the machine of `params`, cleaned and split."""
    machine = params.machine
    frame = clean(ingest((Source(uri=str(path)),), machine), machine, params.cleaning).frame
    return split(machine.with_features(frame), machine, params.split, params.training.seed)


@pytest.fixture(scope="module")
def quick(params):
    """Settings with few bootstrap samples."""
    return params.model_copy(update={"evaluation": params.evaluation.model_copy(update={"bootstrap_samples": 100})})


@pytest.fixture(scope="module")
def compressor_readings(machines, tmp_path_factory):
    """A file of compressor readings without ids. It fails with a wide clearance and many strokes."""
    readings = random_readings(machines["compressor"], 3000)
    risk = readings["clearance_m"] / 9e-4 * 2 + readings["strokes"] / 3e9
    path = tmp_path_factory.mktemp("compressor") / "readings.csv"
    readings.assign(broken=(risk > 1.6).astype(int)).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def compressor_model(machines, quick, compressor_readings):
    """Machine, scorer, rows of the split and settings of a model of the compressor without computed features."""
    params = quick.override(machine=to_plain(bare(machines["compressor"])))
    rows = read_split(compressor_readings, params)
    trained = train_untuned("lightgbm", rows.train, rows.fold, params)
    scorer = Scorer.from_files(export_model(trained, rows, params))
    return SimpleNamespace(machine=params.machine, scorer=scorer, rows=rows, params=params)


@pytest.fixture(scope="module")
def milling_model(small, quick):
    """The same of the small model of the milling machine."""
    return SimpleNamespace(machine=small.params.machine, scorer=small.scorer, rows=small.rows, params=quick)


@pytest.fixture(params=["milling", "compressor"])
def model(request):
    """One model after the other."""
    return request.getfixturevalue(f"{request.param}_model")


def as_champion(model):
    """The model in production as version 3, trained on its training rows."""
    return BaselineModel(
        version="3",
        scorer=model.scorer,
        training_rows=np.sort(row_hashes(model.rows.train["reading_id"])),
        training_fingerprint=training_fingerprint(model.rows.train, model.machine),
    )


def compared(model, machine, rows=None, train=None):
    """The model as champion against a challenger of `machine` with the same answers, on the held-out `rows`."""
    rows = model.rows.test if rows is None else rows
    probabilities = np.resize(model.scorer.probabilities(model.rows.test), len(rows))
    decisions = model.scorer.decisions(probabilities)
    params = model.params.override(machine=to_plain(machine))
    return compare(as_champion(model), rows, probabilities, decisions, "other rows", params, train)


def first_sensor(model):
    return model.machine.required_sensor_names[0]


def test_a_further_sensor_of_the_challenger_changes_nothing_for_the_champion(model):
    rows = model.rows.test.assign(sound_db=50.0)
    same, more = compared(model, model.machine), compared(model, with_sensor(model.machine, "sound_db"), rows)
    assert more == replace(same, same_columns=False)
    assert (same.not_comparable, same.notes, same.rows) == (None, (), len(rows))
    assert same.f1_difference.value == 0


def test_a_required_column_that_the_rows_do_not_have_is_named(model):
    machine, names = bare(model.machine), model.machine.required_sensor_names[:2]
    rows = model.rows.test.drop(columns=list(names))
    result = compared(model, without(machine, *names), rows)
    assert result.obstacle == f"it needs columns {', '.join(names)}, which the held-out rows do not have"
    assert (result.rows, result.champion, result.f1_difference) == (0, None, None)


def test_a_renamed_column_is_not_comparable(model):
    name = first_sensor(model)
    rows = model.rows.test.rename(columns={name: "other_name"})
    result = compared(model, renamed(bare(model.machine), name, "other_name"), rows)
    assert result.obstacle == f"it needs column {name}, which the held-out rows do not have"


def test_a_computed_feature_does_not_stand_in_for_a_sensor_of_the_same_name(milling_model):
    name, feature = "torque_nm", {"label": "Torque", "formula": "power_kw * 9549 / rotational_speed_rpm"}
    machine = with_sensor(without(bare(milling_model.machine), name), "power_kw")
    machine = changed(machine, lambda plain: plain.update(features={name: feature}))
    result = compared(milling_model, machine, milling_model.rows.test.assign(power_kw=5.0))
    assert result.obstacle == "it needs column torque_nm, which the held-out rows do not have"


def test_another_label_is_not_comparable(model):
    before = model.machine.label_name
    machine = renamed(bare(model.machine), before, "worn_out")
    result = compared(model, machine, model.rows.test.rename(columns={before: "worn_out"}))
    assert result.obstacle == f"it predicts {before}, and this model predicts worn_out"


def test_a_sensor_that_became_a_category_is_not_comparable(compressor_model):
    category = {"label": "Strokes", "values": ["few", "many"]}
    machine = changed(
        without(compressor_model.machine, "strokes"), lambda plain: plain.update(categories={"strokes": category})
    )
    result = compared(compressor_model, machine, compressor_model.rows.test.assign(strokes="few"))
    assert result.obstacle == "column strokes: it is a category in one description and a sensor in the other"


def test_a_column_in_another_unit_is_converted_to_the_unit_of_the_champion(milling_model):
    machine = with_sensor(bare(milling_model.machine), "air_temperature_k", unit="°C", range=[-50, 80])
    rows = milling_model.rows.test
    celsius = rows.assign(air_temperature_k=rows["air_temperature_k"] - 273.15)
    result = compared(milling_model, machine, celsius)
    assert result == compared(milling_model, milling_model.machine)


def test_a_unit_that_cannot_be_converted_is_not_comparable(compressor_model):
    machine = with_sensor(compressor_model.machine, "humidity", unit="g")
    result = compared(compressor_model, machine)
    assert result.obstacle == "column humidity has unit none for it and g in the held-out rows"


def test_rows_outside_of_the_range_of_the_champion_are_left_out_and_counted(model):
    name = first_sensor(model)
    low, high = model.machine.ranges[name]
    machine = with_sensor(bare(model.machine), name, range=[low, high * 3])
    rows = model.rows.test.copy()
    rows.loc[:49, name] = high * 2
    result = compared(model, machine, rows)
    assert (result.rows, result.refused_rows) == (len(rows) - 50, 50)
    assert len(result.notes) == 1
    assert result.notes[0].startswith(
        f"50 rows are left out, because version 3 does not accept them ({name}: outside of"
    )
    assert result.champion.rows == result.challenger.rows == len(rows) - 50


def test_rows_with_a_value_of_a_category_that_the_champion_does_not_know_are_left_out(milling_model):
    machine = changed(
        bare(milling_model.machine),
        lambda plain: plain["categories"]["product_type"].update(values=["X", "L", "M", "H"]),
    )
    rows = milling_model.rows.test.copy()
    rows.loc[:29, "product_type"] = "X"
    result = compared(milling_model, machine, rows)
    assert (result.rows, result.refused_rows) == (len(rows) - 30, 30)
    assert "product_type: not one of L, M, H" in result.notes[0]


def test_rows_without_a_value_that_the_champion_requires_are_left_out(model):
    name = first_sensor(model)
    machine = with_sensor(bare(model.machine), name, required=False)
    rows = model.rows.test.copy()
    rows.loc[:19, name] = np.nan
    result = compared(model, machine, rows)
    assert (result.rows, result.refused_rows) == (len(rows) - 20, 20)
    assert f"({name}: missing)" in result.notes[0]


def test_without_a_row_that_the_champion_accepts_there_are_no_scores(model):
    name = first_sensor(model)
    machine = with_sensor(bare(model.machine), name, required=False)
    result = compared(model, machine, model.rows.test.assign(**{name: np.nan}))
    assert (result.rows, result.failures, result.f1_difference) == (0, 0, None)
    assert (
        result.not_comparable == "the held-out rows that the champion accepts and was not trained on contain no failure"
    )


def test_an_optional_sensor_that_the_rows_lack_is_missing_for_the_champion(compressor_model):
    machine = without(compressor_model.machine, "vibration_mm_s")
    rows = compressor_model.rows.test
    result = compared(compressor_model, machine, rows.drop(columns="vibration_mm_s"))
    expected = compressor_model.scorer.probabilities(rows.assign(vibration_mm_s=np.nan))
    assert result.not_comparable is None
    assert result.champion.confusion.true_positives == int(
        (compressor_model.scorer.decisions(expected) & (rows["broken"] == 1)).sum()
    )
    assert "version 3 gets no value of column vibration_mm_s, which it does not require" in result.notes


def test_other_failure_modes_are_assessed_for_both(milling_model):
    machine = changed(
        milling_model.machine, lambda plain: plain["label"].update(modes={"overheating": {"label": "Overheating"}})
    )
    result = compared(milling_model, machine, milling_model.rows.test.assign(overheating=1))
    assert [mode.name for mode in result.champion_modes] == ["overheating"]
    assert result.champion_modes == result.challenger_modes


def test_another_machine_under_the_same_name_is_not_comparable(milling_model, compressor_model):
    result = compared(milling_model, compressor_model.machine, compressor_model.rows.test)
    assert result.obstacle.startswith(
        "it is a model of the milling machine, and this is one of the screw compressor; it needs"
    )
    assert "it predicts machine_failure, and this model predicts broken" in result.obstacle
    result = compared(compressor_model, milling_model.machine, milling_model.rows.test)
    assert "it needs columns clearance_m, inlet_pa, outlet_pa, strokes, which" in result.obstacle


def test_a_champion_whose_files_cannot_be_read_is_not_comparable(milling_model):
    champion = replace(as_champion(milling_model), scorer=None, unreadable="machine.json is damaged")
    rows = milling_model.rows.test
    result = compare(champion, rows, np.zeros(len(rows)), np.zeros(len(rows), bool), "other rows", milling_model.params)
    assert result.obstacle == "its files cannot be used: machine.json is damaged"


def test_rows_that_the_champion_was_trained_on_are_found_although_a_further_sensor_is_part_of_their_ids(
    compressor_model, compressor_readings, tmp_path
):
    """Rows without ids, machine and time are identified by their inputs: a further sensor changes every id."""
    file = tmp_path / "more.csv"
    pd.read_csv(compressor_readings).assign(sound_db=50.0).to_csv(file, index=False)
    machine = with_sensor(compressor_model.machine, "sound_db")
    rows = read_split(file, compressor_model.params.override(machine=to_plain(machine)))
    champion = as_champion(compressor_model)
    everything = pd.concat([rows.train, rows.test], ignore_index=True)
    assert not np.isin(row_hashes(everything["reading_id"]), champion.training_rows).any()
    result = compared(compressor_model, machine, everything, rows.train)
    assert result.seen_rows == len(compressor_model.rows.train)
    assert result.notes == ()


def test_a_comparison_says_if_the_champion_knows_no_row_by_its_id(compressor_model):
    """Without the optional sensor, which was part of a row's id, the id that the champion knows cannot be made again."""
    machine, rows = compressor_model.machine, compressor_model.rows
    note = (
        "version 3 was trained on no row with an id of this run: if some of the rows had other ids then, its scores are too "
        "high"
    )
    assert compared(compressor_model, machine, rows.test, rows.train).notes == ()
    test, train = (
        part.drop(columns="humidity").assign(reading_id=lambda frame: content_ids(frame, without(machine, "humidity")))
        for part in (rows.test, rows.train)
    )
    assert note in compared(compressor_model, without(machine, "humidity"), test, train).notes


def test_a_comparison_says_if_the_rows_have_lost_their_ids(milling_model):
    rows, machine = milling_model.rows, milling_model.machine
    test, train = (part.assign(reading_id=content_ids(part, machine)) for part in (rows.test, rows.train))
    assert any(
        "trained on no row with an id of this run" in note
        for note in compared(milling_model, machine, test, train).notes
    )
    new = rows.train.assign(reading_id=[f"new {row}" for row in range(len(rows.train))])
    assert compared(milling_model, machine, rows.test, new).notes == ()


def test_ids_of_the_rows_keep_their_meaning_if_both_descriptions_have_them(milling_model):
    rows = pd.concat([milling_model.rows.train.head(100), milling_model.rows.test], ignore_index=True)
    result = compared(milling_model, with_sensor(milling_model.machine, "sound_db", required=False), rows)
    assert (result.seen_rows, result.notes) == (100, ())

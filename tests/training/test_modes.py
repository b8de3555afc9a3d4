"""The model of failure modes: trained on failing rows, and the same in the exported version."""

import json

import numpy as np
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import ModelError
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import GOLDEN_FILE, MIN_GOLDEN_ROWS, MODES_FILE
from predictive_maintenance.training.export import modes_to_onnx
from predictive_maintenance.training.modes import has_mode_model, train_modes
from tests.fixtures.pumps import DESCRIPTION, pump
from tests.fixtures.run_to_failure import engine


@pytest.fixture(scope="module")
def forest(small_pump):
    return train_modes(small_pump.rows.train, pump(), pump().feature_names, seed=3)


def test_only_machines_with_alarms_and_several_modes_have_a_model_of_modes(small):
    assert has_mode_model(pump())
    assert not has_mode_model(small.params.machine)
    assert small.params.machine.mode_names
    assert not has_mode_model(engine())
    one_mode = DESCRIPTION.replace("{seal_failure: {label: Seal failure, type: seal}, ", "{")
    assert not has_mode_model(parse_machine(one_mode))


def test_a_version_of_the_machine_has_it_and_milling_has_not(small_pump, small):
    assert MODES_FILE in small_pump.files
    assert MODES_FILE not in small.files


def test_the_export_gives_the_probabilities_of_the_forest_also_with_missing_values(small_pump, forest):
    machine, rows = pump(), small_pump.rows.test
    matrix = machine.feature_matrix(rows, machine.feature_names)
    assert np.isnan(matrix).any()
    exported = {MODES_FILE: modes_to_onnx(forest, matrix.shape[1])}
    scorer = Scorer.from_files(without_recorded_modes(small_pump.files) | exported)
    np.testing.assert_allclose(scorer.mode_probabilities(rows), forest.predict(matrix), atol=1e-6)


def test_the_same_rows_and_seed_give_the_same_model(small_pump, forest):
    again = train_modes(small_pump.rows.train, pump(), pump().feature_names, seed=3)
    features = len(pump().feature_names)
    assert modes_to_onnx(again, features) == modes_to_onnx(forest, features)


def test_healthy_rows_do_not_change_it(small_pump, forest):
    machine, train = pump(), small_pump.rows.train
    failing = train[train[machine.label_name] == 1]
    alone = train_modes(failing, machine, machine.feature_names, seed=3)
    features = len(machine.feature_names)
    assert modes_to_onnx(alone, features) == modes_to_onnx(forest, features)


def test_a_mode_that_shows_in_a_sensor_is_found(small_pump):
    """A mode is planted in the heat: the likeliest one is right for rows that were not trained on."""
    machine = pump()
    rows = small_pump.rows.train[small_pump.rows.train[machine.label_name] == 1].copy()
    rows["seal_failure"], rows["bearing"] = (
        (rows["heat"] > rows["heat"].median()),
        (rows["heat"] <= rows["heat"].median()),
    )
    rows = rows[rows["heat"].notna()].astype({"seal_failure": int, "bearing": int})
    forest = train_modes(rows.iloc[::2], machine, machine.feature_names, seed=3)
    files = without_recorded_modes(small_pump.files) | {MODES_FILE: modes_to_onnx(forest, len(machine.feature_names))}
    found = Scorer.from_files(files).likeliest_modes(rows.iloc[1::2])
    actual = np.where(rows["seal_failure"].iloc[1::2] == 1, "seal_failure", "bearing")
    assert np.mean([mode.name for mode in found] == actual) > 0.9
    assert all(0.4 < mode.probability <= 1 + 1e-6 for mode in found)


def test_rows_of_one_mode_alone_give_no_model(small_pump):
    machine, train = pump(), small_pump.rows.train
    assert train_modes(train.assign(bearing=0), machine, machine.feature_names, seed=3) is None


def test_a_version_without_the_file_cannot_tell(small_pump):
    files = without_recorded_modes(small_pump.files)
    del files[MODES_FILE]
    assert not Scorer.from_files(files).has_modes


def test_the_probabilities_of_the_modes_are_recorded_and_checked(small_pump):
    files = dict(small_pump.files)
    recorded = json.loads(files[GOLDEN_FILE])["modes"]
    shares = np.array(recorded)
    assert (shares.shape[1], shares.shape[0] >= MIN_GOLDEN_ROWS, shares.std() > 0) == (2, True, True)
    train = small_pump.rows.train
    swapped = train.assign(bearing=train["seal_failure"], seal_failure=train["bearing"])
    other = modes_to_onnx(train_modes(swapped, pump(), pump().feature_names, seed=3), len(pump().feature_names))
    with pytest.raises(ModelError, match=r"golden rows differ: probabilities of failure modes by up to [01]"):
        Scorer.from_files(files | {MODES_FILE: other})
    with pytest.raises(ModelError, match=r"modes.onnx: No such file or directory"):
        Scorer.from_files({name: content for name, content in files.items() if name != MODES_FILE})
    with pytest.raises(ModelError, match=r"golden.json is damaged: modes.0: List should have at most 2 items"):
        Scorer.from_files(with_golden(files, modes=[[*row, 0.0] for row in recorded]))
    with pytest.raises(ModelError, match=r"golden.json is damaged: different lengths: .* modes 1"):
        Scorer.from_files(with_golden(files, modes=recorded[:1]))


def without_recorded_modes(files):
    """The files as an earlier release wrote them."""
    golden = {name: value for name, value in json.loads(files[GOLDEN_FILE]).items() if name != "modes"}
    return dict(files) | {GOLDEN_FILE: json.dumps(golden).encode()}


def with_golden(files, **changes):
    return dict(files) | {GOLDEN_FILE: json.dumps(json.loads(files[GOLDEN_FILE]) | changes).encode()}


def test_a_model_with_another_number_of_modes_is_refused(small_pump, forest):
    machine, train = pump(), small_pump.rows.train
    other = DESCRIPTION.replace("Bearing failure}}", "Bearing failure}, other: {label: Other, type: seal}}")
    three = train_modes(train.assign(other=train["bearing"]), parse_machine(other), machine.feature_names, seed=3)
    files = without_recorded_modes(small_pump.files) | {MODES_FILE: modes_to_onnx(three, len(machine.feature_names))}
    with pytest.raises(ModelError, match=r"modes.onnx returns shape \(\d+, 3\) .* each of 2 failure modes"):
        Scorer.from_files(files)
    with pytest.raises(ModelError, match=r"modes.onnx is not a model that the ONNX runtime can run"):
        Scorer.from_files(dict(small_pump.files) | {MODES_FILE: b"nonsense"})

"""The scorer reproduces the recorded predictions, or raises an error with the reason."""

import json
from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.errors import DataError, ModelError
from predictive_maintenance.machine.machine_json import from_json
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.calibration import Calibration, logit
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import parse_golden
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import agreement, estimator_probabilities, export_model
from tests.fixtures.versions import as_format_2

READING = {
    "product_type": "L", "air_temperature_k": 298.8, "process_temperature_k": 308.9,
    "rotational_speed_rpm": 1455.0, "torque_nm": 61.3, "tool_wear_min": 208.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def files_of(small_models):
    """The exported files by algorithm."""
    return {algorithm: model.files for algorithm, model in small_models.items()}


@pytest.mark.parametrize("slope", [1.0, 0.8])
@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_a_single_reading_and_a_table_give_bit_identical_probabilities(small, files_of, algorithm, slope):
    fitted = Scorer.from_files(files_of[algorithm])
    spec = replace(fitted.spec, calibration=Calibration(slope, slope - 1))
    scorer, rows = Scorer(spec, MILLING, files_of[algorithm]["model.onnx"]), small.rows.test.head(400)
    many = scorer.probabilities(rows)
    singles = [scorer.probability(reading) for reading in rows[list(MILLING.input_names)].to_dict("records")]
    np.testing.assert_array_equal(many, singles)


def test_a_model_of_format_1_gives_the_same_probability(files_of):
    """Format 1 has two outputs: a label, and (n, 2) probabilities of healthy and failure."""
    from onnx import TensorProto, helper, load_from_string, numpy_helper

    files = files_of["random_forest"]
    model = load_from_string(files["model.onnx"])
    (failure,) = model.graph.output
    model.graph.initializer.append(numpy_helper.from_array(np.float32([1]), "one"))
    model.graph.node.append(helper.make_node("Sub", ["one", failure.name], ["healthy"]))
    model.graph.node.append(helper.make_node("Concat", ["healthy", failure.name], ["both"], axis=1))
    model.graph.output.append(helper.make_tensor_value_info("both", TensorProto.FLOAT, [None, 2]))
    older = Scorer.from_files(as_format_2(files, format=1) | {"model.onnx": model.SerializeToString()})
    assert older.probability(READING) == Scorer.from_files(files).probability(READING)


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_several_threads_and_one_give_bit_identical_probabilities(small, files_of, algorithm):
    one, two = Scorer.from_files(files_of[algorithm]), Scorer.from_files(files_of[algorithm], threads=2)
    for rows in (1, 2, 255, 257, 600, len(small.rows.train)):
        np.testing.assert_array_equal(
            one.probabilities(small.rows.train.head(rows)), two.probabilities(small.rows.train.head(rows))
        )
    assert len(two.probabilities(small.rows.train.head(0))) == 0


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_the_export_makes_the_same_decisions_as_the_fitted_estimator(small_models, algorithm):
    small = small_models[algorithm]
    found = agreement(small.trained, small.scorer, small.rows.test)
    assert found.decision_flips == 0
    assert found.max_probability_difference < 1e-5
    assert found.rows == len(small.rows.test)


def test_a_difference_between_export_and_estimator_is_found(small, small_forest):
    assert agreement(small_forest.trained, small.scorer, small.rows.test).max_probability_difference > 0.01


def test_calibration_is_monotonic_and_the_identity_changes_nothing():
    probabilities = np.linspace(0, 1, 101)
    assert (np.diff(Calibration(1.3, -0.2).apply(probabilities)) >= 0).all()
    np.testing.assert_array_equal(Calibration().apply(probabilities), probabilities)
    assert np.isfinite(logit(probabilities)).all()


def test_a_probability_that_exceeds_1_by_float32_rounding_is_1():
    above = float(np.sum(np.full(20, 0.05, dtype=np.float32))) + 1.2e-7
    assert above > 1
    assert Calibration().apply(above) == 1.0
    np.testing.assert_array_equal(Calibration().apply(np.array([0.25, above])), [0.25, 1.0])


def test_golden_rows_of_earlier_releases_may_exceed_1_by_rounding(small):
    golden = json.loads(small.files["golden.json"])
    golden["probabilities"][0] = 1.0000001192092896
    assert parse_golden(json.dumps(golden).encode(), small.scorer.machine).probabilities[0] > 1
    golden["probabilities"][0] = 1.001
    with pytest.raises(ModelError, match=r"probabilities\.0: Input should be less than or equal to 1"):
        parse_golden(json.dumps(golden).encode(), small.scorer.machine)


def test_a_folder_with_a_missing_file_is_refused(small, tmp_path):
    for name, content in small.files.items():
        (tmp_path / name).write_bytes(content)
    assert Scorer.load(tmp_path).spec == small.scorer.spec
    (tmp_path / "golden.json").unlink()
    with pytest.raises(ModelError, match=r"golden.json: No such file or directory: the model's files are incomplete"):
        Scorer.load(tmp_path)


def test_a_damaged_model_is_refused(small):
    with pytest.raises(ModelError, match="not a model that the ONNX runtime can run"):
        Scorer.from_files(small.files | {"model.onnx": small.files["model.onnx"][:1000]})


@pytest.mark.parametrize("text", [b"{", b"[]", b"null", b'"text"', b"\xff"])
def test_damaged_settings_are_refused(small, text):
    with pytest.raises(ModelError, match="damaged"):
        Scorer.from_files(small.files | {"scorer.json": text})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ["torque_nm"]}, "model.onnx reads 9 features, scorer.json names 1"),
        (
            {"features": ["vibration"]},
            "features: 'vibration' is unknown to the milling machine; it has product_type_code, ",
        ),
        ({"limits": {}}, "limits: .air_temperature_k. is missing"),
        (
            {"limits": {name: [1, 1] for name in MILLING.sensor_names}},
            "lower limit is not below the upper limit for air_temperature_k",
        ),
    ],
)
def test_settings_that_do_not_match_the_trees_or_the_sensors_are_refused(small, changes, message):
    with pytest.raises(ModelError, match=message):
        Scorer.from_files(as_format_2(small.files, **changes))


def test_a_version_of_format_2_is_one_of_the_milling_machine_with_the_limits_of_its_settings(small):
    limits = {name: list(values) for name, values in MILLING.ranges.items()} | {"torque_nm": [0, 400]}
    older = Scorer.from_files(as_format_2(small.files, limits=limits))
    assert older.machine.ranges["torque_nm"] == (0, 400)
    assert older.probability(READING) == small.scorer.probability(READING)


def test_an_export_has_format_3_and_the_description_of_its_machine(small):
    assert json.loads(small.files["scorer.json"])["format"] == 3
    assert from_json(small.files["machine.json"]) == small.params.machine


@pytest.mark.parametrize("content", [None, b"{}", b'{"format": 99}'])
def test_a_version_with_a_missing_damaged_or_later_description_is_refused(small, content):
    files = small.files | {"machine.json": content}
    with pytest.raises(ModelError, match=r"machine\.json"):
        Scorer.from_files({name: found for name, found in files.items() if found is not None})


def test_a_newer_format_is_refused(small):
    spec = json.loads(small.files["scorer.json"]) | {"format": 99}
    with pytest.raises(ModelError, match="has format 99, this code reads 1, 2, 3, 4, 5 and 6: update the package"):
        Scorer.from_files(small.files | {"scorer.json": json.dumps(spec).encode()})


@pytest.mark.parametrize(("key", "factor"), [("threshold", 0.01), ("calibration", None)])
def test_a_model_with_other_predictions_for_the_golden_rows_is_refused(small, key, factor):
    spec = json.loads(small.files["scorer.json"])
    spec[key] = {"slope": 0.5, "intercept": 1.0} if factor is None else spec[key] * factor
    with pytest.raises(ModelError, match="golden rows differ"):
        Scorer.from_files(small.files | {"scorer.json": json.dumps(spec).encode()})


def test_golden_rows_include_rows_with_and_without_alarm(small):
    golden = json.loads(small.files["golden.json"])
    assert 0 < sum(golden["decisions"]) < len(golden["decisions"])
    assert len(golden["probabilities"]) == len(golden["readings"]["torque_nm"]) > 30


def test_the_reference_sample_has_healthy_readings_of_each_product_type(small):
    reference = json.loads(small.files["reference.json"])
    healthy = {
        kind for kind, failed in zip(reference["product_type"], reference["machine_failure"], strict=True) if not failed
    }
    assert healthy == {"L", "M", "H"}
    assert len(reference["torque_nm"]) == 2000


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("torque_nm", float("nan"), "row 2: torque_nm is nan: 1 of 3 rows cannot be scored"),
        ("torque_nm", float("inf"), "row 2: torque_nm is inf"),
        ("product_type", "X", "row 2: product_type is 'X', not one of L, M, H"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(small, column, value, message):
    rows = small.rows.test.head(3).reset_index(drop=True)
    rows.loc[1, column] = value
    with pytest.raises(DataError) as error:
        small.scorer.probabilities(rows)
    assert message in str(error.value)


def test_a_missing_or_textual_column_is_named(small):
    rows = small.rows.test.head(3)
    with pytest.raises(DataError, match="missing column: torque_nm; a model needs product_type, air_temperature_k"):
        small.scorer.probabilities(rows.drop(columns="torque_nm"))
    with pytest.raises(DataError, match="column torque_nm is not numeric"):
        small.scorer.probabilities(rows.assign(torque_nm="high"))


def test_the_same_seed_and_rows_give_the_same_files(small):
    again = train_untuned("lightgbm", small.rows.train, small.rows.fold, small.params)
    np.testing.assert_array_equal(
        estimator_probabilities(again, small.rows.test, MILLING),
        estimator_probabilities(small.trained, small.rows.test, MILLING),
    )
    files = export_model(again, small.rows, small.params)
    assert files["scorer.json"] == small.files["scorer.json"]
    assert files["golden.json"] == small.files["golden.json"]

"""Each file of a version is refused with a message that names the file and the field."""

import io
import json

import numpy as np
import pytest

from predictive_maintenance.errors import ModelError
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import (
    MIN_GOLDEN_ROWS,
    ScorerSpec,
    check_training_rows,
    parse_golden,
    parse_reference,
    read_file,
    read_thresholds,
    read_training_rows,
)
from tests.fixtures.onnx_models import loop_model, tree_model
from tests.fixtures.versions import as_format_2

NAN, INFINITY = float("nan"), float("inf")
COUNTS = {"rows": 9, "failures": 2, "threshold": [0.1, 0.5], "true_positives": [2, 1], "false_positives": [3, 0]}


def changed(content, **changes):
    """Return JSON with some fields replaced. A field with a dot is nested."""
    document = json.loads(content)
    for path, value in changes.items():
        *parents, name = path.split(".")
        place = document
        for parent in parents:
            place = place[parent]
        place[name] = value(place[name]) if callable(value) else value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("missed_failure_cost", "5", "missed_failure_cost: Input should be a valid number (got '5')"),
        ("missed_failure_cost", NAN, "missed_failure_cost: Input should be a finite number (got nan)"),
        ("false_alarm_cost", INFINITY, "false_alarm_cost: Input should be a finite number (got inf)"),
        ("false_alarm_cost", -1.0, "false_alarm_cost: Input should be greater than 0 (got -1.0)"),
        ("output", "margin", "output: Input should be 'probability' or 'log_odds' (got 'margin')"),
        ("limits", ["a", "b"], "limits: Input should be an object"),
        ("limits.torque_nm", ["a", "b"], "limits.torque_nm.0: Input should be a valid number (got 'a')"),
        ("limits.torque_nm", [0], "limits.torque_nm.1: Field required"),
        ("limits.vibration", [0, 1], "limits: 'vibration' is missing or not a sensor"),
        ("threshold", "high", "threshold: Input should be a valid number (got 'high')"),
        ("threshold", 1.5, "threshold: Input should be less than or equal to 1 (got 1.5)"),
        ("features", "torque_nm", "features: Input should be a valid array (got 'torque_nm')"),
        ("features", ["torque_nm"] * 9, "features: a name appears twice"),
        ("calibration", None, "calibration: Input should be an object"),
        ("calibration.slope", -1.0, "calibration.slope: Input should be greater than 0 (got -1.0)"),
        ("currency", 978, "currency: Input should be a valid string (got 978)"),
        ("owner", "plant", "owner: Unexpected keyword argument (got 'plant')"),
    ],
)
def test_a_damaged_field_of_the_settings_is_named(small, field, value, message):
    with pytest.raises(ModelError) as error:
        ScorerSpec.from_json(changed(as_format_2(small.files)["scorer.json"], **{field: value}))
    assert str(error.value).startswith(f"scorer.json is damaged: {message}")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("probabilities", lambda found: found[:-1], "different lengths: readings"),
        (
            "probabilities",
            lambda found: [NAN, *found[1:]],
            "probabilities.0: Input should be a finite number (got nan)",
        ),
        ("probabilities", lambda found: [1.5, *found[1:]], "probabilities.0: Input should be less than or equal to 1"),
        ("decisions", lambda found: [0, *found[1:]], "decisions.0: Input should be a valid boolean (got 0)"),
        (
            "readings.torque_nm",
            lambda found: ["34", *found[1:]],
            "readings.torque_nm.0: Input should be a valid number",
        ),
        ("readings.torque_nm", lambda found: found[1:], "readings: different lengths"),
        ("readings.product_type", lambda found: ["X", *found[1:]], "readings.product_type.0: Input should be 'L', 'M'"),
    ],
)
def test_a_damaged_field_of_the_golden_rows_is_named(small, field, value, message):
    with pytest.raises(ModelError) as error:
        parse_golden(changed(small.files["golden.json"], **{field: value}), MILLING)
    assert str(error.value).startswith(f"golden.json is damaged: {message}")


@pytest.mark.parametrize("rows", [1, MIN_GOLDEN_ROWS - 1])
def test_too_few_golden_rows_are_refused(small, rows):
    golden = json.loads(small.files["golden.json"])
    few = {name: golden[name][:rows] for name in ("probabilities", "decisions")}
    few["readings"] = {name: values[:rows] for name, values in golden["readings"].items()}
    with pytest.raises(ModelError, match=f"probabilities: List should have at least {MIN_GOLDEN_ROWS} items"):
        parse_golden(json.dumps(few).encode(), MILLING)


@pytest.mark.parametrize("name", ["golden.json", "reference.json"])
def test_limits_that_exclude_the_readings_of_the_version_are_refused(small, name):
    machine = MILLING.adjusted(ranges={"torque_nm": (0, 1)})
    parse = parse_golden if name == "golden.json" else parse_reference
    with pytest.raises(ModelError, match=rf"{name}.*torque_nm has .* outside the limits 0 to 1 of the sensor"):
        parse(small.files[name], machine)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"torque_nm": lambda found: [NAN, *found[1:]]}, "torque_nm.0: Input should be a finite number"),
        ({"torque_nm": lambda found: found[1:]}, "different lengths"),
        ({"machine_failure": lambda found: [2, *found[1:]]}, "machine_failure.0"),
        ({"machine_failure": lambda found: [1] * len(found)}, "machine_failure: no reading is healthy"),
    ],
)
def test_a_damaged_reference_sample_is_refused(small, changes, message):
    with pytest.raises(ModelError) as error:
        parse_reference(changed(small.files["reference.json"], **changes), MILLING)
    assert f"reference.json is damaged: {message}" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": "9"}, "rows: Input should be a valid integer (got '9')"),
        ({"failures": -1}, "failures: Input should be greater than or equal to 0 (got -1)"),
        ({"threshold": ["a", "b"]}, "threshold.0: Input should be a valid number (got 'a')"),
        ({"threshold": [0.5, 0.1]}, "threshold: the values are not in ascending order"),
        ({"threshold": [0.1, INFINITY]}, "threshold.1: Input should be a finite number (got inf)"),
        ({"true_positives": [2]}, "different lengths: threshold 2, true_positives 1"),
        ({"true_positives": [3, 1]}, "true_positives: 3 is above failures, 2"),
        ({"false_positives": [8, 0]}, "false_positives: 8 is above the healthy rows"),
    ],
)
def test_damaged_counts_at_each_threshold_are_refused(tmp_path, changes, message):
    (tmp_path / "thresholds.json").write_text(json.dumps(COUNTS))
    assert read_thresholds(tmp_path).true_positives == [2, 1]
    (tmp_path / "thresholds.json").write_text(json.dumps(COUNTS | changes))
    with pytest.raises(ModelError) as error:
        read_thresholds(tmp_path)
    assert str(error.value).startswith(f"thresholds.json is damaged: {message}")


def npy(values, **options):
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


def npy_header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": "<u8"})
    return file.getvalue()


def test_the_hashes_of_the_training_rows_are_read(small, tmp_path):
    (tmp_path / "training_rows.npy").write_bytes(small.files["training_rows.npy"])
    expected = np.load(tmp_path / "training_rows.npy", allow_pickle=False)
    np.testing.assert_array_equal(read_training_rows(tmp_path), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "training_rows.npy is damaged"),
        (npy(np.zeros(4)), "declares shape (4,) of float64"),
        (npy(np.zeros((2, 2), dtype=np.uint64)), "declares shape (2, 2) of uint64"),
        (npy(np.zeros(4, dtype=np.uint8)), "declares shape (4,) of uint8"),
        (npy(np.array([{}], dtype=object), allow_pickle=True), "declares shape (1,) of object"),
        (npy(np.zeros(4, dtype=np.uint64))[:-1], "has 31 bytes"),
        (npy(np.zeros(4, dtype=np.uint64)).replace(b"}", b"{"), "training_rows.npy is damaged: TokenError"),
        (npy_header((4_000_000_000,)), "declares shape (4000000000,) of uint64 and has 0 bytes"),
    ],
)
def test_damaged_hashes_of_the_training_rows_are_refused(tmp_path, content, message):
    (tmp_path / "training_rows.npy").write_bytes(content)
    for read in (read_training_rows, check_training_rows):
        with pytest.raises(ModelError) as error:
            read(tmp_path)
        assert message in str(error.value)


def test_a_file_that_is_not_regular_or_too_large_is_not_read(tmp_path):
    (tmp_path / "model.onnx").symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=r"model\.onnx is not a regular file"):
        read_file(tmp_path, "model.onnx")
    with (tmp_path / "scorer.json").open("wb") as sparse:
        sparse.truncate(2**30)
    with pytest.raises(ModelError, match=r"scorer\.json has 1,073,741,824 bytes: the maximum is 33,554,432"):
        read_file(tmp_path, "scorer.json")


def test_an_endless_loop_is_refused_without_running_it(small):
    with pytest.raises(ModelError, match=r"model\.onnx has the operator Loop: a model may use Add, Cast"):
        Scorer.from_files(small.files | {"model.onnx": loop_model(9)})


def test_a_model_with_more_outputs_than_format_1_and_2_have_is_refused(small):
    with pytest.raises(ModelError, match=r"model\.onnx returns shape \(\d+, 3\) for \d+ rows, expected 1 or 2 columns"):
        Scorer.from_files(small.files | {"model.onnx": tree_model(9, targets=3)})


def test_a_model_with_other_inputs_is_refused(small):
    with pytest.raises(ModelError, match=r"model\.onnx reads 4 features, scorer\.json names 9"):
        Scorer.from_files(small.files | {"model.onnx": tree_model(4)})

"""The machine as JSON: equal after a round trip, readable without YAML and pint, and refused if damaged."""

import json
import subprocess
import sys

import pytest

from predictive_maintenance.errors import ModelError
from predictive_maintenance.machine.machine_json import from_json, to_json
from tests.fixtures.machines import random_readings
from tests.paths import REPOSITORY


def test_a_machine_is_equal_after_a_round_trip(machine):
    copy = from_json(to_json(machine))
    assert copy.description == machine.description
    assert copy.columns == machine.columns
    assert list(copy.columns) == list(machine.columns)
    assert to_json(copy) == to_json(machine)
    readings = random_readings(machine, 50)
    assert copy.feature_matrix(readings).tobytes() == machine.feature_matrix(readings).tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content.update(format=2),
            "m.json has format 2, this program reads up to 1: update the program",
        ),
        (lambda content: content.pop("format"), "m.json is damaged: it is not the description of a machine"),
        (lambda content: content.pop("conversions"), "m.json is damaged: conversions: Field required"),
        (
            lambda content: content["description"]["sensors"]["strokes"].update(range=[1]),
            "m.json is damaged: description.sensors.strokes.range.1: Field required",
        ),
        (
            lambda content: content["description"]["features"]["ratio"].update(formula="__import__(os)"),
            (
                "m.json is damaged: description: Value error, features.ratio.formula: the formula of ratio: "
                "'__import__(os)' is not allowed; the functions are min, max, abs, sqrt, log, exp"
            ),
        ),
    ],
)
def test_a_damaged_or_later_file_is_refused_with_the_reason(compressor, change, message):
    content = json.loads(to_json(compressor))
    change(content)
    with pytest.raises(ModelError) as refused:
        from_json(json.dumps(content), "m.json")
    assert str(refused.value) == message


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '{"format": "1"}', "[" * 100_000, b"\xff\xfe"])
def test_any_other_file_is_refused(text):
    with pytest.raises(ModelError, match=r"machine.json is damaged"):
        from_json(text)


def test_serving_reads_the_machine_without_pint_yaml_and_pandas():
    code = (
        "import sys; from predictive_maintenance.machine import milling; "
        "print(*[name for name in ('pint', 'yaml', 'pandas', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

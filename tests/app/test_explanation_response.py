"""The explanation in the API's answer: order, values and standard errors."""

import numpy as np
import pytest

from app.schemas import prediction
from app.serving.assessment import explanation_response
from predictive_maintenance.inference.explaining import Explanation, Reference
from predictive_maintenance.machine.milling import MILLING

from .conftest import READING

REFERENCE = Reference({}, np.array([0.1, 0.3]), "2 healthy readings")
CONTRIBUTIONS = dict(zip(MILLING.sensor_names, (0.1, -0.4, 0.0, 0.2, 0.05), strict=True))
ERRORS = dict(zip(MILLING.sensor_names, (0.01, 0.02, 0.0, 0.03, 0.04), strict=True))


def test_estimates_have_their_standard_errors_the_largest_contribution_first():
    answer = explanation_response(Explanation(REFERENCE, CONTRIBUTIONS, ERRORS), MILLING, READING)
    prediction.Explanation.model_validate(answer, strict=True)
    assert answer["base_probability"] == pytest.approx(0.2)
    assert answer["contributions"][0]["contribution"] == -0.4
    assert {part["sensor"]: part["standard_error"] for part in answer["contributions"]} == ERRORS


def test_exact_contributions_have_no_field_for_a_standard_error():
    answer = explanation_response(Explanation(REFERENCE, CONTRIBUTIONS), MILLING, READING)
    prediction.Explanation.model_validate(answer, strict=True)
    assert all("standard_error" not in part for part in answer["contributions"])

"""A machine unlike milling is trained and exported: no category, no id, no time, optional sensors, values of 1e-4 and 1e6."""

import numpy as np
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.training.export import agreement
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.machines import records


@pytest.fixture(scope="module")
def cleaned(compressor_params, compressor_csv):
    ingested = ingest((Source(uri=str(compressor_csv)),), compressor_params.machine)
    return clean(ingested, compressor_params.machine, compressor_params.cleaning)


@pytest.fixture(params=["lightgbm", "random_forest"])
def exported(request, small_compressor, small_compressor_forest):
    """(trained, scorer, held-out rows) of one algorithm."""
    small = small_compressor if request.param == "lightgbm" else small_compressor_forest
    return small.trained, small.scorer, small.rows.test


def test_the_model_of_another_machine_has_its_own_name(compressor_params):
    assert compressor_params.registry.model_name == compressor_params.registry.experiment == "compressor_bearing"


def test_a_missing_value_of_an_optional_sensor_is_no_fault(cleaned):
    assert cleaned.frame["humidity"].isna().mean() > 0.2
    assert set(cleaned.reasons()["column"]) == {"inverse_rise"}


def test_a_row_in_which_a_formula_has_no_finite_value_is_quarantined_with_the_formula(cleaned):
    assert 3 in cleaned.quarantine["row"].tolist()
    assert set(cleaned.quarantine["column"]) == {"inverse_rise"}
    assert set(cleaned.quarantine["reason"]) == {"1 / rise_pa is not a finite number"}


def test_missing_values_reach_the_exported_model_as_missing(exported, compressor_params):
    trained, scorer, rows = exported
    assert rows["vibration_mm_s"].isna().any()
    without = rows.assign(**dict.fromkeys(compressor_params.machine.optional_sensor_names, np.nan))
    for readings in (rows, without):
        found = agreement(trained, scorer, readings)
        assert found.decision_flips == 0
        assert found.max_probability_difference < 1e-5
    assert (scorer.probabilities(without) != scorer.probabilities(rows)).any()


def test_a_reading_with_missing_values_gets_the_probability_of_its_row(exported, compressor_params):
    _, scorer, rows = exported
    inputs = rows[list(compressor_params.machine.input_names)].head(50)
    assert [scorer.probability(reading) for reading in records(inputs)] == scorer.probabilities(inputs).tolist()

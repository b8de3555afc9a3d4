"""A machine unlike milling is trained and exported: no category, no id, no time, optional sensors, values of 1e-4 and 1e6."""

import numpy as np
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import agreement, export_model
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.machines import random_readings, records


@pytest.fixture(scope="module")
def compressor_params(params, machines):
    return params.override(machine=to_plain(machines["compressor"]))


@pytest.fixture(scope="module")
def cleaned(machines, compressor_params, tmp_path_factory):
    """Clean readings of the compressor, read from a file. It fails with a wide clearance, strong vibration and many strokes."""
    readings = random_readings(machines["compressor"], 3000)
    readings.loc[2, "outlet_pa"] = readings.loc[2, "inlet_pa"]
    vibration = np.nan_to_num(readings["vibration_mm_s"], nan=30.0)
    risk = readings["clearance_m"] / 9e-4 * 2 + vibration / 60 + readings["strokes"] / 3e9
    path = tmp_path_factory.mktemp("compressor") / "readings.csv"
    readings.assign(broken=(risk > 2.2).astype(int)).to_csv(path, index=False)
    ingested = ingest((Source(uri=str(path)),), compressor_params.machine)
    return clean(ingested, compressor_params.machine, compressor_params.cleaning)


@pytest.fixture(scope="module", params=["lightgbm", "random_forest"])
def exported(request, cleaned, compressor_params):
    """(trained, scorer, held-out rows) of one algorithm."""
    machine = compressor_params.machine
    rows = split(
        machine.with_features(cleaned.frame), machine, compressor_params.split, compressor_params.training.seed
    )
    trained = train_untuned(request.param, rows.train, rows.fold, compressor_params)
    return trained, Scorer.from_files(export_model(trained, rows.train, rows.test, compressor_params)), rows.test


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

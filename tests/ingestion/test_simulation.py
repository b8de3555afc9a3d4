"""Sources of simulated readings: options, the simulator of each machine, readings of another machine."""

import re

import pytest

from predictive_maintenance.config.machine_file import load_machine
from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.ingest import check_sources, ingest
from predictive_maintenance.ingestion.simulation import Simulation, parse_simulation
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.described_machines import forget_compressor
from tests.paths import REPOSITORY


def read(uri, machine):
    """Check and ingest the source `uri`."""
    sources = (Source(uri=uri),)
    check_sources(sources, machine)
    return ingest(sources, machine)


def error_text(uri, machine):
    with pytest.raises(SourceError) as error:
        read(uri, machine)
    return str(error.value)


def test_the_uri_has_a_name_and_the_options_rows_and_seed():
    assert parse_simulation("simulator://?rows=500&seed=3") == Simulation("", {"rows": 500, "seed": 3})
    assert parse_simulation("simulator://?seed=3") == Simulation("", {"seed": 3})
    assert parse_simulation("simulator://") == Simulation("", {})
    assert parse_simulation("simulator://screw-compressor?rows=5") == Simulation("screw-compressor", {"rows": 5})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("?row=5", "'row' is not an option of a simulator; options: rows, machines, days, seed, until"),
        ("?rows=0", "rows must be a whole number from 1 to 10,000,000, not '0'"),
        ("?rows=ten", "rows must be a whole number from 1 to 10,000,000, not 'ten'"),
        ("?rows=99999999999999999999", "rows must be a whole number from 1 to 10,000,000"),
        ("?rows=10000001", "rows must be a whole number from 1 to 10,000,000"),
        ("?rows=-5", "not '-5'"),
        ("?rows=", "not ''"),
        ("?machines=0", "machines must be a whole number from 1 to 100,000, not '0'"),
        ("?seed=1.5", "seed must be a whole number of at most 18 digits, not '1.5'"),
        (f"?seed={'9' * 5000}", "seed must be a whole number of at most 18 digits"),
    ],
)
def test_an_invalid_option_is_an_error_with_its_name(options, reason):
    with pytest.raises(SourceError) as error:
        parse_simulation(f"simulator://{options}")
    assert reason in str(error.value)
    assert f"simulator://{options}" in str(error.value)


def test_options_without_a_question_mark_are_an_error():
    with pytest.raises(SourceError, match="options must follow a question mark"):
        parse_simulation("simulator://rows=500")


def test_without_a_name_the_machine_that_is_trained_is_simulated(compressor_project, machine):
    ingested = read("simulator://?rows=300&seed=2", machine)
    assert len(ingested.frame) == 300
    assert set(machine.required_input_names) <= set(ingested.frame)
    assert ingested.frame[machine.label_name].sum() > 0


@pytest.mark.parametrize("name", ["milling", "compressor"])
def test_the_seed_and_the_machine_determine_the_readings(compressor_project, machines, name):
    def digest(uri):
        return read(uri, machines[name]).records[0].sha256

    assert digest(f"simulator://{name}?rows=50&seed=1") == digest("simulator://?rows=50&seed=1")
    assert digest("simulator://?rows=50&seed=2") != digest("simulator://?rows=50&seed=1")


def test_the_simulator_of_another_machine_is_an_error_that_says_so(compressor_project, compressor):
    assert error_text("simulator://milling?rows=5", compressor) == (
        "simulator://milling?rows=5: the simulated readings do not fit the screw compressor: no column clearance_m, inlet_pa, "
        "outlet_pa, strokes; train the machine that they are of (--machine milling), or use its own readings"
    )
    assert "do not fit the milling machine: no column product_type" in error_text("simulator://compressor", MILLING)


def test_a_machine_without_a_simulator_is_an_error_with_the_way_out(compressor_project, compressor):
    path = compressor_project / "machines" / "compressor" / "simulator.py"
    path.unlink()
    assert error_text("simulator://", compressor) == (
        f"simulator://: the screw compressor has no simulator: {path} does not exist; "
        "read files instead: --sources readings.csv"
    )
    assert f"machine 'compressor' has no simulator: {path}" in error_text("simulator://compressor", compressor)


def test_an_unknown_machine_is_an_error_with_the_closest_one():
    assert "there is no machine 'miling'; did you mean 'milling'?" in error_text("simulator://miling", MILLING)


@pytest.mark.parametrize("result", ["None", "pd.DataFrame({'inlet_pa': [1.0]})", "[{}] * rows"])
def test_a_simulator_that_returns_other_than_the_rows_is_an_error(compressor_project, compressor, result):
    path = compressor_project / "machines" / "compressor" / "simulator.py"
    path.write_text(f"import pandas as pd\n\n\ndef simulate(rows, seed):\n    return {result}\n")
    forget_compressor()
    reason = "the simulator must return a data frame of 20 rows"
    assert error_text("simulator://?rows=20", compressor) == f"simulator://?rows=20: {reason}"


def test_a_fleet_with_too_many_readings_is_refused_before_it_is_simulated():
    fleet = load_machine(REPOSITORY / "machines" / "fleet" / "machine.yaml")
    uri = "simulator://?machines=100000&days=365"
    with pytest.raises(SourceError) as refused:
        check_sources((Source(uri=uri),), fleet)
    assert re.fullmatch(
        rf"{re.escape(uri)}: about [78]\d\d,\d\d\d,\d\d\d readings, and a simulator keeps all of them in memory: "
        "simulate fewer machines or days, with at most 10,000,000 readings",
        str(refused.value),
    )
    check_sources((Source(uri="simulator://?machines=100&days=365"),), fleet)

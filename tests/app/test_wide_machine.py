"""A machine with 100 sensors and 10 categories is trained from a file, served and explained."""

import numpy as np
import pytest

from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.machines import random_readings, records
from tests.fixtures.wide_machines import wide_machine

from .conftest import MemoryRegistry, start_client

MACHINE = wide_machine(100, categories=10)


@pytest.fixture(scope="module")
def wide_params(params):
    return params.override(machine=to_plain(MACHINE))


@pytest.fixture(scope="module")
def files(wide_params, tmp_path_factory):
    """The files of a version. A reading fails if two of its sensors are high together."""
    readings = random_readings(MACHINE, 3000)
    readings["failed"] = ((readings["s1"] > 0.6) & (readings["s2"] > 0.5)).astype(int)
    path = tmp_path_factory.mktemp("wide") / "readings.csv"
    readings.to_csv(path, index=False)
    cleaned = clean(ingest((Source(uri=str(path)),), MACHINE), MACHINE, wide_params.cleaning).frame
    rows = split(cleaned, MACHINE, wide_params.split, seed=1)
    return export_model(train_untuned("lightgbm", rows.train, rows.fold, wide_params), rows, wide_params)


@pytest.fixture(scope="module")
def client(files, wide_params, checked_files, tmp_path_factory):
    registry = MemoryRegistry(versions={"1": files}, alias="1")
    with start_client(registry, wide_params, tmp_path_factory.mktemp("wide client"), checked_files) as client:
        yield client


@pytest.fixture(scope="module")
def readings():
    """Readings, of which the first has both sensors high."""
    return random_readings(MACHINE, 20, seed=2).assign(s1=[0.9, *np.zeros(19)], s2=[0.9, *np.zeros(19)])


def test_readings_alone_and_in_a_batch_get_the_probabilities_of_the_model(client, files, readings):
    expected = Scorer.from_files(files).probabilities(readings).tolist()
    assert expected[0] > 0.5 > max(expected[1:])
    alone = [client.post("/predict", json=reading).json() for reading in records(readings)]
    batch = client.post("/predict/batch", json=records(readings)).json()["predictions"]
    for answers in (alone, batch):
        assert [answer["failure_probability"] for answer in answers] == expected


def test_an_explanation_finds_the_two_causes_among_110_inputs(client, readings):
    answer = client.post("/predict?explain=true", json=records(readings)[0]).json()
    contributions = answer["explanation"]["contributions"]
    assert len(contributions) == 110
    assert {part["sensor"] for part in contributions[:2]} == {"s1", "s2"}
    total = answer["explanation"]["base_probability"] + sum(part["contribution"] for part in contributions)
    assert total == pytest.approx(answer["failure_probability"])

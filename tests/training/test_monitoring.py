"""A version carries the distribution of its rows, and how much windows of them differ."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.errors import ModelError
from predictive_maintenance.scorer.monitoring_reference import (
    ALARM,
    PROBABILITY,
    MonitoringReference,
    machine_clusters,
    read_monitoring,
)
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import MONITORING_FILE
from predictive_maintenance.training.export import export_model


@pytest.fixture
def folder(small, tmp_path):
    for name, content in export_model(small.trained, small.rows, small.params).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_inputs_are_those_of_the_trained_rows_and_predictions_those_of_the_held_out_rows(small, folder):
    machine, train, test = small.params.machine, small.rows.train, small.rows.test
    reference = read_monitoring(folder, machine)
    assert {*reference.columns} == {*machine.sensor_names, "product_type_code", PROBABILITY, ALARM}
    assert {reference.columns[name].rows for name in machine.sensor_names} == {len(train)}
    assert reference.columns["torque_nm"].mean == pytest.approx(train["torque_nm"].mean())
    assert reference.columns[PROBABILITY].rows == len(test)
    scorer = Scorer.load(folder)
    alarms = scorer.decisions(scorer.probabilities(test)).sum()
    assert reference.columns[ALARM].counts == [len(test) - alarms, alarms]


def test_ten_bins_have_about_equally_many_rows(small, folder):
    counts = np.array(read_monitoring(folder, small.params.machine).columns["torque_nm"].counts)
    assert len(counts) >= 10
    assert counts.max() < 1.5 * counts.sum() / 10


def test_windows_of_consecutive_readings_differ_by_something(small, folder):
    reference = read_monitoring(folder, small.params.machine)
    assert reference.window == "1,000 readings"
    assert all(
        column.usual > 0 for name, column in reference.columns.items() if name in small.params.machine.sensor_names
    )


def test_attributes_are_those_of_all_machines_by_cluster(small_pump):
    rows = small_pump.rows
    reference = MonitoringReference.model_validate_json(small_pump.files[MONITORING_FILE])
    assert {name for name, column in reference.columns.items() if column.clusters} == {"make_code", "age"}
    make = reference.columns["make_code"]
    frame = pd.concat([rows.train, rows.test])
    assert make.rows == len(frame)
    clusters = machine_clusters(frame["machine_id"].to_numpy(dtype=object))
    assert set(make.clusters) == set(clusters.tolist())
    assert np.sum(list(make.clusters.values()), axis=0).tolist() == make.counts
    assert reference.columns["flow"].rows == len(rows.train)


def test_an_older_version_is_compared_with_its_sample(small, folder):
    (folder / MONITORING_FILE).unlink()
    reference = read_monitoring(folder, small.params.machine)
    assert PROBABILITY not in reference.columns
    assert reference.columns["torque_nm"].usual is None
    assert 0 < reference.columns["torque_nm"].rows <= 2000


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"torque_nm"', b'"torque"', "columns: 'torque_nm' is missing"),
        (b'"missing":0', b'"missing":-1', "greater than or equal to 0"),
        (b'"counts":[', b'"counts":[1,', r"\d+ counts for \d+ edges"),
        (b'"edges":[', b'"edges":[1e300,', "edges are not in order"),
        (b'"clusters":null', b'"clusters":{"300":[1]}', "300 is not below 256"),
    ],
)
def test_a_damaged_file_is_refused_by_name(small, folder, old, new, reason):
    file = folder / MONITORING_FILE
    file.write_bytes(file.read_bytes().replace(old, new, 1))
    with pytest.raises(ModelError, match=f"monitoring.json is damaged: .*{reason}"):
        read_monitoring(folder, small.params.machine)

"""Where the parts of a run are."""

import pytest

from predictive_maintenance.partitions.location import parts_of_run


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "/results/.metaflow/pdm.parts/TrainFlow/7"),
        (
            {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://plant/runs/"},
            "s3://plant/runs/pdm.parts/TrainFlow/7",
        ),
        (
            {"METAFLOW_DEFAULT_DATASTORE": "azure", "METAFLOW_DATASTORE_SYSROOT_AZURE": "plant/runs"},
            "abfs://plant/runs/pdm.parts/TrainFlow/7",
        ),
        (
            {"METAFLOW_DEFAULT_DATASTORE": "s3", "PDM_PARTS_FOLDER": "/shared/parts/"},
            "/shared/parts/TrainFlow/7",
        ),
    ],
    ids=["local", "S3", "Azure", "setting"],
)
def test_the_parts_are_beside_the_results_of_metaflow_or_where_a_setting_says(monkeypatch, variables, expected):
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", "/results")
    for name in ("METAFLOW_DEFAULT_DATASTORE", "PDM_PARTS_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert parts_of_run("TrainFlow/7").uri == expected

"""The whole flow on a cluster of separate processes that is reached by its address: from S3 and Azure, killed, and resumed."""

import os
import re
import signal

import pytest
import yaml

from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.comparison import training_fingerprint
from tests.fixtures.pumps import DESCRIPTION, pump_tables
from tests.partitions.conftest import run_in_one_table

pytestmark = [pytest.mark.flow, pytest.mark.long]


@pytest.fixture
def sources(storage):
    """Readings of pumps in S3 and in Azure, and the other tables in S3."""
    bucket, container = storage
    tables = pump_tables(24, 300, 5)
    bucket.put_object(Key="readings/0.csv", Body=tables["readings"][0::2].to_csv(index=False))
    container.upload_blob("readings/1.csv", tables["readings"][1::2].to_csv(index=False))
    found = {"s3://plant/readings/*.csv": "readings", "abfs://plant/readings/1.csv": "readings"}
    for name in ("errors", "service", "failures", "pumps"):
        bucket.put_object(Key=f"{name}.csv", Body=tables[name].to_csv(index=False))
        found[f"s3://plant/{name}.csv"] = name
    return tuple(Source(uri=uri, table=table) for uri, table in found.items())


@pytest.fixture
def settings(quick_params, sources, place):
    """Settings for parts of a few machines, and for LightGBM on the workers."""
    folder = place.root / "machines" / "pumps"
    folder.mkdir(parents=True)
    (folder / "machine.yaml").write_text(DESCRIPTION)
    raw = yaml.safe_load(quick_params.read_text())
    raw["machine"] = "pumps"
    raw["data"] = {
        "sources": [{"uri": source.uri, "table": source.table} for source in sources],
        "rows_per_part": 2000,
    }
    raw["split"] |= {"by": "group", "folds": 3}
    raw["training"] |= {"search_rows": 1200, "cluster": "always"}
    raw["gate"] |= {"min_recall": 0.3, "min_f1": 0.3, "min_failures_caught": 0}
    raw["candidates"]["lightgbm"]["fixed"]["n_estimators"] = 30
    path = place.root / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_a_run_on_two_workers_is_killed_and_resumed_and_registers_a_model_of_the_same_rows(
    place, settings, sources, storage, storage_cluster, pump_params
):
    environment = {
        "PDM_ENGINE": "dask",
        "DASK_SCHEDULER_ADDRESS": storage_cluster.address,
        "PDM_PARTS_FOLDER": "s3://plant/parts",
        "PDM_PROJECT_DIR": str(place.root),
    }
    run = place.start("run", config=settings, **environment)
    code, output = place.watch(run, {r"splitting .* 2/": lambda _: os.killpg(run.pid, signal.SIGKILL)})
    assert code != 0
    number = re.search(r"\[(\d+)/features/", output)[1]
    bucket, _ = storage
    before = {found.key: found.last_modified for found in bucket.objects.filter(Prefix="parts/TrainFlow")}
    code, output = place.run("resume", "features", "--origin-run-id", number, **environment)
    assert code == 0, output
    assert "Traceback" not in output
    assert re.search(r"features: on 2 Dask workers at tcp://", output)
    kept = {found.key: found.last_modified for found in bucket.objects.filter(Prefix="parts/TrainFlow")}
    records = [key for key in before if key.endswith("/record.json")]
    assert records
    assert all(kept[key] == before[key] for key in records)
    finished = place.data("end")
    rows = run_in_one_table(sources, pump_params).rows
    assert finished.rows.training_fingerprint == training_fingerprint(rows.train, pump_params.machine)
    assert finished.evaluation.held_out.rows == len(rows.test)
    assert finished.evaluation.out_of_fold.rows == len(rows.train)
    assert "were searched on" in finished.trained.notes[0]
    assert finished.evaluation.held_out["pr_auc"].value > 0.5
    assert finished.evaluation.agreement.decision_flips == 0
    assert finished.outcome.version == "1"

"""A run in several parts: progress, a step that is killed, a damaged part, and the same rows as in one part."""

import os
import re
import signal

import numpy as np
import pandas as pd
import pytest
import yaml

from machines.milling.simulator import simulate
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from tests.partitions.conftest import run_in_one_table

pytestmark = [pytest.mark.flow, pytest.mark.long]

ROWS, ROWS_PER_PART = 6000, 2000


@pytest.fixture
def sources(tmp_path):
    """Two files with readings of 20 milling machines."""
    rows = simulate(ROWS, 3).assign(machine_id=np.random.default_rng(1).integers(0, 20, ROWS).astype(str))
    for number in (0, 1):
        rows[number::2].to_csv(tmp_path / f"{number}.csv", index=False)
    return tuple(Source(uri=str(tmp_path / f"{number}.csv")) for number in (0, 1))


@pytest.fixture
def settings(quick_params, sources, tmp_path):
    raw = yaml.safe_load(quick_params.read_text())
    raw["data"] = {"sources": [{"uri": source.uri} for source in sources], "rows_per_part": ROWS_PER_PART}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_a_run_in_parts_survives_a_killed_step_and_a_damaged_part_and_has_the_rows_of_one_table(
    place, settings, sources
):
    parts = place.root / ".metaflow" / "pdm.parts" / "TrainFlow"
    damaged = []

    def kill_ingest(match):
        os.kill(int(match[1]), signal.SIGKILL)

    def damage(_):
        path = max(parts.glob("*/ingest/*/readings/rows.*.parquet"), key=lambda path: path.stat().st_size)
        path.write_bytes(path.read_bytes()[:-100])
        damaged.append(path)

    reactions = {
        r"\[\d+/ingest/2 \(pid (\d+)\)\] merging .* 2/3": kill_ingest,
        r"/ingest/.*Task finished successfully": damage,
    }
    code, output = place.watch(place.start("run", config=settings), reactions)
    assert code != 0
    assert re.search(r"/ingest/.*Task is starting \(retry\)", output)
    assert re.search(r"ingest: on this process", output)
    assert re.search(r"merging        \[#{24}\] 3/3", output)
    (path,) = damaged
    assert f"{path}: is damaged: it has" in output
    assert "the step ingest wrote it, and has to be repeated" in output
    assert "Traceback" not in output
    command = re.search(r"train_flow.py (resume ingest --origin-run-id \d+)", output)[1].split()
    code, output = place.run(*command, PDM_ENGINE="dask")
    assert code == 0, output
    assert re.search(r"clean: on \d+ Dask workers? on this machine", output)
    assert "Traceback" not in output
    assert "sources that can be read" not in output  # the step start is kept
    rows, expected = place.data("features").rows, run_in_one_table(sources, load_params(settings)).rows
    assert rows.train_rows + rows.test_rows == ROWS
    pd.testing.assert_frame_equal(
        rows.train.astype({"group": "str", "source": "str"}), expected.train.astype({"group": "str", "source": "str"})
    )
    assert place.registry().production_version() is not None

"""Splits by time: the latest rows are held out, with an embargo, of the same machines."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.config.params import SplitSettings
from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import DataError
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.version_files import GOLDEN_FILE
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.labelling import label, labelled_rows
from predictive_maintenance.training.splits import split, with_groups
from predictive_maintenance.training.time_split import is_by_time, places
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.pumps import DESCRIPTION, pump, pump_tables
from tests.fixtures.run_to_failure import engine

SETTINGS = SplitSettings(test_share=0.25, forward_share=0.3, folds=3, salt="x")
EMBARGO = pd.Timedelta("72h")  # a horizon of 24 h and a span of 48 h


@pytest.fixture
def rows():
    """Hourly rows of three pumps for 60 days; each fails every tenth day."""
    times = pd.date_range("2024-01-01", periods=60 * 24, freq="h", tz="UTC")
    frames = [
        pd.DataFrame(
            {
                "machine_id": f"P{number}",
                "timestamp": times,
                "reading_id": [f"{number}-{row}" for row in range(len(times))],
            }
        )
        for number in range(3)
    ]
    frame = pd.concat(frames, ignore_index=True)
    day = (frame["timestamp"] - times[0]).dt.days
    return frame.assign(fails_soon=(day % 10 == 9).astype("int8"), source_index=0, flow=1.0)


def test_the_latest_rows_of_every_machine_are_held_out(rows):
    made = split(rows, pump(), SETTINGS, seed=1)
    boundary = made.test["timestamp"].min()
    assert (rows["timestamp"] >= boundary).mean() == pytest.approx(0.25, abs=0.01)
    assert set(made.test["machine_id"]) == set(made.train["machine_id"]) == {"P0", "P1", "P2"}
    assert made.question == "How good is the model later, on the machines that it was trained on?"


def test_a_machine_that_starts_late_is_held_out_as_a_whole_and_one_that_ends_early_is_trained_on(rows):
    start = rows["timestamp"].min()
    late = (rows["machine_id"] == "P1") & (rows["timestamp"] < start + pd.Timedelta("50D"))
    early = (rows["machine_id"] == "P2") & (rows["timestamp"] > start + pd.Timedelta("30D"))
    grouped = with_groups(rows[~late & ~early].reset_index(drop=True), pump())
    found = places(grouped, pump(), SETTINGS)
    assert set(grouped["machine_id"][found.held_out]) == {"P0", "P1"}
    assert set(grouped["machine_id"][found.fold >= 0]) == {"P0", "P2"}


def test_an_embargo_of_horizon_and_longest_window_is_before_the_held_out_rows_and_between_folds(rows):
    made = split(rows, pump(), SETTINGS, seed=1)
    assert made.test["timestamp"].min() - made.train["timestamp"].max() > EMBARGO
    times = [made.train["timestamp"][made.fold == number] for number in range(3)]
    for earlier, later in pairwise(times):
        assert later.min() - earlier.max() > EMBARGO
    assert "within an embargo of 3 d before them and between the folds are not trained on" in made.notes[0]
    lost = len(rows) - len(made.train) - len(made.test)
    assert f"{lost:,} rows" in made.notes[0]


def test_a_window_of_readings_counts_with_its_usual_length(rows):
    machine = parse_machine(DESCRIPTION.replace("windows: [12h]", "windows: [100 readings]"))
    grouped = with_groups(rows, machine)
    found = places(grouped, machine, SETTINGS)
    gap = grouped["timestamp"][found.held_out].min() - grouped["timestamp"][found.fold >= 0].max()
    assert pd.Timedelta("124h") < gap < pd.Timedelta("126h")


def test_failures_with_timestamps_are_split_by_time_unless_the_settings_say_otherwise():
    assert is_by_time(pump(), SETTINGS)
    assert not is_by_time(pump(), SETTINGS.model_copy(update={"by": "group"}))
    assert not is_by_time(engine(), SETTINGS)  # each machine runs to its failure: there is no later
    assert is_by_time(engine(), SETTINGS.model_copy(update={"by": "time"}))
    assert not is_by_time(MILLING, SETTINGS)


def test_a_split_by_time_needs_times(compressor, rows):
    by_time = SETTINGS.model_copy(update={"by": "time"})
    with pytest.raises(DataError, match="the screw compressor has no time: write by: group"):
        is_by_time(compressor, by_time)
    with pytest.raises(DataError, match="rows have no timestamp: write by: group"):
        places(rows.assign(timestamp=rows["timestamp"].where(rows.index > 0)), pump(), by_time)


def test_an_embargo_that_leaves_too_few_rows_is_an_error_with_the_way_out(rows):
    short = rows[rows["timestamp"] < pd.Timestamp("2024-01-13", tz="UTC")].reset_index(drop=True)
    with pytest.raises(
        DataError, match=r"the embargo of 3 d .* leaves [\d,]+ of 864 rows to train on: add data, lower"
    ):
        split(short, pump(), SETTINGS, seed=1)


def test_a_sample_of_the_training_rows_is_stable_and_leaves_the_held_out_rows(rows):
    limited = SETTINGS.model_copy(update={"max_train_rows": 1000})
    whole, made = split(rows, pump(), SETTINGS, seed=1), split(rows, pump(), limited, seed=1)
    assert len(made.train) == len(made.fold) == pytest.approx(1000, rel=0.1)
    assert len(made.test) == len(whole.test)
    kept = whole.train["reading_id"].isin(made.train["reading_id"]).to_numpy()
    np.testing.assert_array_equal(whole.fold[kept], made.fold)
    again = split(rows.sample(frac=1, random_state=2, ignore_index=True), pump(), limited, seed=1)
    assert set(again.train["reading_id"]) == set(made.train["reading_id"])
    assert (
        made.notes[-1]
        == f"{len(made.train):,} of {len(whole.train):,} training rows are used, a sample by split.max_train_rows in params.yaml"
    )


def test_a_version_of_a_split_by_time_has_the_earlier_readings_in_its_golden_rows(params, tmp_path):
    own = params.override(machine=to_plain(pump()))
    sources = []
    for name, table in pump_tables(pumps=6, hours=2400).items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        sources.append(Source(uri=str(tmp_path / f"{name}.csv"), table=name))
    ingested = ingest(sources, own.machine)
    cleaned = clean(ingested, own.machine, own.cleaning, ingested.events)
    events = cleaned.event_frames()
    labelled = labelled_rows(cleaned.frame, label(cleaned.frame, own.machine, events), own.machine, events)
    made = split(labelled.frame, own.machine, SETTINGS, 1, labelled.unlabelled, events)
    assert len(made.train) + len(made.test) + len(made.history) == len(cleaned.frame)
    files = export_model(
        train_untuned("lightgbm", made.train, made.fold, own), made, own
    )  # it compares the golden rows
    golden = json.loads(files[GOLDEN_FILE])
    assert min(golden["readings"]["timestamp"]) < made.test["timestamp"].min().strftime("%Y-%m-%dT%H:%M:%S")

"""Readings of machines over time: two of one machine at the same time, rows without machine or time, times in the future."""

import pandas as pd
import pytest

from predictive_maintenance.config.params import CleaningSettings
from predictive_maintenance.config.sources import Source
from predictive_maintenance.errors import SourceError
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.run_to_failure import engine, runs_to_failure

LENIENT = CleaningSettings(max_quarantined_share=1.0)


@pytest.fixture
def cleaned(tmp_path):
    """Clean a table of readings, written to one file for each of its parts."""

    def clean_rows(*parts):
        paths = []
        for number, part in enumerate(parts):
            paths.append(tmp_path / f"{number}.csv")
            part.to_csv(paths[-1], index=False)
        return clean(ingest([Source(uri=str(path)) for path in paths], engine()), engine(), LENIENT)

    return clean_rows


@pytest.fixture
def readings():
    return runs_to_failure(2)


def test_an_exact_repetition_is_dropped_and_counted_also_from_an_overlapping_file(cleaned, readings):
    result = cleaned(readings, readings[:5])
    assert (len(result.frame), result.collapsed_duplicates, result.quarantined_rows) == (len(readings), 5, 0)


def test_other_values_at_the_same_time_put_all_of_these_rows_into_quarantine(cleaned, readings):
    result = cleaned(pd.concat([readings, readings[3:4].assign(heat=444.0)]))
    assert len(result.frame) == len(readings) - 1
    assert result.quarantine["reason"].tolist() == ["also the time of another reading of this machine"] * 2
    assert result.quarantine["row"].tolist() == [4, len(readings) + 1]


def test_two_machines_may_have_readings_at_the_same_time(cleaned, readings):
    copies = readings.assign(machine_id=readings["machine_id"] + " twin")
    assert cleaned(readings, copies).quarantined_rows == 0


def test_a_row_without_a_time_is_in_quarantine(cleaned, readings):
    rows = readings.assign(timestamp=readings["timestamp"].astype(str))
    rows.loc[2, "timestamp"] = "later"
    result = cleaned(rows)
    assert result.quarantine[["row", "column"]].to_numpy().tolist() == [[3, "timestamp"]]


@pytest.mark.parametrize("column", ["machine_id", "timestamp"])
def test_a_file_without_machine_or_time_is_refused(cleaned, readings, column):
    with pytest.raises(SourceError, match=column):
        cleaned(readings.drop(columns=column))


def test_a_reading_more_than_a_day_in_the_future_is_in_quarantine(cleaned, readings):
    wrong = readings.copy()
    wrong.loc[3, "timestamp"] = pd.Timestamp("2999-01-01", tz="UTC")
    result = cleaned(wrong)
    assert (len(result.frame), result.quarantined_rows) == (len(readings) - 1, 1)
    assert result.quarantine[["column", "reason"]].to_numpy().tolist() == [["timestamp", "in the future"]]


def test_a_clock_that_jumped_back_gives_late_readings_in_the_order_of_their_times(cleaned, readings):
    jumped = readings.copy()
    last = jumped[jumped["machine_id"] == jumped["machine_id"][0]].index[-1]
    jumped.loc[last, "timestamp"] -= pd.Timedelta("3h") + pd.Timedelta("7min")
    result = cleaned(jumped)
    assert result.quarantined_rows == 0
    ordered = cleaned(jumped.sample(frac=1, random_state=2))
    key = ["machine_id", "timestamp"]
    pd.testing.assert_frame_equal(
        result.frame.sort_values(key)[[*key, "heat"]].reset_index(drop=True),
        ordered.frame.sort_values(key)[[*key, "heat"]].reset_index(drop=True),
    )

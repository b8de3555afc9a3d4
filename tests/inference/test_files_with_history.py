"""Scoring of files whose rows depend on earlier rows of the same machine."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.history.features import complete, take
from predictive_maintenance.inference import files
from predictive_maintenance.inference.files import score_file
from predictive_maintenance.ingestion import csv_reader
from tests.fixtures.run_to_failure import FORMULA_WITHOUT_VALUE, runs_to_failure


@pytest.fixture
def table() -> pd.DataFrame:
    return runs_to_failure(4, seed=9)


@pytest.fixture
def score(small_engine, tmp_path):
    """Score rows as a CSV file: the counts, and the written rows."""

    def score_rows(rows, suffix=".csv"):
        path, output = tmp_path / f"readings{suffix}", tmp_path / f"scored{suffix}"
        rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
        scored = score_file(path, output, small_engine.scorer, "1", {})
        return scored, pd.read_csv(output) if suffix == ".csv" else pd.read_parquet(output)

    return score_rows


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_in_any_order_get_the_probabilities_of_the_table_in_their_place(score, small_engine, table, suffix):
    scored, written = score(table, suffix)
    assert (scored.rows, scored.rejected) == (len(table), 0)
    np.testing.assert_array_equal(written["failure_probability"], small_engine.scorer.probabilities(table))


def test_a_file_that_is_read_in_parts_gets_the_same_probabilities(score, small_engine, table, monkeypatch):
    many = runs_to_failure(400, seed=9)
    parts = []
    prefetch = files._prefetch
    monkeypatch.setattr(
        files, "_prefetch", lambda items: prefetch(parts.append(len(item[1])) or item for item in items)
    )
    monkeypatch.setattr(csv_reader, "_BATCH_BYTES", 64 * 1024)
    _, written = score(many)
    assert len(parts) > 1
    np.testing.assert_array_equal(written["failure_probability"], small_engine.scorer.probabilities(many))


def test_a_rejected_row_keeps_its_reason_and_is_in_no_window(score, small_engine, table):
    rows = table.astype({"heat": object})
    rows.loc[5, "heat"] = "broken"
    rows.loc[6, "heat"] = 5000
    scored, written = score(rows)
    assert scored.rejected == 2
    assert written["rejected"][5] == "heat: not a number"
    assert written["rejected"][6].startswith("heat: outside of the physical limits")
    good = table.drop(index=[5, 6])
    np.testing.assert_array_equal(
        written["failure_probability"].drop(index=[5, 6]), small_engine.scorer.probabilities(good)
    )


def test_rows_of_one_machine_at_the_same_time_are_rejected_both(score, small_engine, table):
    scored, written = score(pd.concat([table, table[7:8].assign(heat=333.0)], ignore_index=True))
    reasons = written["rejected"].dropna()
    assert scored.rejected == 2
    assert reasons.to_dict() == dict.fromkeys(
        (7, len(table)), "timestamp: also the time of another reading of this machine"
    )
    np.testing.assert_array_equal(
        written["failure_probability"].drop(index=[7, len(table)]),
        small_engine.scorer.probabilities(table.drop(index=7)),
    )


def test_one_format_of_times_applies_to_the_whole_file(score, small_engine, table):
    """The first rows could be day first or month first; a later row shows that they are day first."""
    rows = table.sort_values("timestamp")
    _, written = score(rows.assign(timestamp=rows["timestamp"].dt.strftime("%d.%m.%Y %H:%M:%S.%f")))
    np.testing.assert_array_equal(written["failure_probability"], small_engine.scorer.probabilities(rows))


def test_a_row_without_a_time_is_rejected(score, table):
    rows = table.assign(timestamp=table["timestamp"].astype(str))
    rows.loc[3, "timestamp"] = ""
    scored, written = score(rows)
    assert scored.rejected == 1
    assert written["rejected"][3] == "timestamp: missing"


def test_a_file_without_the_machine_is_refused(score, table):
    with pytest.raises(SourceError, match="machine_id"):
        score(table.drop(columns="machine_id"))


def test_a_row_for_which_a_formula_of_statistics_has_no_value_is_rejected_and_stays_in_later_windows(
    small_engine_without_value, table, tmp_path
):
    scorer, path, output = small_engine_without_value.scorer, tmp_path / "readings.csv", tmp_path / "scored.csv"
    table.to_csv(path, index=False)
    scored = score_file(path, output, scorer, "1", {})
    written = pd.read_csv(output)
    firsts = table.groupby("machine_id")["timestamp"].idxmin()
    assert scored.rejected >= len(firsts)
    assert set(written["rejected"][firsts]) == {f"rise: {FORMULA_WITHOUT_VALUE} is not a finite number"}
    good = np.flatnonzero(written["rejected"].isna())
    expected = scorer.probabilities(take(complete(scorer.machine, table), good))
    np.testing.assert_array_equal(written["failure_probability"][good], expected)

"""Scoring of files with tables of events and of machine attributes."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.config.sources import parse_tables
from predictive_maintenance.errors import ConfigError, SourceError
from predictive_maintenance.inference.files import score_file
from predictive_maintenance.inference.further_tables import read_further_tables
from tests.fixtures.pumps import DESCRIPTION, pump_tables


@pytest.fixture(scope="module")
def tables():
    return pump_tables(pumps=3, hours=120, seed=9)


@pytest.fixture
def score(small_pump, tmp_path):
    """Score readings as a CSV file with some tables: the counts, and the written rows."""

    def score_rows(tables, *names):
        for name, table in tables.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        sources = parse_tables(",".join(f"{name}:{tmp_path / name}.csv" for name in names))
        further = read_further_tables(sources, small_pump.scorer.machine)
        output = tmp_path / "scored.csv"
        scored = score_file(tmp_path / "readings.csv", output, small_pump.scorer, "1", {}, tables=further)
        return scored, pd.read_csv(output)

    return score_rows


def test_rows_get_the_probabilities_of_the_tables(score, small_pump, tables):
    scored, written = score(tables, "errors", "service", "pumps")
    assert (scored.rows, scored.rejected, scored.warnings) == (len(tables["readings"]), 0, [])
    attributes = tables["pumps"].rename(columns={"pump": "machine_id"})
    rows = tables["readings"].rename(columns={"pump": "machine_id"}).merge(attributes, on="machine_id", how="left")
    names = {"pump": "machine_id", "asset": "machine_id", "done": "timestamp", "code": "type", "part": "type"}
    events = {name: tables[name].rename(columns=names) for name in ("errors", "service")}
    np.testing.assert_array_equal(written["failure_probability"], small_pump.scorer.probabilities(rows, events))


def test_a_table_that_is_not_given_is_a_warning(score, tables):
    scored, _ = score(tables, "errors", "pumps")
    assert scored.warnings == ["the table service is not given: every row is scored as one without service"]


def test_required_attributes_may_be_columns_of_the_file(score, tables):
    with pytest.raises(SourceError, match="no column for make"):
        score(tables, "errors", "service")
    readings = tables["readings"].merge(tables["pumps"], on="pump")
    _, written = score(tables | {"readings": readings}, "errors", "service")
    assert written["failure_probability"].notna().all()


def test_a_row_of_a_machine_without_attributes_is_rejected_with_the_reason(score, tables):
    scored, written = score(tables | {"pumps": tables["pumps"].iloc[1:]}, "errors", "service", "pumps")
    own = tables["readings"]["pump"] == "P0"
    assert scored.rejected == own.sum()
    assert set(written["rejected"][own]) == {"make: missing: the table pumps has no value for this machine"}
    assert written["failure_probability"][~own].notna().all()


def test_invalid_rows_of_tables_are_counted(score, tables):
    bad = {"errors": tables["errors"].assign(code="?"), "pumps": pd.concat([tables["pumps"]] * 2)}
    bad["pumps"].iloc[-1, 1] = "Z"
    scored, _ = score(tables | bad, "errors", "service", "pumps")
    count = len(tables["errors"])
    assert scored.warnings[0] == f"{count:,} of {count:,} rows of the table errors are invalid and left out"
    assert scored.warnings[1].startswith("2 rows of the table pumps are invalid and left out: ")


def test_a_machine_without_history_gets_its_attributes(small_compressor, tmp_path):
    described = DESCRIPTION[: DESCRIPTION.index("history:")] + DESCRIPTION[DESCRIPTION.index("\nlabel:") :]
    machine = parse_machine(described)
    assert not machine.needs_history
    pump_tables(2, 40)["pumps"].to_csv(tmp_path / "pumps.csv", index=False)
    further = read_further_tables(parse_tables(f"pumps:{tmp_path / 'pumps.csv'}"), machine)
    joined, faults = further.joined(pd.DataFrame({"machine_id": ["P1", "P0", "P7"], "flow": [1.0, 2.0, 3.0]}), machine)
    assert joined["make"].notna().tolist() == [True, True, False]
    assert faults[0]["position"].tolist() == [2]


def test_a_source_without_a_table_is_an_error():
    with pytest.raises(ConfigError, match=r"--tables: errors\.csv names no table: .* such as errors:errors\.csv"):
        parse_tables("errors.csv")

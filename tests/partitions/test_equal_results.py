"""The rows of a run do not depend on how they are cut: into files, into pieces of a file, and into parts."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.config.sources import Source
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.training.row_parts import TRAINING_ONLY
from tests.fixtures.compressor_readings import compressor_readings
from tests.fixtures.pumps import pump_tables
from tests.fixtures.run_to_failure import runs_to_failure

from .conftest import run_in_one_table, run_in_parts

pytestmark = pytest.mark.usefixtures("small_pieces")


def in_order(lines):
    return lines.sort_values(list(lines.columns), ignore_index=True, key=lambda column: column.astype("str"))


def plain(rows):
    """Rows whose groups and sources are text. As categories, both have an alphabetical order, which the folds depend on."""
    assert list(rows["group"].cat.categories) == sorted(rows["group"].cat.categories)
    return rows.astype({"group": "str", "source": "str"})


def assert_equal(one, parts):
    """The results in one table and in parts are the same to the bit."""
    assert parts.ingested.records == one.ingested.records
    assert_same_cleaning(one, parts)
    loaded = parts.rows.load()
    pd.testing.assert_frame_equal(plain(loaded.train), plain(one.rows.train), check_exact=True)
    pd.testing.assert_frame_equal(plain(loaded.test), plain(one.rows.test), check_exact=True)
    np.testing.assert_array_equal(loaded.fold, one.rows.fold)
    pd.testing.assert_frame_equal(plain(loaded.training_only), plain(one.rows.training_only), check_exact=True)
    assert parts.rows.training_fingerprint == training_fingerprint(one.rows.fitted, parts.rows.machine)
    assert (loaded.notes, loaded.question) == (one.rows.notes, one.rows.question)
    pd.testing.assert_frame_equal(in_order(loaded.history), in_order(one.rows.history))
    assert set(loaded.events) == set(one.rows.events)
    for name, table in one.rows.events.items():
        pd.testing.assert_frame_equal(loaded.events[name], table)
    assert parts.rows.unlabelled == dict(one.labelled.reasons)


def assert_same_cleaning(one, parts):
    names = ("rows", "ingested_rows", "quarantined_rows", "collapsed_duplicates", "quarantined_share")
    assert {name: getattr(parts.cleaned, name) for name in names} == {
        name: getattr(one.cleaned, name) for name in names
    }
    lines, expected = (in_order(cleaned.quarantine.astype("str")) for cleaned in (parts.cleaned, one.cleaned))
    pd.testing.assert_frame_equal(lines, expected)
    assert sorted(parts.cleaned.reasons().to_numpy().tolist()) == sorted(one.cleaned.reasons().to_numpy().tolist())
    counts = {name: asdict(table.counts) for name, table in one.cleaned.events.items()}
    assert {name: asdict(table) for name, table in parts.cleaned.event_counts.items()} == counts
    assert parts.cleaned.failed == one.labels.failed.sum()
    assert parts.cleaned.unlabelled == one.labels.reasons()


@pytest.fixture(params=[1, 2])
def random(request):
    return np.random.default_rng(request.param)


def milling_rows(random, machines):
    """Readings of milling machines, with bad cells, exact duplicates, and ids that two machines have."""
    rows = simulate(3000, int(random.integers(100))).astype({"torque_nm": object})
    if machines:
        rows["machine_id"] = random.integers(0, machines, len(rows)).astype(str)
    rows.loc[random.integers(0, len(rows), 20), "torque_nm"] = "broken"
    rows.loc[random.integers(0, len(rows), 5), "tool_wear_min"] = 5000
    repeated = rows.iloc[random.integers(0, len(rows), 10)]
    others = rows.iloc[random.integers(0, len(rows), 6)].assign(rotational_speed_rpm=1500)
    if machines:
        others["machine_id"] = "other"
    return pd.concat([rows, repeated, others], ignore_index=True)


@pytest.mark.parametrize("machines", [7, 60])
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "no ids"])
def test_readings_of_milling_machines_are_the_same_in_parts(random, params, cut, tmp_path, machines, ids):
    rows = milling_rows(random, machines)
    rows = rows if ids else rows.drop(columns="reading_id", errors="ignore")
    sources = cut(rows, random.integers(0, 3, len(rows)))
    one = run_in_one_table(sources, params)
    assert one.cleaned.quarantined_rows > 20
    for rows_per_part in (10_000, 401):
        parts = run_in_parts(sources, params, tmp_path / f"parts-{rows_per_part}", rows_per_part)
        assert len(parts.ingested.parts) == 1 if rows_per_part == 10_000 else len(parts.ingested.parts) > 2
        assert_equal(one, parts)


def test_readings_for_training_only_are_the_same_in_parts(random, params, cut, tmp_path):
    rows = milling_rows(random, 7)
    simulated = simulate(1000, 500).assign(machine_id=(np.arange(1000) % 3 + 100).astype(str))
    path = tmp_path / "simulated.csv"
    simulated.to_csv(path, index=False)
    sources = (Source(uri=str(path), for_training_only=True), *cut(rows, random.integers(0, 2, len(rows))))
    one = run_in_one_table(sources, params)
    parts = run_in_parts(sources, params, tmp_path / "parts", 900)
    assert_equal(one, parts)
    assert set(one.rows.training_only["reading_id"]) == set(simulated["reading_id"])
    assert parts.rows.training_ids().size == len(one.rows.fitted)
    with parts.rows.row_parts() as numbers:
        folds = [pd.read_parquet(file)["fold"] for file in numbers.files]
    assert sum((fold == TRAINING_ONLY).sum() for fold in folds) == 1000
    of_trained, of_others = folds[: len(parts.rows.trained_parts)], folds[len(parts.rows.trained_parts) :]
    assert all((fold >= 0).all() for fold in of_trained)  # predictions are read by the places of these parts
    assert all((fold == TRAINING_ONLY).all() for fold in of_others)


def test_readings_of_one_milling_machine_are_in_one_of_several_parts(random, params, cut, tmp_path):
    sources = cut(milling_rows(random, 0), np.zeros(3016))
    one = run_in_one_table(sources, params)
    assert_equal(one, run_in_parts(sources, params, tmp_path / "parts", 1000))


def test_readings_without_machine_and_time_are_divided_by_their_ids(random, compressor_params, cut, tmp_path):
    rows = compressor_readings(compressor_params.machine, 3000, int(random.integers(100)))
    rows = pd.concat([rows, rows.head(9)], ignore_index=True)
    sources = cut(rows, random.integers(0, 4, len(rows)), ".parquet")
    one = run_in_one_table(sources, compressor_params)
    parts = run_in_parts(sources, compressor_params, tmp_path / "parts", 500)
    assert min(part.readings.rows for part in parts.ingested.parts) > 100
    assert_equal(one, parts)


def test_runs_to_failure_have_the_same_features_and_labels_in_parts(random, engine_params, cut, tmp_path):
    rows = runs_to_failure(20, seed=int(random.integers(100))).sample(frac=1, random_state=3, ignore_index=True)
    sources = cut(rows, random.integers(0, 3, len(rows)))
    one = run_in_one_table(sources, engine_params)
    assert_equal(one, run_in_parts(sources, engine_params, tmp_path / "parts", 300))


@pytest.mark.parametrize("by", ["group", "time"])
def test_pumps_with_events_and_attributes_are_the_same_in_parts(random, pump_params, cut, tmp_path, by):
    tables = pump_tables(30, 1500 if by == "time" else 400, int(random.integers(100)))
    tables["errors"].loc[3, "code"] = "unknown"
    tables["errors"] = pd.concat([tables["errors"], tables["errors"].tail(4).assign(pump="nobody")])
    sources = [*cut(tables["readings"], random.integers(0, 3, len(tables["readings"])))]
    for name in ("errors", "service", "failures", "pumps"):
        sources += cut(tables[name], random.integers(0, 2, len(tables[name])), table=name)
    own = pump_params.model_copy(
        update={"split": pump_params.split.model_copy(update={"by": by, "max_train_rows": 1200})}
    )
    one = run_in_one_table(tuple(sources), own)
    assert_equal(one, run_in_parts(tuple(sources), own, tmp_path / "parts", 900))


def test_a_part_whose_readings_have_no_label_changes_nothing(random, pump_params, cut, tmp_path):
    """A new pump fills a part, and was not observed until the end of any horizon."""
    tables = pump_tables(12, 400, int(random.integers(100)))
    times = pd.date_range("2024-01-01", periods=1200, freq="30s", tz="UTC")
    new = pd.DataFrame({"pump": "NEW", "timestamp": times, "flow": 50.0, "heat": 300.0})
    tables["readings"] = pd.concat([tables["readings"], new], ignore_index=True)
    tables["pumps"] = pd.concat([tables["pumps"], tables["pumps"].head(1).assign(pump="NEW")], ignore_index=True)
    sources = [source for name, table in tables.items() for source in cut(table, np.zeros(len(table), int), table=name)]
    one = run_in_one_table(tuple(sources), pump_params)
    parts = run_in_parts(tuple(sources), pump_params, tmp_path / "parts", 600)
    assert 0 in [part.train.rows + part.test.rows for part in parts.rows.parts]
    assert_equal(one, parts)


def test_what_depends_on_a_whole_file_does_not_depend_on_its_pieces(params, tmp_path):
    rows = simulate(3000, 5).drop(columns="reading_id")
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(3000) * 20, unit="min")
    rows = rows.assign(machine_id=(np.arange(3000) % 9).astype(str), timestamp=times.strftime("%d/%m/%Y %H:%M"))
    lines = pd.concat([rows, rows.head(300)]).to_csv(index=False).splitlines(keepends=True)
    for place in (2, 150, 151, 800, 2900):
        lines[place] = lines[place].rstrip("\n") + ",one cell too many\n"
    (tmp_path / "rows.csv").write_text("".join(lines))
    sources = (Source(uri=str(tmp_path / "rows.csv")),)
    one = run_in_one_table(sources, params)
    malformed = one.cleaned.quarantine["reason"].str.contains("cells where the header has")
    assert one.cleaned.quarantine.loc[malformed, "row"].tolist() == [2, 150, 151, 800, 2900]
    assert one.rows.train["timestamp"].max() > pd.Timestamp("2024-02-01", tz="UTC")
    assert_equal(one, run_in_parts(sources, params, tmp_path / "parts", 1000))


def test_a_join_adds_columns_to_the_readings_of_all_parts(random, params, cut, tmp_path):
    rows = simulate(3000, 5).assign(machine_id=random.integers(0, 9, 3000).astype(str))
    labels = rows[["reading_id", "machine_failure"]].iloc[5:]
    unknown = pd.DataFrame({"reading_id": ["x", "y"], "machine_failure": [0, 1]})
    labels = pd.concat([labels, unknown, labels.iloc[[7]].assign(machine_failure=7)])
    sources = (
        *cut(rows.drop(columns="machine_failure"), random.integers(0, 3, len(rows))),
        *cut(labels, np.zeros(len(labels)), merge="join", table="readings"),
    )
    one = run_in_one_table(sources, params)
    assert one.ingested.records[-1].unmatched_rows == 2
    assert_equal(one, run_in_parts(sources, params, tmp_path / "parts", 1000))


FURNACE = """
name: test furnace
model_name: test_furnace
id: {headers: [charge]}
sensors:
  heat: {label: Heat, unit: K, range: [0, 2000], resolution: 0.1}
  load: {label: Load, unit: kg, range: [0, 500], resolution: 0.1}
label: {column: scrapped, label: Scrapped}
examples: {hot: {label: Hot furnace, reading: {heat: 900, load: 20}}}
"""


def test_a_join_is_divided_by_reading_id_if_the_readings_are(random, params, cut, tmp_path):
    own = params.override(machine=to_plain(parse_machine(FURNACE)))
    ids = [f"C{number}" for number in range(3000)]
    rows = pd.DataFrame({"charge": ids, "heat": random.uniform(0, 2000, 3000).round(1)})
    loads = pd.DataFrame({"charge": ids, "load": random.uniform(0, 500, 3000).round(1)})
    loads["scrapped"] = (rows["heat"] + 3 * loads["load"] > 2800).astype(int)
    more = pd.DataFrame({"charge": ["C1", "D1", "D2", None], "load": 1.0, "scrapped": 0})
    sources = (
        *cut(pd.concat([rows, rows.tail(5)]), random.integers(0, 3, 3005)),
        *cut(pd.concat([loads[3:], more]), np.zeros(3001), ".parquet", merge="join"),
    )
    one = run_in_one_table(sources, own)
    assert sum(record.unmatched_rows for record in one.ingested.records) == 2
    parts = run_in_parts(sources, own, tmp_path / "parts", 800)
    assert max(part.readings.rows for part in parts.ingested.parts) < 1000
    assert not any(join.shared for part in parts.ingested.parts for join in part.joins)
    assert_equal(one, parts)

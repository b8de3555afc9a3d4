"""Tables of events and of machine attributes: sources, columns, joins, cleaning, and errors that name the way out."""

import pandas as pd
import pytest

from predictive_maintenance.config.params import CleaningSettings
from predictive_maintenance.config.sources import DataSettings, Source, parse_sources
from predictive_maintenance.errors import ConfigError, DataError, SourceError
from predictive_maintenance.ingestion.ingest import check_sources, ingest
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.validation.cleaning import clean
from tests.fixtures.pumps import pump, pump_tables

NAMES = ("errors", "service", "failures", "pumps")


@pytest.fixture
def tables():
    return pump_tables(pumps=4, hours=100)


@pytest.fixture
def written(tmp_path):
    def write(tables):
        """Write each table as CSV and return the sources."""
        for name, table in tables.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        texts = [f"{name}:{tmp_path / name}.csv" for name in tables if name != "readings"]
        return parse_sources(",".join([str(tmp_path / "readings.csv"), *texts]))

    return write


def cleaned(sources, share=0.5):
    ingested = ingest(sources, pump())
    return clean(ingested, pump(), CleaningSettings(max_quarantined_share=share), ingested.events)


def test_sources_name_their_table():
    parsed = parse_sources("a.csv,errors:b.csv,join:c.csv,s3://plant/d.csv,machines:sqlite:///p.db?table=m")
    assert [(source.table, source.merge, source.uri) for source in parsed] == [
        ("readings", "append", "a.csv"),
        ("errors", "append", "b.csv"),
        ("readings", "join", "c.csv"),
        ("readings", "append", "s3://plant/d.csv"),
        ("machines", "append", "sqlite:///p.db?table=m"),
    ]
    assert [str(source) for source in parsed][1:3] == ["errors:b.csv", "join:c.csv"]
    assert Source.parse("C:\\plant\\a.csv").table == "readings"


def test_a_source_is_marked_as_one_for_training_only():
    parsed = parse_sources('["a.csv", "train:simulator://?rows=9", {"uri": "b.csv", "for_training_only": true}]')
    assert [source.for_training_only for source in parsed] == [False, True, True]
    assert [str(source) for source in parsed] == ["a.csv", "train:simulator://?rows=9", "train:b.csv"]
    assert DataSettings(sources=parsed).training_only == {1, 2}


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("train:a.csv", "all readings are for training only: a source of readings to evaluate on is missing"),
        ("train:a.csv,errors:b.csv", "all readings are for training only"),
        (
            '["a.csv", {"uri": "b.csv", "merge": "join", "for_training_only": true}]',
            "only a source that appends readings",
        ),
        (
            '["a.csv", {"uri": "b.csv", "table": "errors", "for_training_only": true}]',
            "only a source that appends readings",
        ),
    ],
)
def test_readings_to_evaluate_on_are_needed(sources, message):
    with pytest.raises(ConfigError, match=message):
        parse_sources(sources)


def test_a_source_of_readings_is_needed():
    with pytest.raises(ConfigError, match="a source of readings is missing: all of them are of the tables errors"):
        parse_sources("errors:a.csv")


def test_each_table_is_read_with_its_own_columns(tables, written):
    ingested = ingest(written(tables), pump())
    assert {name: len(part.frame) for name, part in ingested.events.items()} == {
        name: len(tables[name]) for name in ("errors", "service", "failures")
    }
    assert list(ingested.events["service"].frame)[:3] == ["machine_id", "timestamp", "type"]
    assert [record.table for record in ingested.records] == ["readings", "pumps", "errors", "service", "failures"]


def test_attributes_are_joined_to_every_reading_of_their_machine(tables, written):
    frame = ingest(written(tables), pump()).frame
    attributes = tables["pumps"].set_index("pump")
    assert (frame["make"] == frame["machine_id"].map(attributes["make"])).all()
    assert (frame["age"] == frame["machine_id"].map(attributes["age"])).all()


def test_attributes_with_times_hold_from_then_on(tables, written):
    middle = tables["readings"]["timestamp"].quantile(0.5)
    before = tables["pumps"].assign(timestamp=pd.Timestamp("2020-01-01", tz="UTC"))
    after = tables["pumps"].assign(timestamp=middle, age=40.0)
    frame = ingest(written(tables | {"pumps": pd.concat([after, before])}), pump()).frame
    assert (frame["age"] == 40.0).equals(frame["timestamp"] >= middle)


def test_a_reading_of_a_machine_without_attributes_is_in_quarantine(tables, written):
    found = cleaned(written(tables | {"pumps": tables["pumps"].iloc[1:]}))
    lines = found.quarantine
    assert set(lines["column"]) == {"make"}  # age is not required
    assert set(lines["reason"]) == {"missing: the table pumps has no value for this machine"}
    assert len(lines) == (tables["readings"]["pump"] == "P0").sum()
    assert "P0" not in set(found.frame["machine_id"])


def test_contradicting_attributes_are_in_quarantine(tables, written):
    twice = pd.concat([tables["pumps"], tables["pumps"].iloc[:1].assign(make="B", age=1.0)])
    twice.loc[twice["pump"] == "P0", "make"] = ["A", "B"]
    found = cleaned(written(tables | {"pumps": twice}))
    reasons = found.quarantine[found.quarantine["column"] == "machine_id"]
    assert reasons["reason"].tolist() == ["the same machine with other attributes"] * 2
    assert "P0" not in set(found.frame["machine_id"])


def test_bad_events_are_in_quarantine_with_their_reason(tables, written):
    bad = pd.DataFrame(
        {
            "pump": ["P0", None, "P0", "P0"],
            "timestamp": ["2024-01-02 10:00", "2024-01-02 10:00", "soon", "2999-01-01 00:00"],
            "part": ["motor", "seal", "seal", "seal"],
        }
    )
    failures = tables["failures"].assign(timestamp=tables["failures"]["timestamp"].dt.strftime("%Y-%m-%d %H:%M"))
    found = cleaned(written(tables | {"failures": pd.concat([failures, bad])}))
    lines = found.quarantine.set_index("row")
    assert lines["reason"].tolist() == [
        "not one of seal, bearing",
        "missing",
        lines["reason"].iloc[2],
        "in the future",
    ]
    assert lines["column"].tolist() == ["type", "machine_id", "timestamp", "timestamp"]
    assert lines.index.tolist() == [len(failures) + number for number in (1, 2, 3, 4)]
    assert found.events["failures"].quarantined_rows == 4


def test_repeated_events_count_once_and_those_of_unknown_machines_are_counted(tables, written):
    errors = tables["errors"]
    stranger = errors.iloc[:2].assign(pump="P99")
    found = cleaned(written(tables | {"errors": pd.concat([errors, errors.iloc[:3], stranger])})).events["errors"]
    assert (found.collapsed_duplicates, found.without_readings) == (3, 2)
    assert len(found.frame) == len(errors)
    assert found.counts.summary() == (
        f"{len(errors):,} of {len(errors) + 5:,} events, 3 exact duplicates collapsed, 2 of machines without readings"
    )


def test_too_many_bad_events_stop_the_run(tables, written):
    sources = written(tables | {"failures": tables["failures"].assign(part="motor")})
    with pytest.raises(DataError, match=r"16 of 16 rows \(100.0%\) of the table failures are bad"):
        cleaned(sources)


@pytest.mark.parametrize("name", ["failures", "errors", "service", "pumps"])
def test_a_missing_table_is_named_before_the_run_starts(tables, written, name):
    sources = [source for source in written(tables) if source.table != name]
    with pytest.raises(SourceError, match=f"no source has the table {name}, .* add {name}:{name}.csv to --sources"):
        check_sources(sources, pump())
    with pytest.raises(SourceError, match=f"no source has the table {name}"):
        ingest(sources, pump())


def test_a_table_that_is_not_described_is_an_error():
    with pytest.raises(
        SourceError, match=r"the milling machine has no table 'error_log'; .* write \./error_log:b\.csv"
    ):
        ingest(parse_sources("simulator://?rows=10,error_log:b.csv"), MILLING)
    with pytest.raises(SourceError, match="did you mean 'errors'"):
        check_sources(parse_sources("a.csv,error:b.csv"), pump())


def test_a_table_without_its_machine_column_is_an_error(tables, written):
    sources = written(tables | {"service": tables["service"].rename(columns={"asset": "equipment"})})
    with pytest.raises(SourceError, match=r"service\.csv: the table service has no column for machine_id"):
        ingest(sources, pump())
    sources = written(tables | {"pumps": tables["pumps"].rename(columns={"pump": "equipment"})})
    with pytest.raises(SourceError, match=r"pumps\.csv: the table pumps has no column for machine_id"):
        ingest(sources, pump())


def test_an_attribute_in_no_file_is_an_error(tables, written):
    sources = written(tables | {"pumps": tables["pumps"].drop(columns="make")})
    with pytest.raises(SourceError, match="no column for make"):
        ingest(sources, pump())


def test_several_files_of_one_table_are_appended(tables, written, tmp_path):
    sources = written(tables | {"failures": tables["failures"].iloc[:5]})
    tables["failures"].iloc[5:].to_csv(tmp_path / "more.csv", index=False)
    found = ingest((*sources, Source(uri=str(tmp_path / "more.csv"), table="failures")), pump())
    assert len(found.events["failures"].frame) == len(tables["failures"])

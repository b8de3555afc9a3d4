"""Drafts of readings with tables of events and of machine attributes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.config.params import CleaningSettings, SplitSettings
from predictive_maintenance.config.sources import Source
from predictive_maintenance.drafting.draft import Draft, draft
from predictive_maintenance.drafting.observed_times import ObservedTimes
from predictive_maintenance.drafting.readings_table import read_tables
from predictive_maintenance.errors import DataError
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.training.labelling import label, labelled_rows
from predictive_maintenance.training.splits import split
from predictive_maintenance.validation.cleaning import clean
from tests.drafting.plants import LOCOMOTIVE_TABLES, PRESS_TABLES, write_locomotives, write_presses

HOUR_US = 3_600e6
SETTINGS = SplitSettings(test_share=0.15, forward_share=0.3, folds=5, salt="a")


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Path:
    """A folder with the tables of both plants."""
    folder = tmp_path_factory.mktemp("plants")
    write_presses(folder)
    write_locomotives(folder)
    return folder


def drafted(folder: Path, readings: str, tables: dict[str, str], label: str | None = None) -> Draft:
    return draft(
        read_tables([folder / readings]),
        label,
        "plant",
        tables={name: read_tables([folder / file]) for name, file in tables.items()},
    )


@pytest.fixture(scope="module")
def press(plant) -> Draft:
    return drafted(plant, "messwerte.csv", PRESS_TABLES)


@pytest.fixture(scope="module")
def locomotive(plant) -> Draft:
    return drafted(plant, "log.parquet", LOCOMOTIVE_TABLES)


@pytest.fixture(params=[("press", "messwerte.csv", PRESS_TABLES), ("locomotive", "log.parquet", LOCOMOTIVE_TABLES)])
def any_plant(request, plant):
    """The draft of each plant, and the sources that it was made from."""
    name, readings, tables = request.param
    sources = [
        Source(uri=str(plant / readings)),
        *(Source(uri=str(plant / file), table=table) for table, file in tables.items()),
    ]
    return request.getfixturevalue(name), sources


def test_a_draft_loads(any_plant):
    made, _ = any_plant
    assert parse_machine(made.text).description == made.machine.description


def test_the_sources_can_be_trained_on_with_the_draft(any_plant):
    made, sources = any_plant
    machine = made.machine
    ingested = ingest(sources, machine)
    cleaned = clean(ingested, machine, CleaningSettings(max_quarantined_share=0.01), ingested.events)
    assert cleaned.quarantined_rows == 0
    assert all(table.quarantined_rows == 0 and len(table.frame) for table in cleaned.events.values())
    rows = labelled_rows(
        cleaned.frame, label(cleaned.frame, machine, cleaned.event_frames()), machine, cleaned.event_frames()
    )
    assert 0.05 < rows.frame[machine.label_name].mean() < 0.5
    assert {*machine.input_names, *machine.history_features} <= set(rows.frame)


def test_the_draft_counts_the_rows_before_a_failure_as_training_does(any_plant):
    made, sources = any_plant
    ingested = ingest(sources, made.machine)
    cleaned = clean(ingested, made.machine, CleaningSettings(max_quarantined_share=0.01), ingested.events)
    labels = label(cleaned.frame, made.machine, cleaned.event_frames())
    assert made.roles.failures == labels.failed.sum()


def test_a_table_is_one_of_events_if_it_has_times_and_one_of_attributes_otherwise(press, locomotive):
    assert list(press.machine.description.events) == ["stoermeldungen", "wartung", "ausfaelle"]
    assert press.machine.attribute_tables == {"stammdaten": ("typ", "baujahr")}
    assert list(locomotive.machine.description.events) == ["faults", "repairs", "breakdowns"]
    assert locomotive.machine.attribute_tables == {"locos": ("home", "power_kw")}


def test_machine_and_time_are_found_under_other_headers_in_each_table(press, locomotive):
    faults = press.machine.description.events["stoermeldungen"]
    assert (faults.machine_headers, faults.time_headers) == (("Anlagen-Nr",), ("Gemeldet am",))
    assert locomotive.machine.description.machine.headers == ("loco",)
    assert locomotive.machine.description.events["repairs"].time_headers == ("hours_at_repair",)


def test_the_types_of_events_are_listed(press, locomotive):
    assert press.machine.description.events["stoermeldungen"].types == ("F101 Druck", "F205 Temperatur")
    assert locomotive.machine.description.events["faults"].types == ("17", "23", "42")
    assert locomotive.machine.description.events["breakdowns"].types == ()


def test_the_table_of_failures_is_the_label_with_a_mode_for_each_type(press, locomotive):
    failures = press.machine.description.label.failures
    assert (failures.table, failures.horizon) == ("ausfaelle", "3d")
    assert press.machine.description.label.mode_types() == {"dichtung_failure": "Dichtung", "ventil_failure": "Ventil"}
    assert locomotive.machine.description.label.failures.table == "breakdowns"
    assert locomotive.machine.description.label.modes == {}


def test_windows_reach_from_a_few_readings_to_the_horizon(press, locomotive):
    assert press.machine.description.history.windows == ("12h", "24h", "3d")
    assert locomotive.machine.description.history.windows[-1] == locomotive.machine.description.label.failures.horizon


def test_the_embargo_of_horizon_and_longest_window_leaves_rows_to_train_on(press, plant):
    machine = press.machine
    sources = [
        Source(uri=str(plant / "messwerte.csv")),
        *(Source(uri=str(plant / file), table=name) for name, file in PRESS_TABLES.items()),
    ]
    ingested = ingest(sources, machine)
    cleaned = clean(ingested, machine, CleaningSettings(max_quarantined_share=0.01), ingested.events)
    events = cleaned.event_frames()
    rows = labelled_rows(cleaned.frame, label(cleaned.frame, machine, events), machine, events)
    assert len(split(rows.frame, machine, SETTINGS, seed=1).train) > 0.5 * len(rows.frame)


def test_error_codes_are_counted_and_maintenance_has_the_time_since_the_last_one(press, locomotive):
    for made, codes, work in ((press, "stoermeldungen", "wartung"), (locomotive, "faults", "repairs")):
        rules = made.machine.description.history.events
        assert (bool(rules[codes].count_over), rules[codes].by_type, rules[codes].time_since_last) == (
            True,
            True,
            False,
        )
        assert (rules[work].count_over, rules[work].time_since_last) == ((), True)


def test_failures_are_no_input(any_plant):
    made, _ = any_plant
    assert made.machine.description.label.failures.table not in made.machine.description.history.events


def test_a_column_that_sounds_like_a_computed_label_is_left_out_to_be_checked(locomotive):
    assert "fails_soon" not in locomotive.machine.columns
    assert "# check: fails_soon: its name says that it is the label, which is computed" in locomotive.text


def test_attributes_that_differ_in_each_machine_and_dates_are_left_out_with_the_reason(press, locomotive):
    assert "#   stammdaten: Inbetriebnahme: it has times; write a number, such as the age" in press.text
    assert "#   locos: serial: text with 10 different values" in locomotive.text


@pytest.mark.parametrize(
    "note",
    [
        "# check: stoermeldungen has ",
        "time_headers: [Gemeldet am]  # check: the time of the event",
        "values: [F101 Druck, F205 Temperatur]  # check: these are all",
        "from_table: stammdaten  # check: an attribute of a machine",
        "# check: a machine has a reading every 1.98 h, and 1",
        "# check: how many there were lately counts",
        "# check: its name says maintenance",
        "# check: how far ahead a failure is predicted: long enough to plan a repair.",
        "# check: kinds of failure, from the type of the failure",
        "# check: an alarm opens at two positive decisions of three",
    ],
)
def test_each_guess_has_a_comment_that_says_why_and_what_to_check(press, note):
    assert note in press.text


def test_the_example_of_a_failure_is_a_reading_before_one(press):
    assert set(press.machine.description.examples) == {"normal", "failure"}
    reading = press.machine.description.examples["failure"].reading
    assert reading["oeltemperatur_degc"] > press.machine.description.examples["normal"].reading["oeltemperatur_degc"]


def test_with_a_label_the_table_of_failures_is_described_and_not_used(plant):
    made = drafted(plant, "log.parquet", LOCOMOTIVE_TABLES, label="fails_soon")
    assert not made.machine.description.label.is_computed
    assert "breakdowns" in made.machine.description.events
    assert "breakdowns" not in made.machine.description.history.events
    assert any("the table breakdowns is not used: leave out --label to compute it" in text for text in made.warnings)


def test_without_failures_and_label_the_candidates_are_listed(plant):
    with pytest.raises(DataError, match=r"--tables failures:failures.csv\n(.*\n)+  --label fails_soon"):
        drafted(plant, "log.parquet", {"faults": "faults.csv"})


def test_a_table_without_machines_of_the_readings_is_an_error_that_names_its_columns(plant, tmp_path):
    (tmp_path / "other.csv").write_text("asset,when\nX1,2024-03-05\nX2,2024-03-06\n")
    tables = {"ausfaelle": str(plant / "ausfaelle.csv"), "errors": str(tmp_path / "other.csv")}
    with pytest.raises(
        DataError, match=r"--tables: errors: no column has the machines of the readings, such as 'PR-00'.*asset, when"
    ):
        drafted(plant, "messwerte.csv", tables)


def test_several_rows_of_a_machine_without_times_are_an_error(plant, tmp_path):
    (tmp_path / "errors.csv").write_text("Anlage;code\nPR-00;a\nPR-00;b\nPR-01;a\n")
    tables = {"ausfaelle": str(plant / "ausfaelle.csv"), "errors": str(tmp_path / "errors.csv")}
    with pytest.raises(
        DataError, match="errors: no column has times, which events need, and 'Anlage' has a machine in several rows"
    ):
        drafted(plant, "messwerte.csv", tables)


def test_failures_outside_of_the_readings_machines_are_an_error(plant, tmp_path):
    (tmp_path / "failures.csv").write_text("Anlage;Zeitpunkt\nPR-99;05.03.2024 10:00\nPR-00;kaputt\n")
    with pytest.raises(DataError, match=r"--tables: failures: no"):
        drafted(plant, "messwerte.csv", {"failures": str(tmp_path / "failures.csv")})


def test_readings_without_a_machine_are_an_error(plant, tmp_path):
    (tmp_path / "plain.csv").write_text(
        "timestamp,load\n" + "".join(f"2024-03-{day:02},{day}.5\n" for day in range(1, 29))
    )
    (tmp_path / "failures.csv").write_text("unit,when\nA,2024-03-05\n")
    with pytest.raises(
        DataError, match=r"--tables needs the machine of each reading: no column of plain.csv looks like one"
    ):
        drafted(tmp_path, "plain.csv", {"failures": "failures.csv"})


def test_attributes_that_change_hold_from_their_time_on(plant, tmp_path):
    rows = "".join(f"PR-{number:02};{day}.03.2024;{number % 4 + day}\n" for number in range(8) for day in (1, 20))
    (tmp_path / "fleet.csv").write_text(f"Anlage;gueltig ab;Druckstufe\n{rows}")
    made = drafted(
        plant, "messwerte.csv", {"ausfaelle": str(plant / "ausfaelle.csv"), "fleet": str(tmp_path / "fleet.csv")}
    )
    assert made.machine.attribute_tables == {"fleet": ("druckstufe",)}
    assert made.machine.description.time.headers == ("Zeitstempel", "gueltig ab")


@pytest.mark.parametrize(
    ("days", "failures", "horizon"), [(365, 2, "7d"), (365, 60, "24h"), (120, 1, "3d"), (31, 1, "24h"), (2, 1, "3h")]
)
def test_the_horizon_is_at_most_a_week_half_of_an_embargo_and_a_quarter_of_the_time_between_failures(
    days, failures, horizon
):
    times = np.arange(0, days * 24 * HOUR_US, HOUR_US)
    observed = ObservedTimes(
        is_counter=False,
        machines=["a"] * len(times),
        times=times,
        failed_machines=["a"] * failures,
        failures=np.linspace(0, times[-1], failures + 2)[1:-1],
    )
    assert observed.horizon().text == horizon


def test_the_fleet_is_drafted_much_as_it_is_described(tmp_path):
    from machines.fleet.simulator import simulate_tables

    for name, table in simulate_tables(machines=12, days=60, seed=7).items():
        frame: pd.DataFrame = table
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    made = drafted(
        tmp_path, "readings.csv", {name: f"{name}.csv" for name in ("errors", "maintenance", "failures", "machines")}
    )
    described = made.machine.description
    assert described.history.windows[0] == "6h"
    assert made.machine.attribute_tables == {"machines": ("model", "rated_power_kw", "age_years")}
    assert described.history.events["errors"].by_type
    assert described.history.events["maintenance"].time_since_last
    assert described.label.failures.table == "failures"

"""Drafts of strangers' files: what is found, what is left out, and what a person still has to decide."""

import itertools
import math

import pytest
import yaml

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.drafting import readings_table
from predictive_maintenance.drafting.draft import draft
from predictive_maintenance.drafting.readings_table import read_tables
from predictive_maintenance.errors import DataError, SourceError
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.table_format import TableFormat

FILES = {
    "german_press": "Ausfall",
    "bearing": "failure",
    "ugly_pump": "Failed?",
    "leaking_line": "target",
    "turbine_parquet": "fails soon",
}


@pytest.fixture(params=list(FILES))
def any_draft(request, draft_of):
    """The draft of one of the files after the other."""
    return draft_of(request.getfixturevalue(request.param), label=FILES[request.param])


@pytest.fixture
def press(draft_of, german_press):
    return draft_of(german_press, label="Ausfall")


@pytest.fixture
def pump(draft_of, ugly_pump):
    return draft_of(ugly_pump, label="Failed?")


@pytest.fixture
def line(draft_of, leaking_line):
    return draft_of(leaking_line, label="target")


@pytest.fixture
def turbine(draft_of, turbine_parquet):
    return draft_of(turbine_parquet, label="fails soon")


def sensor(machine: Machine, name: str):
    return machine.description.sensors[name]


def line_of(text: str, key: str) -> str:
    """The line of a key in the draft, with its comment."""
    return next(line for line in text.splitlines() if line.strip().startswith(f"{key}:"))


def test_a_draft_loads(any_draft):
    assert parse_machine(any_draft.text).description == any_draft.machine.description


def test_a_draft_has_a_reading_with_and_one_without_failure(any_draft):
    assert set(any_draft.machine.description.examples) == {"normal", "failure"}


def test_every_range_has_a_check(any_draft):
    ranges = [line for line in any_draft.text.splitlines() if line.strip().startswith("range:")]
    assert len(ranges) == len(any_draft.machine.sensor_names)
    assert all("  # check: the data has " in line for line in ranges)


def test_every_section_that_is_a_guess_has_a_check(any_draft):
    lines = any_draft.text.splitlines()
    for number, line in enumerate(lines):
        if line.partition(":")[0] in ("name", "id", "machine", "time", "group", "sensors"):
            above = itertools.takewhile(lambda other: other.startswith("#"), reversed(lines[:number]))
            assert "# check: " in line + "".join(above)


def test_all_checks_are_counted(any_draft):
    assert any_draft.checks == any_draft.text.count("# check: ") > 3


def test_headers_of_another_language_match_with_their_units(press):
    assert press.machine.sensor_names == ("oeldruck_bar", "oeltemperatur_degc", "drehzahl_rpm")
    match = press.machine.match_headers(["Öldruck [mbar]", "Öltemperatur (K)", "Drehzahl"])
    assert match.columns["oeldruck_bar"] == ("Öldruck [mbar]", 0.001, 0.0)
    assert match.columns["oeltemperatur_degc"][1:] == (1.0, -273.15)


def test_decimal_commas_are_read(press):
    assert sensor(press.machine, "oeldruck_bar").range == (160, 220)
    assert sensor(press.machine, "oeldruck_bar").resolution == 0.01


def test_dates_and_machines_are_found(press):
    described = press.machine.description
    assert described.time
    assert (described.time.kind, described.time.headers) == ("timestamp", ("Zeitstempel",))
    assert described.machine
    assert (described.group, described.machine.headers) == ("machine", ("Anlage",))
    assert "split: 8 machines; they are few for a split" in press.text


def test_a_constant_column_is_left_out_with_its_value(press):
    assert "#   Standort: every row has the same value, 'Werk Nord'" in press.text


def test_small_and_large_numbers_keep_their_magnitude(draft_of, bearing):
    machine = draft_of(bearing).machine
    assert sensor(machine, "clearance_m").range == (0, 0.0005)
    assert sensor(machine, "clearance_m").resolution == 1e-6
    assert sensor(machine, "inlet_pressure_pa").range == (960_000, 1_080_000)
    assert sensor(machine, "inlet_pressure_pa").resolution == 1


def test_a_sensor_with_missing_cells_is_optional(draft_of, bearing):
    drafted = draft_of(bearing)
    assert [name for name in drafted.machine.sensor_names if not sensor(drafted.machine, name).required] == [
        "vibration_mm_s"
    ]
    assert line_of(drafted.text, "required") == "    required: false  # check: 40 of 400 cells are missing"


def test_without_machine_batch_or_wear_each_row_is_a_group(draft_of, bearing):
    drafted = draft_of(bearing)
    assert drafted.machine.description.group == "row"
    assert "metrics will be too good" in drafted.text


def test_the_label_may_be_yes_and_no(pump):
    assert line_of(pump.text, "column") == "  column: failed  # check: yes means failure: 24 of 400 rows (6.0%)"


def test_headers_with_a_meaning_in_formulas_get_another_name(pump):
    assert "min_value" in pump.machine.sensor_names
    assert pump.machine.category_names == ("class_value",)


@pytest.mark.parametrize(
    "reason",
    [
        "column 1: it has no header",
        "Temp: the file has this header more than once: rename or remove one",
        "temp: the file has this header more than once: rename or remove one",
        "\u6e29\u5ea6: its header has no letter a to z and no digit: rename it",
        "comment: text with 400 different values, such as 'seen by 0, ok'",
        "supply voltage: every row has the same value, '7.0'",
        "spare: it has no values",
    ],
)
def test_a_column_that_cannot_be_used_is_left_out_with_the_reason(pump, reason):
    assert f"#   {reason}\n" in pump.text


def test_numbers_that_stand_for_missing_values_are_pointed_out(pump):
    assert sensor(pump.machine, "flow_rate_l_min").range == (15, 30)
    assert "# check: -999 may stand for a missing value" in pump.text


def test_cells_that_are_not_numbers_are_pointed_out(pump):
    assert (
        "    label: Oil Temp  # check: 4 cells are not numbers, such as 'ERR'; their rows are rejected\n" in pump.text
    )


def test_what_is_known_only_after_the_failure_is_left_out_to_be_checked(line):
    assert line.machine.input_names == ("program", "load_kn")
    for header in ("RUL", "failure type"):
        assert f"# check: {header}: it contains the label" in line.text


def test_a_column_that_is_1_in_failures_only_is_a_failure_mode(line):
    assert line.machine.mode_names == ("jam",)
    assert "# check: 'jam': 10 of its 10 rows with 1 are failures, so it is not an input" in line.text


def test_a_batch_is_the_group(line):
    assert line.machine.description.plain()["group"] == {"column": "batch"}


def test_a_few_whole_numbers_under_a_header_such_as_program_are_a_category(line):
    assert line.machine.description.categories["program"].values == ("1", "2", "3", "4")


def test_the_time_of_the_reading_is_chosen_among_times(line):
    assert line.machine.description.time
    assert "#   last service date: a second column of times; the time of the reading is 'timestamp'" in line.text


def test_cycles_are_a_counter(turbine):
    time = turbine.machine.description.time
    assert time
    assert (time.kind, time.unit) == ("counter", "cycle")


def test_numbers_with_binary_noise_get_no_resolution(turbine):
    assert sensor(turbine.machine, "t2_degr").resolution is None


def test_a_column_of_lists_is_left_out(turbine):
    assert "#   spectrum: column 'spectrum' has type list<element: double>" in turbine.text


def test_booleans_are_a_category_whose_values_are_text(turbine):
    assert turbine.machine.description.categories["bleed_open"].values == ("false", "true")


def test_several_files_are_one_table(write, draft_of):
    first = write(["speed [rpm]", "failure"], [[100 + place, place % 2] for place in range(50)], "a.csv")
    second = write(
        ["Speed [rpm]", "oil [K]", "failure"], [[200 + place, 300 + place, 0] for place in range(50)], "b.csv", ";"
    )
    drafted = draft_of(first, second)
    assert "Drafted from a.csv, b.csv: 100 rows" in drafted.text
    assert "the data has 100 to 249" in drafted.text
    assert not sensor(drafted.machine, "oil_k").required


def test_headers_that_differ_in_their_unit_are_two_columns(write, draft_of):
    rows = [[300 + place / 10, 20 + place / 10, place % 2] for place in range(50)]
    path = write(["temp [K]", "temp [C]", "failure"], rows)
    drafted = draft_of(path)
    assert drafted.machine.sensor_names == ("temp_k", "temp_degc")
    columns = drafted.machine.match_headers(["temp [K]", "temp [C]", "failure"]).columns
    assert {name: header for name, (header, _, _) in columns.items()} == {
        "temp_k": "temp [K]", "temp_degc": "temp [C]", "failure": "failure",
    }  # fmt: skip


def test_wear_that_falls_ends_a_group(write, draft_of):
    rows = [[place % 25, 40 + place % 7 / 10, int(place % 25 > 20 and place % 2)] for place in range(300)]
    drafted = draft_of(write(["tool wear [min]", "torque [Nm]", "failure"], rows))
    assert drafted.machine.description.plain()["group"] == {"falls": "tool_wear_min"}
    assert "falls from one row to the next (11 times)" in drafted.text.replace("\n#   ", " ")


def test_a_sensor_that_separates_the_label_stays_but_is_pointed_out(write, draft_of):
    rows = [[place % 100, place % 7, int(place % 100 > 90)] for place in range(300)]
    drafted = draft_of(write(["vibration", "oil", "failure"], rows))
    assert drafted.machine.sensor_names == ("vibration", "oil")
    assert (
        "it may contain the label: one threshold separates failures from the rest without error"
        in drafted.text.replace("\n    #   ", " ")
    )
    assert any("'vibration': it may contain the label" in warning for warning in drafted.warnings)


def test_ambiguous_dates_are_left_out_with_the_way_out(write, draft_of):
    rows = [[f"{1 + place % 12:02}/{1 + place % 11:02}/2024", place, place % 2] for place in range(50)]
    drafted = draft_of(write(["date", "load", "failure"], rows))
    assert drafted.machine.description.time is None
    assert "write its dates as 2024-01-31" in drafted.text


def test_values_that_differ_in_their_number_may_name_machines(write, draft_of):
    rows = [[f"OV-{row % 12:02}", "rye" if row % 2 else "wheat", row * 0.5, int(row % 9 == 0)] for row in range(240)]
    text = draft_of(write(["Oven", "Product", "Temperature", "failure"], rows)).text
    oven, product = text.split("examples:")[0].split("  product:")
    assert "check: do the values name machines?" in oven.replace("\n    #   ", " ")
    assert 'machine: {headers: ["Oven"]}' in oven.replace("\n    #   ", " ")
    assert "name machines" not in product


def test_missing_categories_count_as_other(write, draft_of):
    rows = [["" if place % 9 == 0 else "AB"[place % 2], place, place % 2] for place in range(50)]
    drafted = draft_of(write(["grade", "load", "failure"], rows))
    assert drafted.machine.description.categories["grade"].unseen == "other"


def test_text_numbers_with_a_decimal_comma_are_left_out_with_the_way_out(write, draft_of):
    rows = [[f'"{place},5"', place, place % 2] for place in range(50)]
    assert "separate the columns with semicolons" in draft_of(write(["oil", "load", "failure"], rows)).text


def test_unit_of_the_machines_own_is_not_guessed(write, draft_of):
    drafted = draft_of(write(["output [parts]", "failure"], [[place, place % 2] for place in range(50)]))
    assert sensor(drafted.machine, "output").unit == ""
    assert "# check: 'parts' is not a known unit; no unit is set" in drafted.text


def test_malformed_rows_are_counted(write, draft_of):
    rows = [[place, place % 2, 7, 8] if place == 3 else [place, place % 2] for place in range(50)]
    assert "rows with more or fewer cells than the header: 1;" in " ".join(
        draft_of(write(["load", "failure"], rows)).warnings
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("load,failure\n", "no rows"),
        ("1.5,2.5,0\n2.5,3.5,1\n", "the first line has only numbers .*so the file has no header"),
        (",,\n1,2,0\n", "no column can be used"),
    ],
)
def test_a_file_that_has_no_table_is_an_error_that_names_it(tmp_path, draft_of, text, message):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"bad\.csv: {message}"):
        draft_of(tmp_path / "bad.csv")


def test_without_a_label_the_candidates_are_listed_most_likely_first(line, draft_of, leaking_line):
    with pytest.raises(
        DataError, match=r"--label target .*20 of 400 rows \(5\.0%\)[^\n]*name says failure\n.*--label jam "
    ):
        draft_of(leaking_line, label=None)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("targte", r"no column 'targte' can be used; did you mean 'target'\?\ncolumns with the values 0 and 1"),
        ("RUL", r"'RUL' is not a column of 0 and 1: it has '\d+', "),
        ("batch", r"'batch' is not a column of 0 and 1: it has 'B"),
    ],
)
def test_a_column_that_cannot_be_the_label_is_an_error(draft_of, leaking_line, label, message):
    with pytest.raises(DataError, match=message):
        draft_of(leaking_line, label=label)


def test_a_label_with_missing_cells_is_an_error(write, draft_of):
    path = write(["load", "failure"], [[place, "" if place == 5 else place % 2] for place in range(50)])
    with pytest.raises(DataError, match="'failure' has no value in 1 of 50 rows"):
        draft_of(path)


def test_a_table_without_any_label_is_drafted_for_one_that_will_be_added(write, draft_of):
    path = write(["load", "oil"], [[place, place / 2] for place in range(50)])
    drafted = draft_of(path, label="fails within 30")
    assert drafted.machine.description.label.column == "fails_within_30"
    assert "# check: the files have no such column: add it" in drafted.text


def test_ai4i_is_drafted_as_the_milling_machine(draft_of, ai4i_csv):
    drafted = draft_of(ai4i_csv, label="Machine failure")
    machine = drafted.machine
    assert machine.category_names == ("type",)
    assert machine.description.categories["type"].values == ("L", "M", "H")
    assert machine.sensor_names == (
        "air_temperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm", "tool_wear_min",
    )  # fmt: skip
    assert [sensor(machine, name).resolution for name in machine.sensor_names] == [0.1, 0.1, 1, 0.1, 1]
    assert machine.mode_names == ("twf", "hdf", "pwf", "osf", "rnf")
    assert machine.description.plain()["group"] == {"falls": "tool_wear_min"}
    assert set(drafted.roles.left_out) == {"Product ID"}


def test_a_draft_is_plain_yaml(any_draft):
    """Other programs read it, too; numbers such as 1e-06 are text in YAML 1.1, so only the structure is compared."""
    loaded = yaml.safe_load(any_draft.text)
    assert set(loaded["sensors"]) == set(any_draft.machine.sensor_names)
    assert all(math.isfinite(float(edge)) for found in loaded["sensors"].values() for edge in found["range"])


def test_a_file_without_header_and_separated_by_spaces_is_drafted_with_its_format(tmp_path):
    rows = [f"{1 + place // 20} {1 + place % 20}  {500 + place % 7}.5 {int(place % 20 > 16)} " for place in range(200)]
    (tmp_path / "log.txt").write_text("\n".join(rows))
    written = TableFormat(separator="whitespace", columns=("unit", "cycle", "T2 [degR]", "failing"))
    drafted = draft(read_tables([tmp_path / "log.txt"], written), "failing", "engine")
    assert drafted.machine.description.format == written
    assert drafted.machine.sensor_names == ("t2_degr",)
    assert drafted.machine.description.group == "machine"


def test_c_mapss_is_drafted_for_a_label_that_has_to_be_added(cmapss):
    columns = (
        "unit",
        "cycle",
        *(f"setting {place}" for place in range(1, 4)),
        *(f"s{place}" for place in range(1, 22)),
    )
    written = TableFormat(separator="whitespace", columns=columns)
    drafted = draft(read_tables([cmapss / "train_FD001.txt"], written), "fails within 30", "turbofan")
    described = parse_machine(drafted.text).description
    assert described.time
    assert (described.time.kind, described.time.unit, described.group) == ("counter", "cycle", "machine")
    assert len(described.sensors) == 17
    assert set(drafted.roles.left_out) == {"setting 3", "s1", "s5", "s10", "s16", "s18", "s19"}
    assert "# check: the files have no such column: add it" in drafted.text


def test_only_the_first_rows_of_a_large_table_are_read_and_the_draft_says_so(write, draft_of, monkeypatch):
    path = write(["load", "failure"], [[place, place % 2] for place in range(400_000)])
    monkeypatch.setattr(readings_table, "MAX_CELLS", 1000)
    drafted = draft_of(path)
    assert "(the first ones; the rest was not read)" in drafted.text
    assert any("rows were read: check the ranges and the categories" in warning for warning in drafted.warnings)

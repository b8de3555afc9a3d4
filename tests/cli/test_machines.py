"""The commands init and describe."""

import shutil

import pytest

from predictive_maintenance.config.machine_file import load_machine
from tests.drafting.plants import PRESS_TABLES, write_presses
from tests.paths import PARAMS_FILE, REPOSITORY


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder, which is the working directory, with readings.csv and the description of a compressor."""
    folder = tmp_path / "project"
    shutil.copytree(REPOSITORY / "tests" / "machines" / "compressor", folder / "machines" / "compressor")
    shutil.copy(PARAMS_FILE, folder)
    rows = [f"{place % 25},{20 + place % 7},{int(place % 25 > 20 and place % 2)}" for place in range(100)]
    (folder / "Pump 7.csv").write_text("\n".join(["oil [°C],flow (l/min),failure", *rows]) + "\n", encoding="utf-8")
    monkeypatch.setenv("PDM_PROJECT_DIR", str(folder))
    monkeypatch.chdir(folder)
    return folder


def test_init_writes_a_description_that_loads(run, project):
    code, output = run("init", "Pump 7.csv", "--label", "failure", "--machine", "pump")
    assert code == 0, output
    machine = load_machine(project / "machines" / "pump" / "machine.yaml")
    assert machine.sensor_names == ("oil_degc", "flow_l_min")
    assert machine.description.model_name == "pump"


def test_init_prints_a_summary_and_the_next_commands(run, project):
    _, output = run("init", "Pump 7.csv", "--label", "failure", "--machine", "pump")
    for line in (
        "machines/pump/machine.yaml: drafted from Pump 7.csv, 100 rows",
        "  label         failure, 8 of 100 rows are failures",
        "  sensors       oil_degc, flow_l_min",
        "  predictive-maintenance describe --machine pump",
        "  predictive-maintenance check 'Pump 7.csv' --machine pump",
        "  python flows/train_flow.py run --machine pump --sources 'Pump 7.csv'",
    ):
        assert f"{line}\n" in output
    assert 'lines with "check:" in machines/pump/machine.yaml' in output


def test_init_with_tables_computes_the_label_and_repeats_the_tables_in_the_next_command(run, project):
    write_presses(project)
    tables = ",".join(f"{name}:{file}" for name, file in PRESS_TABLES.items())
    code, output = run("init", "messwerte.csv", "--tables", tables, "--machine", "press")
    assert code == 0, output
    machine = load_machine(project / "machines" / "press" / "machine.yaml")
    assert machine.description.label.failures.table == "ausfaelle"
    assert "  label         fails_within_3d, " in output
    assert "  tables        stoermeldungen, wartung, ausfaelle, stammdaten\n" in output
    assert f"  python flows/train_flow.py run --machine press --sources messwerte.csv,{tables}\n" in output


def test_check_leaves_out_the_attributes_that_a_table_has(run, project):
    write_presses(project)
    tables = ",".join(f"{name}:{file}" for name, file in PRESS_TABLES.items())
    run("init", "messwerte.csv", "--tables", tables, "--machine", "press")
    code, output = run("check", "messwerte.csv", "--machine", "press")
    assert code == 0, output
    assert "  from the table stammdaten, not checked: typ, baujahr\n" in output
    assert "the label is computed in training: readings within 3 d before a failure in the table ausfaelle" in output


def test_a_table_without_a_name_is_refused(run, project):
    code, output = run("init", "Pump 7.csv", "--tables", "errors.csv", "--machine", "pump")
    assert code == 1
    assert "--tables: errors.csv names no table: write the name before it, such as errors:errors.csv" in output


def test_the_machine_is_named_after_the_file_by_default(run, project):
    assert run("init", "Pump 7.csv", "--label", "failure")[0] == 0
    assert (project / "machines" / "pump_7" / "machine.yaml").is_file()


def test_init_without_a_label_lists_the_candidates_and_writes_nothing(run, project):
    code, output = run("init", "Pump 7.csv")
    assert code == 1
    assert "--label failure   1 in 8 of 100 rows (8.0%), its name says failure" in output
    assert not (project / "machines" / "pump_7").exists()


def test_an_existing_description_is_replaced_only_with_force(run, project):
    path = project / "machines" / "compressor" / "machine.yaml"
    before = path.read_text(encoding="utf-8")
    arguments = ("init", "Pump 7.csv", "--label", "failure", "--machine", "compressor")
    code, output = run(*arguments)
    assert code == 1
    assert "machine compressor already exists: choose another --machine, or replace it with --force" in output
    assert path.read_text(encoding="utf-8") == before
    assert run(*arguments, "--force")[0] == 0
    assert load_machine(path).sensor_names == ("oil_degc", "flow_l_min")


def test_the_milling_machine_of_the_package_counts_as_existing(run, project):
    assert (
        "machine milling already exists" in run("init", "Pump 7.csv", "--label", "failure", "--machine", "milling")[1]
    )


@pytest.mark.parametrize("name", ["Pump", "../pump", "a/b", "", "pump 7"])
def test_a_name_that_is_no_folder_name_is_refused(run, project, name):
    code, output = run("init", "Pump 7.csv", "--label", "failure", "--machine", name)
    assert code == 1
    assert "is not a name: use small letters, digits, _ and -" in output


def test_the_draft_refers_to_the_schema_of_the_project(run, project):
    schema = project / "docs" / "reference" / "machine.schema.json"
    schema.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / "docs" / "reference" / "machine.schema.json", schema)
    run("init", "Pump 7.csv", "--label", "failure", "--machine", "pump")
    first = (project / "machines" / "pump" / "machine.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../docs/reference/machine.schema.json"


def test_a_missing_file_is_named(run, project):
    code, output = run("init", "nothing.csv", "--label", "failure")
    assert (code, output) == (1, "Error: nothing.csv: no such file\n")


def test_a_folder_that_cannot_be_written_is_named(run, project):
    (project / "machines" / "pump").write_text("a file")
    code, output = run("init", "Pump 7.csv", "--label", "failure", "--machine", "pump")
    assert code == 1
    assert "machine.yaml: cannot be written" in output


def test_describe_prints_the_columns_of_a_machine(run, project):
    code, output = run("describe", "--machine", "compressor")
    assert code == 0
    tables = output.split("\n\n")
    assert [table.splitlines()[0] for table in tables] == [
        "screw compressor (registered model compressor_bearing)", "Columns", "Features", "Operating limits", "Group: each row",
    ]  # fmt: skip
    columns, features, limits = (
        {line.split()[0]: line.split()[1:] for line in table.splitlines()} for table in tables[1:4]
    )
    assert columns["clearance_m"] == ["sensor", "m", "1e-05", "to", "0.0009", "yes", "gap"]
    assert columns["oil_degc"] == ["sensor", "°C", "-40", "to", "150", "no", "oil"]
    assert columns["broken"] == ["label", "broken", "bearing"]
    assert features["stress"] == ["Pa", "rise_pa", "*", "ratio", "**", "2"]
    assert limits["strokes"] == ["strokes", "2000000000", "stroke", "or", "less", "overhaul"]


def test_describe_shows_the_machine_of_the_environment_or_of_the_settings(run, project, monkeypatch):
    assert run("describe")[1].startswith("milling machine")
    monkeypatch.setenv("PDM_MACHINE", "compressor")
    assert run("describe") == run("describe", "--machine", "compressor")


def test_describe_shows_the_history_and_the_rule_of_a_computed_label(run, project):
    code, output = run("describe", "--machine", "turbofan")
    assert code == 0, output
    assert "10, 60   mean, slope  altitude_setting, mach_setting, t24" in output
    assert (
        "computed: every machine fails at its last reading, and readings within 30 cycle before it are failures"
        in output
    )


def test_describe_shows_the_alarm_policy_of_a_machine_over_time(run, project):
    _, output = run("describe", "--machine", "turbofan")
    assert "Alarm: opens at 2 positive of 3 decisions, closes after 6 negative ones in a row\n" in output
    _, output = run("describe")
    assert "Alarm" not in output


def test_describe_shows_milling_by_default(run, project):
    code, output = run("describe")
    assert code == 0
    assert output.startswith("milling machine (registered model predictive_maintenance)\n")
    assert "L < M < H" in output
    assert output.endswith("Group: ends where tool_wear_min falls\n")


def test_describe_of_an_unknown_machine_names_the_closest_one(run, project):
    code, output = run("describe", "--machine", "compresor")
    assert code == 1
    assert "did you mean 'compressor'?" in output


def test_commands_use_the_machine_that_is_named_and_repeat_it_in_the_next_command(run, project, registry_uri):
    run("init", "Pump 7.csv", "--label", "failure", "--machine", "pump")
    code, output = run("check", "Pump 7.csv", "--machine", "pump")
    assert code == 0, output
    assert "next: predictive-maintenance score Pump 7.csv --machine pump" in output
    code, output = run("score", "Pump 7.csv", "--machine", "pump")
    assert code == 1
    assert "python flows/train_flow.py run --machine pump" in output
    assert "python flows/train_flow.py run --machine pump" in run("status", "--machine", "pump")[1]


@pytest.mark.parametrize("command", ["status", "check", "score", "promote", "rollback", "export", "doctor"])
def test_every_command_that_needs_a_machine_refuses_an_unknown_one(run, project, registry_uri, command):
    arguments = {"check": ["Pump 7.csv"], "score": ["Pump 7.csv"], "promote": ["1"], "export": ["--production"]}
    code, output = run(command, *arguments.get(command, []), "--machine", "compresor")
    assert code == 1
    assert "Error: --machine: machine 'compresor': " in output
    assert "did you mean 'compressor'?" in output

"""The commands check and simulate."""

import pandas as pd
import pytest

from machines.milling.simulator import simulate


def test_check_accepts_a_file_without_invalid_values(run, tmp_path):
    simulate(100, 5).to_csv(tmp_path / "good.csv", index=False)
    code, output = run("check", tmp_path / "good.csv")
    assert code == 0
    assert "100 rows" in output
    assert output.endswith(f"every row is valid\nnext: predictive-maintenance score {tmp_path / 'good.csv'}\n")


@pytest.mark.parametrize(("bad_rows", "counted"), [(1, "1 row with"), (2, "2 rows with")])
def test_check_lists_invalid_values(run, tmp_path, bad_rows, counted):
    rows = simulate(100, 5).astype({"torque_nm": object})
    rows.loc[: bad_rows - 1, "torque_nm"] = "broken"
    rows.to_csv(tmp_path / "bad.csv", index=False)
    code, output = run("check", tmp_path / "bad.csv")
    assert code == 1
    assert f"{counted} invalid values:" in output
    assert "line 2 (row 1), 'torque_nm' = 'broken': not a number" in output


def test_check_shows_cells_and_lines_as_they_are_in_the_file_and_hints_at_a_unit(run, write, csv_text, with_cell):
    cells = {(row, "Air temperature [K]"): f"2{row}" for row in range(1, 5)}
    text = csv_text(with_cell(cells)).replace("\n3,", "\n\n3,")
    code, output = run("check", write(f"{text}5,few\n"))
    assert code == 1
    assert "  line 5 (row 3), 'Air temperature [K]' = '23': outside of the physical limits 230 to 350 K\n" in output
    assert "  1 row: 2 cells where the header has 9\n" in output
    assert "  line 7 (row 5), the row = '5,few': 2 cells where the header has 9\n" in output
    assert output.endswith(
        "hint: every value of 'Air temperature [K]' is outside of 230 to 350 K; the values 21 to 24 look like °C or °F: "
        "write the unit in the header, for example 'Air temperature [°C]'\n"
    )


def test_check_of_a_parquet_file_shows_rows(run, tmp_path):
    simulate(5, 5).assign(torque_nm=[900.5, 1, 2, 3, 4]).to_parquet(tmp_path / "bad.parquet")
    output = run("check", tmp_path / "bad.parquet")[1]
    assert "  row 1, 'torque_nm' = '900.5': outside of the physical limits 0 to 500 Nm\n" in output
    assert "hint" not in output


def test_simulate_writes_the_same_file_for_the_same_seed(run, tmp_path):
    for name in ("one.csv", "two.csv"):
        code, output = run("simulate", "--rows", 50, "--seed", 4, "-o", tmp_path / name)
        assert code == 0
        assert "next: python flows/train_flow.py run --sources" in output
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_simulate_writes_readings_of_the_named_machine(run, compressor_project, tmp_path):
    code, output = run("simulate", "--machine", "compressor", "--rows", 30, "-o", tmp_path / "compressors.csv")
    assert code == 0, output
    failures = int(pd.read_csv(tmp_path / "compressors.csv")["broken"].sum())
    assert f"30 rows with {failures} failures written to" in output
    assert f"run --machine compressor --sources {tmp_path / 'compressors.csv'}" in output


@pytest.mark.parametrize(("command", "file"), [("simulate", "simulator.py"), ("fetch", "data_set.py")])
def test_a_machine_without_a_simulator_or_data_set_is_an_error_with_the_missing_file(
    run, compressor_project, tmp_path, command, file
):
    path = compressor_project / "machines" / "compressor" / file
    path.unlink()
    code, output = run(command, "--machine", "compressor", "-o", tmp_path / "file.csv")
    assert code == 1
    assert f"{path} does not exist" in output
    assert not (tmp_path / "file.csv").exists()


@pytest.mark.parametrize("command", ["fetch", "fetch-ai4i"])
def test_fetch_writes_the_data_set_to_the_projects_raw_data(run, compressor_project, command):
    path = compressor_project / "data" / "raw" / "compressors.csv"
    code, output = run(command, "--machine", "compressor", "--url", "https://mirror.example/c.csv")
    assert code == 0, output
    assert f"written to {path}\npublic domain" in output
    assert path.read_text() == "address\nhttps://mirror.example/c.csv\n"
    assert f"already at {path}" in run(command, "--machine", "compressor")[1]

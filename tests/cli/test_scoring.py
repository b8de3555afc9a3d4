"""The command score, for a file and for several files."""

import pandas as pd
import pytest

from machines.milling.simulator import simulate


def test_score_adds_columns_to_the_rows(run, promoted, tmp_path, small):
    rows = simulate(300, 5)
    rows.loc[3, "torque_nm"] = -1.0
    rows.to_csv(tmp_path / "readings.csv", index=False)
    code, output = run("score", tmp_path / "readings.csv")
    assert code == 0, output
    assert "300 rows scored by version 1" in output
    assert "1 rejected" in output
    scored = pd.read_csv(tmp_path / "readings.scored.csv")
    assert list(scored.columns[-4:]) == ["failure_probability", "predicted_failure", "model_version", "rejected"]
    assert scored.loc[3, "rejected"] == "torque_nm: outside of the physical limits 0 to 500 Nm"
    good = scored["rejected"].isna()
    assert scored.loc[good, "failure_probability"].tolist() == small.scorer.probabilities(rows[good]).tolist()


def test_an_existing_output_is_overwritten_only_with_the_option(run, promoted, tmp_path):
    simulate(20, 5).to_csv(tmp_path / "readings.csv", index=False)
    output_file = tmp_path / "out.csv"
    output_file.write_text("mine")
    code, output = run("score", tmp_path / "readings.csv", "-o", output_file)
    assert code == 1
    assert "already exists: choose another --output, or add --overwrite" in output
    assert output_file.read_text() == "mine"
    assert run("score", tmp_path / "readings.csv", "-o", output_file, "--overwrite")[0] == 0


def test_score_without_a_champion_shows_how_to_get_one(run, registry_uri, tmp_path):
    simulate(20, 5).to_csv(tmp_path / "readings.csv", index=False)
    code, output = run("score", tmp_path / "readings.csv")
    assert code == 1
    assert "no version is in production: train one with python flows/train_flow.py run" in output


def test_score_of_rejected_rows_shows_the_reasons_and_fails(run, promoted, tmp_path):
    simulate(20, 5).assign(torque_nm=900.0).to_csv(tmp_path / "readings.csv", index=False)
    code, output = run("score", tmp_path / "readings.csv")
    assert code == 1
    assert "20 cells of torque_nm: outside of the physical limits 0 to 500 Nm" in output
    assert f"no row was scored: see `predictive-maintenance check {tmp_path / 'readings.csv'}`" in output


@pytest.fixture
def data_set(tmp_path):
    """Three files of 40 readings each, one of them in a folder of its own."""
    for number, name in enumerate(("a.csv", "b.parquet", "later/c.csv")):
        path = tmp_path / "readings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = simulate(40, number)
        rows.to_csv(path, index=False) if path.suffix == ".csv" else rows.to_parquet(path)
    return tmp_path / "readings"


def test_each_file_of_a_pattern_has_a_result_with_its_name(run, promoted, data_set, tmp_path, small):
    code, output = run("score", data_set / "**" / "*.*", "-o", tmp_path / "scored")
    assert code == 0, output
    assert "3 files to score with version 1, by this process\n" in output
    assert "[1/3] a.csv: 40 rows, " in output
    assert "120 rows scored in 3 files: " in output
    assert output.endswith(f"written to {tmp_path / 'scored'}\n")
    scored = pd.read_csv(tmp_path / "scored" / "later" / "c.csv")
    assert scored["failure_probability"].tolist() == small.scorer.probabilities(simulate(40, 2)).tolist()
    assert len(pd.read_parquet(tmp_path / "scored" / "b.parquet")) == 40


def test_a_second_run_scores_what_is_new(run, promoted, data_set, tmp_path):
    assert run("score", data_set / "a.csv", data_set / "b.parquet", "-o", tmp_path / "scored")[0] == 0
    simulate(10, 9).to_csv(data_set / "d.csv", index=False)
    files = [data_set / name for name in ("a.csv", "b.parquet", "d.csv")]
    code, output = run("score", *files, "-o", tmp_path / "scored")
    assert code == 0, output
    assert "[1/3] a.csv: 40 rows, 0 alarms, 0 rejected (by a former run)" in output.replace("1 alarm,", "0 alarms,")
    assert "90 rows scored in 3 files, 2 files of them by a former run" in output


def test_a_file_that_cannot_be_scored_is_named_and_the_others_are_scored(run, promoted, data_set, tmp_path):
    (data_set / "a.csv").write_text("speed\n1\n")
    code, output = run("score", data_set / "*.*", "-o", tmp_path / "scored")
    assert code == 1
    assert "[1/2] a.csv: not scored" in output
    assert f"a.csv: not scored: {data_set / 'a.csv'}: " in output
    assert "40 rows scored in 1 file: " in output
    assert output.endswith("1 file not scored: mend them and run the command again\n")


def test_several_files_need_a_folder(run, promoted, data_set):
    code, output = run("score", data_set / "*.csv")
    assert code == 2
    assert "several files need --output FOLDER, in which each has a result with the same name" in output


def test_a_pattern_without_a_match_is_an_error(run, promoted, data_set, tmp_path):
    code, output = run("score", data_set / "*.txt", "-o", tmp_path / "scored")
    assert code == 1
    assert f"{data_set / '*.txt'}: no file matches" in output


def test_one_file_into_a_folder_keeps_its_name(run, promoted, data_set, tmp_path):
    (tmp_path / "scored").mkdir()
    assert run("score", data_set / "a.csv", "-o", tmp_path / "scored")[0] == 0
    assert (tmp_path / "scored" / "a.csv").is_file()


def test_the_engine_is_chosen_by_the_environment(run, promoted, data_set, tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_ENGINE", "dask")
    code, output = run("score", data_set / "*.*", "-o", tmp_path / "scored")
    assert code == 0, output
    assert "2 files to score with version 1, by " in output
    assert " Dask worker" in output
    monkeypatch.setenv("PDM_ENGINE", "spark")
    code, output = run("score", data_set / "*.*", "-o", tmp_path / "others")
    assert code == 1
    assert "PDM_ENGINE: 'spark' is not an engine; " in output

"""The command export without a run. tests/flows tests it with a run."""


def test_export_without_a_run_shows_how_to_start_one(run, tmp_path, monkeypatch):
    from metaflow import metadata

    (tmp_path / ".metaflow").mkdir()
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(tmp_path))
    metadata(f"local@{tmp_path}")
    code, output = run("export", "-o", tmp_path)
    assert code == 1
    assert "start one with python flows/train_flow.py run" in output

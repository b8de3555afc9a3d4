"""The commands status, promote and rollback, on a real registry."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.launcher import LAUNCHER_VARIABLE, Launcher
from predictive_maintenance.tracking.runs import FlowRun
from predictive_maintenance.tracking.signing import public_key, signing_key

ROLLED_BACK = (
    "version 2 is marked as rolled back: a model trained on the same rows is not promoted automatically.\n"
    "Bring version 2 back with: predictive-maintenance promote 2 --force\n"
)


def test_status_of_an_empty_registry_shows_how_to_train(run, registry_uri):
    code, output = run("status")
    assert (code, output) == (0, "production: no version yet; train one with python flows/train_flow.py run\n")


def test_status_of_a_lost_registry_names_the_missing_file(run, registry_uri):
    database = Path(registry_uri.removeprefix("sqlite:///"))
    artifacts = database.parent / "mlartifacts"
    (artifacts / "run").mkdir(parents=True)
    code, output = run("status")
    assert code == 0
    assert f"warning: {database} contains no runs, but {artifacts} contains models of earlier runs" in output


def test_status_can_fail_without_a_version_in_production(run, registry_uri):
    assert run("status", "--fail-without-production")[0] == 3
    assert run("status", "--fail-without-production", "--json")[0] == 3


def test_status_succeeds_with_a_version_in_production(run, promoted):
    assert run("status", "--fail-without-production")[0] == 0


def test_status_shows_champion_candidate_gate_and_lineage(run, promoted):
    code, output = run("status")
    assert code == 0
    assert "production: version 1, lightgbm" in output
    assert "candidate: version 2, lightgbm" in output
    assert "FAILED  Improves on the champion: trained on the same rows as version 1" in output
    assert "code        0123abc" in output
    assert "RUNNING" not in output


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"


def test_status_shows_why_a_version_is_in_production(run, promoted):
    assert "  because     passed every check of the gate\n" in run("status")[1]
    run("promote", "2", "--force")
    by_hand = rf"because     promoted by hand with --force at {TIME}, although 1 check failed\n"
    assert re.search(by_hand, run("status")[1])
    run("rollback")
    output = run("status")[1]
    assert re.search(rf"because     rolled back from version 2 at {TIME}\n", output)
    assert output.count("because ") == 1


def test_status_shows_a_promotion_without_force(run, promoted):
    run("promote", "2", "--force")
    run("promote", "1")
    assert re.search(rf"because     promoted by hand at {TIME}\n", run("status")[1])


def test_status_of_a_version_that_an_earlier_release_promoted_shows_no_reason(run, promoted, params):
    connect(params.registry).client.delete_model_version_tag("predictive_maintenance", "1", "production_reason")
    assert "because" not in run("status")[1]


def test_status_shows_the_result_of_the_gate_and_times_in_one_format(run, promoted):
    run("promote", "2", "--force")
    run("rollback")
    output = run("status")[1]
    assert "  gate        passes every check\n" in output
    assert "  gate        stays a candidate: 1 check failed\n" in output
    for event in ("registered ", "promoted   ", "rolled back"):
        assert re.search(rf"  {event} {TIME}", output), event
    assert "+00:00" not in output


def test_status_shows_the_command_that_promotes_the_candidate(run, promoted):
    assert "\n  promote it with: predictive-maintenance promote 2 --force\n" in run("status")[1]
    run("promote", "2", "--force")
    assert "promote it with" not in run("status")[1]


def test_status_as_json_has_the_versions_and_the_unfinished_runs(run, promoted):
    code, output = run("status", "--json")
    found = json.loads(output)
    assert code == 0
    assert found["production"]["version"] == "1"
    assert found["candidate"]["gate"][-1]["passed"] is False
    assert found["unfinished_runs"] == []


def test_a_tag_that_only_looks_like_json_is_shown_as_text(run, promoted, params):
    connect(params.registry).client.set_model_version_tag("predictive_maintenance", "1", "note", "[x] checked by Ada")
    code, output = run("status", "--json")
    assert code == 0, output
    assert json.loads(output)["production"]["note"] == "[x] checked by Ada"


@pytest.fixture
def killed_launcher():
    """The identity of a process that no longer exists."""
    code = "from predictive_maintenance.tracking.launcher import Launcher; print(Launcher.this_process())"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_status_warns_of_a_run_whose_process_was_killed(run, registry_uri, params, monkeypatch, killed_launcher):
    monkeypatch.setenv(LAUNCHER_VARIABLE, killed_launcher)
    run_id = FlowRun.start(connect(params.registry), "TrainFlow/17", {}).run_id
    code, output = run("status")
    pid = Launcher.parse(killed_launcher).pid
    assert code == 0
    assert f"warning: TrainFlow/17 (MLflow run {run_id}), started 0 min ago, has the status RUNNING" in output
    assert f"its process {pid} on" in output
    assert "resume --origin-run-id 17" in output
    (unfinished,) = json.loads(run("status", "--json")[1])["unfinished_runs"]
    assert (unfinished["run_id"], str(pid) in unfinished["abandoned"]) == (run_id, True)


def test_status_shows_a_run_in_progress_without_a_warning(run, registry_uri, params, monkeypatch):
    monkeypatch.setenv(LAUNCHER_VARIABLE, str(Launcher.this_process()))
    run_id = FlowRun.start(connect(params.registry), "TrainFlow/17", {}).run_id
    _, output = run("status")
    assert f"in progress: TrainFlow/17 (MLflow run {run_id}), started 0 min ago" in output
    assert "warning" not in output
    assert os.getpid() == Launcher.parse(os.environ[LAUNCHER_VARIABLE]).pid


def test_promote_needs_force_for_a_version_that_did_not_pass_the_gate(run, promoted):
    code, output = run("promote", "2")
    assert code == 1
    assert "Improves on the champion" in output
    assert "add --force to promote it anyway" in output
    code, output = run("promote", "2", "--force")
    undo = "undo this with: predictive-maintenance rollback\n"
    assert (code, output) == (0, f"production is version 2 (before: 1)\n{undo}")


def test_rollback_reports_that_the_newer_version_is_marked(run, promoted):
    run("promote", "2", "--force")
    assert run("rollback") == (0, f"production is version 1 (before: 2)\n{ROLLED_BACK}")


def test_a_rolled_back_version_that_passed_the_gate_comes_back_without_force(run, promoted, params):
    client = connect(params.registry).client
    gate = client.get_model_version("predictive_maintenance", "1").tags["gate"]
    run("promote", "2", "--force")
    client.set_model_version_tag("predictive_maintenance", "2", "gate", gate)
    output = run("rollback")[1]
    assert output.endswith("Bring version 2 back with: predictive-maintenance promote 2\n")
    assert run("promote", "2")[0] == 0


def test_promotion_of_an_older_version_reports_that_the_newer_version_is_marked(run, promoted):
    run("promote", "2", "--force")
    code, output = run("promote", "1")
    assert (code, output.startswith(f"production is version 1 (before: 2)\n{ROLLED_BACK}")) == (0, True)


def test_an_unknown_version_is_an_error(run, promoted):
    text = "Error: predictive_maintenance has no version '9'; existing versions: 2, 1\n"
    assert run("promote", "9") == (1, text)


def test_signing_key_writes_a_key_pair_that_signs_and_verifies(run, tmp_path, monkeypatch):
    code, output = run("signing-key", "--output", str(tmp_path))
    assert code == 0
    for line in output.splitlines():
        variable, _, path = line.split("export ")[1].partition("=")
        monkeypatch.setenv(variable, path)
    public_key().verify(signing_key().sign(b"content"), b"content")
    code, output = run("signing-key", "--output", str(tmp_path))
    assert code == 1
    assert "model-signing-key.pem exists" in output


def test_score_refuses_an_unsigned_version_if_a_public_key_is_set(run, promoted, tmp_path, monkeypatch):
    run("signing-key", "--output", str(tmp_path))
    monkeypatch.setenv("PDM_MODEL_PUBLIC_KEY", str(tmp_path / "model-public-key.pem"))
    run("simulate", "--rows", "10", "--output", str(tmp_path / "readings.csv"))
    code, output = run("score", str(tmp_path / "readings.csv"))
    assert code == 1
    assert "it is not signed (no tag signature), and PDM_MODEL_PUBLIC_KEY requires it" in output

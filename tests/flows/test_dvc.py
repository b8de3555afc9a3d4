"""DVC in a clone of the project with a remote on S3 (moto): the stage, DVC's commands, and the scripts of train.yaml."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml

from predictive_maintenance.ingestion.simulator import simulate
from tests.paths import REPOSITORY

pytestmark = [pytest.mark.flow, pytest.mark.long]

# The files that a training run needs. They are committed in a new repository, so uncommitted changes are tested, too.
PARTS = (
    ".dvc/config", ".dvcignore", ".github", ".gitignore", "data/raw", "deploy/__init__.py", "deploy/sagemaker", "dvc.yaml",
    "flows", "params.yaml", "predictive_maintenance", "requirements.txt",
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A checkout with commands run in it."""

    root: Path
    environment: dict[str, str]

    def run(self, *command: str, **environment: str) -> str:
        """The output of `command`. The test fails if the command fails."""
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **environment}
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=500)

    def json(self, *command: str):
        return json.loads(self.run(*command, "--json"))

    def change(self, **sections) -> None:
        """Set values of params.yaml, section by section."""
        path = self.root / "params.yaml"
        raw = yaml.safe_load(path.read_text())
        for name, values in sections.items():
            raw[name] = values if name == "candidates" else raw[name] | values
        path.write_text(yaml.safe_dump(raw))

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def clone(self, root: Path) -> "Project":
        self.run("git", "clone", "--quiet", str(self.root), str(root))
        return Project(root, self.environment)


@pytest.fixture(scope="module")
def environment(aws_url, tmp_path_factory) -> dict[str, str]:
    """The environment of a new user: no settings, the project's tools on the path, credentials for S3."""
    unset = ("METAFLOW", "MLFLOW", "AWS", "PDM", "GIT", "DVC")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(unset)},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "GIT_AUTHOR_NAME": "tester", "GIT_AUTHOR_EMAIL": "tester@example.com",
        "GIT_COMMITTER_NAME": "tester", "GIT_COMMITTER_EMAIL": "tester@example.com",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "PDM_RETRY_MINUTES": "0",
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained(aws_url, environment, tmp_path_factory) -> Project:
    """A project with readings under DVC and one training run, committed and pushed to S3. Tests only read it."""
    account = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=aws_url, **account).create_bucket(Bucket="plant-dvc")
    project = Project(tmp_path_factory.mktemp("project") / "plant", environment)
    for part in PARTS:
        place = project.root / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if (source := REPOSITORY / part).is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__", "node_modules", "*.csv*"))
        else:
            shutil.copy(source, place)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.run("dvc", "remote", "add", "--default", "store", "s3://plant-dvc/cache")
    project.run("dvc", "remote", "modify", "store", "endpointurl", aws_url)
    simulate(6000, 3).to_csv(project.root / "data" / "raw" / "readings.csv", index=False)
    project.run("dvc", "add", "data/raw/readings.csv")
    lightgbm = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["candidates"]["lightgbm"]
    project.change(
        data={"sources": [{"uri": "data/raw/*.csv"}]},
        evaluation={"bootstrap_samples": 100},
        candidates={"lightgbm": lightgbm | {"trials": 1}},
    )
    project.commit("Readings of the plant")
    project.run("dvc", "repro")
    project.commit("The first model")
    project.run("dvc", "push")
    return project


def training_runs(project: Project) -> int:
    return len(list((project.root / ".metaflow" / "TrainFlow").glob("[0-9]*")))


def test_git_stores_metrics_and_pointers_and_dvc_stores_data_and_models(trained):
    files = trained.run("git", "ls-files").split()
    assert "data/raw/readings.csv.dvc" in files
    assert "dvc.lock" in files
    assert "metrics.json" in files
    assert "plots/thresholds.csv" in files
    assert not [
        name for name in files if name.startswith(("models/", "data/")) and not name.endswith((".dvc", ".gitkeep"))
    ]
    assert trained.run("git", "status", "--porcelain") == ""


def test_status_shows_the_data_and_the_commit_of_the_version(trained):
    md5 = yaml.safe_load((trained.root / "data/raw/readings.csv.dvc").read_text())["outs"][0]["md5"]
    commit = trained.run("git", "rev-parse", "HEAD~1").strip()
    status = trained.run("python", "-m", "predictive_maintenance", "status")
    assert "data        data/raw/readings.csv, 6,000 rows" in status
    assert f"DVC {md5}" in status
    assert f"code        {commit}\n" in status


def test_the_report_handles_a_base_without_metrics_and_rejects_an_unknown_one(trained):
    trained.run("python", "-m", "predictive_maintenance", "report", "--compare-to", "HEAD~1")
    assert "has no metrics: no model was trained there" in (trained.root / "report" / "report.md").read_text()
    with pytest.raises(AssertionError, match="revision 'nowhere' cannot be compared with: unknown Git revision"):
        trained.run("python", "-m", "predictive_maintenance", "report", "--compare-to", "nowhere")


def test_repro_skips_training_if_nothing_has_changed(trained):
    before = training_runs(trained)
    assert "didn't change, skipping" in trained.run("dvc", "repro")
    assert training_runs(trained) == before


def test_a_fresh_clone_pulls_data_and_model_and_skips_training(trained, tmp_path):
    clone = trained.clone(tmp_path / "clone")
    clone.run("dvc", "pull")
    for name in (
        "data/raw/readings.csv",
        "data/processed/readings.parquet",
        "models/model.onnx",
        "models/version.json",
    ):
        assert (clone.root / name).read_bytes() == (trained.root / name).read_bytes()
    assert "didn't change, skipping" in clone.run("dvc", "repro")
    assert training_runs(clone) == 0


def test_metrics_params_and_plots_of_two_branches_can_be_compared(trained, tmp_path):
    """A changed setting causes a training run; DVC and the report show the changed setting and metrics."""
    branch = trained.clone(tmp_path / "branch")
    branch.run("git", "switch", "--quiet", "--create", "more-trees")
    branch.run("dvc", "pull")
    branch.change(training={"seed": 8})
    branch.run("dvc", "repro")
    branch.commit("Another seed")
    assert training_runs(branch) == 1
    params = branch.json("dvc", "params", "diff", "main", "more-trees")
    assert params == {"params.yaml": {"training.seed": {"old": 7, "new": 8, "diff": 1}}}
    metrics = branch.json("dvc", "metrics", "diff", "main", "more-trees")["metrics.json"]
    before = json.loads(branch.run("git", "show", "main:metrics.json"))
    after = json.loads((branch.root / "metrics.json").read_text())
    assert before["held_out"]["rows"] == after["held_out"]["rows"]
    assert metrics["threshold"]["old"] == before["threshold"]
    assert metrics["threshold"]["new"] == after["threshold"]
    assert metrics["held_out.pr_auc.value"]["diff"] == pytest.approx(
        after["held_out"]["pr_auc"]["value"] - before["held_out"]["pr_auc"]["value"], abs=1e-4
    )
    branch.run("python", "-m", "predictive_maintenance", "report", "--compare-to", "main")
    report = (branch.root / "report" / "report.md").read_text()
    assert "| `training.seed` | `7` | `8` |" in report
    assert f"| PR-AUC | {before['held_out']['pr_auc']['value']:.3f} \\[" in report
    plots = branch.json("dvc", "plots", "diff", "main", "more-trees")
    assert "errors" not in plots
    assert set(plots["data"]) == {
        "precision over recall", "cost over thresholds", "calibration", "importances", "trials"
    }  # fmt: skip
    for (drawn,) in plots["data"].values():
        assert {point["rev"] for point in points(drawn)} == {"main", "more-trees"}


def points(drawn) -> list[dict]:
    return drawn["content"]["data"]["values"]


def test_a_new_file_causes_a_training_run_and_the_version_names_it(trained, tmp_path):
    clone = trained.clone(tmp_path / "more readings")
    clone.run("dvc", "pull")
    simulate(1000, 4).to_csv(clone.root / "data" / "raw" / "february.csv", index=False)
    clone.run("dvc", "add", "data/raw/february.csv")
    clone.run("dvc", "repro")
    assert training_runs(clone) == 1
    sources = json.loads(clone.run("python", "-m", "predictive_maintenance", "status", "--json"))["production"][
        "data_sources"
    ]
    assert {entry["name"]: entry["rows"] for entry in sources} == {
        "data/raw/readings.csv": 6000,
        "data/raw/february.csv": 1000,
    }
    assert all(entry["dvc_md5"] for entry in sources)
    assert "data/raw/february.csv.dvc" in clone.run("git", "status", "--porcelain", "--untracked-files")
    clone.run("dvc", "push")


def test_an_experiment_without_promotion_does_not_change_production(trained, tmp_path):
    clone = trained.clone(tmp_path / "experiment")
    clone.run("dvc", "pull")
    clone.run("dvc", "exp", "run", "--name", "deeper", "--set-param", "training.seed=9", METAFLOW_RUN_PROMOTE="False")
    shown = json.loads(clone.run("dvc", "exp", "show", "--json"))
    assert "deeper" in json.dumps(shown)
    assert json.loads(clone.run("python", "-m", "predictive_maintenance", "status", "--json"))["production"] is None


@dataclass(frozen=True)
class Job:
    """A runner's checkout of a hosted repository, as the steps of train.yaml have it."""

    checkout: Project
    origin: Project

    def train(self, **settings: str) -> tuple[int, str, str]:
        """Run train.sh. Returns (exit code, output, job summary)."""
        summary = self.checkout.root / "build" / "summary.md"
        summary.parent.mkdir(exist_ok=True)
        summary.write_text("")
        done = self.checkout.attempt(".github/train.sh", GITHUB_STEP_SUMMARY=str(summary), **settings)
        return done.returncode, done.stdout + done.stderr, summary.read_text()


@pytest.fixture
def job(trained, tmp_path) -> Job:
    trained.run("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "hosted.git"))
    origin = Project(tmp_path / "hosted.git", trained.environment)
    return Job(origin.clone(tmp_path / "runner"), origin)


def test_a_job_without_changes_pulls_and_reports_that_there_is_nothing_to_train(job):
    code, output, summary = job.train()
    assert code == 0, output
    assert "Nothing to train" in summary
    assert not (job.checkout.root / "build" / "training").exists()
    assert (job.checkout.root / "models" / "model.onnx").is_file()
    assert "no changed results to commit" in job.checkout.run(".github/record.sh", "Results")


def test_a_job_trains_reports_pushes_and_records_and_a_later_clone_has_the_new_model(job, tmp_path):
    job.checkout.change(training={"seed": 10})
    job.checkout.commit("Another seed")
    code, output, summary = job.train(BASE="HEAD~1", REQUIRE="production")
    assert code == 0, output
    assert "In production" in summary
    assert "| `training.seed` | `7` | `10` |" in summary
    kept = job.checkout.root / "build" / "training"
    assert sorted(path.name for path in kept.iterdir()) == ["dvc.lock", "metrics.json", "plots", "report"]
    assert (kept / "dvc.lock").read_bytes() == (job.checkout.root / "dvc.lock").read_bytes()
    # Another commit is pushed during the training run.
    other = job.origin.clone(tmp_path / "colleague")
    (other.root / "notes.txt").write_text("meanwhile")
    other.commit("Meanwhile")
    other.run("git", "push", "--quiet", "origin", "HEAD")
    assert "the branch has new commits" in job.checkout.run(".github/record.sh", "Results of a training")
    later = job.origin.clone(tmp_path / "later")
    assert later.run("git", "log", "-1", "--format=%s").strip() == "Results of a training"
    later.run("dvc", "pull")
    assert (later.root / "models/model.onnx").read_bytes() == (job.checkout.root / "models/model.onnx").read_bytes()
    assert "didn't change, skipping" in later.run("dvc", "repro")


def test_a_rejected_model_is_reported_and_fails_the_job_only_if_a_level_is_required(job):
    job.checkout.change(gate={"min_recall": 0.999})
    code, output, summary = job.train(REQUIRE="candidate")
    assert code == 3, output
    assert summary.startswith("## 🔴 Rejected")
    code, output, summary = job.train(FORCE="true")
    assert code == 0, output
    assert summary.startswith("## 🔴 Rejected")


def test_a_pull_request_succeeds_with_a_candidate_and_does_not_change_production(job):
    """REQUIRE=production applies to main only: without promotion, no model can reach that level."""
    job.checkout.change(training={"seed": 12})
    code, output, summary = job.train(REQUIRE="production", METAFLOW_RUN_PROMOTE="false")
    assert code == 0, output
    assert "Candidate, not in production" in summary
    assert "production: no version yet" in job.checkout.run("python", "-m", "predictive_maintenance", "status")


def test_a_failed_training_is_reported_in_the_summary_and_fails_the_job(job):
    (job.checkout.root / "data" / "raw" / "broken.csv").write_text("no,reading\n1,2\n")
    code, output, summary = job.train()
    assert code not in (0, 3)
    assert "broken.csv" in output
    assert summary.startswith("## 🔴 The training failed")


def test_train_on_batch_sends_the_heavy_steps_to_aws_batch(job):
    job.checkout.change(training={"seed": 11})
    settings = "METAFLOW_BATCH_JOB_QUEUE=queue\nMETAFLOW_BATCH_CONTAINER_IMAGE=image\n"
    code, output, _ = job.train(TRAIN_ON="batch", METAFLOW_SETTINGS=settings)
    assert code not in (0, 3)
    assert "steps on AWS Batch (evaluate, train) cannot run with these settings" in output
    assert "METAFLOW_DEFAULT_DATASTORE: must be s3" in output
    assert "METAFLOW_BATCH_JOB_QUEUE" not in output


def test_train_on_sagemaker_submits_the_whole_flow_as_a_training_job(job):
    options = "--image image --role arn:aws:iam::1:role/pdm --output s3://plant/models --dry-run"
    code, output, summary = job.train(TRAIN_ON="sagemaker", SAGEMAKER_OPTIONS=options)
    assert code == 0, output
    assert '"RoleArn": "arn:aws:iam::1:role/pdm"' in output
    assert '"promote": "true"' in output
    assert '"require": "candidate"' in output
    assert "production: no version yet" in summary
    settings = {"TRAIN_ON": "sagemaker", "SAGEMAKER_OPTIONS": options, "REQUIRE": "production"}
    assert '"require": "production"' in job.train(**settings)[1]
    _, output, _ = job.train(**settings, METAFLOW_RUN_PROMOTE="false")  # as in a pull request
    assert '"promote": "false"' in output
    assert '"require": "candidate"' in output
    code, output, summary = job.train(TRAIN_ON="sagemaker")
    assert code not in (0, 3)
    assert "SAGEMAKER_OPTIONS" in output
    assert summary.startswith("## 🔴 The training failed")


def test_the_token_of_the_remote_is_in_the_local_dvc_config_and_not_in_the_log_or_in_git(job):
    code, output, _ = job.train(DVC_USER="plant", DVC_TOKEN="a-secret-token")
    assert code == 0, output
    assert "a-secret-token" not in output
    assert job.checkout.run("dvc", "config", "--local", "remote.store.secret_access_key").strip() == "a-secret-token"
    assert job.checkout.run("git", "status", "--porcelain") == ""
    (job.checkout.root / ".dvc" / "config.local").unlink()
    job.checkout.run("dvc", "remote", "add", "--default", "--force", "store", "https://hosted.example/plant.dvc")
    job.train(DVC_USER="plant", DVC_TOKEN="a-secret-token")
    assert job.checkout.run("dvc", "config", "--local", "remote.store.user").strip() == "plant"
    assert job.checkout.run("dvc", "config", "--local", "remote.store.password").strip() == "a-secret-token"

"""The scripts of train.yaml, in a runner's checkout of a hosted repository with a DVC remote on S3 (moto)."""

from dataclasses import dataclass

import pytest

from tests.fixtures.dvc_projects import Project

pytestmark = [pytest.mark.flow, pytest.mark.long]


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
def job(plant, tmp_path) -> Job:
    plant.run("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "hosted.git"))
    origin = Project(tmp_path / "hosted.git", plant.environment)
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
    incident = {"METAFLOW_RUN_MACHINE": "fleet", "METAFLOW_RUN_TAG": "incident:7"}  # as `monitor` requests it
    _, output, _ = job.train(**settings, **incident)
    assert '"machine": "fleet"' in output
    assert '"tag": "incident:7"' in output
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

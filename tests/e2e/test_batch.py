"""The flow on AWS Batch: jobs in containers, with S3, Secrets Manager and a password-protected MLflow on this machine."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest
import yaml

from machines.milling.simulator import simulate
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.tracking.connection import connect_read_only
from predictive_maintenance.tracking.lineage import git_commit
from predictive_maintenance.tracking.registry_reader import RegistryReader
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for
from tests.paths import PARAMS_FILE, REPOSITORY

from .containers import Engine

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]
FLOW = REPOSITORY / "flows" / "train_flow.py"
PASSWORD = "a-password-of-the-test"
IN_CONTAINER = r"\[[0-9a-f-]{36}\] Task is starting\.$"
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}


@dataclass
class Account:
    """A user's settings for an AWS account and a hosted MLflow; `root` is the working directory."""

    root: Path
    settings: dict[str, str]
    engine: Engine

    def client(self, service):
        return boto3.client(service)

    def start(self, *arguments, **more):
        return subprocess.Popen(
            [sys.executable, str(FLOW), "--config", "settings", str(self.root / "params.yaml"), *arguments],
            cwd=self.root, env=clean_environment(**self.settings) | more, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments, react=lambda line: None, **more):
        """Run a command of the flow and call `react` with each line. Returns (exit code, output)."""
        process, lines = self.start(*arguments, **more), []
        timer = threading.Timer(900, lambda: os.killpg(process.pid, signal.SIGKILL))
        timer.start()
        try:
            with process.stdout:
                for line in process.stdout:
                    lines.append(line)
                    react(line)
            return process.wait(), "".join(lines)
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def jobs(self):
        """The descriptions of all jobs, oldest first."""
        batch = self.client("batch")
        listed = [
            job["jobId"]
            for status in ("SUBMITTED", "RUNNING", "SUCCEEDED", "FAILED")
            for job in batch.list_jobs(jobQueue="queue", jobStatus=status)["jobSummaryList"]
        ]
        return sorted(batch.describe_jobs(jobs=listed)["jobs"], key=lambda job: job["createdAt"]) if listed else []

    def container(self):
        """The ID of the container of the only running job."""
        port = self.settings["AWS_ENDPOINT_URL_BATCH"].rpartition(":")[2]
        (running,) = self.engine("ps", "--quiet", "--filter", f"label=local-batch={port}").stdout.split()
        return running

    def registry(self):
        return RegistryReader(connect_read_only(load_params().registry))

    def versions(self):
        return {version.version for version in self.registry().list_versions()}


def steps_of(jobs):
    """The steps that jobs ran. Metaflow names a job by user, flow, run, step, task and attempt."""
    return [job["jobName"].split("-")[-3] for job in jobs]


@pytest.fixture(scope="module")
def account(tmp_path_factory, ai4i_csv, images):
    root = tmp_path_factory.mktemp("account")
    ports = {name: free_port() for name in ("aws", "batch", "mlflow")}
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    (root / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{root / 'auth.db'}\nadmin_username = trainer\n"
        f"admin_password = {PASSWORD}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    guarded = clean_environment(MLFLOW_AUTH_CONFIG_PATH=str(root / "auth.ini"), MLFLOW_FLASK_SERVER_SECRET_KEY="test")
    commands = {
        "aws": ["-m", "moto.server", "--host", "127.0.0.1", "--port", str(ports["aws"])],
        "batch": [
            str(REPOSITORY / "benchmarks" / "local_batch.py"), str(ports["batch"]), "queue",
            *(f"{name}={value}" for name, value in AWS.items()),
        ],
        "mlflow": [
            "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(ports["mlflow"]),
            "--workers", "1", "--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}",
            "--artifacts-destination", str(root / "artifacts"),
        ],
    }  # fmt: skip
    servers = [Process([sys.executable, *command], root / f"{name}.log", guarded) for name, command in commands.items()]
    settings = AWS | {
        "AWS_ENDPOINT_URL": url["aws"],
        "AWS_ENDPOINT_URL_BATCH": url["batch"],
        "METAFLOW_S3_ENDPOINT_URL": url["aws"],
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://plant/metaflow",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(root),
        "METAFLOW_BATCH_JOB_QUEUE": "queue",
        "METAFLOW_BATCH_CONTAINER_IMAGE": "predictive-maintenance:train",
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": "arn:aws:iam::123456789012:role/pdm-job",
        "METAFLOW_USER": "tester",
        "MLFLOW_TRACKING_URI": url["mlflow"],
        "PDM_SECRETS": "pdm/mlflow",
        "PDM_RETRY_MINUTES": "0",
    }
    raw = yaml.safe_load(PARAMS_FILE.read_text())
    raw["candidates"] = {"lightgbm": raw["candidates"]["lightgbm"] | {"trials": 1}}
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        environment.setenv("MLFLOW_TRACKING_USERNAME", "trainer")
        environment.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        try:
            for server in servers:
                server.start()
            wait_for(lambda: all(httpx.get(url[name]).status_code for name in ports), seconds=120)
            found = Account(root, settings, images)
            found.client("s3").create_bucket(
                Bucket="plant", CreateBucketConfiguration={"LocationConstraint": AWS["AWS_DEFAULT_REGION"]}
            )
            found.client("s3").upload_file(str(ai4i_csv), "plant", "raw/ai4i2020.csv")
            for name, password in (("pdm/mlflow", PASSWORD), ("pdm/outdated", "an-older-password")):
                secret = {"MLFLOW_TRACKING_USERNAME": "trainer", "MLFLOW_TRACKING_PASSWORD": password}
                found.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(secret))
            yield found
        finally:
            for server in servers:
                server.kill()


def under_dvc(account, path):
    """Put `path` under DVC as `dvc add` and `dvc push` do, with a remote on S3. Returns its MD5."""
    (account.root / ".dvc").mkdir()
    (account.root / ".dvc" / "config").write_text(
        "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://plant/dvc\n"
    )
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".dvc").write_text(yaml.safe_dump({"outs": [{"md5": md5, "path": path.name}]}))
    account.client("s3").upload_file(str(path), "plant", f"dvc/files/md5/{md5[:2]}/{md5[2:]}")
    return md5


def test_a_run_with_every_step_on_batch_promotes_a_model(account, tmp_path):
    local = account.root / "more.csv"
    simulate(3000, 5).to_csv(local, index=False)
    md5 = under_dvc(account, local)
    # Without the file itself, the copy in the DVC remote is read.
    local.unlink()
    commit, descriptions = git_commit(), []

    def inspect(line):
        if re.search(f"/clean/.*{IN_CONTAINER}", line):
            descriptions.append(account.engine("inspect", account.container()).stdout)

    code, output = account.run(
        "run", "--with", "batch", "--sources", "s3://plant/raw/ai4i2020.csv,more.csv", react=inspect
    )
    assert code == 0, output
    assert "version 1 is in production" in output
    assert steps_of(account.jobs()) == ["start", "ingest", "clean", "features", "train", "select", "evaluate", "end"]

    assert '"PDM_SECRETS=pdm/mlflow"' in descriptions[0]
    assert PASSWORD not in descriptions[0]
    assert PASSWORD not in output
    champion = account.registry().production_version()
    assert champion.tags["git_commit"] == commit
    sources = json.loads(champion.tags["data_sources"])
    assert [(source["name"], source["dvc_md5"]) for source in sources] == [
        ("s3://plant/raw/ai4i2020.csv", None),
        ("more.csv", md5),
    ]

    exported = subprocess.run(
        [sys.executable, "-m", "predictive_maintenance", "export", "--output", str(tmp_path)],
        cwd=REPOSITORY, env=clean_environment(**account.settings), capture_output=True, text=True,
    )  # fmt: skip
    assert exported.returncode == 0, exported.stderr
    assert json.loads((tmp_path / "metrics.json").read_text())["level"] == "production"


def test_the_password_is_stored_only_in_its_secret(account):
    jobs, definitions = account.jobs(), account.client("batch").describe_job_definitions()["jobDefinitions"]
    assert jobs
    assert PASSWORD not in json.dumps([jobs, definitions], default=str)
    assert PASSWORD not in (account.root / "batch.log").read_text()
    bucket = account.client("s3")
    for found in bucket.list_objects_v2(Bucket="plant")["Contents"]:
        assert PASSWORD.encode() not in bucket.get_object(Bucket="plant", Key=found["Key"])["Body"].read(), found["Key"]
    for version in account.registry().list_versions():
        assert PASSWORD not in json.dumps(version.tags)


def test_cards_of_steps_on_batch_are_in_mlflow(account):
    connection = connect_read_only(load_params().registry)
    run_id = account.registry().production_version().run_id
    pages = {found.path for found in connection.client.list_artifacts(run_id, "cards")}
    assert pages == {"cards/clean.html", "cards/evaluate.html"}


def test_remote_steps_run_on_batch_and_are_retried_if_their_container_is_killed(account):
    before, versions, killed = len(account.jobs()), account.versions(), []
    rows = account.root / "only here.csv"
    simulate(6000, 3).to_csv(rows, index=False)

    def kill(line):
        if not killed and re.search(f"/train/.*{IN_CONTAINER}", line):
            killed.append(account.engine("kill", account.container()))

    code, output = account.run(
        "run", "--sources", str(rows), react=kill, PDM_REMOTE_STEPS="train,evaluate",
        MLFLOW_TRACKING_USERNAME="trainer", MLFLOW_TRACKING_PASSWORD=PASSWORD,
    )  # fmt: skip
    assert code == 0, output
    assert killed
    jobs = account.jobs()[before:]
    assert steps_of(jobs) == ["train", "train", "evaluate"]
    assert [job["status"] for job in jobs] == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert len(account.versions() - versions) == 1


def test_wrong_credentials_stop_the_run_in_its_first_step(account):
    before = len(account.jobs())
    code, output = account.run(
        "run", "--with", "batch", "--sources", "s3://plant/raw/ai4i2020.csv", PDM_SECRETS="pdm/outdated"
    )
    assert code != 0
    assert set(steps_of(account.jobs()[before:])) == {"start"}
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in output
    assert "an-older-password" not in output

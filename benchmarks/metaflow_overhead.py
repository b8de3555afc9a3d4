"""Time of each step of one run: local, with results on S3, and with every step on AWS Batch.

    python benchmarks/metaflow_overhead.py          (needs a container engine and the image of `make image`)

S3 is emulated by moto. Batch is emulated by localbatch, which starts a container per step as AWS does, but has no queue
time and pulls no image: the real service takes longer. All three runs use the same MLflow server. benchmarks/training.py
measures the same work without Metaflow, stage by stage.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import boto3
from measuring import describe_machine, markdown_table
from servers import serving

PROJECT_DIR = Path(__file__).resolve().parents[1]
FLOW = PROJECT_DIR / "flows" / "train_flow.py"
STEPS = ("start", "ingest", "clean", "features", "train", "select", "evaluate", "end")
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}
CLIENT = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
# Runs in a new process, because the Metaflow client reads its settings from the environment only once.
_READ_STEP_SECONDS = """
import json, sys
from predictive_maintenance.config.metaflow_defaults import set_metaflow_defaults
set_metaflow_defaults()
from metaflow import Flow, namespace
namespace(None)
run = next(iter(Flow("TrainFlow")))
print(json.dumps({step.id: max((task.finished_at - task.created_at).total_seconds() for task in step) for step in run}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2, help="trials per candidate  [default: 2]")
    parser.add_argument("--rows", type=int, default=10_000, help="simulated readings  [default: 10000]")
    arguments = parser.parse_args()
    options = ["run", "--trials", str(arguments.trials), "--sources", f"simulator://?rows={arguments.rows}&seed=7"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="overhead-")))
        python, port = sys.executable, ["--port", "{port}"]
        job_environment = [f"{name}={value}" for name, value in AWS.items()]
        storage = [
            "--backend-store-uri",
            f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination",
            str(folder / "files"),
        ]
        commands = {
            "s3": ([python, "-m", "moto.server", "--host", "127.0.0.1", *port], "/"),
            "batch": (
                [python, str(Path(__file__).with_name("local_batch.py")), "{port}", "queue", *job_environment],
                "/health",
            ),
            "mlflow": (
                [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1", *port, *storage],
                "/health",
            ),
        }
        url = {name: stack.enter_context(serving(*command)).url for name, command in commands.items()}
        boto3.client("s3", endpoint_url=url["s3"], **CLIENT).create_bucket(Bucket="plant")
        local = {"MLFLOW_TRACKING_URI": url["mlflow"], "METAFLOW_USER": "benchmark", "PDM_RETRY_MINUTES": "0"}
        s3 = local | AWS | {
            "AWS_ENDPOINT_URL": url["s3"], "METAFLOW_S3_ENDPOINT_URL": url["s3"], "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://plant/metaflow",
        }  # fmt: skip
        batch = s3 | {
            "AWS_ENDPOINT_URL_BATCH": url["batch"], "METAFLOW_BATCH_JOB_QUEUE": "queue",
            "METAFLOW_BATCH_CONTAINER_IMAGE": "predictive-maintenance:train",
            "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": "arn:aws:iam::123456789012:role/pdm-batch-job",
        }  # fmt: skip
        columns = {
            "local": _measure("local", options, local, folder),
            "local, results on S3": _measure("S3", options, s3, folder),
            "every step on Batch": _measure("Batch", [*options, "--with", "batch"], batch, folder),
        }
    print(f"{describe_machine()}\n")
    print(f"Seconds, {arguments.rows:,} rows, {arguments.trials} trials per candidate, both candidates in parallel:\n")
    rows = [[name, *(f"{times[name]:.1f}" for times in columns.values())] for name in (*STEPS, "whole run")]
    print(markdown_table(["step", *columns], rows))


def _measure(name: str, options: list[str], settings: dict[str, str], folder: Path) -> dict[str, float]:
    """Seconds of each step and of the whole run."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    work = folder / name
    work.mkdir()
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("METAFLOW", "MLFLOW", "PDM_", "AWS_"))
    }
    environment = inherited | settings | {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(work)}
    start = time.monotonic()
    run = subprocess.run(
        [sys.executable, str(FLOW), *options], env=environment, cwd=work, capture_output=True, text=True
    )
    seconds = time.monotonic() - start
    if run.returncode:
        sys.exit(f"{name}: the run failed:\n{run.stdout[-3000:]}\n{run.stderr[-2000:]}")
    read = subprocess.run(
        [sys.executable, "-c", _READ_STEP_SECONDS], env=environment, cwd=PROJECT_DIR, capture_output=True, text=True
    )
    if read.returncode:
        sys.exit(f"{name}: the times of its steps cannot be read:\n{read.stderr}")
    return {**json.loads(read.stdout), "whole run": seconds}


if __name__ == "__main__":
    main()

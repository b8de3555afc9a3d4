"""What Metaflow adds: the same run on this machine, with its results on S3, and with every step on AWS Batch.

    python benchmarks/metaflow_overhead.py          (needs a container engine and the image of `make image`)

S3 is moto's server, Batch is localbatch, which starts a container a step as AWS does; there is no queue to wait in and
no image to pull, so that Batch itself would add to its column. The MLflow server is the same for all. Work is what
the flow's own functions take in one process (benchmarks/training.py has them stage by stage).
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
# In a process of its own: the client reads its settings from the environment once.
_READ = """
import json, sys
from predictive_maintenance.config.metaflow_defaults import set_metaflow_defaults
set_metaflow_defaults()
from metaflow import Flow, namespace
namespace(None)
run = next(iter(Flow("TrainFlow")))
print(json.dumps({step.id: max((task.finished_at - task.created_at).total_seconds() for task in step) for step in run}))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--trials", type=int, default=2, help="trials for each candidate")
    arguments.add_argument("--rows", type=int, default=10_000, help="simulated readings")
    given = arguments.parse_args()
    options = ["run", "--trials", str(given.trials), "--sources", f"simulator://?rows={given.rows}&seed=7"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="overhead-")))
        python, port = sys.executable, ["--port", "{port}"]
        jobs_have = [f"{name}={value}" for name, value in AWS.items()]
        kept = [
            "--backend-store-uri",
            f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination",
            str(folder / "files"),
        ]
        commands = {
            "s3": ([python, "-m", "moto.server", "--host", "127.0.0.1", *port], "/"),
            "batch": (
                [python, str(Path(__file__).with_name("local_batch.py")), "{port}", "queue", *jobs_have],
                "/health",
            ),
            "mlflow": (
                [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1", *port, *kept],
                "/health",
            ),
        }
        url = {name: stack.enter_context(serving(*command)).url for name, command in commands.items()}
        boto3.client("s3", endpoint_url=url["s3"], **CLIENT).create_bucket(Bucket="plant")
        here = {"MLFLOW_TRACKING_URI": url["mlflow"], "METAFLOW_USER": "benchmark", "PDM_RETRY_MINUTES": "0"}
        s3 = here | AWS | {
            "AWS_ENDPOINT_URL": url["s3"], "METAFLOW_S3_ENDPOINT_URL": url["s3"], "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://plant/metaflow",
        }  # fmt: skip
        batch = s3 | {
            "AWS_ENDPOINT_URL_BATCH": url["batch"], "METAFLOW_BATCH_JOB_QUEUE": "queue",
            "METAFLOW_BATCH_CONTAINER_IMAGE": "predictive-maintenance:train",
            "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": "arn:aws:iam::123456789012:role/pdm-batch-job",
        }  # fmt: skip
        columns = {
            "local": _measure("local", options, here, folder),
            "local, results on S3": _measure("S3", options, s3, folder),
            "every step on Batch": _measure("Batch", [*options, "--with", "batch"], batch, folder),
        }
    print(f"{describe_machine()}\n")
    print(f"Seconds, {given.rows:,} rows, {given.trials} trials a candidate, both candidates at the same time:\n")
    rows = [[name, *(f"{times[name]:.1f}" for times in columns.values())] for name in (*STEPS, "whole run")]
    print(markdown_table(["step", *columns], rows))


def _measure(name: str, options: list[str], settings: dict[str, str], folder: Path) -> dict[str, float]:
    """Seconds of each step, and of the whole."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    place = folder / name
    place.mkdir()
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("METAFLOW", "MLFLOW", "PDM_", "AWS_"))
    }
    environment = kept | settings | {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(place)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(FLOW), *options], env=environment, cwd=place, capture_output=True, text=True
    )
    took_s = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{name}: the run failed:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    read = subprocess.run(
        [sys.executable, "-c", _READ], env=environment, cwd=PROJECT_DIR, capture_output=True, text=True
    )
    if read.returncode:
        sys.exit(f"{name}: its times cannot be read:\n{read.stderr}")
    return {**json.loads(read.stdout), "whole run": took_s}


if __name__ == "__main__":
    main()

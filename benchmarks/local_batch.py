"""An AWS Batch on this machine: localbatch, whose jobs are containers on the host's network.

    python benchmarks/local_batch.py PORT QUEUE [NAME=VALUE ...]

Each job is given NAME=VALUE, as AWS gives it its role's credentials.
"""

import logging
import sys
from typing import Any

import uvicorn
from docker.models.containers import ContainerCollection
from localbatch.runner import DockerRunner
from localbatch.server import create_app
from localbatch.store import Store

_run = ContainerCollection.run


def _run_on_the_host(containers: ContainerCollection, **settings: Any) -> Any:
    """127.0.0.1 is this machine then, where the tests' S3 and MLflow are."""
    settings.pop("extra_hosts")  # which names the host on a network of the engine's own
    return _run(containers, network_mode="host", cap_drop=["ALL"], security_opt=["no-new-privileges"], **settings)


def main(port: str, queue: str, *given: str) -> None:
    logging.basicConfig(level=logging.INFO)
    ContainerCollection.run = _run_on_the_host
    store = Store(queue_name=queue)
    runner = DockerRunner(store, "127.0.0.1", int(port), dict(pair.split("=", 1) for pair in given))
    uvicorn.run(create_app(store, runner), host="127.0.0.1", port=int(port), log_level="info")


if __name__ == "__main__":
    main(*sys.argv[1:])

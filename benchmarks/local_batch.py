"""AWS Batch emulated on this machine by localbatch. Jobs are containers on the host's network.

    python benchmarks/local_batch.py PORT QUEUE [NAME=VALUE ...]

Each job has the environment variables NAME=VALUE, in place of the credentials of its role on AWS. Its container has the
label local-batch=PORT.
"""

import argparse
import logging
import time
from functools import partialmethod
from typing import Any

import uvicorn
from docker.models.containers import Container, ContainerCollection
from localbatch.runner import DockerRunner
from localbatch.server import create_app
from localbatch.store import Store

_run = ContainerCollection.run
_POLL_SECONDS = 0.5


def _run_on_the_host(containers: ContainerCollection, **settings: Any) -> Any:
    """Run a container in which 127.0.0.1 is this machine, where S3 and MLflow of the tests run."""
    settings.pop("extra_hosts")  # names the host in the engine's own network, which is not used
    return _run(containers, network_mode="host", cap_drop=["ALL"], security_opt=["no-new-privileges"], **settings)


def _wait_for_exit(container: Container, timeout: float) -> dict[str, int]:
    """Wait until a container has ended, at most `timeout` seconds. podman's own wait keeps a core busy."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        container.reload()
        if container.status == "exited":
            return {"StatusCode": container.attrs["State"]["ExitCode"]}
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"container {container.name} still runs after {timeout:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int, metavar="PORT")
    parser.add_argument("queue", metavar="QUEUE")
    parser.add_argument("environment", nargs="*", metavar="NAME=VALUE")
    arguments = parser.parse_args()
    environment = dict(pair.split("=", 1) for pair in arguments.environment)
    logging.basicConfig(level=logging.INFO)
    Container.wait = _wait_for_exit
    ContainerCollection.run = partialmethod(_run_on_the_host, labels={"local-batch": str(arguments.port)})
    store = Store(queue_name=arguments.queue)
    runner = DockerRunner(store, "127.0.0.1", arguments.port, environment)
    uvicorn.run(create_app(store, runner), host="127.0.0.1", port=arguments.port, log_level="info")


if __name__ == "__main__":
    main()

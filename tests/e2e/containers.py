"""Containers, started with the engine's command line."""

import os
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass, field

import pytest

from tests.paths import REPOSITORY

TRAIN, SERVE = "predictive-maintenance:train", "predictive-maintenance:serve"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
NO_NAMES = (
    "a container cannot find another one on the same network by its name, which compose.yaml needs: install "
    "golang-github-containernetworking-plugin-dnsname (podman 4 with CNI) or aardvark-dns (podman with netavark)"
)


@dataclass(frozen=True)
class Engine:
    """docker or podman. `names` are the containers to remove."""

    command: str
    names: list[str] = field(default_factory=list)

    @classmethod
    def found(cls) -> "Engine":
        """The engine of this machine. The test fails if none answers."""
        command = os.environ.get("CONTAINER_ENGINE") or shutil.which("docker") or shutil.which("podman")
        if command is None or subprocess.run([command, "info"], capture_output=True).returncode:
            pytest.fail("no container engine answers: start docker or podman, or run `make test`, which needs none")
        return cls(command)

    def build_images(self) -> None:
        """Build both images. Layers that are already built are kept."""
        make = ["make", "image", f"CONTAINER_ENGINE={self.command}"]
        done = subprocess.run(make, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def __call__(self, *arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([self.command, *arguments], capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0 or not check, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def start(self, name: str, image: str, *command: str, options: tuple[str, ...] = (), **environment: str) -> str:
        """Start a container on the host's network; `stop_all` removes it."""
        settings = [f"--env={key}={value}" for key, value in environment.items()]
        self.names.append(name)
        self("run", "--detach", "--name", name, "--network", "host", *options, *settings, image, *command)
        return name

    def wait(self, name: str, seconds: float = 900) -> int:
        """Wait until a container has ended: its exit code. podman's service keeps a core busy for docker's own wait."""
        state = "{{.State.Status}} {{.State.ExitCode}}"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status, code = self("inspect", name, "--format", state).stdout.split()
            if status == "exited":
                return int(code)
            time.sleep(1)
        raise TimeoutError(f"container {name} still runs after {seconds:.0f} s")

    def shell(self, image: str, script: str) -> str:
        """The output of a script in a new container.

        The word `ended` shows that the script succeeded: podman behind docker's command line reports 0 for any `run --rm`.
        """
        command = ("run", "--rm", "--network", "host", image, "sh", "-ec", f"{script}\necho ended")
        output, ended, _ = self(*command).stdout.rpartition("ended\n")
        assert ended, f"the script failed: {script}"
        return output

    def resolves_names(self) -> bool:
        """Whether a container finds another one on the same network by its name."""
        name = f"pdm-names-{uuid.uuid4().hex[:8]}"
        lookup = f"import socket; print('found', socket.gethostbyname('{name}'))"
        self("network", "create", name)
        try:
            self("run", "--detach", "--name", name, "--network", name, SERVE, "sleep", "60")
            looked_up = self("run", "--rm", "--network", name, SERVE, "python", "-c", lookup, check=False)
            return "found" in looked_up.stdout
        finally:
            self("rm", "--force", name, check=False)
            self("network", "rm", name, check=False)

    def stop_all(self) -> None:
        for name in self.names:
            self("rm", "--force", name, check=False)
        self.names.clear()

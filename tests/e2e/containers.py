"""Containers as a person starts them: with the engine's own command line."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field

import pytest

from tests.paths import REPOSITORY

TRAIN, SERVE = "predictive-maintenance:train", "predictive-maintenance:serve"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


@dataclass(frozen=True)
class Engine:
    """docker, or podman: both understand what is asked here."""

    command: str
    names: list[str] = field(default_factory=list)

    @classmethod
    def found(cls) -> "Engine":
        """The engine of this machine. Fails the test where none answers."""
        command = os.environ.get("CONTAINER_ENGINE") or shutil.which("docker") or shutil.which("podman")
        if command is None or subprocess.run([command, "info"], capture_output=True).returncode:
            pytest.fail(
                "no container engine answers: start docker or podman, or leave these tests out with `make test`"
            )
        return cls(command)

    def __call__(self, *arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([self.command, *arguments], capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0 or not check, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def build(self) -> None:
        """Both images, as a person builds them."""
        make = ["make", "image", f"CONTAINER_ENGINE={self.command}"]
        done = subprocess.run(make, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def start(self, name: str, image: str, *command: str, options: tuple[str, ...] = (), **environment: str) -> str:
        """Start a container on the host's network; `stop_all` removes it."""
        settings = [f"--env={key}={value}" for key, value in environment.items()]
        self.names.append(name)
        self("run", "--detach", "--name", name, "--network", "host", *options, *settings, image, *command)
        return name

    def shell(self, image: str, script: str) -> str:
        """What a script prints in a container of its own.

        Its last word says that it came to its end: podman behind docker's command line reports 0 for any `run --rm`.
        """
        printed, ended, _ = self("run", "--rm", image, "sh", "-ec", f"{script}\necho ended").stdout.rpartition(
            "ended\n"
        )
        assert ended, f"the script did not come to its end: {script}"
        return printed

    def stop_all(self) -> None:
        for name in self.names:
            self("rm", "--force", name, check=False)
        self.names.clear()

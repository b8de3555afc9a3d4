"""Start a training for an incident: here, on AWS Batch, or by a workflow on GitHub."""

import os
import subprocess
import sys
from pathlib import Path

from ..config.params import MonitoringSettings
from ..config.project import project_dir
from ..config.serving_params import MODEL_NAME_VARIABLE
from ..errors import ConfigError, PredictiveMaintenanceError
from ..store.rows import Incident
from ..tracking.entities import INCIDENT_TAG

_TIMEOUT_SECONDS = 30.0


class TrainingError(PredictiveMaintenanceError):
    """A training could not be started, or ended with an error."""


class NotStartedError(TrainingError):
    """No training was started: it may be tried again."""


def check_retraining(settings: MonitoringSettings, watched: str, trained: str) -> None:
    """Raise ConfigError if a training could not be started as the settings say.

    `watched` is the registered model that is monitored, `trained` the one of which the flow registers a version: a training of
    another model would never end an incident.
    """
    if settings.retrain != "never" and watched != trained:
        raise ConfigError(
            f"{MODEL_NAME_VARIABLE} is {watched!r}, and monitoring.retrain is {settings.retrain!r}: the training would register "
            f"a version of {trained!r}; choose the machine of {watched!r} with --machine, set registry.model_name in params.yaml "
            f"to {watched!r} and unset {MODEL_NAME_VARIABLE}, or set monitoring.retrain to never"
        )
    if settings.retrain == "repository_dispatch":
        _repository_and_token()
    elif settings.retrain != "never" and not _flow().exists():
        raise ConfigError(
            f"monitoring.retrain is {settings.retrain!r}, and {_flow()} does not exist: run it in the project"
        )


def train_for(incident: Incident, settings: MonitoringSettings, machine: str) -> None:
    """Train for an incident; `machine` is the kind of machine, '' for that of params.yaml.

    Raises TrainingError, and NotStartedError if GitHub was not reached or has refused the request.
    A run on this machine or on Batch is waited for; its output is that of this process.
    """
    if settings.retrain == "repository_dispatch":
        _dispatch(incident, machine, settings.retrain_promote)
        return
    command = [sys.executable, str(_flow()), "run", "--tag", f"{INCIDENT_TAG}:{incident.key}"]
    command += ["--machine", machine] if machine else []
    command += [] if settings.retrain_promote else ["--promote", "False"]
    command += ["--with", "batch"] if settings.retrain == "batch" else []
    ended = subprocess.run(command, cwd=project_dir(), check=False)  # noqa: S603  the arguments are ours
    if ended.returncode:
        raise TrainingError(f"the training for incident {incident.key} ended with exit code {ended.returncode}")


def _dispatch(incident: Incident, machine: str, promote: bool) -> None:
    import httpx

    repository, token = _repository_and_token()
    url = f"{os.environ.get('GITHUB_API_URL', 'https://api.github.com')}/repos/{repository}/dispatches"
    event = "new-data" if incident.closed_by == "schedule" else "drift"
    # As text: in the expressions of a workflow, a value that is not given equals false.
    given = {"incident": incident.key, "machine": machine, "promote": str(promote).lower()}
    payload = {"event_type": event, "client_payload": given}
    try:
        httpx.post(
            url, json=payload, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_SECONDS
        ).raise_for_status()
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.HTTPStatusError) as error:
        raise NotStartedError(f"{url}: {error}: no training was started") from None
    except httpx.HTTPError as error:  # GitHub may have received the request
        raise TrainingError(f"{url}: {error}") from None


def _repository_and_token() -> tuple[str, str]:
    found = [os.environ.get(name, "") for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN")]
    if not all(found):
        raise ConfigError(
            "monitoring.retrain is 'repository_dispatch': set GITHUB_REPOSITORY (owner/name) and GITHUB_TOKEN"
        )
    return found[0], found[1]


def _flow() -> Path:
    return project_dir() / "flows" / "train_flow.py"

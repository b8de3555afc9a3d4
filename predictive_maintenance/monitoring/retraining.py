"""Start a training for an incident: here, on AWS Batch, or by a workflow on GitHub."""

import os
import re
import sys
from pathlib import Path

from ..config.params import MonitoringSettings
from ..config.params_reader import MACHINE_VARIABLE
from ..config.project import PARAMS_NAME, project_dir
from ..config.serving_params import MODEL_NAME_VARIABLE
from ..config.uris import redact, redact_text
from ..errors import ConfigError, PredictiveMaintenanceError
from ..store.rows import Incident
from ..tracking.entities import INCIDENT_TAG
from .training_run import TrainingRun

_TIMEOUT_SECONDS = 30.0
_GITHUB = "https://api.github.com"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class TrainingError(PredictiveMaintenanceError):
    """A training could not be started."""


class NotStartedError(TrainingError):
    """No training was started: it may be tried again."""


def check_retraining(settings: MonitoringSettings, watched: str, trained: str, params_file: Path | None = None) -> None:
    """Raise ConfigError if a training could not be started as the settings say.

    `watched` is the registered model that is monitored, `trained` the one of which the flow registers a version: a training of
    another model would never end an incident. `params_file` has the settings if it is not the project's params.yaml.
    """
    if settings.retrain != "never" and watched != trained:
        raise ConfigError(
            f"{MODEL_NAME_VARIABLE} is {watched!r}, and monitoring.retrain is {settings.retrain!r}: the training would register "
            f"a version of {trained!r}; choose the machine of {watched!r} with --machine, set registry.model_name in params.yaml "
            f"to {watched!r} and unset {MODEL_NAME_VARIABLE}, or set monitoring.retrain to never"
        )
    if settings.retrain == "repository_dispatch":
        if params_file is not None and params_file.resolve() != (project_dir() / PARAMS_NAME).resolve():
            raise ConfigError(
                f"monitoring.retrain is 'repository_dispatch', and --params is {params_file}: the workflow on GitHub trains with "
                f"the {PARAMS_NAME} of its repository: commit the settings there and leave out --params, or set "
                "monitoring.retrain to here or batch"
            )
        _workflow()
    elif settings.retrain != "never" and not _flow().exists():
        raise ConfigError(
            f"monitoring.retrain is {settings.retrain!r}, and {_flow()} does not exist: run it in the project"
        )


def start_training(
    incident: Incident, settings: MonitoringSettings, machine: str, params_file: Path | None = None
) -> TrainingRun | None:
    """Start a training for an incident, with the settings in `params_file`, by default those of the project.

    `machine` is the kind of machine, '' for that of the settings. None if a workflow on GitHub was requested, which is not
    waited for. A run on this machine or on Batch is a process; its output is that of this one.

    Raises TrainingError if GitHub may have received the request, and NotStartedError if no training was started.
    """
    if settings.retrain == "repository_dispatch":
        _dispatch(incident, machine or os.environ.get(MACHINE_VARIABLE, ""), settings.retrain_promote)
        return None
    command = [sys.executable, str(_flow())]
    command += ["--config", "settings", str(params_file.absolute())] if params_file else []
    command += ["run", "--tag", f"{INCIDENT_TAG}:{incident.key}"]
    command += ["--machine", machine] if machine else []
    command += [] if settings.retrain_promote else ["--promote", "False"]
    command += ["--with", "batch"] if settings.retrain == "batch" else []
    try:
        return TrainingRun(incident, command, project_dir(), settings.retrain_max_hours)
    except OSError as error:  # such as too little memory for another process
        raise NotStartedError(f"{command[0]}: {error.strerror}: no training was started") from None


def _dispatch(incident: Incident, machine: str, promote: bool) -> None:
    import httpx

    url, token = _workflow()
    event = "new-data" if incident.closed_by == "schedule" else "drift"
    # As text: in the expressions of a workflow, a value that is not given equals false.
    given = {"incident": incident.key, "machine": machine, "promote": str(promote).lower()}
    payload = {"event_type": event, "client_payload": given}
    try:
        httpx.post(
            url, json=payload, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_SECONDS
        ).raise_for_status()
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.HTTPStatusError) as error:
        raise NotStartedError(f"{redact(url)}: {redact_text(str(error), url)}: no training was started") from None
    except httpx.HTTPError as error:  # GitHub may have received the request
        raise TrainingError(f"{redact(url)}: {redact_text(str(error), url)}") from None


def _workflow() -> tuple[str, str]:
    """The URL that starts the workflow, and the token. Raises ConfigError if a setting is missing or cannot be used."""
    from ..config.header_secret import header_secret
    from ..config.web_address import is_web_address  # imports httpx

    repository, token = (os.environ.get(name, "") for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN"))
    if not _REPOSITORY.fullmatch(repository) or not token:
        raise ConfigError(
            "monitoring.retrain is 'repository_dispatch': set GITHUB_REPOSITORY (owner/name) and GITHUB_TOKEN"
        )
    try:
        token = header_secret(token)
    except ValueError as error:
        raise ConfigError(f"GITHUB_TOKEN {error}: copy it again") from None
    api = (os.environ.get("GITHUB_API_URL") or _GITHUB).rstrip("/")
    if not is_web_address(api):
        raise ConfigError(
            f"GITHUB_API_URL is {redact(api)!r}: set the https:// address of the GitHub API, or unset it for {_GITHUB}"
        )
    return f"{api}/repos/{repository}/dispatches", token


def _flow() -> Path:
    return project_dir() / "flows" / "train_flow.py"

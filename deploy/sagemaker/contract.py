"""The entry point of a SageMaker training container (`docker run IMAGE train`): run the flow and deliver the model.

    /opt/ml/input/config/hyperparameters.json    machine, trials, seed, sources, promote, tag, require
    /opt/ml/input/config/inputdataconfig.json    the input channels; a channel named `params` contains a params.yaml
    /opt/ml/input/data/CHANNEL/                  files of a channel: appended; joined by reading id if it is named join...
    /opt/ml/model/                               model files, which the API serves with `PDM_MODEL_DIR`
    /opt/ml/output/data/metrics.json             all metrics with their intervals
    /opt/ml/output/failure                       the reason if the job produced no model

The registry is the one that MLFLOW_TRACKING_URI names, or a temporary one. Its credentials are read from the secrets in AWS
Secrets Manager that PDM_SECRETS names.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from predictive_maintenance.errors import PredictiveMaintenanceError
from predictive_maintenance.evaluation.metrics import METRICS
from predictive_maintenance.strict_model import suggestion
from predictive_maintenance.tracking.entities import VERSION_FILE

CODE_DIR = Path(__file__).resolve().parents[2]
ROOT = Path(os.environ.get("PDM_SAGEMAKER_ROOT", "/opt/ml"))
_OPTIONS = ("machine", "trials", "seed", "sources", "promote", "tag")
_LEVELS = ("production", "candidate")
_FAILURE_CHARACTERS = 1024  # SageMaker shows at most this many
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ (\[\S+ \(pid \d+\)\] )?")
_ERROR_BEGINS = re.compile(r"The run stopped:|steps? on AWS|^Step failure:")


class JobError(PredictiveMaintenanceError):
    """The training job produced no model."""


@dataclass(frozen=True)
class Job:
    """A training job: options for the flow, its settings file, and the gate level that the model must reach."""

    options: tuple[str, ...]
    params: Path | None
    require: str

    @classmethod
    def read(cls, root: Path) -> Self:
        """The job configured below `root`. Raises JobError that names the hyperparameter or the channel at fault."""
        given = {name: _plain(text) for name, text in _json(root, "hyperparameters").items()}
        given = {name: text for name, text in given.items() if not name.startswith("sagemaker_")}
        for name in given:
            if name not in (*_OPTIONS, "require"):
                known = (*_OPTIONS, "require")
                raise JobError(f"hyperparameter {name!r} is not one of {', '.join(known)}{suggestion(name, known)}")
        require = given.pop("require", "production")
        if require not in _LEVELS:
            raise JobError(f"hyperparameter 'require' must be one of {', '.join(_LEVELS)}, not {require!r}")
        channels = sorted(_json(root, "inputdataconfig"))
        files = {name: _files(root / "input" / "data" / name) for name in channels}
        params = files.pop("params", [None])[0]
        sources = [f"join:{path}" if name.startswith("join") else str(path) for name in files for path in files[name]]
        if sources and "sources" in given:
            raise JobError("hyperparameter 'sources' and data channels exclude each other: leave one out")
        # What is joined comes after what it is joined to.
        if sources:
            given["sources"] = json.dumps(sorted(sources, key=lambda source: source.startswith("join:")))
        return cls(tuple(f"--{name}={text}" for name, text in given.items()), params, require)


def train(root: Path = ROOT) -> int:
    """Run the job below `root`. Returns the exit code: 0 with a model, 1 with the reason in output/failure, 143 after SIGTERM."""
    try:
        job = Job.read(root)
        with tempfile.TemporaryDirectory(prefix="pdm-job-") as work:
            environment = _environment(Path(work))
            code, lines = _run_flow(job, environment)
            if code:
                raise JobError("ended by SIGTERM" if code == -signal.SIGTERM else reason_of(lines))
            _deliver(root, job, Path(work), environment)
    except PredictiveMaintenanceError as error:
        (root / "output").mkdir(parents=True, exist_ok=True)
        (root / "output" / "failure").write_text(str(error)[:_FAILURE_CHARACTERS])
        print(f"no model: {error}", file=sys.stderr, flush=True)
        return 128 + signal.SIGTERM if str(error) == "ended by SIGTERM" else 1
    return 0


def reason_of(lines: Sequence[str]) -> str:
    """The error message in the last lines of the flow's output, or the last lines if there is no error message."""
    plain = [_PREFIX.sub("", line).strip() for line in lines]
    begins = [index for index, line in enumerate(plain) if _ERROR_BEGINS.search(line)]
    wanted = plain[begins[0] + 1 :] if begins else plain[-10:]
    text = []
    for line in wanted:
        if line.startswith(("after the fix:", "Task failed", "Workflow failed", "Task is starting")):
            break
        text.append(line)
    return "\n".join(line for line in text if line) or "the flow failed: see the job log"


def _run_flow(job: Job, environment: dict[str, str]) -> tuple[int, list[str]]:
    """Run the flow and print its output. Returns (exit code, last lines). SIGTERM is forwarded to the flow."""
    settings = ["--config", "settings", str(job.params)] if job.params else []
    command = [sys.executable, "-u", str(CODE_DIR / "flows" / "train_flow.py"), *settings, "run", *job.options]
    lines: deque[str] = deque(maxlen=200)
    flow = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    ended = False

    def end(_number: int, _frame: Any) -> None:
        nonlocal ended
        ended = True
        with suppress(ProcessLookupError):
            os.killpg(flow.pid, signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        assert flow.stdout is not None
        with flow.stdout:
            for line in flow.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        code = flow.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return (-signal.SIGTERM if ended else code), list(lines)


def _deliver(root: Path, job: Job, work: Path, environment: dict[str, str]) -> None:
    """Copy the model and its metrics to where SageMaker collects them. Raises JobError if the model is below `job.require`."""
    export = [sys.executable, "-m", "predictive_maintenance", "export", "--output", str(work)]
    exported = subprocess.run(export, env=environment, cwd=CODE_DIR, capture_output=True, text=True)
    if exported.returncode:
        raise JobError(f"the results cannot be exported: {exported.stderr.strip()}")
    metrics = json.loads((work / "metrics.json").read_bytes())
    output = root / "output" / "data"
    output.mkdir(parents=True, exist_ok=True)
    shutil.copy(work / "metrics.json", output)
    for name in METRICS:
        print(
            f"held_out_{name}={metrics['held_out'][name]['value']:.6f};", flush=True
        )  # matched by the job's metric definitions
    version = work / "models" / VERSION_FILE
    reached = json.loads(version.read_bytes())["aliases"][0] if version.is_file() else "rejected"
    if reached not in _LEVELS[: _LEVELS.index(job.require) + 1]:
        raise JobError(
            f"the model reached the level {reached}, but {job.require} is required: "
            "see output/data/metrics.json and the job log; set the hyperparameter require=candidate to accept candidates"
        )
    model = root / "model"
    model.mkdir(parents=True, exist_ok=True)
    for path in (work / "models").iterdir():
        shutil.copy(path, model)
    print(f"model files are in {model}; serve them with PDM_MODEL_DIR", flush=True)


def _environment(work: Path) -> dict[str, str]:
    """The environment of the flow: the present one, a folder for results, and the secrets that PDM_SECRETS names."""
    environment = dict(os.environ)
    environment.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{work / 'mlflow.db'}")
    environment["METAFLOW_DATASTORE_SYSROOT_LOCAL"] = str(work)
    environment["METAFLOW_DEFAULT_DATASTORE"] = "local"
    for name in [name.strip() for name in environment.pop("PDM_SECRETS", "").split(",") if name.strip()]:
        environment |= _secret(name)
    return environment


def _secret(name: str) -> dict[str, str]:
    """The JSON object in a secret as environment variables. Raises JobError without showing the secret's content."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        return {str(key): str(value) for key, value in json.loads(text).items()}
    except (BotoCoreError, ClientError) as error:
        raise JobError(f"PDM_SECRETS: {name}: {error}") from None
    except (KeyError, ValueError, AttributeError):
        raise JobError(f"PDM_SECRETS: {name}: the secret is not a JSON object of environment variables") from None


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not found:
        raise JobError(f"channel {folder.name!r}: no files in {folder}: set TrainingInputMode to File or FastFile")
    return found


def _json(root: Path, name: str) -> dict[str, Any]:
    path = root / "input" / "config" / f"{name}.json"
    try:
        found = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise JobError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise JobError(f"{path}: not a JSON object")
    return found


def _plain(text: Any) -> str:
    """The text of a hyperparameter. Some SageMaker SDKs encode strings as JSON, with quotation marks."""
    text = str(text)
    try:
        decoded = json.loads(text)
    except ValueError:
        return text
    return decoded if isinstance(decoded, str) else text


if __name__ == "__main__":
    sys.exit(train())

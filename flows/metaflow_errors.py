"""Report errors of the package as text in Metaflow, and check settings before a run starts."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from metaflow import FlowSpec, current, user_step_decorator
from metaflow.exception import MetaflowException

from predictive_maintenance.config.commands import flow_command
from predictive_maintenance.config.machine_file import find_machine
from predictive_maintenance.config.params_file import read_yaml
from predictive_maintenance.config.params_reader import machine_params
from predictive_maintenance.config.project import project_dir
from predictive_maintenance.config.sources import parse_sources
from predictive_maintenance.config.uris import redact_text
from predictive_maintenance.errors import EngineError, ModelError, PartError, PredictiveMaintenanceError, RegistryError
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.tracking.runs import FlowRun

ARGUMENTS_VARIABLE = "PDM_RUN_ARGUMENTS"
"""The environment variable that passes the arguments of `run`, without secrets, to the processes of the steps."""

_MAX_ARGUMENTS_CHARACTERS = 1000  # AWS Batch limits all overrides of a job to 8 KiB


class RunStopped(MetaflowException):
    """An error that a user can act on. Metaflow prints its text without a traceback.

    A step is not retried after a `permanent` error, see permanent_errors.py.
    """

    headline = "The run stopped"

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        # Metaflow treats asterisks as formatting and does not print them, for example in a glob or a redacted password.
        super().__init__(text.replace("*", "\N{ASTERISK OPERATOR}"))
        self.permanent = permanent


@user_step_decorator
def plain_errors(step_name: str, flow: FlowSpec, inputs: Any = None, attributes: Any = None) -> Iterator[None]:
    """Report the package's errors as text, with the command that continues the run. Other errors keep their traceback.

    The flow's MLflow run is set to FAILED when a step fails, and to RUNNING when a step is retried or resumed.
    """
    try:
        if current.retry_count or current.origin_run_id:
            _update_mlflow_run(flow, inputs, FlowRun.reopen)
        yield
    except Exception as error:
        with suppress(RegistryError):  # it would hide the error of the step
            _update_mlflow_run(flow, inputs, FlowRun.fail)
        if not isinstance(error, PredictiveMaintenanceError):
            raise
        # A resumed run keeps its settings and rows. Errors in those can only be fixed with a new run.
        kept = error.transient or isinstance(error, RegistryError | ModelError | EngineError | PartError)
        resumable = kept and step_name != "start"
        # A damaged file is written again by the step that wrote it, which takes over the files that are intact.
        step = f"{error.step} " if isinstance(error, PartError) else ""
        # With its id: a plain `resume` continues the last run that was not itself resumed, and repeats finished steps.
        resume = f"resume {step}--origin-run-id {current.run_id}   (finished steps are kept)"
        arguments = resume if resumable else os.environ.get(ARGUMENTS_VARIABLE) or "run"
        text = f"{error}\nafter the fix: {flow_command(arguments)}"
        raise RunStopped(text, permanent=not error.transient) from None


def print_warning(text: str) -> None:
    """Print what does not stop the run; nothing for ''."""
    if text:
        print(f"warning: {text}")


def arguments_to_repeat(arguments: Sequence[str]) -> str:
    """The `arguments` of a run as text for a shell, without secrets; '' if they are too long to be repeated."""
    shown = []
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if index and arguments[index - 1] == "--sources":
            shown.append(_redacted_sources(argument))
        elif name == "--sources" and equals:
            shown.append(f"{name}={_redacted_sources(value)}")
        else:
            shown.append(redact_text(argument))
    text = shlex.join(shown)
    return text if len(text) <= _MAX_ARGUMENTS_CHARACTERS else ""


def _redacted_sources(text: str) -> str:
    try:
        sources = parse_sources(text)
    except PredictiveMaintenanceError:
        return "***"
    shown = [str(source) for source in sources]
    return json.dumps(shown) if text.lstrip().startswith("[") else ",".join(shown)


def _update_mlflow_run(flow: FlowSpec, inputs: Any, update: Callable[[FlowRun], None]) -> None:
    """Apply `update` to the flow's MLflow run if it exists. In a join, its id is in the inputs."""
    source = flow if inputs is None else inputs[0]
    if hasattr(source, "mlflow_run_id"):
        update(source.flow_mlflow_run)


def read_settings(text: str) -> dict[str, Any]:
    """Parse and check the text of a params.yaml.

    Metaflow reads it before the options of `run`. Its machine is nevertheless that of --machine, or of the variable for this
    option: the own settings of another one, which params.yaml or PDM_MACHINE names, would stay in the run.
    """
    try:
        return read_yaml(text, "settings", _machine_option(sys.argv[1:]))
    except PredictiveMaintenanceError as error:
        raise RunStopped(str(error)) from None


def _machine_option(arguments: Sequence[str]) -> str | None:
    """The last value of --machine in `arguments`, by default that of its variable; None without one."""
    found = os.environ.get("METAFLOW_RUN_MACHINE")  # train.yaml sets it
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name == "--machine":
            found = value if equals else following
    return found or None


def read_machine(context: Any, option: Any, name: str) -> str:
    """The machine that --machine names, its description and settings, as JSON: a remote step has no folder of the project."""
    try:
        if not name:
            return ""
        project = project_dir()
        described, own = to_plain(find_machine(name, project)), machine_params(name, project)
        return json.dumps({"name": name, "machine": described, "params": own})
    except PredictiveMaintenanceError as error:
        raise RunStopped(f"--machine: {error}") from None


def described_machine(value: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The description and the settings in the value of --machine, as JSON values; None and {} without the option."""
    chosen = json.loads(value) if value else {"machine": None, "params": {}}
    return chosen["machine"], chosen.get("params", {})


def machine_argument(value: str) -> str:
    """The option --machine as it was given, for the next commands; '' without it."""
    return f" --machine {shlex.quote(json.loads(value)['name'])}" if value else ""


def read_sources(context: Any, option: Any, text: str) -> str:
    """Check the value of --sources. This happens while the command line is read: later, Metaflow would store a secret."""
    try:
        if text:
            parse_sources(text)
    except PredictiveMaintenanceError as error:
        raise RunStopped(str(error)) from None
    return text

"""Where Metaflow and the package meet: settings come in checked, and a person's mistake goes out without a traceback."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from metaflow import FlowSpec, current, user_step_decorator
from metaflow.exception import MetaflowException

from predictive_maintenance.config.params_file import read_yaml
from predictive_maintenance.config.sources import parse_sources
from predictive_maintenance.errors import ModelError, PredictiveMaintenanceError, RegistryError
from predictive_maintenance.tracking.runs import FlowRun


class RunStopped(MetaflowException):
    """An error that a person can act on. Metaflow prints its text alone."""

    headline = "The run stopped"

    def __init__(self, text: str) -> None:
        # Metaflow takes every asterisk for a mark of its own and prints none: not that of a glob, nor a hidden password's.
        super().__init__(text.replace("*", "\N{ASTERISK OPERATOR}"))


@user_step_decorator
def plain_errors(step_name: str, flow: FlowSpec, inputs: Any = None, attributes: Any = None) -> Iterator[None]:
    """Show the package's own errors as text, with how to go on; anything else keeps its traceback.

    The flow's MLflow run is FAILED when a step fails, and RUNNING again when a step is retried or resumed.
    """
    try:
        if current.retry_count or current.origin_run_id:
            _mark(flow, inputs, FlowRun.reopen)
        yield
    except Exception as error:
        with suppress(RegistryError):  # which would hide the error that is on its way
            _mark(flow, inputs, FlowRun.fail)
        if not isinstance(error, PredictiveMaintenanceError):
            raise
        # A resumed run keeps the settings and rows it began with: what is wrong with those, only a new run reads again.
        resumable = isinstance(error, RegistryError | ModelError) and step_name != "start"
        again = "resume (finished steps are kept)" if resumable else "run"
        way_on = f"\nonce mended: python flows/train_flow.py {again}"
        raise RunStopped(f"{error}{way_on}") from None


def _mark(flow: FlowSpec, inputs: Any, change: Callable[[FlowRun], None]) -> None:
    """Apply `change` to the flow's MLflow run, once there is one. A join has no artifacts of its own yet."""
    known = flow if inputs is None else inputs[0]
    if hasattr(known, "mlflow_run_id"):
        change(known.flow_mlflow_run)


def read_settings(text: str) -> dict[str, Any]:
    """The text of a params.yaml as plain values, every one of them checked."""
    try:
        return read_yaml(text, "settings")
    except PredictiveMaintenanceError as error:
        raise RunStopped(str(error)) from None


def read_sources(context: Any, option: Any, text: str) -> str:
    """The value of --sources, checked while the command line is read: once a run has begun, Metaflow has kept it."""
    try:
        if text:
            parse_sources(text)
    except PredictiveMaintenanceError as error:
        raise RunStopped(str(error)) from None
    return text

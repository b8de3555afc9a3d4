"""The scorer as an MLflow pyfunc model. A model version contains a copy of this module and its imports, and no pickle."""

import json
from typing import Any

import mlflow.pyfunc
import pandas as pd

from ..errors import DataError
from ..history.events import NO_EVENTS, Events
from ..machine.events import EVENT_TYPE
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from .scoring import Scorer

EVENTS_PARAMETER = "events"


class PredictiveMaintenanceModel(mlflow.pyfunc.PythonModel):
    """Predict `failure_probability`, and `predicted_failure` (0 or 1) at the decision threshold, from raw columns.

    The parameter `events` is JSON: `{"errors": [{"machine_id": "P1", "timestamp": "2024-01-31T12:00:00Z", "type": "leak"}]}`, as
    a batch of the API has it. A table that is not given has no events.
    """

    def load_context(self, context: Any) -> None:
        self.scorer = Scorer.load(context.artifacts["scorer"])

    def predict(
        self,
        context: Any,  # noqa: ARG002  MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        events = _events((params or {}).get(EVENTS_PARAMETER) or "", self.scorer.machine)
        probabilities = self.scorer.probabilities(model_input, events)
        predicted = self.scorer.decisions(probabilities).astype("int32")
        return pd.DataFrame(
            {"failure_probability": probabilities, "predicted_failure": predicted}, index=model_input.index
        )


def _events(text: str, machine: Machine) -> Events:
    """The events in JSON, by table and column. Raises DataError."""
    if not text:
        return NO_EVENTS
    try:
        given = json.loads(text)
    except ValueError as error:
        raise DataError(f"{EVENTS_PARAMETER}: is not JSON: {error}") from None
    if not isinstance(given, dict) or not all(isinstance(table, list) for table in given.values()):
        raise DataError(f'{EVENTS_PARAMETER}: is not an object of lists of events, such as {{"errors": []}}')
    tables: dict[str, dict[str, list[Any]]] = {}
    for name, entries in given.items():
        typed = name in machine.description.events and machine.description.events[name].types
        columns = (MACHINE_ID, machine.time_name, *([EVENT_TYPE] if typed else []))
        for place, entry in enumerate(entries):
            if not isinstance(entry, dict) or set(entry) - set(columns) or MACHINE_ID not in entry:
                raise DataError(
                    f"{EVENTS_PARAMETER}: {name}: event {place + 1} is not an object of {', '.join(columns)}"
                )
        tables[name] = {column: [entry.get(column) for entry in entries] for column in columns}
    return tables

"""The MLflow run of a flow run, with a nested run for each candidate. A retried or resumed step continues its run.

A run has the status RUNNING while a step works on it, then FINISHED or FAILED. A FAILED run can be continued.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..errors import RegistryError
from .connection import Connection
from .entities import FLOW_RUN_TAG, INCIDENT_TAG, LAUNCHER_TAG
from .launcher import LAUNCHER_VARIABLE

CANDIDATE_TAG = "candidate"
_MAX_PARAM_CHARACTERS = 500
_PARAMS_PER_CALL = 100


def incident_tag(tags: Iterable[str]) -> dict[str, str]:
    """The tag of an MLflow run that was started for an incident of monitoring, from a Metaflow run's tags; {} otherwise."""
    found = [tag.removeprefix(f"{INCIDENT_TAG}:") for tag in tags if tag.startswith(f"{INCIDENT_TAG}:")]
    return {INCIDENT_TAG: found[0]} if found else {}


@dataclass(frozen=True)
class FlowRun:
    """An MLflow run. The steps are separate processes and write to it by its id."""

    connection: Connection
    run_id: str

    @classmethod
    def start(cls, connection: Connection, flow_run: str, tags: Mapping[str, str]) -> Self:
        """Find the run of `flow_run` (such as TrainFlow/17) from an earlier attempt, or create it."""
        names = {FLOW_RUN_TAG: flow_run, "mlflow.runName": flow_run, LAUNCHER_TAG: _launcher()}
        return cls._find_or_create(connection, names | dict(tags), None)

    def candidate(self, algorithm: str) -> Self:
        """Find or create the nested run of a candidate. A candidate that is trained again gets a new run."""
        tags = {CANDIDATE_TAG: algorithm, "mlflow.runName": algorithm, "mlflow.parentRunId": self.run_id}
        return self._find_or_create(self.connection, tags, self.run_id)

    @classmethod
    def _find_or_create(cls, connection: Connection, tags: dict[str, str], parent: str | None) -> Self:
        key = "mlflow.parentRunId" if parent else FLOW_RUN_TAG
        condition = f"tags.`{key}` = '{tags[key]}'"
        if parent:
            # MLflow rejects changed parameters, so a finished run is not used again for other hyperparameters.
            condition += f" and tags.`{CANDIDATE_TAG}` = '{tags[CANDIDATE_TAG]}' and attributes.status != 'FINISHED'"
        with connection.errors("starting a run"):
            found = connection.client.search_runs([connection.experiment_id], condition, max_results=1)
            if found:
                return cls(connection, found[0].info.run_id)
            run = connection.client.create_run(connection.experiment_id, tags=tags)
        return cls(connection, run.info.run_id)

    def log(
        self,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log parameters, metrics and tags. Nested parameters get dotted names; metrics that are NaN are omitted."""
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        flat = [Param(name, text[:_MAX_PARAM_CHARACTERS]) for name, text in flatten(params or {}).items()]
        measured = [Metric(name, float(value), now, 0) for name, value in (metrics or {}).items() if value == value]
        with self.connection.errors("logging to the run"):
            client = self.connection.client
            for start in range(0, len(flat), _PARAMS_PER_CALL):
                client.log_batch(self.run_id, params=flat[start : start + _PARAMS_PER_CALL])
            run_tags = [RunTag(name, value) for name, value in (tags or {}).items()]
            client.log_batch(self.run_id, metrics=measured, tags=run_tags)

    def log_artifacts(self, folder: Path, path: str | None = None) -> None:
        """Log every file of `folder` below the artifact path `path`."""
        with self.connection.errors("logging artifacts"):
            self.connection.client.log_artifacts(self.run_id, str(folder), path)

    def log_data(self, columns: Mapping[str, str], rows: int, name: str, source: str, fingerprint: str) -> None:
        """Log the types of the columns and the number of rows of a data set, not its rows.

        MLflow servers before 2.4 do not support this; the lineage is in tags and artifacts too.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        # Not mlflow.data.from_pandas: it does not support the simulator or a database as the source.
        schema = [{"name": column, "type": kind} for column, kind in columns.items()]
        profile = json.dumps({"num_rows": rows, "num_elements": rows * len(columns)})
        dataset = Dataset(
            name, fingerprint[:8], "local", json.dumps({"uri": source[:1000]}), json.dumps(schema), profile
        )
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", name)])]
        # Two runs on the same rows create the same data set, and concurrent inserts of it fail in a database.
        with self.connection.errors("logging the data set"), self.connection.lock():
            try:
                self.connection.client.log_inputs(self.run_id, datasets=inputs)
            except MlflowException as error:
                if error.error_code != "ENDPOINT_NOT_FOUND":
                    raise

    @contextmanager
    def open(self) -> Iterator[None]:
        """Set the run to RUNNING for the block, then to FINISHED, or to FAILED if the block raises."""
        self.reopen()
        try:
            yield
        except Exception:
            with suppress(RegistryError):  # it would hide the error from the block
                self.fail()
            raise
        self.finish()

    def reopen(self) -> None:
        """Set the status to RUNNING, with this flow run's launcher."""
        with self.connection.errors("continuing the run"):
            self.connection.client.set_tag(self.run_id, LAUNCHER_TAG, _launcher())
            self.connection.client.update_run(self.run_id, "RUNNING")

    def fail(self) -> None:
        """Set the status to FAILED."""
        self._end("FAILED")

    def finish(self) -> None:
        """Set the status to FINISHED."""
        self._end("FINISHED")

    def _end(self, status: str) -> None:
        with self.connection.errors("ending the run"):
            self.connection.client.set_terminated(self.run_id, status)

    @property
    def artifact_uri(self) -> str:
        """The URI of the run's artifacts."""
        with self.connection.errors("reading the run"):
            return str(self.connection.client.get_run(self.run_id).info.artifact_uri)


def _launcher() -> str:
    return os.environ.get(LAUNCHER_VARIABLE, "")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Convert nested settings to dotted names with text values. Lists become JSON."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat

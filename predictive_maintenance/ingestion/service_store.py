"""Sources of labelled history from the store of the service: store://, or store://?model=NAME for another registered model.

Readings and events of machines with a table of failures, whose confirmed alarms are failures, too. Of a machine whose label is a
column: the logged predictions with feedback, which is their label.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pyarrow as pa
import pyarrow.parquet as pq

from ..config.sources import READINGS
from ..errors import ConfigError, SourceError, StoreError
from ..machine.events import EVENT_TYPE
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..store.failures import confirmed_failures
from ..store.location import store_url
from ..store.outcomes import LABELS, labelled_predictions, reading_name
from ..store.predictions import Predictions
from ..store.rows import Sensors, StoredFeedback
from ..store.times import as_times

if TYPE_CHECKING:
    from ..store.store import Store

_TIMEOUT_SECONDS = 30.0

Events = dict[str, list[tuple[str, int, str]]]
"""Events by table: machine, time as a key, type."""


def check_store(uri: str, machine: Machine) -> None:
    """Raise SourceError unless `uri` is valid and the store can be read."""
    with _opened(uri, machine):
        pass


def stored_rows(uri: str, machine: Machine) -> int:
    """The number of readings that `uri` names; 0 for labelled predictions, which are few. Raises SourceError."""
    with _opened(uri, machine) as (store, model):
        return store.number_of_readings(model) if machine.description.label.failures else 0


def stored_tables(uri: str, machine: Machine, folder: Path) -> dict[str, pa.Table | Path]:
    """The tables of `machine` in the store that have rows, by name. All readings are a Parquet file in `folder`.

    Raises SourceError if there are no readings to learn from.
    """
    with _opened(uri, machine) as (store, model):
        if not machine.description.label.failures:
            return {READINGS: _labelled_predictions(uri, store, model, machine)}
        tables = _readings(store, model, machine, folder / "readings.parquet")
        if not tables:
            raise SourceError(f"{uri}: the store has no readings of the model {model}")
        events = _events(store, model, machine)
        known = {table: rows for table, rows in events.items() if table in machine.description.events and rows}
        return tables | {table: _event_table(rows, table, machine) for table, rows in known.items()}


@contextmanager
def _opened(uri: str, machine: Machine) -> Iterator[tuple["Store", str]]:
    """The store and the registered model that `uri` names. Raises SourceError, also for errors of the store in the block."""
    from ..store.store import Store  # importing SQLAlchemy takes a quarter of a second

    model = _model(uri, machine)
    if machine.description.label.run_to_failure:
        raise SourceError(
            f"{uri}: with label.run_to_failure, every machine in a source has failed at its last reading, and those in the store "
            "still run: describe a table of failures, or export the readings of machines that failed"
        )
    try:
        store = Store.open(store_url(), timeout_seconds=_TIMEOUT_SECONDS, create=False, upgrade=False)
        with closing(store):
            yield store, model
    except (StoreError, ConfigError) as error:
        raise SourceError(f"{uri}: {error}", transient=error.transient) from None


def _model(uri: str, machine: Machine) -> str:
    place, _, query = uri.partition("://")[2].partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if place or options.keys() - {"model"} or options.get("model") == "":
        raise SourceError(
            f"{uri}: write store://, with ?model=NAME for another registered model; PDM_STORE_URL is the address of the store"
        )
    return options.get("model", machine.description.model_name)


def _readings(store: "Store", model: str, machine: Machine, file: Path) -> dict[str, pa.Table | Path]:
    """All readings, and the attributes in the latest reading of each machine, if there are readings.

    A page is in memory at a time: readings that are Python objects take a kilobyte each.
    """
    attributes = {name for names in machine.attribute_tables.values() for name in names}
    own = [name for name in machine.input_names if name not in attributes]
    latest: dict[str, Sensors] = {}
    writer: pq.ParquetWriter | None = None
    try:
        for page in store.readings(model):
            ids, keys, sensors = map(list, zip(*page, strict=True))
            table = _table({MACHINE_ID: ids, machine.time_name: _times(keys, machine)}, sensors, own, machine)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
            newest = {name: one for name, _, one in page}
            latest |= {name: {key: one[key] for key in attributes & one.keys()} for name, one in newest.items()}
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        return {}
    tables: dict[str, pa.Table | Path] = {READINGS: file}
    for name, names in machine.attribute_tables.items():
        tables[name] = _table({MACHINE_ID: list(latest)}, list(latest.values()), list(names), machine)
    return tables


def _table(places: Mapping[str, Any], sensors: list[Sensors], names: list[str], machine: Machine) -> pa.Table:
    columns = dict(places)
    for name in names:
        kind = float if name in machine.sensor_names else str
        values = [value if isinstance(value := one.get(name), kind) else None for one in sensors]
        columns[name] = pa.array(values, pa.float64() if kind is float else pa.string())
    return pa.table(columns)


def _times(keys: list[int], machine: Machine) -> pa.Array:
    times = as_times(keys, machine)
    return pa.array(times) if machine.time_is_counter else pa.array(times, pa.timestamp("us", "UTC"))


def _events(store: "Store", model: str, machine: Machine) -> Events:
    """The events in the store, and the failures of confirmed alarms."""
    events: Events = {}
    stored = store.events(model)
    for machine_id, event in stored + confirmed_failures(stored, store.alarm_reports(model), machine):
        events.setdefault(event.table, []).append((machine_id, event.time, event.type))
    return events


def _event_table(rows: list[tuple[str, int, str]], table: str, machine: Machine) -> pa.Table:
    columns: dict[str, Any] = {
        MACHINE_ID: [name for name, _, _ in rows],
        machine.time_name: _times([key for _, key, _ in rows], machine),
    }
    if machine.description.events[table].types:
        columns[EVENT_TYPE] = [kind for _, _, kind in rows]
    return pa.table(columns)


def _labelled_predictions(uri: str, store: "Store", model: str, machine: Machine) -> pa.Table:
    """The latest prediction of each reading that feedback is about, with the label that it gives."""
    found: dict[str, tuple[StoredFeedback, Sensors]] = {}
    for predictions, reported in labelled_predictions(store, model, partial(store.predictions_of, model)):
        for position, report in reported.items():
            if (sensors := _inputs(store, model, predictions, position)) is not None:
                found[reading_name(predictions, position)] = (report, sensors)
    if not found:
        raise SourceError(
            f"{uri}: the store has no predictions of the model {model} with feedback that is confirmed or false: send it to "
            "/feedback, with the reading_id of each prediction"
        )
    reports = [report for report, _ in found.values()]
    table = _table(
        {READING_ID: list(found)}, [sensors for _, sensors in found.values()], list(machine.input_names), machine
    )
    table = table.append_column(machine.label_name, pa.array([LABELS[report.verdict] for report in reports]))
    for mode in machine.mode_names:
        table = table.append_column(mode, pa.array([int(report.mode == mode) for report in reports]))
    return table


def _inputs(store: "Store", model: str, predictions: Predictions, position: int) -> Sensors | None:
    """The inputs of a prediction: those in the log, or of the reading in the store; None if it is no longer there."""
    if predictions.inputs is not None:
        values = {name: column[position] for name, column in predictions.inputs.items()}
        return {name: value for name, value in values.items() if value is not None}
    assert predictions.machine_id is not None
    assert predictions.time is not None
    machine_id, time = predictions.machine_id[position], predictions.time[position]
    if (
        machine_id is None
        or time is None
        or (kept := store.machine(model, machine_id, before=time + 1, most=1)) is None
    ):
        return None
    return next((reading.sensors for reading in kept[1] if reading.time == time), None)

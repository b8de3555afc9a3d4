"""Events for the store as CSV, Parquet and Arrow: what JSON keeps, within the limits of a batch."""

import gzip
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.machine.machine_json import to_json
from tests.fixtures.pumps import DESCRIPTION

from .conftest import MemoryRegistry, start_client

EVENTS = pd.DataFrame(
    {
        "asset": ["P1", "P1", "P2"],
        "done": ["2024-03-01T05:30:00Z", "2024-03-01T07:00:00+01:00", "2024-02-01T00:00:00Z"],
        "Part": ["seal", "bearing", "seal"],
    }
)
READING = {"machine_id": "P1", "timestamp": "2024-03-01T09:00:00Z", "make": "A", "flow": 30.0, "heat": 340.0}


@pytest.fixture
def start(small_pump, pump_params, checked_files, tmp_path, enter):
    """A function that starts an application with the pumps' model and some settings."""

    def start(**settings):
        files = dict(small_pump.files) | {"machine.json": to_json(parse_machine(DESCRIPTION)).encode()}
        registry = MemoryRegistry(versions={"1": files}, alias="1")
        return enter(start_client(registry, pump_params, tmp_path, checked_files, **settings))

    return start


@pytest.fixture
def client(start):
    return start()


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer)
    return buffer.getvalue()


def arrow(frame: pd.DataFrame, new_writer=pa.ipc.new_stream) -> bytes:
    buffer, table = io.BytesIO(), pa.Table.from_pandas(frame, preserve_index=False)
    with new_writer(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def as_times(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(done=pd.to_datetime(frame["done"], utc=True))


FORMATS = {
    "csv": ("text/csv", csv(EVENTS)),
    "gzip": ("text/csv", gzip.compress(csv(EVENTS))),
    "parquet": ("application/vnd.apache.parquet", parquet(EVENTS)),
    "parquet with times": ("application/vnd.apache.parquet", parquet(as_times(EVENTS))),
    "arrow stream": ("application/vnd.apache.arrow.stream", arrow(EVENTS)),
    "arrow file": ("application/vnd.apache.arrow.file", arrow(as_times(EVENTS), pa.ipc.new_file)),
}


def post(client, body, media_type="text/csv", table="service"):
    address = f"/events?table={table}" if table else "/events"
    return client.post(address, content=body, headers={"Content-Type": media_type})


def stored(client, machine="P1"):
    """The events of a machine as (time, type), after a reading before all of them."""
    client.post("/readings", json=READING | {"machine_id": machine, "timestamp": "2024-01-01T00:00:00Z"})
    return [(event["time"], event["type"]) for event in client.get(f"/machines/{machine}").json()["events"]]


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_is_kept_as_json_is(client, start, name):
    media_type, body = FORMATS[name]
    answer = post(client, body, media_type)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"events": 3}
    probability = client.post("/readings", json=READING).json()["failure_probability"]
    stateless = {
        "service": [
            {"timestamp": time, "type": kind}
            for machine, time, kind in EVENTS.itertuples(index=False)
            if machine == "P1"
        ]
    }
    assert probability == client.post("/predict", json=READING | {"events": stateless}).json()["failure_probability"]
    assert probability != client.post("/predict", json=READING).json()["failure_probability"]


def test_the_same_table_again_changes_nothing(client):
    for _ in range(2):
        assert post(client, csv(EVENTS)).json() == {"events": 3}
    assert stored(client) == [("2024-03-01T06:00:00Z", "bearing"), ("2024-03-01T05:30:00Z", "seal")]


def test_repeated_rows_are_one_event(client):
    assert post(client, csv(pd.concat([EVENTS, EVENTS]))).json() == {"events": 3}


def test_a_failure_in_a_table_closes_the_alarm(client):
    for hour in range(6):
        client.post("/readings", json=READING | {"timestamp": f"2024-03-01T{hour:02}:00:00Z"})
    assert client.get("/alarms").json()["alarms"]
    failures = pd.DataFrame({"pump": ["P1"], "timestamp": ["2024-03-01T05:30:00Z"], "type": ["seal"]})
    assert post(client, csv(failures), table="failures").json() == {"events": 1}
    assert client.get("/alarms").json()["alarms"] == []


def with_cell(row: int, column: str, value: str) -> bytes:
    frame = EVENTS.copy()
    frame.loc[row, column] = value
    return csv(frame)


@pytest.mark.parametrize(
    ("body", "row", "field", "reason"),
    [
        (with_cell(1, "asset", ""), 1, "machine_id", "missing"),
        (with_cell(2, "done", "soon"), 2, "timestamp", "is not a time in ISO 8601"),
        (with_cell(2, "done", ""), 2, "timestamp", "missing"),
        (with_cell(0, "done", "2999-01-01T00:00:00Z"), 0, "timestamp", "s in the future"),
        (with_cell(0, "Part", "motor"), 0, "type", "'motor' is not one of seal, bearing"),
        (with_cell(0, "asset", "P" * 1000), 0, "machine_id", "has more than"),
        (csv(EVENTS) + b"P3,2024-03-01\n", 3, "", "2 cells where the header has 3"),
    ],
)
def test_an_invalid_row_is_named_and_nothing_is_kept(client, body, row, field, reason):
    answer = post(client, body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert (error["row"], error["field"]) == (row, field)
    assert reason in error["reason"]
    assert stored(client) == []
    assert stored(client, "P2") == []


@pytest.mark.parametrize(
    ("body", "media_type", "table", "status", "text"),
    [
        (csv(EVENTS), "text/csv", None, 422, "table: is missing: name one in the address, /events?table=errors or"),
        (csv(EVENTS), "text/csv", "repairs", 422, "'repairs' is no table of events"),
        (b'{"failures": []}', "application/json", "failures", 422, "JSON has events by table"),
        (csv(EVENTS.drop(columns="Part")), "text/csv", "service", 422, "no column for type (a header such as 'Part')"),
        (
            csv(EVENTS),
            "application/vnd.apache.parquet",
            "service",
            415,
            "the body is not application/vnd.apache.parquet",
        ),
        (b"PAR1 nonsense", "application/vnd.apache.parquet", "service", 422, "cannot be read"),
        (csv(EVENTS).replace(b"\n", b""), "text/csv", "service", 422, "the body has one line"),
        (csv(EVENTS), "text/plain", "service", 415, "is not supported"),
    ],
)
def test_a_body_that_is_no_table_of_events_is_refused(client, body, media_type, table, status, text):
    answer = post(client, body, media_type, table)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["detail"]


def test_a_table_has_the_limits_of_a_batch(start):
    client = start(max_rows=2, max_request_bytes=2_000, max_reading_bytes=1_024)
    assert "more than 2 rows (PDM_MAX_ROWS)" in post(client, csv(EVENTS)).json()["detail"]
    many = csv(pd.concat([EVENTS] * 40))
    answer = post(client, many)
    assert answer.status_code == 413
    assert "PDM_MAX_REQUEST_BYTES" in answer.json()["detail"]


def test_a_table_that_unpacks_to_more_than_it_may_is_refused(client):
    bomb = gzip.compress(csv(EVENTS) + b"\n" * 80_000_000)
    answer = post(client, bomb)
    assert answer.status_code == 413
    assert "PDM_MAX_TABLE_BYTES" in answer.json()["detail"]


def test_more_events_than_one_transaction_holds_are_all_kept(client):
    times = pd.date_range("2024-01-01", periods=1500, freq="min").strftime("%Y-%m-%dT%H:%M:%SZ")
    frames = [pd.DataFrame({"asset": f"M{number}", "done": times, "Part": "seal"}) for number in range(4)]
    assert post(client, csv(pd.concat(frames))).json() == {"events": 6000}
    assert post(client, csv(pd.concat(frames))).json() == {"events": 6000}


def test_a_store_that_cannot_be_used_is_answered_with_503_and_the_health_is_degraded(start, tmp_path):
    client = start()
    post(client, csv(EVENTS))
    (tmp_path / "store.db").unlink()
    answer = post(client, csv(EVENTS))
    assert answer.status_code == 503, answer.text
    assert client.get("/health").json()["status"] == "degraded"


def test_the_document_describes_the_tables(client):
    body = client.get("/openapi.json").json()["paths"]["/events"]["post"]
    assert {"text/csv", "application/vnd.apache.parquet"} < set(body["requestBody"]["content"])
    assert [parameter["name"] for parameter in body["parameters"]] == ["table"]

"""POST /predict/batch: valid rows are scored, invalid rows get their errors, and every row keeps its place."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from predictive_maintenance.inference.files import score_file
from predictive_maintenance.machine.milling import MILLING

from .conftest import READING
from .test_predict import problem

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
STREAM, FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
HEADER = "UDI,Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],Tool wear [min]"


@pytest.fixture
def client(shared_client):
    return shared_client


@pytest.fixture
def rows(small):
    """50 readings with an id, 20 of them failures."""
    frame = pd.concat([small.rows.test.head(30), small.rows.test[small.rows.test["machine_failure"] == 1].head(20)])
    return frame[["reading_id", *MILLING.input_names]].reset_index(drop=True)


def encode(rows, encoding):
    """Return (body, content type) of a frame."""
    table, buffer = pa.Table.from_pandas(rows, preserve_index=False), io.BytesIO()
    match encoding:
        case "records":
            return json.dumps(rows.to_dict("records")).encode(), JSON
        case "columns":
            return json.dumps(rows.to_dict("list")).encode(), JSON
        case "csv":
            return rows.to_csv(index=False).encode(), CSV
        case "parquet":
            return rows.to_parquet(index=False), PARQUET
    new_writer = pa.ipc.new_stream if encoding == "stream" else pa.ipc.new_file
    with new_writer(buffer, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return buffer.getvalue(), STREAM if encoding == "stream" else FILE


def decode(response):
    """Return the predictions of an answer in any format, as a frame."""
    media_type, content = response.headers["content-type"].partition(";")[0], response.content
    assert response.status_code == 200, response.text
    match media_type:
        case "application/json":
            predictions = response.json()["predictions"]
            return pd.DataFrame(predictions)
        case "text/csv":
            return pd.read_csv(io.BytesIO(content), dtype={"model_version": "str", "reading_id": "str"})
        case "application/vnd.apache.parquet":
            return pd.read_parquet(io.BytesIO(content))
    reader = pa.ipc.open_stream(content) if media_type == STREAM else pa.ipc.open_file(content)
    return reader.read_all().to_pandas()


def send(client, content, content_type, accept="*/*"):
    return client.post("/predict/batch", content=content, headers={"content-type": content_type, "accept": accept})


@pytest.mark.parametrize("encoding", ["records", "columns", "csv", "parquet", "stream", "file"])
def test_a_body_in_any_format_gets_the_scorers_probabilities_in_the_same_format(client, small, rows, encoding):
    content, content_type = encode(rows, encoding)
    response = send(client, content, content_type)
    answer = decode(response)
    assert response.headers["content-type"].startswith(content_type)
    assert response.headers["x-model-version"] == "1"
    np.testing.assert_array_equal(answer["failure_probability"], small.scorer.probabilities(rows))
    assert answer["reading_id"].tolist() == rows["reading_id"].tolist()
    assert answer["row"].tolist() == list(range(1, 51))


@pytest.mark.parametrize("accept", [JSON, CSV, PARQUET, STREAM, FILE])
def test_the_answer_has_the_format_that_accept_requests(client, small, rows, accept):
    response = send(client, *encode(rows, "csv"), accept=f"text/html, {accept};q=0.9, */*;q=0.1")
    assert response.headers["content-type"].startswith(accept)
    np.testing.assert_array_equal(decode(response)["failure_probability"], small.scorer.probabilities(rows))


def test_a_batch_has_the_same_answers_as_single_readings(client, rows):
    records = json.loads(encode(rows, "records")[0])
    batch = client.post("/predict/batch", json=records).json()["predictions"]
    for record, answer in zip(records, batch, strict=True):
        single = client.post("/predict", json=record).json()
        single["broken_limits"] = [limit["name"] for limit in single["broken_limits"]]
        answer.pop("row")
        assert answer == {name: single[name] for name in answer}
    assert {answer["risk_level"] for answer in batch} >= {"low", "high"}


BAD_CELLS = [
    ({"torque_nm": "much"}, "torque_nm", "not a number"),
    ({"torque_nm": None}, "torque_nm", "not a number"),
    ({"torque_nm": 501}, "torque_nm", "outside of the physical limits 0 to 500 Nm"),
    ({"product_type": "X"}, "product_type", "should be 'L', 'M' or 'H'"),
    ({"product_type": None}, "product_type", "should be 'L', 'M' or 'H'"),
]


@pytest.mark.parametrize(("changes", "field", "reason"), BAD_CELLS)
@pytest.mark.parametrize("columnar", [False, True])
def test_an_invalid_row_of_json_has_its_errors_in_its_place(client, changes, field, reason, columnar):
    records = [READING | {"reading_id": "a"}, READING | changes | {"reading_id": "b"}, READING | {"reading_id": "c"}]
    body = {name: [record[name] for record in records] for name in records[0]} if columnar else records
    answer = client.post("/predict/batch", json=body).json()
    assert (answer["rows"], answer["rejected_rows"]) == (3, 1)
    frame = pd.DataFrame(answer["predictions"])
    assert frame["failure_probability"].notna().tolist() == [True, False, True]
    ((error,),) = [errors for errors in frame["errors"] if isinstance(errors, list)]
    assert error["field"] == field
    assert reason in error["reason"]
    assert frame["reading_id"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("columnar", [False, True])
def test_a_row_of_json_with_a_cell_that_does_not_parse_has_the_values_outside_of_their_ranges_too(client, columnar):
    bad = READING | {"torque_nm": "much", "air_temperature_k": 25, "tool_wear_min": -1.0}
    body = {name: [READING[name], bad[name]] for name in bad} if columnar else [READING, bad]
    answer = client.post("/predict/batch", json=body).json()
    errors = answer["predictions"]["errors"][1] if columnar else answer["predictions"][1]["errors"]
    single = problem(client.post("/predict", json=bad), 422)["errors"]
    assert [error["field"] for error in errors] == ["torque_nm", "air_temperature_k", "tool_wear_min"]
    assert {error["field"] for error in single} == {error["field"] for error in errors}
    assert errors[1]["reason"].startswith("outside of the physical limits 230 to 350 K")
    assert answer["rejected_rows"] == 1


def test_a_row_with_a_duplicate_or_an_unknown_key_has_the_values_outside_of_their_ranges_too(client):
    bad = json.dumps(READING | {"torque_nm": 501.0})
    bodies = [bad[:-1] + ', "product_type": "L"}', bad[:-1] + ', "colour": "red"}']
    answer = send(client, f"[{', '.join(bodies)}]".encode(), JSON).json()
    fields = [[error["field"] for error in row["errors"]] for row in answer["predictions"]]
    assert fields == [["product_type", "torque_nm"], ["colour", "torque_nm"]]


def test_records_with_unknown_or_missing_fields_and_other_values_are_rejected_row_by_row(client):
    records = [READING, READING | {"torque": 1.0}, {"product_type": "L"}, "text", None, [], READING]
    predictions = client.post("/predict/batch", json=records).json()["predictions"]
    assert ["errors" in prediction for prediction in predictions] == [False, True, True, True, True, True, False]
    assert predictions[1]["errors"] == [{"field": "torque", "reason": "is not a known field; did you mean torque_nm?"}]
    assert {error["field"] for error in predictions[2]["errors"]} == {*READING} - {"product_type"}


@pytest.mark.parametrize(
    ("cells", "rejected"),
    [
        ("2,X,298.2,308.7,1408,46.3,3", "product_type: not one of L, M, H"),
        ("2,L,25.2,308.7,1408,46.3,3", "air_temperature_k: outside of the physical limits 230 to 350 K"),
        ("2,L,298.2,308.7,1408,broken,3", "torque_nm: not a number"),
        ("2,L,298.2,308.7,1408,,3", "torque_nm: missing"),
        ("2,L,298.2,308.7,1408,inf,3", "torque_nm: infinite"),
        ("2,L,298.2,308.7", "4 cells where the header has 7"),
        ("2,L,298.2,308.7,1408,46.3,3,9,9", "9 cells where the header has 7"),
        ('2,"=1+1",298.2,308.7,1408,46.3,3', "product_type: not one of L, M, H"),
    ],
)
def test_an_invalid_row_of_a_csv_has_its_reason_and_the_other_rows_are_scored(client, cells, rejected):
    good = "L,298.1,308.6,1551,42.8,0"
    answer = decode(send(client, f"{HEADER}\n1,{good}\n{cells}\n3,{good}\n".encode(), CSV))
    assert answer["rejected"].fillna("").tolist() == ["", rejected, ""]
    assert answer["failure_probability"].notna().tolist() == [True, False, True]


def test_a_file_gets_the_probabilities_and_rejections_of_the_score_command(client, small, params, tmp_path, rows):
    frame = rows.astype(dict.fromkeys(rows.columns, "str"))
    for row, (name, cell) in enumerate(
        [("torque_nm", "x"), ("torque_nm", ""), ("torque_nm", "-5"), ("product_type", "Q"), ("tool_wear_min", "inf")]
    ):
        frame.loc[row, name] = cell
    path, output = tmp_path / "readings.csv", tmp_path / "scored.csv"
    frame.to_csv(path, index=False)
    score_file(path, output, small.scorer, "1", params.columns.aliases)
    of_command = pd.read_csv(output)
    of_service = decode(send(client, path.read_bytes(), CSV))
    pd.testing.assert_series_equal(of_service["failure_probability"], of_command["failure_probability"])
    pd.testing.assert_series_equal(of_service["rejected"], of_command["rejected"])


def test_headers_are_matched_and_units_are_converted(client, small):
    text = "type;Air temperature [°C];Process temperature [K];speed;Torque [Nm];wear\nl;24,95;308,6;1551;42,8;0\n"
    answer = decode(send(client, text.encode(), CSV))
    reading = READING | {
        "product_type": "L", "air_temperature_k": 24.95 + 273.15, "process_temperature_k": 308.6,
        "rotational_speed_rpm": 1551.0, "torque_nm": 42.8, "tool_wear_min": 0.0,
    }  # fmt: skip
    assert answer["failure_probability"].tolist() == [small.scorer.probability(reading)]


@pytest.mark.parametrize("body", [[], {name: [] for name in READING}])
def test_an_empty_batch_is_refused(client, body):
    assert (
        problem(client.post("/predict/batch", json=body), 422)["detail"]
        == "the batch is empty: send at least one reading"
    )


@pytest.mark.parametrize("encoding", ["records", "columns", "csv", "parquet", "stream", "file"])
def test_more_rows_than_allowed_are_refused_in_every_format(make_client, rows, encoding):
    client = make_client(max_rows=49)
    body = problem(send(client, *encode(rows, encoding)), 413)
    assert "more than 49 rows (PDM_MAX_ROWS)" in body["detail"]


def test_columns_of_different_lengths_are_refused(client):
    body = {name: [value] for name, value in READING.items()} | {"torque_nm": [1.0, 2.0]}
    assert "torque_nm has 2" in problem(client.post("/predict/batch", json=body), 422)["detail"]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "detail"),
    [
        (b"", JSON, 400, "not valid JSON"),
        (b"[", JSON, 400, "not valid JSON"),
        (b"[" * 50_000, JSON, 400, "not valid JSON"),
        (b"\xff", JSON, 400, "not valid JSON"),
        (b"null", JSON, 422, "should be"),
        (b'"text"', JSON, 422, "should be"),
        (b'{"torque_nm": [1]}', JSON, 422, "product_type: is missing"),
        (
            json.dumps({name: [value] for name, value in READING.items()} | {"torque_nm": 1}).encode(),
            JSON,
            422,
            "torque_nm: should be a list",
        ),
        (b"", CSV, 422, "the file is empty"),
        (b"just words\n", CSV, 422, "no separator in its first line"),
        (b"a,b\n1,2\n", CSV, 422, "no column for product_type"),
        (
            f"{HEADER}a,L,298.1,308.6,1551,42.8,0".encode(),
            CSV,
            422,
            "has one line, a header without rows: with curl, send",
        ),
        (f"{HEADER}\r\n\r\n".encode(), CSV, 422, "has one line, a header without rows: with curl, send files with"),
        (b"\0\0\0\0", CSV, 422, "zero bytes"),
        (b"not parquet", PARQUET, 415, "the body is not application/vnd.apache.parquet"),
        (b"a,b\n1,2\n", PARQUET, 415, "the body is not application/vnd.apache.parquet"),
        (b"PAR1 and then nothing", PARQUET, 422, "not a readable Parquet file"),
        (b"nonsense", STREAM, 422, "cannot be read as"),
        (b"", STREAM, 422, "cannot be read as"),
        (b"ARROW1\0\0nonsense", FILE, 422, "cannot be read as"),
        (b"<a/>", "application/xml", 415, "content type 'application/xml' is not supported"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(client, content, content_type, status, detail):
    assert detail in problem(send(client, content, content_type), status)["detail"]


@pytest.mark.parametrize("ids", [["", ""], ["a", ""], ["", None]])
def test_an_empty_id_is_returned_like_any_other(client, ids):
    records = [READING | {"reading_id": reading_id} for reading_id in ids]
    predictions = client.post("/predict/batch", json=records).json()["predictions"]
    assert [prediction["reading_id"] for prediction in predictions] == ids


def test_a_request_that_accepts_no_supported_format_is_refused(client, rows):
    assert (
        "accept application/json or text/csv" in problem(send(client, *encode(rows, "csv"), "text/html"), 406)["detail"]
    )


@pytest.mark.parametrize("encoding", ["parquet", "stream", "file"])
def test_a_body_with_a_damaged_byte_is_answered_or_refused(client, rows, encoding):
    content, content_type = encode(rows.head(8), encoding)
    random = np.random.default_rng(7)
    for position in random.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        assert send(client, bytes(damaged), content_type).status_code in (200, 413, 415, 422)
    assert send(client, content, content_type).status_code == 200


def test_a_text_cell_with_a_formula_is_returned_unchanged(client):
    text = f"{HEADER}\n=cmd|' /C calc'!A0,L,298.1,308.6,1551,42.8,0\n"
    assert decode(send(client, text.encode(), CSV))["reading_id"].tolist() == ["=cmd|' /C calc'!A0"]


def test_with_inputs_a_table_has_the_readings_in_canonical_columns_and_units(client, rows):
    body = (
        "UDI;Machine;Time;Type;Air temperature [C];Process temperature [C];Rotational speed [rpm];Torque [Nm];Tool wear [min]\n"
        "1;press 4;2026-11-20 08:00;L;25,65;35,75;1455;61,3;208\n"
        "2;press 5;2026-11-20 08:00;L;25,65;35,75;1455;no;208\n"
    )
    answer = client.post("/predict/batch?inputs=true", content=body, headers={"content-type": CSV, "accept": STREAM})
    table = decode(answer)
    assert list(table.columns[:10]) == ["row", "reading_id", "machine_id", "timestamp", *MILLING.input_names]
    assert list(table["machine_id"]) == ["press 4", "press 5"]
    assert table.loc[0, "air_temperature_k"] == pytest.approx(298.8)
    assert table.loc[0, "failure_probability"] > 0
    assert pd.isna(table.loc[1, "torque_nm"])
    assert "torque_nm" in table.loc[1, "rejected"]


def test_without_inputs_a_table_has_answers_only(client, rows):
    body, content_type = encode(rows.assign(machine_id="press 4"), "parquet")
    table = decode(client.post("/predict/batch", content=body, headers={"content-type": content_type}))
    assert not {"machine_id", *MILLING.input_names} & set(table.columns)


def test_inputs_are_refused_if_the_answer_is_not_a_table(client, rows):
    body, content_type = encode(rows, "records")
    answer = client.post("/predict/batch?inputs=true", content=body, headers={"content-type": content_type})
    assert problem(answer, 422)["errors"][0]["field"] == "inputs"

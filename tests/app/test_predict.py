"""One reading in, one answer out; what is wrong with a reading is told by its field."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from predictive_maintenance.machine.sensors import INPUT_NAMES, SENSOR_NAMES

from .conftest import READING


def predict(client, **changes):
    return client.post("/predict", json=READING | changes)


def problem(response, status):
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == status, response.text
    return response.json()


def test_a_reading_gets_the_scorers_probability_and_decision_to_the_bit(client, small):
    for reading in small.rows.test[list(INPUT_NAMES)].head(50).to_dict("records"):
        answer = client.post("/predict", json=reading).json()
        assert answer["failure_probability"] == small.scorer.probability(reading)
        assert answer["predicted_failure"] == bool(small.scorer.decisions(answer["failure_probability"]))


def test_the_answer_names_the_model_the_cost_and_what_to_do(client, small):
    answer = predict(client, product_type="L", torque_nm=60.0, tool_wear_min=215.0, reading_id="L47").json()
    spec = small.scorer.spec
    assert (answer["reading_id"], answer["model_name"], answer["model_version"]) == (
        "L47",
        "predictive_maintenance",
        "1",
    )
    assert (answer["risk_level"], answer["predicted_failure"], answer["threshold"]) == ("high", True, spec.threshold)
    assert answer["expected_cost_of_ignoring"] == answer["failure_probability"] * spec.missed_failure_cost
    assert [limit["name"] for limit in answer["broken_limits"]] == ["power", "strain", "tool_wear"]
    assert answer["recommended_action"] == (
        "stop and inspect now: lower torque or speed; replace the tool or lower the torque; replace the tool"
    )


def test_a_healthy_reading_asks_for_nothing(client):
    answer = predict(client).json()
    assert (answer["risk_level"], answer["broken_limits"], answer["warnings"]) == ("low", [], [])
    assert answer["recommended_action"] == "none"
    assert answer["explanation"] is None if "explanation" in answer else True


def test_an_explanation_adds_up_the_largest_contribution_first(client):
    answer = client.post("/predict?explain=true", json=READING | {"torque_nm": 68.0}).json()
    explanation = answer["explanation"]
    parts = [part["contribution"] for part in explanation["contributions"]]
    assert explanation["base_probability"] + sum(parts) == pytest.approx(answer["failure_probability"], abs=1e-12)
    assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)
    assert explanation["contributions"][0]["sensor"] == "torque_nm"
    assert explanation["reference"] == "64 healthy readings of product type M"


def test_what_is_possible_but_unusual_is_answered_with_a_warning(client):
    (warning,) = predict(client, air_temperature_k=330.0, process_temperature_k=309.1).json()["warnings"]
    assert warning.startswith("Air temperature 330 K is outside of what the model was trained on (29")


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"torque_nm": "much"}, "torque_nm", "is not a number"),
        ({"torque_nm": "38.1"}, "torque_nm", "is not a number"),
        ({"torque_nm": None}, "torque_nm", "is not a number"),
        ({"torque_nm": True}, "torque_nm", "is not a number"),
        ({"torque_nm": [38.1]}, "torque_nm", "is not a number"),
        ({"torque_nm": 501}, "torque_nm", "outside of the physical limits 0 to 500 Nm"),
        ({"torque_nm": -0.1}, "torque_nm", "outside of the physical limits 0 to 500 Nm"),
        ({"air_temperature_k": 25}, "air_temperature_k", "outside of the physical limits 230 to 350 K"),
        ({"product_type": "X"}, "product_type", "should be 'L', 'M' or 'H'"),
        ({"torque": 38.1}, "torque", "is not a field that is known"),
        ({"machine_failure": 1}, "machine_failure", "is not a field that is known"),
        ({"reading_id": "x" * 201}, "reading_id", "should have at most 200 characters"),
    ],
)
def test_a_bad_field_is_named_with_the_reason(client, changes, field, reason):
    body = problem(predict(client, **changes), 422)
    (error,) = body["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
    assert field in body["detail"]


def test_a_missing_field_is_named(client):
    body = problem(client.post("/predict", json={name: READING[name] for name in READING if name != "torque_nm"}), 422)
    assert body["errors"] == [{"row": None, "field": "torque_nm", "reason": "is missing"}]
    assert body["detail"] == "torque_nm: is missing"


def test_all_bad_fields_are_named_at_once(client):
    body = problem(predict(client, torque_nm=501, tool_wear_min=-1), 422)
    assert {error["field"] for error in body["errors"]} == {"torque_nm", "tool_wear_min"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client, number):
    text = json.dumps(READING).replace("38.1", number)
    body = problem(client.post("/predict", content=text, headers={"content-type": "application/json"}), 422)
    assert body["detail"] == "torque_nm: is not a finite number"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"product_type": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"{}", 422),
    ],
)
def test_a_body_that_is_no_reading_is_refused_and_never_breaks_the_service(client, content, status):
    problem(client.post("/predict", content=content, headers={"content-type": "application/json"}), status)


def test_another_kind_of_body_is_refused_by_name(client):
    body = problem(client.post("/predict", content="a,b", headers={"content-type": "text/csv"}), 415)
    assert body["detail"] == "content type 'text/csv' is not read: send application/json"


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_a_body_that_is_said_to_be_as_it_is_is_read(client, encoding):
    assert client.post("/predict", json=READING, headers={"content-encoding": encoding}).status_code == 200


def test_of_a_thousand_wrong_fields_the_first_hundred_are_named(client):
    body = problem(client.post("/predict", json=READING | {f"field_{n}": n for n in range(1000)}), 422)
    assert len(body["errors"]) == 100
    assert body["detail"].endswith("and 997 more")


def test_a_packed_body_is_refused(client):
    response = client.post("/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert "content-encoding 'gzip' is not read" in problem(response, 415)["detail"]


def test_a_body_above_the_limit_is_refused_however_it_is_sent(make_client):
    client = make_client(max_request_bytes=1024)
    assert "larger than 1,024 bytes" in problem(client.post("/predict", content=b"x" * 1025), 413)["detail"]
    in_chunks = client.post("/predict", content=(b"x" * 100 for _ in range(20)))
    assert "PDM_MAX_REQUEST_BYTES" in problem(in_chunks, 413)["detail"]


def test_wrong_parameters_paths_and_methods_are_told_in_the_same_shape(client):
    assert problem(client.post("/predict?explain=perhaps", json=READING), 422)["errors"][0]["field"] == "explain"
    assert problem(client.get("/predictions"), 404)["title"] == "Not Found"
    assert problem(client.get("/predict"), 405)["title"] == "Method Not Allowed"


def test_every_answer_carries_its_request_id_and_takes_the_clients_own(client):
    assert len(predict(client).headers["x-request-id"]) == 16
    own = client.post("/predict", json={}, headers={"x-request-id": "line-7.42"})
    assert own.headers["x-request-id"] == own.json()["request_id"] == "line-7.42"
    strange = client.post("/predict", json=READING, headers={"x-request-id": 'a"b\\n'})
    assert strange.headers["x-request-id"] != 'a"b\\n'


def test_a_full_queue_is_refused_with_a_time_to_come_back_and_plain_predictions_go_on(make_client):
    client, busy = make_client(max_waiting=1), threading.Event()
    workroom = client.app.state.service.workroom
    workroom._thread.submit(busy.wait, 30)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(client.post, "/predict?explain=true", json=READING)
        while workroom._waiting == 0:
            time.sleep(0.01)
        refusal = client.post("/predict?explain=true", json=READING)
        assert "waiting already (PDM_MAX_WAITING)" in problem(refusal, 503)["detail"]
        assert refusal.headers["retry-after"] == "1"
        assert predict(client).status_code == 200
        busy.set()
        assert waiting.result().status_code == 200
    assert client.post("/predict?explain=true", json=READING).status_code == 200


def test_an_explanation_tells_how_far_the_reading_is_from_each_operating_limit(client):
    reading = READING | {"product_type": "L", "torque_nm": 61.3, "tool_wear_min": 208.0, "rotational_speed_rpm": 1455.0}
    limits = client.post("/predict?explain=true", json=reading).json()["explanation"]["limits"]
    told = {(limit["name"], limit["side"]): limit for limit in limits}
    assert told["strain", "maximum"]["measured"] == pytest.approx(61.3 * 208)
    assert told["strain", "maximum"]["margin"] == pytest.approx(11_000 - 61.3 * 208)
    assert told["strain", "maximum"]["broken"]
    assert told["power", "minimum"]["margin"] == pytest.approx(told["power", "minimum"]["measured"] - 3500)
    assert not told["heat_dissipation", "minimum"]["applies"]
    assert {limit["name"] for limit in limits if limit["broken"]} == {"power", "strain", "tool_wear"}


def test_what_if_tells_where_each_sensor_would_turn_the_decision(client, small):
    told = client.post("/predict/what-if", json=READING).json()
    answer = client.post("/predict", json=READING).json()
    assert told["failure_probability"] == answer["failure_probability"]
    assert [curve["sensor"] for curve in told["curves"]] == list(SENSOR_NAMES)
    turns = {curve["sensor"]: curve["turning_point"] for curve in told["curves"] if curve["turning_point"]}
    assert turns
    for sensor, turn in turns.items():
        moved = client.post("/predict", json=READING | {sensor: turn["value"]}).json()
        assert moved["predicted_failure"] != told["predicted_failure"]
        assert moved["failure_probability"] == pytest.approx(turn["failure_probability"], abs=1e-9)


def test_a_what_if_is_a_question_and_not_counted_among_the_readings(client):
    def scored():
        return re.findall(r"^pdm_readings_total.*|^pdm_failure_probability_count.*", client.get("/metrics").text, re.M)

    before = scored()
    assert client.post("/predict/what-if", json=READING).status_code == 200
    assert scored() == before


def test_what_if_refuses_what_predict_refuses(client):
    body = READING | {"torque_nm": 900.0}
    assert problem(client.post("/predict/what-if", json=body), 422)["errors"][0]["field"] == "torque_nm"

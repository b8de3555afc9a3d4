"""POST /predict and /predict/what-if: answers, validation errors, explanations, and refusals under load."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from predictive_maintenance.machine.milling import MILLING

from .conftest import READING, wait_until


def predict(client, **changes):
    return client.post("/predict", json=READING | changes)


def problem(response, status):
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == status, response.text
    return response.json()


def test_the_probability_and_decision_are_exactly_those_of_the_scorer(client, small):
    for reading in small.rows.test[list(MILLING.input_names)].head(50).to_dict("records"):
        answer = client.post("/predict", json=reading).json()
        assert answer["failure_probability"] == small.scorer.probability(reading)
        assert answer["predicted_failure"] == bool(small.scorer.decisions(answer["failure_probability"]))


def test_the_answer_has_the_model_the_cost_and_the_recommended_action(client, small):
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
    assert answer["recommended_action"] == "stop and inspect now: lower torque or speed, and replace the tool"


def test_a_healthy_reading_has_no_alarm_and_no_explanation_unless_requested(client):
    answer = predict(client).json()
    assert (answer["risk_level"], answer["broken_limits"], answer["warnings"]) == ("low", [], [])
    assert answer["recommended_action"] == "none"
    assert "explanation" not in answer
    assert "explanation" in client.post("/predict?explain=true", json=READING).json()


def test_the_contributions_add_up_to_the_probability_the_largest_first(client):
    answer = client.post("/predict?explain=true", json=READING | {"torque_nm": 68.0}).json()
    explanation = answer["explanation"]
    parts = [part["contribution"] for part in explanation["contributions"]]
    assert explanation["base_probability"] + sum(parts) == pytest.approx(answer["failure_probability"], abs=1e-12)
    assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)
    assert explanation["contributions"][0]["sensor"] == "torque_nm"
    assert explanation["reference"] == "64 healthy readings of product type M"


def test_a_value_outside_the_training_range_is_scored_with_a_warning(client):
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
        ({"torque": 38.1}, "torque", "is not a known field; did you mean torque_nm?"),
        ({"air_temp": 38.1}, "air_temp", "is not a known field; did you mean air_temperature_k?"),
        ({"machine_failure": 1}, "machine_failure", "is not a known field"),
        ({"reading_id": "x" * 201}, "reading_id", "should have at most 200 characters"),
    ],
)
def test_an_invalid_field_is_reported_with_the_reason(client, changes, field, reason):
    body = problem(predict(client, **changes), 422)
    (error,) = body["errors"]
    assert error["field"] == field
    assert reason in error["reason"]
    assert field in body["detail"]


def test_only_the_first_unknown_fields_of_moderate_length_get_a_suggestion(client):
    body = problem(predict(client, **{f"torque_nm{number}": 1 for number in range(5)}), 422)
    assert [error["reason"].count("did you mean torque_nm?") for error in body["errors"]] == [1, 1, 1, 0, 0]
    (error,) = problem(predict(client, **{"torque_nm" * 8: 1}), 422)["errors"]
    assert error["reason"] == "is not a known field"


def test_a_missing_field_is_reported(client):
    body = problem(client.post("/predict", json={name: READING[name] for name in READING if name != "torque_nm"}), 422)
    assert body["errors"] == [{"row": None, "field": "torque_nm", "reason": "is missing"}]
    assert body["detail"] == "torque_nm: is missing"


def test_all_invalid_fields_are_reported_at_once(client):
    body = problem(predict(client, torque_nm=501, tool_wear_min=-1), 422)
    assert {error["field"] for error in body["errors"]} == {"torque_nm", "tool_wear_min"}


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"air_temperature_k": 25.7}, "; it looks like °C: convert it to K"),
        ({"air_temperature_k": 0.5}, ""),
        ({"torque_nm": 3810.0}, "; it looks like Ncm: convert it to Nm"),
        ({"torque_nm": 999_999.0}, ""),
    ],
)
def test_a_value_that_is_usual_in_another_unit_gets_a_hint(client, changes, hint):
    (error,) = problem(predict(client, **changes), 422)["errors"]
    reason, *rest = error["reason"].partition(";")
    assert reason.startswith("outside of the physical limits")
    assert "".join(rest) == hint


def test_fields_that_do_not_parse_and_values_outside_their_limits_are_reported_at_once(client):
    reading = {name: READING[name] for name in READING if name != "tool_wear_min"} | {"torque": 1.0}
    body = problem(client.post("/predict", json=reading | {"torque_nm": 501, "rotational_speed_rpm": "fast"}), 422)
    assert [(error["field"], error["reason"]) for error in body["errors"]] == [
        ("rotational_speed_rpm", "is not a number"),
        ("tool_wear_min", "is missing"),
        ("torque", "is not a known field; did you mean torque_nm?"),
        ("torque_nm", "outside of the physical limits 0 to 500 Nm"),
    ]
    assert body["detail"].endswith("; and 1 more")


@pytest.mark.parametrize("type_", ["M", "X"])
def test_duplicate_keys_are_reported_with_all_other_errors(client, type_):
    text = json.dumps(READING | {"product_type": type_, "torque_nm": 501}).replace("{", '{"tool_wear_min": 3, ')
    body = problem(client.post("/predict", content=text, headers={"content-type": "application/json"}), 422)
    assert [error["field"] for error in body["errors"]] == [
        *(["product_type"] if type_ == "X" else []), "tool_wear_min", "torque_nm",
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(client, number):
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
        (b"[" * 60_000, 400),
        (b'{"a":' * 12_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"{}", 422),
    ],
)
def test_a_body_that_is_not_a_reading_is_refused(client, content, status):
    problem(client.post("/predict", content=content, headers={"content-type": "application/json"}), status)


def test_an_unsupported_content_type_is_refused(client):
    body = problem(client.post("/predict", content="a,b", headers={"content-type": "text/csv"}), 415)
    assert body["detail"] == "content type 'text/csv' is not supported: send application/json"


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_the_content_encoding_identity_is_accepted(client, encoding):
    assert client.post("/predict", json=READING, headers={"content-encoding": encoding}).status_code == 200


def test_the_first_hundred_of_a_thousand_invalid_fields_are_reported(client):
    body = problem(client.post("/predict", json=READING | {f"field_{n}": n for n in range(1000)}), 422)
    assert len(body["errors"]) == 100
    assert body["detail"].endswith("and 997 more")


def test_a_compressed_body_is_refused(client):
    response = client.post("/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert "content-encoding 'gzip' is not supported" in problem(response, 415)["detail"]


def test_a_body_above_the_limit_is_refused_with_and_without_content_length(make_client):
    client = make_client(max_reading_bytes=1024)
    assert "larger than 1,024 bytes" in problem(client.post("/predict", content=b"x" * 1025), 413)["detail"]
    in_chunks = client.post("/predict", content=(b"x" * 100 for _ in range(20)))
    assert "PDM_MAX_READING_BYTES" in problem(in_chunks, 413)["detail"]


def test_invalid_parameters_paths_and_methods_get_problem_details(client):
    assert problem(client.post("/predict?explain=perhaps", json=READING), 422)["errors"][0]["field"] == "explain"
    assert problem(client.get("/predictions"), 404)["title"] == "Not Found"
    assert problem(client.get("/predict"), 405)["title"] == "Method Not Allowed"


def test_every_response_has_a_request_id_the_clients_own_if_it_is_valid(client):
    assert len(predict(client).headers["x-request-id"]) == 16
    own = client.post("/predict", json={}, headers={"x-request-id": "line-7.42"})
    assert own.headers["x-request-id"] == own.json()["request_id"] == "line-7.42"
    invalid = client.post("/predict", json=READING, headers={"x-request-id": 'a"b\\n'})
    assert invalid.headers["x-request-id"] != 'a"b\\n'


def test_a_full_queue_refuses_explanations_and_not_plain_predictions(make_client):
    client, release = make_client(max_waiting=1), threading.Event()
    executor = client.app.state.service.executor
    executor._thread.submit(release.wait, 30)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(client.post, "/predict?explain=true", json=READING)
        wait_until(lambda: executor._waiting == 1 or waiting.done())
        assert not waiting.done(), waiting.result().text
        refusal = client.post("/predict?explain=true", json=READING)
        assert "waiting already (PDM_MAX_WAITING)" in problem(refusal, 503)["detail"]
        assert refusal.headers["retry-after"] == "1"
        assert predict(client).status_code == 200
        release.set()
        assert waiting.result().status_code == 200
    assert client.post("/predict?explain=true", json=READING).status_code == 200


def test_an_explanation_has_the_distance_from_each_operating_limit(client):
    reading = READING | {"product_type": "L", "torque_nm": 61.3, "tool_wear_min": 208.0, "rotational_speed_rpm": 1455.0}
    limits = client.post("/predict?explain=true", json=reading).json()["explanation"]["limits"]
    by_name = {(limit["name"], limit["side"]): limit for limit in limits}
    assert by_name["strain", "maximum"]["measured"] == pytest.approx(61.3 * 208)
    assert by_name["strain", "maximum"]["margin"] == pytest.approx(11_000 - 61.3 * 208)
    assert by_name["strain", "maximum"]["broken"]
    assert by_name["power", "minimum"]["margin"] == pytest.approx(by_name["power", "minimum"]["measured"] - 3500)
    assert not by_name["heat_dissipation", "minimum"]["applies"]
    assert {limit["name"] for limit in limits if limit["broken"]} == {"power", "strain", "tool_wear"}


def test_a_what_if_analysis_finds_where_each_sensor_changes_the_decision(client, small):
    analysis = client.post("/predict/what-if", json=READING).json()
    answer = client.post("/predict", json=READING).json()
    assert analysis["failure_probability"] == answer["failure_probability"]
    assert [curve["sensor"] for curve in analysis["curves"]] == list(MILLING.sensor_names)
    turns = {curve["sensor"]: curve["turning_point"] for curve in analysis["curves"] if curve["turning_point"]}
    assert turns
    for sensor, turn in turns.items():
        changed = client.post("/predict", json=READING | {sensor: turn["value"]}).json()
        assert changed["predicted_failure"] != analysis["predicted_failure"]
        assert changed["failure_probability"] == pytest.approx(turn["failure_probability"], abs=1e-9)


def test_a_what_if_analysis_is_not_counted_as_a_reading(client):
    def scored():
        return re.findall(r"^pdm_readings_total.*|^pdm_failure_probability_count.*", client.get("/metrics").text, re.M)

    before = scored()
    assert client.post("/predict/what-if", json=READING).status_code == 200
    assert scored() == before


def test_a_what_if_analysis_refuses_an_invalid_reading(client):
    body = READING | {"torque_nm": 900.0}
    assert problem(client.post("/predict/what-if", json=body), 422)["errors"][0]["field"] == "torque_nm"

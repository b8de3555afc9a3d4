"""A key that appears more than once in a JSON object is an error: no reading is scored with an ambiguous value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.duplicate_keys import find_duplicate_keys, may_have_duplicate_keys

from .conftest import READING
from .test_predict import problem

BODY = json.dumps(READING)
DUPLICATE = BODY.replace('"torque_nm": 38.1', '"torque_nm": 38.1, "torque_nm": 60.0')
ESCAPED = BODY.replace('"torque_nm": 38.1', '"torque_nm": 38.1, "torque\\u005fnm": 60.0')
WITH_ID = f'{BODY[:-1]}, "reading_id": "2026-11-20T08:00:00"}}'


@pytest.fixture
def client(shared_client):
    return shared_client


def post(client, path, body, content_type="application/json"):
    return client.post(path, content=body, headers={"content-type": content_type})


@pytest.mark.parametrize("path", ["/predict", "/predict?explain=true", "/predict/what-if"])
@pytest.mark.parametrize("body", [DUPLICATE, ESCAPED])
def test_a_duplicate_key_of_a_reading_is_refused_by_name(client, path, body):
    error = problem(post(client, path, body), 422)
    assert error["detail"] == "torque_nm: appears more than once"
    assert error["errors"] == [{"row": None, "field": "torque_nm", "reason": "appears more than once"}]


@pytest.mark.parametrize(
    "body",
    [
        WITH_ID,
        f'{BODY[:-1]}, "reading_id": "a:\\u003a\\n"}}',
        f'{BODY[:-1]}, "reading_id": null}}',
        BODY.replace(":", " :\n\t"),
    ],
)
def test_colons_elsewhere_in_the_body_are_not_duplicate_keys(client, body):
    assert post(client, "/predict", body).status_code == 200
    assert post(client, "/predict/batch", f"[{body}, {body}]").json()["rejected_rows"] == 0


@pytest.mark.parametrize("others", [[BODY], [WITH_ID], [BODY, WITH_ID, BODY.replace("38.1", "501")]])
@pytest.mark.parametrize("duplicate", [DUPLICATE, ESCAPED])
def test_a_duplicate_key_of_a_record_rejects_its_row_only(client, others, duplicate):
    predictions = post(client, "/predict/batch", f"[{','.join([*others, duplicate])}]").json()["predictions"]
    assert predictions[-1]["errors"] == [{"field": "torque_nm", "reason": "appears more than once"}]
    assert "failure_probability" in predictions[0]


def test_a_duplicate_column_is_refused_by_name(client):
    columns = json.dumps({name: [value] for name, value in READING.items()} | {"reading_id": ["a:b"]})
    assert post(client, "/predict/batch", columns).status_code == 200
    duplicate = columns.replace('"torque_nm": [38.1]', '"torque_nm": [38.1], "torque_nm": [60.0]')
    assert problem(post(client, "/predict/batch", duplicate), 422)["detail"] == "torque_nm: appears more than once"


def test_a_duplicate_key_is_an_error_in_json_lines_and_single_records_of_invocations(client):
    for body, content_type in ((DUPLICATE, "application/json"), (f"{BODY}\n{DUPLICATE}", "application/jsonlines")):
        answer = client.post(
            "/invocations", content=body, headers={"content-type": content_type, "accept": "application/jsonlines"}
        )
        last = json.loads(answer.text.splitlines()[-1])
        assert last["errors"] == [{"field": "torque_nm", "reason": "appears more than once"}]


def test_a_key_of_an_object_within_others_has_its_place_before_it():
    body = b'[{"a": 1}, {"history": [{"a": 1}, {"a": 1, "b": {"c": 1, "c": 2}, "a": 2}], "a": 1, "a": 2}]'
    assert find_duplicate_keys(body) == [(1, "a"), (1, "history.1.a"), (1, "history.1.b.c")]


texts = st.text(st.sampled_from('ab:\\"\u00e4\n'), max_size=4)
members = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), texts), max_size=5)


@given(members, st.booleans())
def test_the_colon_count_never_misses_a_duplicate_key(pairs, ascii_only):
    body = "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v, ensure_ascii=ascii_only)}" for k, v in pairs) + "}"
    decoded = json.loads(body)
    repeated = sorted({key for key, _ in pairs if sum(other == key for other, _ in pairs) > 1})
    assert sorted(key for _, key in find_duplicate_keys(body.encode())) == repeated
    if repeated:
        assert may_have_duplicate_keys(body.encode(), len(decoded), decoded.values())

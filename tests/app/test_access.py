"""API keys with names and roles."""

import pytest
from fastapi import APIRouter

from app.access import OPEN_PATHS, ROUTE_ROLES, RouteRoles
from app.http.asgi import route_path
from app.settings import read_settings
from predictive_maintenance.config.api_keys import ROLES, new_api_key
from predictive_maintenance.errors import ConfigError

from .conftest import READING
from .test_predict import problem

KEYS = {role: new_api_key(f"of-{role}", role) for role in ROLES}
PEOPLE_KEY, PEOPLE = new_api_key("board", "operate", speaks_for_people=True)
NAMED = {"api_keys": "\n".join(known.line for known in (*(known for _, known in KEYS.values()), PEOPLE))}


def key(role):
    return {"x-api-key": KEYS[role][0]}


def test_every_route_has_a_role_and_every_role_a_route(shared_client):
    paths = shared_client.get("/openapi.json").json()["paths"]
    routes = {f"{method.upper()} {path}" for path in set(paths) - set(OPEN_PATHS) for method in paths[path]}
    assert routes == {route.replace(":path", "") for route in ROUTE_ROLES}


def test_keeping_data_needs_write_and_deciding_needs_operate():
    of_role = {role: {route for route, needed in ROUTE_ROLES.items() if needed == role} for role in ROLES}
    assert of_role["write"] == {"POST /events", "POST /feedback", "POST /readings"}
    assert of_role["operate"] == {"POST /acknowledgements", "POST /audit/refusals", "GET /audit"}
    assert {route for route in of_role["read"] if not route.startswith("GET ")} == {
        "POST /predict", "POST /predict/batch", "POST /predict/what-if", "POST /invocations",
    }  # fmt: skip


def test_a_route_without_role_does_not_start():
    router = APIRouter()
    router.get("/new")(lambda: None)
    with pytest.raises(LookupError, match=r"GET /new has no role: add it to ROUTE_ROLES in app/access\.py"):
        RouteRoles(router.routes)


@pytest.mark.parametrize("given", ROLES)
def test_a_route_answers_keys_that_have_its_role(make_client, given):
    client = make_client(**NAMED)
    for route, needed in ROUTE_ROLES.items():
        method, _, path = route.partition(" ")
        answer = client.request(method, path.replace("{machine_id:path}", "a/b"), headers=key(given))
        if ROLES.index(given) >= ROLES.index(needed):
            assert answer.status_code not in (401, 403), route
        else:
            detail = problem(answer, 403)["detail"]
            assert detail == f"the API key of-{given} has the role {given}, and {route} needs {needed}: use another key"


@pytest.mark.parametrize("route", [route for route in ROUTE_ROLES if "{" not in route])
def test_a_line_feed_behind_a_path_changes_no_role(make_client, route):
    """The pattern of the framework's routes ends with $, which matches in front of a line feed, too."""
    client, (method, _, path) = make_client(**NAMED), route.partition(" ")
    answer = client.request(method, f"{path}%0A", headers=key("read"))
    assert (answer.status_code == 403) == (ROUTE_ROLES[route] != "read")


def test_a_path_that_no_route_has_is_not_found_with_any_key_and_refused_without(make_client):
    client = make_client(**NAMED)
    assert client.get("/nowhere", headers=key("read")).status_code == 404
    assert client.delete("/feedback", headers=key("read")).status_code == 405
    assert client.get("/nowhere").status_code == 401


def test_a_key_that_is_not_known_is_refused_without_being_shown(make_client):
    client = make_client(**NAMED)
    detail = problem(client.get("/model", headers={"x-api-key": "pdm_other"}), 401)["detail"]
    assert "the given one is not known" in detail
    assert "pdm_other" not in detail
    digest = KEYS["operate"][1].digest.hex()
    assert client.get("/model", headers={"x-api-key": digest}).status_code == 401


def test_the_single_key_has_every_role_beside_named_ones(make_client):
    client = make_client(api_key="secret", **NAMED)
    assert client.post("/readings", content=b"", headers={"x-api-key": "secret"}).status_code not in (401, 403)
    assert client.post("/predict", json=READING, headers=key("read")).status_code == 200


def test_the_single_key_may_end_with_a_line_feed(make_client):
    """As in the dashboard: no header has the line feed."""
    assert make_client(api_key="secret\n").get("/model", headers={"x-api-key": "secret"}).status_code == 200


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
@pytest.mark.parametrize("value", ["", " ", "\t", "Bearer", "Bearer  ", "Bearer \t"])
def test_an_empty_key_is_no_key(make_client, header, value):
    assert make_client(**NAMED).get("/model", headers={header: value}).status_code == 401


def test_the_first_of_several_keys_counts(make_client):
    client, person = make_client(**NAMED), ("x-on-behalf-of", "Ana")
    reader, board = ("x-api-key", KEYS["read"][0]), ("x-api-key", PEOPLE_KEY)
    bearer = ("authorization", f"Bearer {PEOPLE_KEY}")
    assert client.get("/audit", headers=[reader, board]).status_code == 403
    assert client.get("/model", headers=[reader, board, person]).status_code == 403
    assert client.get("/model", headers=[reader, bearer, person]).status_code == 403


def test_a_single_key_that_is_a_named_one_keeps_its_role(make_client):
    """Containers share PDM_API_KEY as the key of a client."""
    client = make_client(api_key=KEYS["read"][0], **NAMED)
    assert client.post("/events", json={}, headers=key("read")).status_code == 403


def test_a_person_is_named_by_keys_that_speak_for_people_only(make_client, client):
    keyed, person = make_client(**NAMED), {"x-on-behalf-of": "Ana%20Ru%C3%ADz"}
    refused = problem(keyed.get("/model", headers=key("operate") | person), 403)["detail"]
    assert "the API key of-operate may not speak for people" in refused
    assert keyed.get("/model", headers={"x-api-key": PEOPLE_KEY} | person).status_code == 200
    for wrong in ("%00", "a" * 201, "%0A"):
        headers = {"x-api-key": PEOPLE_KEY, "x-on-behalf-of": wrong}
        assert "X-On-Behalf-Of is not a name" in problem(keyed.get("/model", headers=headers), 400)["detail"]


def test_the_documentation_names_the_role_of_each_route(make_client):
    document = make_client(**NAMED).get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"key", "bearer"}
    for route, role in ROUTE_ROLES.items():
        method, _, path = route.partition(" ")
        operation = document["paths"][path.replace(":path", "")][method.lower()]
        assert operation["security"] == [{"key": [role]}, {"bearer": [role]}]
        assert f"role **{role}**" in operation["description"]
        assert {"401", "403"} <= set(operation["responses"])
        headers = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"]
        assert headers == ([] if role == "read" else ["X-On-Behalf-Of"]), route
    assert "security" not in document["paths"]["/health"]["get"]


def test_settings_name_a_wrong_line_and_refuse_an_empty_value(monkeypatch, tmp_path):
    monkeypatch.setenv("PDM_API_KEYS", "grafana admin sha256:00")
    with pytest.raises(ConfigError, match="PDM_API_KEYS: line 1: the role of grafana"):
        read_settings()
    monkeypatch.setenv("PDM_API_KEYS", "")
    with pytest.raises(ConfigError, match="PDM_API_KEYS is empty"):
        read_settings()
    file = tmp_path / "keys"
    file.write_text(NAMED["api_keys"])
    monkeypatch.setenv("PDM_API_KEYS", str(file))
    assert [one.name for one in read_settings().keys] == ["of-read", "of-write", "of-operate", "board"]


@pytest.mark.parametrize(
    ("path", "root", "route"),
    [("/plant/audit", "/plant", "/audit"), ("/plantation", "/plant", "/plantation"), ("/audit", "/a", "/audit")],
)
def test_a_prefix_ends_at_a_slash_as_for_the_framework(path, root, route):
    assert route_path({"path": path, "root_path": root}) == route

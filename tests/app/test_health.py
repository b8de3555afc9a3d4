"""Health, readiness, metrics, the model routes, API key, documentation and settings."""

import json
import re
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError, create_model

from app.__main__ import main
from app.factory import open_registry
from app.settings import Settings, read_settings
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE
from predictive_maintenance.tracking.embedded_database import artifacts_folder, database_path
from predictive_maintenance.tracking.entities import TrainingRun

from .conftest import READING, fast_path_of, start_client
from .test_predict import problem

REJECTED = "pdm_readings_rejected_total"


def samples(client, **options):
    """Return the values of the metrics by name and labels. `options` are those of the request."""
    text = client.get("/metrics", **options).text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_service_with_a_model_is_ok_and_ready(client):
    body = client.get("/health").json()
    assert (body["status"], body["warning"]) == ("ok", None)
    assert body["serving_version"] == body["production_version"] == "1"
    assert body["registry_answered_seconds_ago"] < 5
    assert client.get("/ready").status_code == 200


def test_the_health_names_the_machine_that_the_service_was_started_for(client, monkeypatch):
    assert client.get("/health").json()["machine"] is None
    monkeypatch.setenv("PDM_MACHINE", "fleet")
    assert client.get("/health").json()["machine"] == "fleet"


def test_without_a_production_version_the_service_is_alive_and_not_ready(make_client, registry):
    registry.alias = None
    client = make_client()
    assert client.get("/health").json()["status"] == "not ready"
    refusal = client.get("/ready")
    assert problem(refusal, 503)["detail"] == (
        "no model is ready: no version is in production: train or promote a version"
    )
    assert refusal.headers["retry-after"] == "5"
    problem(client.post("/predict", json=READING), 503)
    problem(client.post("/predict/batch", json=[READING]), 503)
    problem(client.get("/model"), 503)


@pytest.fixture
def lost_registry_client(registry_uri, params, tmp_path, checked_files):
    """A service whose registry has no runs, beside the artifacts of earlier runs."""
    (artifacts_folder(database_path(registry_uri)) / "run").mkdir(parents=True)
    with start_client(open_registry(params.registry), params, tmp_path, checked_files) as client:
        yield client


def test_without_a_model_and_with_a_lost_registry_the_refusal_says_what_to_do_without_a_path(
    lost_registry_client, registry_uri
):
    refusal = problem(lost_registry_client.post("/predict", json=READING), 503)
    assert refusal["detail"] == (
        "no model is ready: the registry's file was removed or replaced: restore it from a backup, or train a new model; "
        "the log and GET /model/status have the reason"
    )
    database = database_path(registry_uri)
    assert lost_registry_client.get("/model/status").json()["warning"].startswith(f"{database} contains no runs, but ")


def test_metrics_count_requests_readings_and_rejected_fields(client):
    for changes in ({}, {"torque_nm": 68.0, "tool_wear_min": 210.0}, {"torque_nm": 501.0}):
        client.post("/predict", json=READING | changes)
    client.post("/predict/batch", json=[READING, READING | {"torque_nm": "x"}])
    client.get("/nowhere")
    found = samples(client)
    route = ("method", "POST"), ("route", "/predict")
    assert found["pdm_http_requests_total", *route, ("status", "200")] == 2
    assert found["pdm_http_requests_total", *route, ("status", "422")] == 1
    assert found["pdm_http_requests_total", ("method", "any"), ("route", "unmatched"), ("status", "404")] == 1
    assert found["pdm_readings_total", ("decision", "healthy"), ("version", "1")] == 2
    assert found["pdm_readings_total", ("decision", "failure"), ("version", "1")] == 1
    assert found["pdm_readings_rejected_total", ("field", "torque_nm")] == 2
    assert found["pdm_failure_probability_count",] == 3
    assert found["pdm_http_request_seconds_count", ("route", "/predict")] == 3
    assert found["pdm_model_serving", ("algorithm", "lightgbm"), ("version", "1")] == 1
    assert found["pdm_model_events_total", ("event", "loaded")] == 1
    assert found["pdm_registry_look_up_age_seconds",] < 5


@pytest.mark.parametrize("batch", [False, True])
def test_an_invalid_reading_is_counted_by_its_fields_alone_and_in_a_batch(client, batch):
    for changes in ({"torque_nm": "x", "tool_wear_min": None}, {"torque_nm": 501}, {"plant_a": 1}, {"plant_b": 2}):
        client.post("/predict/batch", json=[READING | changes]) if batch else client.post(
            "/predict", json=READING | changes
        )
    found = {dict(labels)["field"]: count for (name, *labels), count in samples(client).items() if name == REJECTED}
    assert found == {"torque_nm": 2, "tool_wear_min": 1, "unknown": 2}


def test_readings_are_counted_under_the_version_that_scored_them(client, registry, small):
    registry.versions["2"] = small.files
    for version in ("1", "2", "2", "1", "1"):
        registry.alias = version
        client.app.state.service.watcher.poll()
        client.post("/predict", json=READING)
    found = samples(client)
    counts = [found["pdm_readings_total", ("decision", "healthy"), ("version", version)] for version in "12"]
    assert counts == [3, 2]


def test_probabilities_of_a_batch_are_counted_like_those_of_single_readings(make_client, small):
    rows = small.rows.test[list(READING)].head(300).to_dict("records")
    rows += small.rows.test[small.rows.test["machine_failure"] == 1][list(READING)].head(20).to_dict("records")
    one_by_one, at_once = make_client(), make_client()
    for row in rows:
        one_by_one.post("/predict", json=row)
    at_once.post("/predict/batch", json=rows)

    def probabilities(client):
        names = [f"pdm_failure_probability_{part}" for part in ("bucket", "count", "sum")]
        return {key: value for key, value in samples(client).items() if key[0] in names}

    assert probabilities(one_by_one) == pytest.approx(probabilities(at_once))
    assert probabilities(at_once)["pdm_failure_probability_count",] == len(rows)


def test_unknown_paths_and_methods_create_no_time_series(client):
    def visit(number):
        client.get(f"/scan-{number}")
        client.request("BREW", f"/coffee-{number}")
        client.request(f"X{number}", "/predict")
        return len(samples(client))

    visit(0)
    assert visit(1) == visit(2) == visit(3)


def test_the_documentation_is_counted_under_its_own_paths(client):
    for path in ("/docs", "/openapi.json"):
        assert client.get(path).status_code == 200
        assert samples(client)["pdm_http_requests_total", ("method", "GET"), ("route", path), ("status", "200")] == 1


def test_the_card_has_the_metrics_the_gate_and_the_lineage_of_the_served_model(client, registry, small):
    check = {
        "name": "Recall",
        "level": "candidate",
        "measured": "0.8",
        "required": ">= 0.7",
        "passed": True,
        "why": "enough",
    }
    scores = {"rows": 1505, "failures": 39, "metrics": {"recall": {"value": 0.85, "low": 0.71, "high": 0.93}}}
    registry.tags["1"] = {
        "algorithm": "lightgbm", "gate": json.dumps([check]), "promoted_at": "2026-01-02", "gate_level": "production",
        "metrics": json.dumps({"held_out": scores, "out_of_fold": scores}), "git_commit": "abc", "flow_run": "TrainFlow/7",
        "data_sources": json.dumps([{"name": "plant.csv", "rows": 9}]), "previous_production_version": "",
    }  # fmt: skip
    client.app.state.service.watcher.poll()
    card = client.get("/model").json()
    assert (card["version"], card["algorithm"], card["threshold"]) == ("1", "lightgbm", small.scorer.spec.threshold)
    assert card["held_out"]["metrics"]["recall"] == {"value": 0.85, "low": 0.71, "high": 0.93}
    assert card["gate"] == [check]
    assert card["data_sources"] == [{"name": "plant.csv", "rows": 9}]
    assert (card["git_commit"], card["flow_run"], card["promoted"]) == ("abc", "TrainFlow/7", "2026-01-02")
    assert card["previous_version"] is None
    assert card["limits"]["torque_nm"] == [0.0, 500.0]
    assert card["known_ranges"]["torque_nm"][0] < 10 < 60 < card["known_ranges"]["torque_nm"][1]


def test_a_version_without_tags_has_a_card(client):
    card = client.get("/model").json()
    assert (card["held_out"], card["gate"], card["git_commit"]) == (None, [], None)


def test_the_history_lists_all_versions_the_newest_first(client, registry, small):
    registry.versions["2"] = small.files
    registry.tags["2"] = {
        "gate_level": "candidate",
        "verdict": "stays a candidate, because a check failed: Recall",
        "algorithm": "lightgbm",
    }
    history = client.get("/model/history").json()
    assert [version["version"] for version in history["versions"]] == ["2", "1"]
    assert history["versions"][0]["verdict"] == "stays a candidate, because a check failed: Recall"
    assert history["versions"][1]["aliases"] == ["production"]
    assert history["serving_version"] == "1"


def test_the_history_is_the_last_answer_of_a_registry_that_does_not_answer(client, registry):
    first = client.get("/model/history").json()
    registry.down = "the server does not answer"
    later = client.get("/model/history").json()
    assert later["versions"] == first["versions"]
    assert later["warning"] == "the server does not answer"


def test_a_version_of_the_history_has_its_gate_and_its_run(client, registry):
    check = {"name": "F1", "level": "candidate", "measured": "0.5", "required": ">= 0.6", "passed": False, "why": "low"}
    registry.tags["1"] = {"gate": json.dumps([check]), "flow_run": "TrainFlow/7"}
    (version,) = client.get("/model/history").json()["versions"]
    assert version["gate"] == [check]
    assert (version["flow_run"], version["run_id"]) == ("TrainFlow/7", "run-of-1")


def test_training_runs_are_listed_and_kept_when_the_registry_does_not_answer(client, registry, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hidden@dags.example/plant.mlflow/")
    start = datetime(2026, 11, 20, 8, tzinfo=UTC)
    registry.runs = [
        TrainingRun(
            flow_run="TrainFlow/9",
            run_id="r9",
            experiment_id="1",
            status="RUNNING",
            started=start,
            ended=None,
            level=None,
            verdict=None,
        ),
        TrainingRun(
            flow_run="TrainFlow/8",
            run_id="r8",
            experiment_id="1",
            status="FINISHED",
            started=start,
            ended=start,
            level="rejected",
            verdict="is rejected, because a check failed: Recall",
        ),
    ]
    listed = client.get("/model/trainings").json()
    assert [(training["flow_run"], training["level"]) for training in listed["trainings"]] == [
        ("TrainFlow/9", None), ("TrainFlow/8", "rejected"),
    ]  # fmt: skip
    assert listed["mlflow_url"] == "https://dags.example/plant.mlflow"
    registry.down = "the server does not answer"
    later = client.get("/model/trainings").json()
    assert (later["trainings"], later["warning"]) == (listed["trainings"], "the server does not answer")


def test_the_thresholds_are_the_counts_of_the_served_model(client, registry, small):
    assert "has no counts at each threshold" in problem(client.get("/model/thresholds"), 404)["detail"]
    counts = {"rows": 9, "failures": 2, "threshold": [0.1, 0.5], "true_positives": [2, 1], "false_positives": [3, 0]}
    registry.versions["2"] = {**small.files, THRESHOLDS_FILE: json.dumps(counts).encode()}
    registry.alias = "2"
    client.app.state.service.watcher.poll()
    assert client.get("/model/thresholds").json() == {"version": "2", **counts}


def test_a_version_with_damaged_thresholds_is_refused(client, registry, small):
    registry.versions["2"] = {**small.files, THRESHOLDS_FILE: b'{"rows": 9'}
    registry.alias = "2"
    client.app.state.service.watcher.poll()
    health = client.get("/health").json()
    assert (health["serving_version"], health["production_version"]) == ("1", "2")
    assert health["warning"] == "version 2 is refused; the log and GET /model/status have the reason"
    assert THRESHOLDS_FILE in client.get("/model/status").json()["warning"]


def test_the_history_is_an_error_if_the_registry_has_never_answered(client, registry):
    registry.down = "the server does not answer"
    assert "the server does not answer" in problem(client.get("/model/history"), 503)["detail"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-api-key": "wrong"}, {"x-api-key": "secret "}, {"authorization": "Bearer no"}, {"authorization": "secret"}],
)
@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/model", "/model/history", "/metrics", "/nowhere"])
def test_a_request_without_the_key_is_refused(make_client, path, headers):
    client = make_client(api_key="secret")
    refusal = client.get(path, headers=headers)
    assert "an API key is needed" in problem(refusal, 401)["detail"]
    assert refusal.headers["www-authenticate"] == "Bearer"
    assert len(refusal.headers["x-request-id"]) == 16


@pytest.mark.parametrize(
    "headers", [{"x-api-key": "secret"}, {"authorization": "Bearer secret"}, {"authorization": "bearer  secret"}]
)
def test_a_request_with_the_key_is_answered(make_client, headers):
    client = make_client(api_key="secret")
    assert client.post("/predict", json=READING, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/ready", "/ping"])
def test_probes_may_use_head(client, path):
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_below_a_proxys_prefix_probes_stay_open_and_readings_take_the_fast_path(make_client, monkeypatch):
    """Requests as `uvicorn --root-path /plant` passes them on."""
    app = make_client(api_key="secret").app
    client = TestClient(app, base_url="http://testserver/plant", root_path="/plant", headers={"x-api-key": "secret"})
    assert TestClient(app, base_url="http://testserver/plant", root_path="/plant").get("/health").status_code == 200
    assert TestClient(app, base_url="http://testserver/plant", root_path="/plant").get("/model").status_code == 401
    assert client.get("/model").status_code == 200
    monkeypatch.setattr(fast_path_of(app), "app", None)
    assert client.post("/predict", json=READING).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/docs", "/swagger/swagger-ui.css", "/openapi.json"])
def test_probes_and_the_documentation_need_no_key(make_client, path):
    assert make_client(api_key="secret").get(path).status_code == 200


def test_the_documentation_works_offline_and_declares_the_key_if_one_is_set(make_client):
    without_key, with_key = make_client(), make_client(api_key="secret")
    page = without_key.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) == 3
    for address in addresses:
        assert address.startswith("http://testserver/")
        assert without_key.get(address).status_code == 200
    assert "security" not in without_key.get("/openapi.json").json()["paths"]["/predict"]["post"]
    document = with_key.get("/openapi.json").json()
    assert document["paths"]["/predict"]["post"]["security"] == [{"key": ["read"]}, {"bearer": ["read"]}]
    assert "security" not in document["paths"]["/health"]["get"]


def test_the_key_is_not_part_of_the_settings_text(monkeypatch):
    monkeypatch.setenv("PDM_API_KEY", "hush")
    assert "hush" not in repr(read_settings())


def test_settings_come_from_the_environment_and_invalid_ones_are_named(monkeypatch):
    monkeypatch.setenv("PDM_POLL_SECONDS", "2.5")
    assert read_settings().poll_seconds == 2.5
    monkeypatch.setenv("PDM_POLL_SECONDS", "0")
    monkeypatch.setenv("PDM_MAX_ROWS", "many")
    with pytest.raises(ConfigError) as error:
        read_settings()
    assert "PDM_POLL_SECONDS: Input should be greater than 0" in str(error.value)
    assert "PDM_MAX_ROWS: Input should be a valid integer" in str(error.value)
    assert "(got 'many')" in str(error.value)


def test_the_error_of_a_secret_does_not_show_it(monkeypatch):
    monkeypatch.setattr("app.settings.Settings", create_model("Hidden", __base__=Settings, api_key=(int, 0)))
    monkeypatch.setenv("PDM_API_KEY", "hush-hush")
    with pytest.raises(ConfigError, match=r"^PDM_API_KEY: ") as error:
        read_settings()
    assert "hush" not in str(error.value)


def test_the_help_of_the_command_describes_every_setting():
    text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    for name, setting in Settings.model_fields.items():
        assert f"PDM_{name.upper()}: {setting.description}" in text


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("PDM_POLL_SECONDS", "")
    assert read_settings() == Settings()


@pytest.mark.parametrize("name", ["PDM_API_KEY", "pdm_api_key"])
@pytest.mark.parametrize("key", ["", " \n"])
def test_an_empty_api_key_is_an_error(monkeypatch, name, key):
    monkeypatch.setenv(name, key)
    with pytest.raises(ConfigError, match=r"^PDM_API_KEY is empty: unset it or set a key$"):
        read_settings()
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.output) == (1, "Error: PDM_API_KEY is empty: unset it or set a key\n")


def test_settings_with_an_empty_key_are_invalid():
    with pytest.raises(ValidationError):
        Settings(api_key="")


@pytest.mark.parametrize("password", ["p@ssw0rd", "pass/w0rd", "p@ss:w0rd", "passw0rd", "${w0rd}"])
def test_open_routes_show_no_address_of_a_registry_and_the_status_shows_it_redacted(
    make_client, params, registry, monkeypatch, password
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{password}@127.0.0.1:9/registry")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(
        type(registry), "production_version", lambda _: open_registry(params.registry).production_version()
    )
    client = make_client(api_key="secret")
    client.app.state.service.watcher.poll()
    for path in ("/health", "/ready", "/ping", "/"):
        text = client.get(path).text
        assert not re.search(r"://(?!testserver)|127\.0\.0\.1|w0rd|MLflow", text), text
    assert client.get("/model/status").status_code == 401
    warning = client.get("/model/status", headers={"x-api-key": "secret"}).json()["warning"]
    assert "MLFLOW_TRACKING_URI" in warning
    assert "w0rd" not in warning


def test_the_examples_of_the_documentation_work(client):
    for path in ("/predict", "/predict/batch"):
        bodies = client.get("/openapi.json").json()["paths"][path]["post"]["requestBody"]["content"]
        for content_type, body in bodies.items():
            given = [example["value"] for example in body.get("examples", {}).values()]
            for example in [json.dumps(value) for value in given] + ([body["example"]] if "example" in body else []):
                response = client.post(path, content=example, headers={"content-type": content_type})
                assert response.status_code == 200, response.text


def test_the_former_name_of_the_warning_is_still_answered(make_client, registry):
    registry.alias = None
    client = make_client()
    health = client.get("/health").json()
    assert health["warning"]
    assert health["trouble"] == health["warning"]

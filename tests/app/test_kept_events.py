"""Events for the store: they are in the features of later readings, failures close alarms, and alarms are listed."""

import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.machine.machine_json import to_json
from tests.fixtures.pumps import DESCRIPTION, pump

from .conftest import MemoryRegistry, start_client

INPUTS = ("machine_id", "timestamp", "make", "flow", "heat", "age")
MACHINE = pump()
NAMED = {"machine_id": "P1"}


@pytest.fixture
def start(small_pump, pump_params, checked_files, tmp_path, enter):
    """A function that starts an application with the pumps' model, with another description if one is given."""

    def start(description=DESCRIPTION):
        files = dict(small_pump.files) | {"machine.json": to_json(parse_machine(description)).encode()}
        registry = MemoryRegistry(versions={"1": files}, alias="1")
        return enter(start_client(registry, pump_params, tmp_path, checked_files))

    return start


@pytest.fixture
def client(start):
    return start()


@pytest.fixture(scope="module")
def rows(small_pump):
    """All readings of a held-out pump in time order, without features."""
    name = small_pump.rows.test["machine_id"].iloc[0]
    parts = [part[part["machine_id"] == name] for part in (small_pump.rows.test, small_pump.rows.history)]
    own = [part[list(INPUTS)] for part in parts if len(part)]
    return pd.concat(own).sort_values("timestamp").reset_index(drop=True)


@pytest.fixture(scope="module")
def events(small_pump, rows):
    name = rows["machine_id"].iloc[0]
    return {table: frame[frame["machine_id"] == name] for table, frame in small_pump.rows.events.items()}


@pytest.fixture(scope="module")
def expected(small_pump, rows, events):
    used = {name: events[name] for name in MACHINE.event_tables}
    return small_pump.scorer.probabilities(rows, used).tolist()


def as_json(frame):
    texts = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return [{name: value for name, value in row.items() if value == value} for row in texts.to_dict("records")]


def post_events(client, events):
    answer = client.post("/events", json={name: as_json(table) for name, table in events.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()["events"]


def test_readings_one_by_one_with_the_stored_events_get_the_probabilities_of_the_table(client, rows, events, expected):
    assert post_events(client, events) == sum(map(len, events.values()))
    answers = [client.post("/readings", json=reading).json() for reading in as_json(rows[:60])]
    assert [answer["failure_probability"] for answer in answers] == expected[:60]


def test_a_batch_with_the_stored_events_gets_the_same(client, rows, events, expected):
    post_events(client, events)
    answer = client.post("/readings", json=as_json(rows)).json()
    assert [row["failure_probability"] for row in answer["predictions"]] == expected


def test_later_events_do_not_change_a_reading_and_late_ones_count_for_later_readings(client, rows, events, expected):
    middle, readings = rows["timestamp"][40], as_json(rows)
    post_events(client, {name: table[table["timestamp"] >= middle] for name, table in events.items()})
    for reading in readings[:40]:
        client.post("/readings", json=reading)
    post_events(client, {name: table[table["timestamp"] < middle] for name, table in events.items()})
    assert client.post("/readings", json=readings[40]).json()["failure_probability"] == expected[40]


def test_the_same_events_again_change_nothing(client, rows, events):
    assert post_events(client, events) == post_events(client, events)
    machine = rows["machine_id"].iloc[0]
    client.post("/readings", json=as_json(rows)[:1])
    shown = client.get(f"/machines/{machine}?limit=1000").json()["events"]
    after = {name: table[table["timestamp"] >= rows["timestamp"][0]] for name, table in events.items()}
    assert len(shown) == sum(map(len, after.values()))
    assert [event["time"] for event in shown] == sorted((event["time"] for event in shown), reverse=True)


def expected_alarms(decisions, times, failures, opens_at, closes_after):
    """The alarms of a plain loop: (opened, closed, by)."""
    found, opened, recent, negatives = [], None, [], 0
    left = sorted(failures)
    for time, decision in zip(times, decisions, strict=True):
        while left and left[0] < time:
            failure = left.pop(0)
            if opened is not None and failure > opened:
                found.append((opened, failure, "failure"))
                opened = None
            recent, negatives = [], 0
        recent = [*recent, decision][-3:]
        negatives = 0 if decision else negatives + 1
        if opened is None and decision and sum(recent) >= opens_at:
            opened = time
        elif opened is not None and negatives >= closes_after:
            found.append((opened, time, "decisions"))
            opened = None
    return found, opened


@pytest.mark.parametrize("one_by_one", [True, False])
def test_alarms_follow_the_policy_and_end_with_a_failure(start, small_pump, rows, events, one_by_one):
    client = start(DESCRIPTION + "alarm: {open: 2 of 3, close_after: 4}\n")
    post_events(client, {name: events[name] for name in ("errors", "service")})
    failures = {"failures": events["failures"]}
    if one_by_one:
        post_events(client, failures)
        for reading in as_json(rows):
            client.post("/readings", json=reading)
    else:
        post_events(client, failures)
        client.post("/readings", json=as_json(rows))
    used = {name: events[name] for name in MACHINE.event_tables}
    decisions = small_pump.scorer.decisions(small_pump.scorer.probabilities(rows, used)).tolist()
    times = rows["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").tolist()
    failed = events["failures"]["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").tolist()
    closed, still_open = expected_alarms(decisions, times, failed, opens_at=2, closes_after=4)
    machine = rows["machine_id"].iloc[0]
    shown = client.get(f"/machines/{machine}?limit=1000").json()["alarms"]
    found = [(key(alarm["opened"]), alarm["closed"] and key(alarm["closed"]), alarm["closed_by"]) for alarm in shown]
    open_ones = [(still_open, None, None)] if still_open else []
    assert found == [*open_ones, *reversed(closed)]
    assert {alarm["closed_by"] for alarm in shown} >= {"failure"}


def key(time):
    """A time as text with microseconds, without zone."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<6}"


def hot(hours, **values):
    """A reading of a pump that is about to fail, on the day of the test."""
    return NAMED | {"timestamp": f"2024-03-01T{hours:02}:00:00Z", "make": "A", "flow": 30.0, "heat": 340.0} | values


def test_a_failure_closes_the_open_alarm_and_the_alarm_is_listed(client):
    for hour in range(6):
        answer = client.post("/readings", json=hot(hour)).json()
    assert answer["predicted_failure"]
    (alarm,) = client.get("/alarms").json()["alarms"]
    assert alarm["machine_id"] == "P1"
    assert alarm["closed"] is None
    (machine,) = client.get("/machines").json()["machines"]
    shown = (
        "opened", "failure_probability", "failure_mode", "failure_mode_probability", "acknowledged", "acknowledged_by"
    )  # fmt: skip
    assert machine["alarm"] == {name: alarm[name] for name in shown}
    assert alarm["failure_mode"] in MACHINE.mode_names
    assert 0 < alarm["failure_mode_probability"] <= 1
    client.post("/events", json={"failures": [NAMED | {"timestamp": "2024-03-01T05:30:00Z", "type": "seal"}]})
    assert client.get("/alarms").json()["alarms"] == []
    (closed,) = client.get("/alarms?state=all").json()["alarms"]
    assert (closed["closed"], closed["closed_by"]) == ("2024-03-01T05:30:00Z", "failure")
    assert client.get("/machines").json()["machines"][0]["alarm"] is None


def test_a_reading_that_comes_after_the_failure_opens_no_second_alarm_before_it(client):
    for hour in range(4):
        client.post("/readings", json=hot(hour))
    client.post("/events", json={"failures": [NAMED | {"timestamp": "2024-03-01T05:30:00Z", "type": "seal"}]})
    assert client.post("/readings", json=hot(5)).json()["predicted_failure"]
    (alarm,) = client.get("/alarms?state=all").json()["alarms"]
    assert (alarm["closed"], alarm["closed_by"]) == ("2024-03-01T05:30:00Z", "failure")


def test_a_late_reading_changes_no_alarm(client):
    client.post("/readings", json=hot(10, flow=60.0, heat=300.0))
    assert client.post("/readings", json=hot(9)).json()["predicted_failure"]
    assert client.get("/alarms?state=all").json()["alarms"] == []


def test_alarms_are_listed_in_pages(client):
    for number in range(5):
        for hour in range(3):
            client.post("/readings", json=hot(hour + number, machine_id=f"P{number}"))
    first = client.get("/alarms?limit=2").json()
    rest = client.get("/alarms", params={"limit": 3, "after": first["next"]}).json()
    names = [alarm["machine_id"] for alarm in first["alarms"] + rest["alarms"]]
    assert names == ["P4", "P3", "P2", "P1", "P0"]
    assert rest["next"] is None


def test_alarms_that_opened_at_the_same_time_are_on_one_page_each(client):
    for number in range(4):
        for hour in range(3):
            client.post("/readings", json=hot(hour, machine_id=f"P{number}"))
    names, page = [], None
    for _ in range(4):
        answer = client.get("/alarms", params={"limit": 1} | ({"after": page} if page else {})).json()
        names += [alarm["machine_id"] for alarm in answer["alarms"]]
        page = answer["next"]
    assert (names, page) == (["P0", "P1", "P2", "P3"], None)
    assert client.get("/alarms?after=soon").status_code == 422


EVENT = NAMED | {"timestamp": "2024-03-01T05:30:00Z", "type": "seal"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"failure": []}, 422, "failure: is not a known field; did you mean failures?"),
        ({"failures": [EVENT | {"type": "motor"}]}, 422, "failures.0.type"),
        ({"failures": [EVENT | {"timestamp": "2999-01-01T00:00:00Z"}]}, 422, "s in the future"),
        ({"failures": [EVENT | {"timestamp": "soon"}]}, 422, "is not a time"),
        ({"failures": [EVENT | {"machine_id": ""}]}, 422, "failures.0.machine_id: is empty"),
        ({"failures": [{"timestamp": EVENT["timestamp"], "type": "seal"}]}, 422, "failures.0.machine_id"),
        ([], 422, "should be"),
    ],
)
def test_an_invalid_event_is_named_and_nothing_is_kept(client, body, status, text):
    answer = client.post("/events", json=body)
    assert answer.status_code == status
    assert text in answer.text
    assert client.get("/machines").json()["machines"] == []


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"type": "motor"}, "failures.30.type"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "s in the future"),
        ({"machine_id": ""}, "failures.30.machine_id: is empty"),
        ({"colour": 1}, "failures.30.colour"),
    ],
)
def test_many_events_are_kept_and_refused_as_few_are(client, fault, text):
    days = [f"2024-03-{day:02}T05:30:00Z" for day in range(1, 31)]
    valid = [EVENT | {"timestamp": day} for day in days]
    refused = client.post("/events", json={"failures": [*valid, EVENT | fault]})
    assert refused.status_code == 422
    assert text in refused.text
    assert client.post("/readings", json=hot(0, timestamp="2024-02-01T00:00:00Z")).status_code == 200
    assert client.get("/machines/P1").json()["events"] == []
    assert client.post("/events", json={"failures": valid}).json() == {"events": 30}
    assert len(client.get("/machines/P1?limit=100").json()["events"]) == 30


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": [' + b"{}," * 2_000 + b"{}]}",
        b'{"errors": [{' + b",".join(b'"k%d": 1' % number for number in range(6_000)) + b"}]}",
        b'{"errors": "' + b"x" * 300_000 + b'"}',
    ],
)
def test_more_events_than_a_request_may_have_are_refused_before_they_are_validated(client, body):
    answer = client.post("/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413, answer.text


@pytest.mark.parametrize("entry", [b'{"errors": [{%s}]}', b"{%s}"])
def test_more_values_than_the_events_have_fields_are_refused_before_they_are_validated(client, entry):
    body = entry % b",".join(b'"k%d": 1' % number for number in range(4_900))
    answer = client.post("/events", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "has more values than its events have fields")


def test_repeated_keys_are_refused(client):
    body = '{"failures": [], "failures": []}'
    answer = client.post("/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_a_machine_with_events_and_no_reading_is_not_listed(client):
    assert client.post("/events", json={"failures": [EVENT]}).json() == {"events": 1}
    assert client.get("/machines").json()["machines"] == []
    assert client.get("/machines/P1").status_code == 404


def test_the_document_describes_the_events_and_alarms(client):
    document = client.get("/openapi.json").json()
    body = document["paths"]["/events"]["post"]["requestBody"]["content"]["application/json"]
    assert set(body["schema"]["properties"]) == {"errors", "service", "failures"}
    assert client.post("/events", json=body["example"]).json() == {"events": 3}
    assert "/alarms" in document["paths"]

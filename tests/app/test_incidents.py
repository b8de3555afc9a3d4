"""GET /incidents lists what monitoring found."""

from predictive_maintenance.store.store import Store


def test_incidents_are_listed_with_their_reasons_the_open_one_first_and_then_the_newest(client, tmp_path):
    assert client.get("/incidents").json() == {"model_name": "predictive_maintenance", "incidents": []}
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    for opened in (1_800_000_000, 1_800_100_000):
        with store.writing() as transaction:
            transaction.open_incident("predictive_maintenance", "1", ["warm", "wet"], opened)
        newest = store.incidents("predictive_maintenance", most=1)[0]
        if opened == 1_800_000_000:
            with store.writing() as transaction:
                transaction.close_incident(newest, "another version", opened + 60)
    with store.writing() as transaction:
        scheduled = transaction.add_scheduled_training("predictive_maintenance", "1", "a week is over", 1_800_200_000)
    with store.writing() as transaction:
        transaction.end_training(scheduled, "ended with exit code 1", 1_800_200_060)
    store.close()
    newest, scheduled, former = client.get("/incidents").json()["incidents"]
    assert newest == {
        "incident": 2, "model_version": "1", "opened": "2027-01-16T11:46:40Z", "reasons": ["warm", "wet"],
        "training_started": None, "training_ended": None, "training_result": None, "closed": None, "closed_by": None,
    }  # fmt: skip
    assert (scheduled["incident"], scheduled["closed_by"]) == (3, "schedule")
    assert scheduled["training_started"] == scheduled["closed"] == scheduled["opened"]
    assert (scheduled["training_result"], scheduled["training_ended"]) == (
        "ended with exit code 1", "2027-01-17T15:34:20Z",
    )  # fmt: skip
    assert (former["closed"], former["closed_by"]) == ("2027-01-15T08:01:00Z", "another version")
    assert [one["incident"] for one in client.get("/incidents?limit=1").json()["incidents"]] == [2]
    assert client.get("/incidents?limit=0").status_code == 422

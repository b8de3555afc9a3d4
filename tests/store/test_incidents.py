"""Incidents on SQLite and on PostgreSQL: one is open at a time, whoever opens it, and one training starts for it."""

DAY = 86_400


def opened(store, model="pumps", reasons=("warm",), now=1_000):
    with store.writing() as transaction:
        return transaction.open_incident(model, "3", reasons, now)


def claimed(store, now, cool_down=7 * DAY):
    with store.writing() as transaction:
        return transaction.claim_training(store.incidents("pumps", most=1)[0], now, cool_down)


def test_an_incident_is_opened_once(stores):
    assert [opened(store) for store in stores] == [True, False]
    assert opened(stores[1], model="another")
    (incident,) = stores[1].incidents("pumps", most=5)
    assert (incident.version, incident.opened, incident.reasons, incident.closed) == ("3", 1_000, ("warm",), None)


def test_it_is_closed_once_and_another_one_can_open(stores):
    opened(stores[0])
    (incident,) = stores[0].incidents("pumps", most=5)
    for store, expected in zip(stores, (True, False), strict=True):
        with store.writing() as transaction:
            assert transaction.close_incident(incident, "resolved", 2_000) is expected
    assert opened(stores[1], now=3_000)
    newest, former = stores[0].incidents("pumps", most=5)
    assert (newest.opened, newest.closed) == (3_000, None)
    assert (former.closed, former.closed_by) == (2_000, "resolved")


def test_one_training_is_claimed_for_an_incident(stores):
    opened(stores[0])
    assert [claimed(store, 1_500) for store in stores] == [True, False]
    assert stores[0].incidents("pumps", most=1)[0].trained == 1_500


def test_another_incident_waits_for_the_end_of_the_cool_down(stores):
    store = stores[0]
    opened(store)
    assert claimed(store, 1_500)
    with store.writing() as transaction:
        transaction.close_incident(store.incidents("pumps", most=1)[0], "resolved", 2_000)
    opened(store, now=3_000)
    assert not claimed(store, 1_500 + 7 * DAY - 1)
    assert claimed(store, 1_500 + 7 * DAY)

"""A database that accepts connections and does not answer: an error in bounded time, and no late answer for another statement."""

import sqlite3
import time
from contextlib import closing

import pytest

from predictive_maintenance.errors import StoreError
from predictive_maintenance.store import engine
from predictive_maintenance.store.rows import Actor, AuditEntry
from predictive_maintenance.store.store import Store
from tests.fixtures.silent_proxies import LEAVES_SOCKETS, silent_proxy

pytestmark = LEAVES_SOCKETS

TIMEOUT_SECONDS = 0.2
WAIT_SECONDS = TIMEOUT_SECONDS + 2
"""The longest wait for one answer of the server."""


@pytest.fixture
def proxy(postgres_url):
    with silent_proxy(postgres_url) as proxy:
        yield proxy


@pytest.fixture
def store(proxy):
    store = Store.open(proxy.url, timeout_seconds=TIMEOUT_SECONDS)
    with closing(store):
        yield store


def save(store, model, content="{}"):
    with store.writing() as transaction:
        transaction.save_production_check(model, 1, content)


def refused(work, *arguments):
    """Seconds until a StoreError that may be healed by waiting."""
    began = time.monotonic()
    with pytest.raises(StoreError, match="the database does not answer") as caught:
        work(*arguments)
    assert caught.value.retry_seconds == 5
    return time.monotonic() - began


def test_an_idle_connection_that_gets_no_answer_is_an_error_of_the_store(proxy, store):
    save(store, "pump", "first")
    with proxy.silent():
        assert refused(store.production_check, "pump") < 3 * WAIT_SECONDS
        assert refused(store.production_check, "pump") < 3 * WAIT_SECONDS  # this one needs a new connection
    assert store.production_check("pump") == (1, "first")


def test_opening_a_store_that_gets_no_answer_is_an_error_of_the_store(proxy):
    with proxy.silent():
        refused(lambda: Store.open(proxy.url, timeout_seconds=TIMEOUT_SECONDS))


def test_a_late_answer_is_not_that_of_the_next_statement(proxy, store):
    save(store, "pump", "of the pump")
    save(store, "fan", "of the fan")
    with store.reading() as connection:
        held = connection.connection.dbapi_connection

    def ask_late():
        with store.writing() as transaction, proxy.silent():
            transaction.newest_audit("pump", (), 1)

    refused(ask_late)
    assert store.production_check("fan") == (1, "of the fan")
    with store.reading() as connection:
        assert connection.connection.dbapi_connection is not held


def test_a_commit_that_gets_no_answer_is_an_error_and_may_be_repeated(proxy, store):
    def commit_late():
        with store.writing() as transaction:
            transaction.save_production_check("pump", 1, "first")
            proxy.passes.clear()

    refused(commit_late)
    proxy.passes.set()
    save(store, "pump", "second")
    assert store.production_check("pump") == (1, "second")


def test_more_than_the_network_holds_is_given_up_too(proxy, store):
    entry = AuditEntry(at=1, action="settings", actor=Actor("a"), subject="b", detail={"c": "x" * 2**25})
    with store.writing() as transaction:
        transaction.newest_audit("pump", (), 1)

    def send():
        with store.writing() as transaction:
            proxy.passes.clear()
            transaction.add_audit("pump", [entry])

    refused(send)
    proxy.passes.set()
    assert store.audit("pump", most=1) == []


def test_the_pool_has_connections_again_after_many_failures(proxy, store):
    with proxy.silent():
        for _ in range(5):
            refused(store.production_check, "pump")
    for _ in range(5):
        assert store.production_check("pump") is None


def test_locks_of_a_client_that_was_cut_off_end(proxy, store, postgres_url, monkeypatch):
    monkeypatch.setattr(engine, "_IDLE_SECONDS", 1)
    direct = Store.open(postgres_url, timeout_seconds=5)
    with closing(direct):
        cut_off = Store.open(proxy.url, timeout_seconds=TIMEOUT_SECONDS)

        def lock():
            with cut_off.writing() as transaction:
                transaction.machines("pump", ["P1"])
                proxy.passes.clear()
                transaction.machines("pump", ["P2"])

        refused(lock)
        with direct.writing() as transaction:
            assert list(transaction.machines("pump", ["P1"])) == ["P1"]
        proxy.passes.set()
        cut_off.close()


def test_an_error_of_sqlite_at_the_begin_of_a_transaction_is_an_error_of_the_store(sqlite_url, monkeypatch):
    store = Store.open(sqlite_url, timeout_seconds=TIMEOUT_SECONDS)

    def fails(_connection):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(engine, "_takes_lock", fails)
    with closing(store), pytest.raises(StoreError, match="disk I/O error"), store.writing():
        pass

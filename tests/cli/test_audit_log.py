"""What commands add to the audit log of a store: changes of production, and the settings in force."""

import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.store.store import Store
from predictive_maintenance.tracking.entities import PRODUCTION_MOVED_TAG
from predictive_maintenance.tracking.production_audit import record_production

MODEL = "predictive_maintenance"


@pytest.fixture
def store(empty_store_url, monkeypatch):
    monkeypatch.setenv("PDM_STORE_URL", empty_store_url)
    monkeypatch.setenv("LOGNAME", "ana")
    with closing(Store.open(empty_store_url, timeout_seconds=5)) as store:
        yield store


def changes(store):
    """Action, who, subject and version before of all changes of production, the oldest first."""
    found = store.audit(MODEL, actions=("promotion", "rollback"), most=99)
    return [(one.action, one.actor.key, one.subject, one.detail["before"]) for one in reversed(found)]


def test_promote_and_rollback_record_who_moved_production_from_where_and_why(run, promoted, store):
    run("promote", "2", "--force")
    run("rollback")
    run("promote", "2", "--force")
    run("rollback")  # within the same minute: another one all the same
    assert changes(store) == [
        ("promotion", "ana", "version 2", "1"), ("rollback", "ana", "version 1", "2"),
    ] * 2  # fmt: skip
    rollback, promotion = store.audit(MODEL, most=2)
    assert rollback.detail["reason"].startswith("rolled back from version 2 at ")
    assert promotion.detail["reason"].startswith("promoted by hand with --force at ")
    assert promotion.at <= rollback.at


def test_a_version_that_is_in_production_is_not_promoted_and_not_recorded_again(run, promoted, store):
    for _ in range(2):
        run("promote", "2", "--force")
    assert len(changes(store)) == 1


def test_what_the_command_and_a_service_record_is_one_entry(run, promoted, store, params):
    from predictive_maintenance.tracking.connection import connect
    from predictive_maintenance.tracking.registry_reader import RegistryReader

    run("promote", "2", "--force")
    seen = RegistryReader(connect(params.registry)).production_version()
    assert PRODUCTION_MOVED_TAG in seen.tags
    assert record_production(seen, MODEL) == ""
    assert len(changes(store)) == 1


def damage(path):
    path.write_bytes(b"no database" * 100)


def make_older(path):
    Store.open(f"sqlite:///{path}", timeout_seconds=5).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE pdm_store_version SET version_num = '0001'")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: None, "the file of the store is gone"),
        (damage, "store.db"),
        (make_older, "those of an older release: the service upgrades them"),
    ],
)
def test_without_a_store_that_works_production_moves_with_a_warning(
    run, promoted, tmp_path, monkeypatch, prepare, reason
):
    prepare(tmp_path / "store.db")
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    code, output = run("promote", "2", "--force")
    assert (code, "production is version 2 (before: 1)" in output) == (0, True)
    assert "warning: the audit log does not have this yet: " in output
    assert reason in output
    assert "a service with an audit log adds it" in output
    code, output = run("rollback")
    assert (code, "production is version 1" in output, "warning: the audit log" in output) == (0, True, True)


def test_a_file_of_a_store_is_not_created_by_a_promotion(run, promoted, tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    run("promote", "2", "--force")
    assert not (tmp_path / "store.db").exists()


@pytest.mark.parametrize("variables", [{}, {"PDM_AUDIT_LOG": "false", "PDM_STORE_URL": "sqlite:////none/store.db"}])
def test_without_an_audit_log_a_promotion_has_no_warning(run, promoted, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert "warning" not in run("promote", "2", "--force")[1]


def settings_of(store, component):
    found = store.audit(MODEL, actions=("settings",), most=99)
    return [one.detail for one in found if one.subject == component]


class EnoughError(Exception):
    """Ends a command that runs until it is stopped."""


@pytest.fixture
def watch(monkeypatch):
    """A function that runs such a command up to its first pause."""

    def sleep(*_):
        raise EnoughError

    async def asynchronous_sleep(*_):
        sleep()

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("asyncio.sleep", asynchronous_sleep)
    monkeypatch.setenv("PDM_WEBHOOK_URL", "https://me:word@hooks.example/services/T0KEN")
    monkeypatch.setenv("PDM_WEBHOOK_SECRET", "s3cret")

    def run(*arguments):
        result = CliRunner().invoke(main, arguments)
        assert isinstance(result.exception, EnoughError), result.output

    return run


@pytest.mark.parametrize(
    ("command", "interval", "expected"),
    [
        (("monitor", "--watch"), "every_minutes", {"monitoring.windows": 5, "training.seed": 7}),
        (("shadow",), "every_seconds", {"shadow.min_agreement": 0.98, "monitoring.label_days": 0.0}),
        (("notify",), "every_seconds", {"webhook": "https://hooks.example", "webhook_secret": "set"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_records_its_settings_when_they_differ_from_those_before(
    promoted, store, watch, command, interval, expected
):
    for every in ("7", "7", "9"):
        watch(*command, "--every", every)
    newest, first = settings_of(store, command[0])
    assert (first[interval], newest[interval]) == (7, 9)
    assert first.items() >= expected.items()
    assert first["machine"] == "milling machine"
    (entry, _) = store.audit(MODEL, actions=("settings",), most=9)
    assert entry.actor.key == "ana"
    assert not any(word in str(newest) for word in ("s3cret", "word", "T0KEN"))


def test_settings_of_one_component_are_not_compared_with_those_of_another(promoted, store, watch):
    for _ in range(2):
        for command in (("monitor", "--watch"), ("shadow",), ("notify",)):
            watch(*command)
    assert [len(settings_of(store, name)) for name in ("monitor", "shadow", "notify")] == [1, 1, 1]


def test_a_check_by_hand_records_nothing(run, promoted, store):
    run("monitor")
    assert store.audit(MODEL, most=9) == []


def test_commands_without_an_audit_log_record_no_settings(promoted, store, watch, monkeypatch):
    monkeypatch.setenv("PDM_AUDIT_LOG", "false")
    for command in (("monitor", "--watch"), ("shadow",), ("notify",)):
        watch(*command)
    assert store.audit(MODEL, most=9) == []


def test_an_invalid_switch_is_an_error_at_the_start_of_a_command(run, promoted, store, monkeypatch):
    monkeypatch.setenv("PDM_AUDIT_LOG", "maybe")
    code, output = run("shadow", "--once")
    assert (code, "PDM_AUDIT_LOG: 'maybe' is neither true nor false" in output) == (1, True)

"""Opening a store: its tables are made and upgraded completely or not at all, and what cannot be used is refused."""

import sqlite3
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from predictive_maintenance.errors import ConfigError, StoreError
from predictive_maintenance.store import migrations
from predictive_maintenance.store.engine import make_engine
from predictive_maintenance.store.location import check_store_url, store_url
from predictive_maintenance.store.schema import REVISION, VERSION_TABLE, metadata
from predictive_maintenance.store.store import Store
from tests.fixtures.storage_servers import unused_port
from tests.paths import REPOSITORY

FOLDER = Path(migrations.__file__).parent


def open_store(url, **options):
    store = Store.open(url, timeout_seconds=0.3, **options)
    store.close()


def tables(url):
    engine = make_engine(url, 1)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def execute(url, *statements):
    engine = make_engine(url, 1)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_the_newest_migration_is_the_revision_of_this_release():
    assert ScriptDirectory(str(FOLDER)).get_current_head() == REVISION


def test_the_migrations_make_the_tables_that_the_code_uses(empty_store_url):
    open_store(empty_store_url)
    engine = make_engine(empty_store_url, 1)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    engine.dispose()
    assert tables(empty_store_url) == {*metadata.tables, VERSION_TABLE}


def test_a_migration_that_fails_in_the_middle_leaves_nothing(empty_store_url, monkeypatch):
    create_index = Operations.create_index

    def fail(self, name, *arguments, **options):
        if name == "pdm_events_received":
            raise ZeroDivisionError
        return create_index(self, name, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_index", fail)
        with pytest.raises(ZeroDivisionError):
            open_store(empty_store_url)
    assert tables(empty_store_url) == set()
    open_store(empty_store_url)
    assert tables(empty_store_url) == {*metadata.tables, VERSION_TABLE}


def test_processes_that_start_together_make_the_tables_once(empty_store_url):
    code = f"from tests.store.test_opening import Store; Store.open({empty_store_url!r}, timeout_seconds=60)"
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    execute(empty_store_url, f"DELETE FROM {VERSION_TABLE} WHERE version_num = '{REVISION}'")
    engine = make_engine(empty_store_url, 1)
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {VERSION_TABLE}")).scalar() == 0  # there was one row
    engine.dispose()


def test_a_store_of_a_newer_release_is_refused_and_not_changed(empty_store_url):
    open_store(empty_store_url)
    execute(empty_store_url, f"UPDATE {VERSION_TABLE} SET version_num = '0999'")
    with pytest.raises(StoreError, match=r"a newer release has changed the store \(its schema is 0999") as caught:
        open_store(empty_store_url)
    assert caught.value.retry_seconds is None


def test_opening_again_needs_no_alembic(empty_store_url):
    open_store(empty_store_url)
    code = f"""
import sys
from tests.store.test_opening import Store
for name in [name for name in sys.modules if name.split(".")[0] == "alembic"]:
    del sys.modules[name]
Store.open({empty_store_url!r}, timeout_seconds=5)
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_the_tables_of_another_program_stay(sqlite_url):
    path = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('of mlflow')")
    connection.close()
    open_store(sqlite_url)
    assert tables(sqlite_url) == {*metadata.tables, VERSION_TABLE, "alembic_version"}


def test_an_sqlite_store_uses_a_write_ahead_log_and_waits_for_the_disk(sqlite_url):
    for level, number in (("full", 2), ("normal", 1)):
        engine = make_engine(sqlite_url, 1, level)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == number
        engine.dispose()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: path.parent.rmdir(), "the folder of the store does not exist"),
        (
            lambda path: path.write_text("no database, but a text that is long enough" * 99),
            "not an SQLite database, or damaged",
        ),
        (lambda path: path.mkdir(), "the store cannot be written"),
    ],
)
def test_a_file_that_cannot_be_a_store_is_refused(sqlite_url, prepare, reason):
    prepare(Path(sqlite_url.removeprefix("sqlite:///")))
    with pytest.raises(StoreError, match=reason):
        open_store(sqlite_url)


def test_a_file_that_is_gone_is_not_made_again(sqlite_url):
    with pytest.raises(StoreError, match="the file of the store is gone: restore it"):
        open_store(sqlite_url, create=False)
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_a_locked_store_is_an_error_that_can_heal(sqlite_url):
    store = Store.open(sqlite_url, timeout_seconds=0.1)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program keeps the store locked") as caught, store.writing():
        pass
    assert caught.value.retry_seconds == 1
    other.execute("ROLLBACK")
    other.close()
    with store.writing() as transaction:
        transaction.machines("engine", ["E1"])
    store.close()


@pytest.mark.long
def test_a_locked_machine_is_an_error_that_can_heal(postgres_url):
    store = Store.open(postgres_url, timeout_seconds=0.2)
    with store.writing() as transaction:
        transaction.machines("engine", ["E1"])
    with store.writing() as first:
        first.machines("engine", ["E1"])
        with pytest.raises(StoreError, match="keeps the store locked") as caught, store.writing() as second:
            second.machines("engine", ["E1"])
    assert caught.value.retry_seconds == 1
    store.close()


def test_a_server_that_does_not_answer_is_an_error_without_the_password():
    url = f"postgresql://plant:s3cret-word@127.0.0.1:{unused_port()}/readings"
    with pytest.raises(StoreError, match="the store does not work") as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.retry_seconds == 5


@pytest.mark.long
def test_a_server_that_restarts_is_used_again(postgres_server):
    store = Store.open(postgres_server.new_database(), timeout_seconds=2)
    postgres_server.stop()
    with pytest.raises(StoreError), store.writing():
        pass
    postgres_server.start()
    with store.writing() as transaction:
        assert transaction.machines("engine", ["E1"])
    store.close()


@pytest.mark.long
def test_a_database_that_does_not_exist_is_an_error_that_waiting_does_not_heal(postgres_server):
    url = postgres_server.new_database().rpartition("/")[0] + "/missing"
    with pytest.raises(StoreError, match='database "missing" does not exist') as caught:
        open_store(url)
    assert caught.value.retry_seconds is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("store.db", "is not the address of a store: write sqlite:////path/store.db or postgresql://"),
        ("mysql://host/plant", "is not the address of a store"),
        ("sqlite://", "a store in memory is lost with its process"),
        ("sqlite:///", "a store in memory is lost with its process"),
        ("plant:s3cret@host/readings", r"'\*\*\*@host/readings' is not the address of a store"),
    ],
)
def test_an_address_that_can_never_be_a_store_is_refused(url, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        check_store_url(url)
    assert "s3cret" not in str(caught.value)


def test_the_default_is_a_file_in_the_project_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("PDM_STORE_URL", raising=False)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    assert store_url() == f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("PDM_STORE_URL", "postgresql://host/readings")
    assert store_url() == "postgresql://host/readings"


def test_the_modules_of_migrations_import_nothing_of_the_package():
    for path in (FOLDER / "versions").glob("[!_]*.py"):
        assert "predictive_maintenance" not in path.read_text()
        assert import_module(f"predictive_maintenance.store.migrations.versions.{path.stem}").revision

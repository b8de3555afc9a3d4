"""The embedded registry's database is complete after every interrupted first contact."""

import multiprocessing
import shutil
import sqlite3
import time
from contextlib import closing

import pytest

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.embedded_database import ensure_database, file_lock

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def database(tmp_path, monkeypatch):
    """The path of a database that does not exist yet; MLFLOW_TRACKING_URI names it."""
    path = tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    return path


def create(database):
    with file_lock(database):
        ensure_database(database)


def create_as_plain_mlflow_does(database):
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import create_engine

    _initialize_tables(create_engine(f"sqlite:///{database}"))


def tables_of(database):
    if not database.exists():
        return set()
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def kill_when(condition, process):
    process.start()
    deadline = time.monotonic() + 60
    while not condition():
        assert process.is_alive()
        assert time.monotonic() < deadline
    process.kill()
    process.join()


def test_a_process_killed_while_it_creates_the_database_leaves_none_and_the_next_one_creates_it(database, params):
    partial = database.with_name(".mlflow.db.partial")
    for tables in (0, 12, 25):
        process = FORK.Process(target=create, args=(database,))
        kill_when(lambda tables=tables: partial.exists() and len(tables_of(partial)) >= tables, process)
        assert not database.exists()
    assert connect(params.registry).experiment_id
    assert not partial.exists()


def test_a_database_that_another_killed_program_left_half_made_is_created_again(database, params):
    process = FORK.Process(target=create_as_plain_mlflow_does, args=(database,))
    kill_when(lambda: len(tables_of(database)) >= 12, process)
    assert connect(params.registry).experiment_id


def test_leftover_tables_and_an_old_journal_do_not_stop_the_first_contact(database, params):
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    Base.metadata.create_all(create_engine(f"sqlite:///{database}"))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE latest_metrics (key TEXT)")
    database.with_name("mlflow.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\xff" * 1024)
    assert connect(params.registry).experiment_id


def test_a_damaged_file_is_named_with_a_way_out_and_stays(database, params):
    database.write_bytes(b"not a database " * 100)
    with pytest.raises(RegistryError, match=r"mlflow\.db: not an SQLite database, or damaged .*: move it away"):
        connect(params.registry)
    assert database.read_bytes() == b"not a database " * 100


def test_an_interrupted_migration_with_data_is_named_with_a_way_out_and_stays(database, params, empty_database):
    """MLflow migrates a database of an older version in place. A kill there leaves tables of the next version."""
    shutil.copy(empty_database, database)
    experiment = connect(params.registry).experiment_id
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'bd07f7e963c5'")
        connection.execute("DROP TABLE jobs")
    answers = FORK.Queue()  # MLflow keeps the engine of a database that this process has opened
    process = FORK.Process(target=error_of_connect, args=(params, answers))
    process.start()
    answer = answers.get(timeout=60)
    process.join()
    assert (
        f"{database}, connecting: an upgrade of this database was interrupted: restore a backup, or move the file"
        in answer
    )
    with closing(sqlite3.connect(database)) as connection:
        assert (int(experiment),) in connection.execute("SELECT experiment_id FROM experiments").fetchall()


def error_of_connect(params, answers):
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    try:
        connect(params.registry)
    except RegistryError as error:
        answers.put(str(error))


def test_the_tables_of_another_program_stay(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE plant (machine TEXT)")
    create(database)
    assert tables_of(database) == {"plant"}

"""The embedded registry's database is complete after every interrupted first contact and every interrupted upgrade."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial

import pytest

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking import embedded_database
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.database_schema import revisions, upgrade_tables
from predictive_maintenance.tracking.embedded_database import ensure_database, file_lock
from predictive_maintenance.tracking.mlflow_errors import as_registry_errors
from tests.shared_folders import shared_folder

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
    unfinished = database.with_name(".mlflow.db.partial")
    for tables in (0, 12, 25):
        process = FORK.Process(target=create, args=(database,))
        kill_when(lambda tables=tables: unfinished.exists() and len(tables_of(unfinished)) >= tables, process)
        assert not database.exists()
    assert connect(params.registry).experiment_id
    assert not unfinished.exists()


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
    assert (
        f"{database}, connecting: an upgrade of this database was interrupted: restore a backup, or move the file"
        in error_in_another_process(params)
    )
    with closing(sqlite3.connect(database)) as connection:
        assert (int(experiment),) in connection.execute("SELECT experiment_id FROM experiments").fetchall()


def error_in_another_process(params):
    """The error of `connect`. MLflow keeps the engine of a database that this process has opened."""
    answers = FORK.Queue()
    process = FORK.Process(target=error_of_connect, args=(params, answers))
    process.start()
    answer = answers.get(timeout=60)
    process.join()
    return answer


def error_of_connect(params, answers):
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    try:
        connect(params.registry)
    except RegistryError as error:
        answers.put(str(error))


EXPERIMENTS = [(0, "Default"), (1, "predictive_maintenance")]
DATA = (EXPERIMENTS, 2**23)


@pytest.fixture(scope="session")
def outdated_file(tmp_path_factory):
    """A database of an MLflow of 20 revisions ago, with an experiment and 8 MiB of data."""

    def create_outdated(folder):
        from alembic import command
        from mlflow.store.db.utils import _get_alembic_config
        from mlflow.store.tracking.dbmodels.initial_models import Base
        from sqlalchemy import create_engine

        path = folder / "mlflow.db"
        engine = create_engine(f"sqlite:///{path}")
        Base.metadata.create_all(engine)
        config = _get_alembic_config(str(engine.url))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revisions()[20])
        engine.dispose()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.executemany(
                "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (?, ?, 'active')", EXPERIMENTS
            )
            connection.execute("INSERT INTO experiment_tags VALUES ('note', ?, 1)", ("x" * 2**23,))

    return shared_folder(tmp_path_factory, "outdated database", create_outdated) / "mlflow.db"


@pytest.fixture
def outdated(database, outdated_file):
    shutil.copy(outdated_file, database)
    return database


def content(database):
    """The revision, the experiments and the length of their tag."""
    with closing(sqlite3.connect(database)) as connection:
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version")
        experiments = connection.execute("SELECT experiment_id, name FROM experiments").fetchall()
        ((length,),) = connection.execute("SELECT length(value) FROM experiment_tags")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return revision, experiments, length


def backups_of(database):
    return sorted(database.parent.glob("mlflow.db.*"))


def test_the_database_of_an_older_mlflow_is_upgraded_and_its_former_file_stays_beside_it(
    outdated, outdated_file, params, caplog
):
    outdated.chmod(0o640)
    assert connect(params.registry).experiment_id == "1"
    assert content(outdated) == (revisions()[0], *DATA)
    backup = outdated.with_name(f"mlflow.db.backup-{revisions()[20]}")
    assert content(backup) == (revisions()[20], *DATA)
    assert backup.stat().st_mode == outdated.stat().st_mode
    assert [path.name for path in outdated.parent.glob(".mlflow.db*")] == []
    assert f"{backup} is the file as it was before" in caplog.text
    assert connect(params.registry).experiment_id == "1"
    assert caplog.text.count("was upgraded") == 1


@pytest.mark.parametrize("new_tables", [0, 1])
def test_a_process_killed_during_an_upgrade_leaves_the_database_as_it_was_and_the_next_one_upgrades_it(
    outdated, new_tables
):
    copy, tables = outdated.with_name(".mlflow.db.partial"), len(tables_of(outdated)) + new_tables
    process = FORK.Process(target=create, args=(outdated,))
    kill_when(lambda: copy.exists() and len(tables_of(copy)) >= tables, process)
    assert content(outdated) == (revisions()[20], *DATA)
    create(outdated)
    assert content(outdated) == (revisions()[0], *DATA)
    assert not copy.exists()


def create_and_kill_while_copying_back(database):
    class Killed(sqlite3.Connection):
        def backup(self, target):
            if target.execute("PRAGMA database_list").fetchone()[2] != str(database):
                return super().backup(target)
            return super().backup(target, pages=2000, progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    sqlite3.connect = partial(sqlite3.connect, factory=Killed)
    create(database)


def test_a_process_killed_while_it_copies_the_upgraded_tables_back_leaves_the_database_as_it_was(
    outdated, outdated_file
):
    process = FORK.Process(target=create_and_kill_while_copying_back, args=(outdated,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert outdated.read_bytes() != outdated_file.read_bytes()  # until SQLite reads its journal
    assert content(outdated) == (revisions()[20], *DATA)
    create(outdated)
    assert content(outdated) == (revisions()[0], *DATA)


def test_an_upgrade_does_not_overwrite_what_another_program_writes_meanwhile(outdated, monkeypatch):
    def upgrade_while_another_program_writes(path):
        upgrade_tables(path)
        with closing(sqlite3.connect(outdated)) as connection, connection:
            connection.execute("UPDATE experiment_tags SET value = 'new'")

    monkeypatch.setattr(embedded_database, "upgrade_tables", upgrade_while_another_program_writes)
    with pytest.raises(RegistryError, match="another program wrote to it during its upgrade") as error:
        create(outdated)
    assert error.value.transient
    assert content(outdated) == (revisions()[20], DATA[0], len("new"))
    assert backups_of(outdated) == [outdated.with_name("mlflow.db.lock")]


def test_the_database_of_a_newer_mlflow_stays_as_it_is_and_the_error_says_to_upgrade_this_project(outdated, params):
    with closing(sqlite3.connect(outdated)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of a later release'")
    with pytest.raises(
        RegistryError,
        match=r"mlflow\.db: the database belongs to a newer MLflow than the installed 3\..* \(schema of a later release\): "
        r"upgrade this project or its MLflow \(`mlflow db upgrade` does not help\)",
    ):
        connect(params.registry)
    assert content(outdated) == ("of a later release", *DATA)
    assert backups_of(outdated) == [outdated.with_name("mlflow.db.lock")]


@pytest.mark.parametrize(
    ("revision", "advice"), [("of a later release", "upgrade this project"), (None, "back it up and run")]
)
def test_mlflow_itself_refuses_another_schema_with_the_same_advice(database, empty_database, revision, advice):
    """As for a server database, which this project does not upgrade."""
    from mlflow.store.db.utils import _verify_schema
    from sqlalchemy import create_engine

    shutil.copy(empty_database, database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision or revisions()[1],))
    with pytest.raises(RegistryError, match=advice), as_registry_errors(f"sqlite:///{database}", "connecting"):
        _verify_schema(create_engine(f"sqlite:///{database}"))


def test_so_does_its_migration(outdated):
    with closing(sqlite3.connect(outdated)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of a later release'")
    with pytest.raises(RegistryError, match="upgrade this project"), as_registry_errors("sqlite:///x", "connecting"):
        upgrade_tables(outdated)


def test_the_tables_of_another_program_stay(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE plant (machine TEXT)")
    create(database)
    assert tables_of(database) == {"plant"}

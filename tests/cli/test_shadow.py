"""The command shadow, on a registry and a store."""

import time

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.store.store import Store
from tests.shadow.conftest import log


@pytest.fixture
def store(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("PDM_STORE_URL", url)
    store = Store.open(url, timeout_seconds=5)
    yield store
    store.close()


def test_once_prints_the_comparison(run, promoted, store, small):
    machines = ["M1", "M2"] * 150
    log(store, small, small.rows.test.head(300), scored=time.time() + 60, machines=machines)
    code, output = run("shadow", "--once")
    assert code == 0, output
    assert output.startswith("candidate version 2, version 1 in production: comparing\n  300 predictions since ")
    assert "  same decision   100.00% [98.74%, 100.00%]\n" in output
    assert "  same alarm      100.00% [" in output
    assert "expected costs per 1,000 readings in EUR" in output
    assert "automatic promotion: off: shadow.days_of_agreement is null" in output
    assert run("shadow", "--once")[1] == output


def test_the_model_of_the_service_is_that_of_the_registry_and_of_the_store(run, promoted, store, small, monkeypatch):
    log(store, small, small.rows.test.head(300), scored=time.time() + 60)
    monkeypatch.setenv("PDM_MODEL_NAME", "of_another_plant")
    assert "nothing to compare: no version is in production" in run(*("shadow", "--once"))[1]


def test_the_help_says_how_often_the_log_is_checked(run):
    assert "Seconds between two checks of the log." in run("shadow", "--help")[1]


def test_once_without_a_candidate_says_so(run, registry_uri, store):
    assert run("shadow", "--once") == (0, "nothing to compare: no version is in production\n")


def test_without_a_store_there_is_nothing_to_compare(run, promoted, tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    code, output = run("shadow", "--once")
    assert (code, "none.db: there is no store" in output) == (1, True)


class EnoughError(Exception):
    """Ends the endless loop."""


def test_it_goes_on_while_the_store_is_away_and_reports_a_state_once(promoted, tmp_path, monkeypatch, small):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    checks = [lambda: Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5).close(), lambda: None]

    def sleep(seconds):
        assert seconds == 10
        if not checks:
            raise EnoughError
        checks.pop(0)()

    monkeypatch.setattr("predictive_maintenance.cli.shadowing.time.sleep", sleep)
    result = CliRunner().invoke(main, ["shadow"])
    assert isinstance(result.exception, EnoughError), result.output
    assert result.output.count("there is no store") == 1
    assert result.output.count("; the next check is in 10 s") == 1
    assert result.output.count("candidate version 2, version 1 in production: comparing") == 1

"""Commands go on when the database accepts and does not answer."""

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.store.store import Store
from tests.fixtures.silent_proxies import LEAVES_SOCKETS, silent_proxy

pytestmark = LEAVES_SOCKETS


class EnoughError(Exception):
    """Ends the endless loop."""


@pytest.mark.parametrize(
    "command", [("monitor", "--watch", "--every", "1"), ("shadow",), ("notify",)], ids=lambda it: it[0]
)
def test_a_command_goes_on_after_a_database_that_does_not_answer(command, promoted, postgres_url, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.cli.shared._STORE_TIMEOUT_SECONDS", 0.2)
    Store.open(postgres_url, timeout_seconds=5).close()
    with silent_proxy(postgres_url) as proxy:
        for name, value in {
            "PDM_STORE_URL": proxy.url, "PDM_WEBHOOK_URL": "http://127.0.0.1:1", "PDM_WEBHOOK_SECRET": "secret",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        pauses = [proxy.passes.clear, proxy.passes.set]

        def sleep(_seconds):
            if not pauses:
                raise EnoughError
            pauses.pop(0)()

        async def asynchronous_sleep(seconds):
            sleep(seconds)

        monkeypatch.setattr("time.sleep", sleep)
        monkeypatch.setattr("asyncio.sleep", asynchronous_sleep)
        result = CliRunner().invoke(main, command)
    assert isinstance(result.exception, EnoughError), result.output
    assert result.output.count("the database does not answer") == 1


def test_a_promotion_does_not_fail_and_waits_for_seconds_only(run, promoted, postgres_url, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.store.audit_log._TIMEOUT_SECONDS", 0.2)
    Store.open(postgres_url, timeout_seconds=5).close()
    with silent_proxy(postgres_url) as proxy, proxy.silent():
        monkeypatch.setenv("PDM_STORE_URL", proxy.url)
        code, output = run("promote", "2", "--force")
    assert (code, "production is version 2" in output) == (0, True)
    assert "warning: the audit log does not have this yet: " in output
    assert "the database does not answer" in output

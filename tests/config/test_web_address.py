"""An address is refused before the first request if httpx would fail on it."""

import httpx
import pytest

from predictive_maintenance.config.web_address import is_web_address


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "https://api.github.com/v3",
        "http://my_service.plant.:80/a b",
        "http://127.0.0.1",
        "http://[::1]:8000",
        "http://münchen.example",
        "https://me:word@cmms",
    ],
)
def test_addresses_that_a_request_can_be_sent_to(url):
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://plant",
        "http://",
        "http://:80",
        "http://plant:84430",
        "http://plant:port",
        "http://pl ant",
        "http://pl\\ant",
        "http://plant..example",
        "http://.",
        "http://xn--",
        f"http://{'a' * 64}.example",
    ],
)
def test_addresses_that_no_request_can_be_sent_to(url):
    assert not is_web_address(url)


@pytest.mark.parametrize("url", ["http://plant..example", "http://xn--", f"http://{'a' * 64}.example"])
def test_httpx_fails_on_some_hosts_by_other_errors_than_its_own(url):
    """So they have to be refused here, until it does not."""
    with pytest.raises(UnicodeError):
        httpx.get(url)

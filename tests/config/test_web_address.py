"""Addresses of servers in settings and options."""

import httpx
import pytest

from predictive_maintenance.config.web_address import is_web_address, shown_address


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000", "https://plant.example/api?line=1", "HTTP://localhost", "http://[::1]:8000",
        "http://bücher.example", "http://name:word@host", "http://my_service.plant.:80/a b", "http://host.", "http://host:65535",
        "http://xn--1-9hcuf1d.example",  # Hebrew letters and a digit
    ],
)  # fmt: skip
def test_an_address_that_a_request_can_be_sent_to_is_one(url):
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "host", "127.0.0.1:8000", "ftp://host", "http://", "http:///path", "https://c mms", "http://host:port",
        "http://host:65536", "http://host:0", "http://host:-1", "http://a\nb", "http://.",
    ],
)  # fmt: skip
def test_another_text_is_none(url):
    assert not is_web_address(url)


@pytest.mark.parametrize("host", ["plant..example", ".example", "x" * 64 + ".example", "xn--a"])
def test_a_host_that_would_end_a_request_with_another_error_than_those_of_httpx_is_none(host):
    with pytest.raises(UnicodeError):
        httpx.get(f"http://{host}", trust_env=False)
    assert not is_web_address(f"http://{host}")


def test_an_address_is_shown_without_user_and_password():
    assert shown_address(httpx.URL("https://user:secret@host:8000/api/")) == "https://host:8000/api"

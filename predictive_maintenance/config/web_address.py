"""Check and show the address of a server that a setting or an option gives."""

import httpx

_LAST_PORT = 65_535


def is_web_address(url: str) -> bool:
    """Whether httpx can send a request to `url`.

    `httpx.URL` alone accepts more, such as a host with an empty part. A request to it fails with a UnicodeError.
    """
    try:
        address = httpx.URL(url)
        has_host = bool(address.host) and b"%" not in address.raw_host  # httpx escapes spaces in a host
        address.raw_host.decode("ascii").encode("idna")  # as the look-up of its name does
    except (httpx.InvalidURL, UnicodeError):
        return False
    has_port = address.port is None or 0 < address.port <= _LAST_PORT
    return address.scheme in ("http", "https") and has_host and has_port


def shown_address(url: httpx.URL) -> str:
    """An address for display, without the user and the password."""
    return str(url.copy_with(userinfo=b"")).rstrip("/")

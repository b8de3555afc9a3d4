"""Check the address of a server that a setting or an option gives."""

import re

import httpx

_LAST_PORT = 65_535
_LABEL = rb"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rb"%b(\.%b)*\.?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+" % (_LABEL, _LABEL))
"""A name, with other letters encoded as ASCII, or an IP address."""


def is_web_address(url: str) -> bool:
    """Whether httpx can send a request to `url`: it reports some mistakes with the first request, and by other errors."""
    try:
        address = httpx.URL(url)
        _ = address.host  # decodes it
    except (httpx.InvalidURL, UnicodeError):
        return False
    has_host = _HOST.fullmatch(address.raw_host) is not None
    return address.scheme in ("http", "https") and has_host and (address.port or 0) <= _LAST_PORT

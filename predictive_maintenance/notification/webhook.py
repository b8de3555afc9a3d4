"""Send a signed message over HTTP.

The signature is that of many webhooks: HMAC-SHA256, with a secret that both sides know, over the time of sending and the body.
"""

import asyncio
import hashlib
import hmac
import json
import re
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from ..config.uris import redact
from ..config.web_address import is_web_address
from ..errors import ConfigError, PredictiveMaintenanceError
from ..printable import printable

SIGNATURE_HEADER, ID_HEADER = "X-PDM-Signature", "Idempotency-Key"
TIMEOUT_SECONDS = 30.0
"""For a whole attempt, however slowly the receiver reads and answers."""
_SHOWN_CHARACTERS = 200
_ASCII = string.punctuation + " "
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Answers about the body, which is the same at each attempt. All others may change: keys, addresses, clocks and proxies do."""


class NotSentError(PredictiveMaintenanceError):
    """A message was not accepted. `transient`: it may be later. `retry_seconds`: how long the receiver asks to wait."""

    def __init__(self, text: str, *, transient: bool, retry_seconds: float = 0.0) -> None:
        super().__init__(text, transient=transient)
        self.retry_seconds = retry_seconds


@dataclass(frozen=True)
class Webhook:
    """An address that messages are sent to, and the secret that they are signed with."""

    url: str
    secret: str = field(repr=False)

    @classmethod
    def checked(cls, url: str | None, secret: str | None) -> Self:
        """A webhook for values from the environment. Raises ConfigError if one is missing or cannot be used."""
        if not url or not is_web_address(url):
            shown = f"{_without_path(redact(url))!r}" if url else "not set"
            raise ConfigError(
                f"PDM_WEBHOOK_URL is {shown}: set the https:// address that receives alarms, without spaces"
            )
        if not secret:
            raise ConfigError(
                "PDM_WEBHOOK_SECRET is not set: the receiver needs it to check the signature of a message"
            )
        return cls(url, secret)

    @property
    def receiver(self) -> str:
        """Scheme and host of the address. The rest is not shown: the paths of many webhooks are secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    async def send(self, message: Mapping[str, Any], identity: str, client: httpx.AsyncClient) -> None:
        """Post a message as JSON. Raises NotSentError unless the answer within TIMEOUT_SECONDS is a success.

        The receiver gets `identity` in ID_HEADER, percent-encoded outside ASCII: a repeated message has the same.
        """
        body = json.dumps(message).encode()
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: quote(identity, safe=_ASCII),  # the name of a model may have other characters
            SIGNATURE_HEADER: signature(self.secret, body, int(time.time())),
        }
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await client.post(self.url, content=body, headers=headers, timeout=None)
        except TimeoutError:
            raise NotSentError(f"no answer within {TIMEOUT_SECONDS:g} s", transient=True) from None
        except httpx.HTTPError as error:
            raise NotSentError(f"{self.receiver}: {str(error) or type(error).__name__}", transient=True) from None
        if not response.is_success:
            shown = printable(response.text[:_SHOWN_CHARACTERS])  # also without NUL, which databases do not store
            raise NotSentError(
                f"answer {response.status_code}: {shown}",
                transient=response.status_code not in _REFUSALS,
                retry_seconds=_retry_seconds(response.headers.get("Retry-After", "")),
            )


def signature(secret: str, body: bytes, seconds: int) -> str:
    """The value of SIGNATURE_HEADER: t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA256 of "<seconds>.<body>">."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def _without_path(url: str) -> str:
    """What may be shown of an address that is no URL, too: its path may be a secret, and so may what stands before an @."""
    scheme = "".join(re.findall(r"^[\w+.-]*://", url))
    return scheme + re.split("[/?#]", url.removeprefix(scheme))[0].rpartition("@")[2]


def _retry_seconds(value: str) -> float:
    """The seconds that a header Retry-After asks to wait: a number, or until a date; 0 if it is neither."""
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0

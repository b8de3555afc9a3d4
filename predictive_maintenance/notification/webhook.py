"""Send a signed message over HTTP.

The signature is that of many webhooks: HMAC-SHA256, with a secret that both sides know, over the time of sending and the body.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from ..config.uris import redact
from ..errors import ConfigError, PredictiveMaintenanceError

SIGNATURE_HEADER, ID_HEADER = "X-PDM-Signature", "Idempotency-Key"
TIMEOUT_SECONDS = 30.0
"""For a whole attempt, however slowly the receiver reads and answers."""
_SHOWN_CHARACTERS = 200
_REFUSED = (400, 401, 403, 404, 405, 410, 413, 415, 422)
"""Answers that the same message would get again."""


class NotSentError(PredictiveMaintenanceError):
    """A message was not accepted. `transient` says whether it may be later."""


@dataclass(frozen=True)
class Webhook:
    """An address that messages are sent to, and the secret that they are signed with."""

    url: str
    secret: str = field(repr=False)

    @classmethod
    def checked(cls, url: str | None, secret: str | None) -> Self:
        """A webhook for values from the environment. Raises ConfigError if one is missing or cannot be used."""
        if not url or urlsplit(url).scheme not in ("http", "https"):
            shown = f"{redact(url)!r}" if url else "not set"
            raise ConfigError(f"PDM_WEBHOOK_URL is {shown}: set the https:// address that receives alarms")
        if not secret:
            raise ConfigError(
                "PDM_WEBHOOK_SECRET is not set: the receiver needs it to check the signature of a message"
            )
        return cls(url, secret)

    async def send(self, message: Mapping[str, Any], identity: str, client: httpx.AsyncClient) -> None:
        """Post a message as JSON. Raises NotSentError unless the answer within TIMEOUT_SECONDS is a success.

        The receiver gets `identity` in ID_HEADER: a repeated message has the same.
        """
        body = json.dumps(message).encode()
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: identity,
            SIGNATURE_HEADER: signature(self.secret, body, int(time.time())),
        }
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await client.post(self.url, content=body, headers=headers, timeout=None)
        except TimeoutError:
            raise NotSentError(f"no answer within {TIMEOUT_SECONDS:g} s", transient=True) from None
        except httpx.HTTPError as error:
            raise NotSentError(str(error) or type(error).__name__, transient=True) from None
        if not response.is_success:
            text = f"answer {response.status_code}: {response.text[:_SHOWN_CHARACTERS]}"
            raise NotSentError(text, transient=response.status_code not in _REFUSED)


def signature(secret: str, body: bytes, seconds: int) -> str:
    """The value of SIGNATURE_HEADER: t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA256 of "<seconds>.<body>">."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"

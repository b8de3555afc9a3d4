"""API keys of the service: each has a name, a role and the hash of the key. The key itself is kept by its client only."""

import hashlib
import os
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..errors import ConfigError

VARIABLE = "PDM_API_KEYS"

Role = Literal["read", "write", "operate"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each role includes those before it."""

SINGLE_KEY_NAME = "PDM_API_KEY"
ANONYMOUS_NAME = "anonymous"
SERVICE_NAME = "service"
UNKNOWN_NAME = "unknown"
VARIOUS_NAME = "various"
RESERVED_NAMES = (SINGLE_KEY_NAME, ANONYMOUS_NAME, SERVICE_NAME, UNKNOWN_NAME, VARIOUS_NAME)
"""What the audit log has in place of the name of a named key."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_HASH = "sha256:"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOR_PEOPLE = "+people"
_FORM = f"NAME ROLE {_HASH}HEX, with ROLE one of {', '.join(ROLES)}, and {_FOR_PEOPLE} behind it for a dashboard with sign-in"
_KEY_BYTES = 32
_RESERVED = f"is reserved for entries of the audit log, like {', '.join(RESERVED_NAMES)}: choose another name"


@dataclass(frozen=True)
class ApiKey:
    """A key as the service knows it. `digest` are the 32 bytes of its SHA-256 hash.

    A client whose key speaks for people may name the person who acts. The service trusts it.
    """

    name: str
    role: Role
    digest: bytes
    speaks_for_people: bool = False

    def allows(self, role: Role) -> bool:
        """Whether the key has `role`, or one that includes it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def line(self) -> str:
        """The line of PDM_API_KEYS."""
        people = _FOR_PEOPLE if self.speaks_for_people else ""
        return f"{self.name} {self.role}{people} {_HASH}{self.digest.hex()}"


def new_api_key(name: str, role: Role, speaks_for_people: bool = False) -> tuple[str, ApiKey]:
    """A random key of 256 bits, and what the service keeps of it. Raises ConfigError for an invalid or reserved name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a valid name of a key: use up to 60 letters, digits, '.', '_' and '-'")
    if _is_reserved(name):
        raise ConfigError(f"{name!r} {_RESERVED}")
    key = f"pdm_{secrets.token_urlsafe(_KEY_BYTES)}"
    return key, ApiKey(name, role, hash_key(key), speaks_for_people)


def hash_key(key: str) -> bytes:
    """The SHA-256 hash of a key. A slow hash protects passwords, which can be guessed; a random key of 256 bits cannot."""
    return hashlib.sha256(key.encode()).digest()


def parse_api_keys(value: str) -> tuple[ApiKey, ...]:
    """The keys in a value of PDM_API_KEYS: lines, also separated by ';', or the path of a file with them.

    Raises ConfigError that names the line. It never shows a hash, because it may be a key that was written by mistake.
    """
    if _HASH in value:
        return _parse_lines(VARIABLE, value.replace(";", "\n"))
    file = Path(value.strip()).expanduser()
    return _parse_lines(f"{VARIABLE}: {file}", _read(file))


def append_api_key(file: Path, key: ApiKey) -> None:
    """Add a key to a file, which is created if it does not exist. Raises ConfigError for a name that the file has."""
    text = _read(file) if file.exists() else ""
    if key.name in {known.name for known in _parse_lines(str(file), text, may_be_empty=True)}:
        raise ConfigError(f"{file}: the key {key.name} exists: remove its line, or choose another name")
    separator = "\n" if text and not text.endswith("\n") else ""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as opened:
            opened.write(f"{separator}{key.line}\n")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(
            f"{VARIABLE}: the file of keys cannot be read ({reason}): set it to a path, or to lines of the form {_FORM}"
        ) from None


def _parse_lines(shown: str, text: str, *, may_be_empty: bool = False) -> tuple[ApiKey, ...]:
    keys: list[ApiKey] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if fields := line.partition("#")[0].split():
            keys.append(_parse_line(f"{shown}: line {number}", fields, keys))
    if not keys and not may_be_empty:
        raise ConfigError(f"{shown} has no keys: make one with `predictive-maintenance api-key NAME`")
    return tuple(keys)


def _parse_line(place: str, fields: list[str], before: Collection[ApiKey]) -> ApiKey:
    if len(fields) != 3:
        raise ConfigError(f"{place}: {len(fields)} fields: write {_FORM}")
    name, role, digest = fields
    level = role.removesuffix(_FOR_PEOPLE)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{place}: the name may have up to 60 letters, digits, '.', '_' and '-'")
    if _is_reserved(name):
        raise ConfigError(f"{place}: the name {name} {_RESERVED}")
    if level not in ROLES:
        raise ConfigError(f"{place}: the role of {name} is none of {', '.join(ROLES)}")
    if not digest.startswith(_HASH) or not _DIGEST.fullmatch(digest.removeprefix(_HASH)):
        raise ConfigError(
            f"{place}: the key {name} has no hash: write {_HASH} and 64 hexadecimal digits, never the key"
        )
    key = ApiKey(name, level, bytes.fromhex(digest.removeprefix(_HASH)), role.endswith(_FOR_PEOPLE))
    if key.digest == hash_key(""):  # as of a shell variable that is not set
        raise ConfigError(
            f"{place}: the hash of {name} is that of an empty key, which every client would send: make a key"
        )
    if any(name == known.name for known in before):
        raise ConfigError(f"{place}: two keys have the name {name}: the audit log could not tell them apart")
    if any(key.digest == known.digest for known in before):
        raise ConfigError(f"{place}: {name} has the hash of another key")
    return key


def _is_reserved(name: str) -> bool:
    """Whether a name is reserved, in any case: `Service` would look like `service`."""
    return name.casefold() in {reserved.casefold() for reserved in RESERVED_NAMES}

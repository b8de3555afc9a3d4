"""URIs as text: their scheme, what they take from the environment, and what of them may be shown and kept."""

import os
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode

from ..errors import SourceError

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_FROM_ENVIRONMENT = re.compile(r"\{?(\$\{\w+\})+\}?")  # ODBC allows braces around a value

_WEB = ("http", "https", "s3")
_SHOWN_OPTIONS = ("table", "query", "rows", "seed")
_SECRET_PARTS = (
    *("password", "passwd", "passphrase", "pwd", "token", "secret", "signature", "credential"),
    *("apikey", "accesskey", "accountkey", "privatekey"),
)
_SECRET_WORDS = {"pass", "key", "sig", "auth", "authorization"}


def scheme_of(uri: str) -> str:
    """The URI's scheme: '' for a local path, also one on a Windows drive."""
    scheme, found, _ = uri.partition("://")
    return scheme.lower() if found else ""


def expand(uri: str) -> str:
    """`uri` with ${NAME} taken from the environment. Raises SourceError for a name that is not set.

    In a user, a password and the value of an option it is percent-encoded: the environment holds the plain text.
    """

    def plain(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise SourceError(f"{redact(uri)}: the environment variable {match[1]} is not set")
        return found

    def encoded(text: str) -> str:
        return _VARIABLE.sub(lambda match: quote(plain(match), safe=""), text)

    parts = _Parts.of(uri)
    options = re.sub(r"(?<==)[^&]*", lambda value: encoded(value[0]), parts.options)
    return _VARIABLE.sub(plain, parts.start) + encoded(parts.userinfo) + _VARIABLE.sub(plain, parts.place + options)


def redact(uri: str) -> str:
    """`uri` without what must not reach a log or a tag: its password, a web address's user, the values of options."""
    parts = _Parts.of(uri)
    user = "***" if parts.user and parts.is_web else parts.user
    userinfo = f"{user}{':***' if parts.password else ''}@" if parts.userinfo else ""
    # An option with an odd name may be what follows a question mark in a password.
    shown = [
        (name if re.fullmatch(r"[\w.-]+", name) else "***", value if parts.shows(name) else "***")
        for name, value in parts.named_options
    ]
    return f"{parts.start}{userinfo}{parts.place}{'?' if shown else ''}{urlencode(shown, safe='*')}"


def written_out_secret(uri: str) -> str:
    """What secret `uri` holds as text instead of as ${NAME}, such as "a password"; '' where there is none."""
    parts = _Parts.of(uri)
    if parts.password and not _FROM_ENVIRONMENT.fullmatch(parts.password):
        return "a password"
    if parts.is_web and parts.user and not parts.password and not _FROM_ENVIRONMENT.fullmatch(parts.user):
        return "a token before its @"
    for name, value in parts.named_options:
        settings = [] if parts.shows(name) else [(name, value), *_settings_in(value)]
        for setting, text in settings:
            if _names_a_secret(setting) and text and not _FROM_ENVIRONMENT.fullmatch(text):
                return f"the value of {name!r}" if re.fullmatch(r"[\w.-]+", name) else "a secret"
    return ""


@dataclass(frozen=True)
class _Parts:
    """A URI in four pieces that give it back when joined. A local path is all `place`.

    By hand: the standard library's parts do not go back together for sqlite:////path, and a password that somebody
    forgot to percent-encode must be found all the same.
    """

    start: str  # the scheme with its slashes, or ${NAME} in their place
    userinfo: str  # with its @
    place: str
    options: str  # with the ? before them

    @classmethod
    def of(cls, uri: str) -> Self:
        start = re.match(r"[^:/?#@]*://|[^:/?#@]{2,}:/|\$\{\w+\}", uri)  # with one slash: a slip of the hand
        if start is None:
            return cls("", "", uri, "")
        rest = uri[start.end() :]
        is_web = _is_web(start[0])
        userinfo = rest[: _end_of_userinfo(rest, is_web)]
        behind = rest[len(userinfo) :]
        place = re.split(r"[?#]" if is_web else r"\?", behind, maxsplit=1)[0]
        return cls(start[0], userinfo, place, behind[len(place) :])

    @property
    def is_web(self) -> bool:
        return _is_web(self.start)

    @property
    def user(self) -> str:
        return self.userinfo[:-1].partition(":")[0]

    @property
    def password(self) -> str:
        return self.userinfo[:-1].partition(":")[2]

    @property
    def named_options(self) -> list[tuple[str, str]]:
        """The options that have a value, decoded; what follows a web address's # counts among them."""
        options = self.options[1:]
        return parse_qsl(options.replace("#", "&") if self.is_web else options)

    def shows(self, option: str) -> bool:
        return option in _SHOWN_OPTIONS and not self.is_web


def _is_web(start: str) -> bool:
    return start.partition(":")[0].lower() in _WEB


def _end_of_userinfo(rest: str, is_web: bool) -> int:
    """Where the host begins in what follows a scheme: 0 without user and password.

    A colon that no port follows begins a password, and that ends at the last @, whatever is in between. A database's
    password may even look like a port: SQLAlchemy reads it so too.
    """
    if settled := re.match(r"[^:/?#]*:(\$\{\w+\})+@", rest):
        return settled.end()
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    colon = re.sub(r"^\[[^\]@]*\]", lambda ipv6: "." * len(ipv6[0]), authority).find(":")
    if colon >= 0:
        before_sql = re.split(r"[?&](?:table|query)=", rest, maxsplit=1)[0]
        port = re.fullmatch(r"\d*|\$\{\w+\}", authority[colon + 1 :])
        end = before_sql.rfind("@") if port or "@" in before_sql[colon:] else rest.rfind("@")
        if end > colon and not (port and is_web):
            return end + 1
    return authority.rfind("@") + 1


def _names_a_secret(option: str) -> bool:
    """Whether an option's name says that its value is a secret: password, access_token, AWSAccessKeyId, ..."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", option)}
    letters = re.sub(r"[^a-z]", "", option.lower())
    return bool(words & _SECRET_WORDS) or any(part in letters for part in _SECRET_PARTS)


def _settings_in(value: str) -> list[tuple[str, str]]:
    """The settings within an option's value, as in odbc_connect=DRIVER=...;UID=...;PWD=..."""
    pairs = (setting.partition("=") for setting in value.split(";"))
    return [(name.strip(), text.strip()) for name, found, text in pairs if found]

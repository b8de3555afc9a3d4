"""URIs in settings: their scheme, the environment variables in them, and what may be shown.

A secret is written as ${NAME}. One that is written out is refused where settings are read, and no error shows it.
`redact` is the only redaction of a URI, and `redact_text` of a text about one, such as a library's error.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ..errors import SourceError

_VARIABLE = re.compile(r"\$\{(\w+)\}")
# Not urlsplit: ${NAME} may replace any part. A scheme with a single slash is a common typing error.
_URI = re.compile(
    r"(?P<start>(?P<web>(?i:https?|s3)://?)|[^:/?#@]*://|[^:/?#@]{2,}:/|\$\{\w+\})"
    r"(?P<userinfo>(?P<user>[^:/?#]*)(:(?P<password>[^/?#]*))?@)?"
    r"(?P<host>[^/?#]*)(?P<path>[^?#]*)([?#](?P<options>.*))?",
    re.DOTALL,
)
# In abfs://CONTAINER@ACCOUNT, what stands before the @ is no user.
_CREDENTIALS_IN_TEXT = re.compile(r"(?<=://)(?!(?:(?<=abfs://)|(?<=abfss://)|(?<=az://))[a-z0-9$-]+@)[^\s'\"<>]*@")
_REDACTED = re.compile(r"([^:/?#@]*:)?\*\*\*@")
_SECRET_PART = 4  # characters: a shorter part of a secret is not recognised in a text
_VALID_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:(\d*|\$\{\w+\}))?")
_SHOWN_OPTIONS = (
    "table",
    "query",
    "rows",
    "machines",
    "days",
    "until",
    "seed",
    "model",
)  # of a database, the simulator, the store
_SECRET_OPTION = re.compile(
    r"(?i:passw|passphrase|pwd|token|secret|signature|credential|(api|access|account|private)[^a-z]*key)"
    r"|((?<![A-Za-z])(?i:pass|key|sig|auth|authorization)|Pass|Key|Sig|Auth|Authorization)(?![a-z])"
)


def scheme_of(uri: str) -> str:
    """The scheme of `uri` in lower case; '' for a local path, also for one on a Windows drive."""
    scheme, found, _ = uri.partition("://")
    return scheme.lower() if found else ""


def expand(uri: str) -> str:
    """Replace each ${NAME} with the value of that environment variable. Raises SourceError if it is not set.

    In a user, a password and the value of an option, the value is percent-encoded.
    """

    def value(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise SourceError(f"{redact(uri)}: the environment variable {match[1]} is not set")
        return found

    def encoded(text: str) -> str:
        return _VARIABLE.sub(lambda match: quote(value(match), safe=""), text)

    if not (parts := _URI.fullmatch(uri)):
        return _VARIABLE.sub(value, uri)
    start, userinfo = _VARIABLE.sub(value, parts["start"]), encoded(parts["userinfo"] or "")
    place, mark, options = uri[parts.start("host") :].partition("?")
    options = re.sub(r"(?<==)[^&]*", lambda option: encoded(option[0]), options)
    return start + userinfo + _VARIABLE.sub(value, place + mark + options)


def redact(uri: str) -> str:
    """`uri` for display: without its password, a web address's user, and the values of most options."""
    if not (parts := _URI.fullmatch(uri)):
        return uri
    if _is_ambiguous(parts) or _may_hide_password(parts):
        return f"{parts['start']}***"
    user = "***" if parts["user"] and parts["web"] else parts["user"]
    userinfo = f"{user}{':***' if parts['password'] else ''}@" if parts["userinfo"] else ""
    shown = () if parts["web"] else _SHOWN_OPTIONS
    options = [(name, value if name in shown else "***") for name, value in _options(parts)]
    query = f"?{urlencode(options, safe='*')}" if options else ""
    return f"{parts['start']}{userinfo}{parts['host']}{parts['path']}{query}"


def redact_text(text: str, uri: str = "") -> str:
    """`text` for display, without any part of the secrets of `uri` and without the values of its ${NAME}.

    A library may quote a URI in parts, for example what follows the first @ as the host. So each part of a secret that has
    at least 4 characters is replaced, wherever it occurs.
    """
    text = text.replace(uri, redact(uri)) if uri else text
    for name in dict.fromkeys(_VARIABLE.findall(uri)):
        value = os.environ.get(name, "")
        for form in sorted({value, quote(value), quote(value, safe="")}, key=len, reverse=True):
            if len(form) >= _SECRET_PART:
                text = text.replace(form, f"${{{name}}}")
    for secret in _secrets(uri):
        text = _without_parts_of(_VARIABLE.sub("", secret), text)
    return _CREDENTIALS_IN_TEXT.sub(lambda match: match[0] if _REDACTED.fullmatch(match[0]) else "***@", text)


def has_ambiguous_password(uri: str) -> bool:
    """Whether `uri` has a password or an @ that is not percent-encoded, so that libraries read it in different ways."""
    return bool((parts := _URI.fullmatch(uri)) and _is_ambiguous(parts))


def written_out_secret(uri: str) -> str:
    """A description of the secret in `uri` that is not written as ${NAME}, such as "a password"; '' if there is none."""
    if not (parts := _URI.fullmatch(uri)):
        return ""
    if credential := _written_out_credential(parts):
        return credential
    if _is_ambiguous(parts):
        return "a password or an @ that is not percent-encoded"
    for name, value in _options(parts):
        # The value of odbc_connect is a list of settings itself: DRIVER=...;UID=...;PWD=...
        settings = [(name, value), *(setting.split("=", 1) for setting in value.split(";") if "=" in setting)]
        written_out = any(_SECRET_OPTION.search(key) and _is_written_out(text) for key, text in settings)
        if written_out and (parts["web"] or name not in _SHOWN_OPTIONS):
            return f"the value of {name!r}"
    return ""


def _written_out_credential(parts: re.Match[str]) -> str:
    if _is_written_out(parts["password"]):
        return "a password"
    return "a token before its @" if parts["web"] and not parts["password"] and _is_written_out(parts["user"]) else ""


def _is_ambiguous(parts: re.Match[str]) -> bool:
    """Whether an @ behind the host suggests that the host is a part of a password."""
    behind = [parts["path"], *(parts["options"] or "").split("&")]
    if not any("@" in text for text in behind if not text.startswith(("table=", "query="))):
        return False
    if parts["web"] or not parts["start"].endswith("/"):
        return bool(_written_out_credential(parts)) or not _VALID_HOST.fullmatch(parts["host"])
    return bool(parts["userinfo"] or parts["host"])


def _may_hide_password(parts: re.Match[str]) -> bool:
    """Whether host and port of a web address may be a user and the start of a password, as in https://me:12/34@host."""
    return bool(parts["web"] and ":" in parts["host"] and "@" in f"{parts['path']}{parts['options'] or ''}")


def _secrets(uri: str) -> Iterator[str]:
    """What `redact` hides of `uri`, with the values of its ${NAME}."""
    if parts := _URI.fullmatch(uri):
        for name in _VARIABLE.findall(f"{parts['userinfo'] or ''}{parts['options'] or ''}"):
            yield os.environ.get(name, "")
    uri = _VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), uri)
    if not (parts := _URI.fullmatch(uri)):
        return
    if _is_ambiguous(parts) or _may_hide_password(parts):
        yield uri[parts.end("start") : uri.rindex("@")]
        return
    hidden = [parts["password"], parts["user"] if parts["web"] else None]
    hidden += [value for name, value in _options(parts) if parts["web"] or name not in _SHOWN_OPTIONS]
    if parts["web"]:
        hidden += [option for option in re.split("[&#]", parts["options"] or "") if "=" not in option]
    yield from filter(None, hidden)


def _without_parts_of(secret: str, text: str) -> str:
    """`text` with *** instead of each run of characters that parts of `secret` cover, also percent-encoded, decoded, or
    with backslashes doubled as in the texts of Python's errors."""
    size = _SECRET_PART
    forms = {secret, unquote(secret), quote(secret, safe="")}
    forms |= {repr(form)[1:-1] for form in forms}
    parts = {form[at : at + size] for form in forms for at in range(len(form) - size + 1)}
    shown, hidden = [], 0  # `hidden`: the end of the current run
    for at, character in enumerate(text):
        if text[at : at + size] in parts:
            if at >= hidden:
                shown.append("***")
            hidden = at + size
        if at >= hidden:
            shown.append(character)
    return "".join(shown)


def _options(parts: re.Match[str]) -> list[tuple[str, str]]:
    """The decoded options that have a value; those in a web address's fragment are included."""
    options = parts["options"] or ""
    return parse_qsl(options.replace("#", "&") if parts["web"] else options)


def _is_written_out(text: str | None) -> bool:
    return bool(_VARIABLE.sub("", text or "").strip("{} "))  # ODBC allows braces around a value

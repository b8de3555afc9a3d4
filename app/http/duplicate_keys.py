"""Duplicate keys of JSON objects. Both JSON decoders keep the last value of a repeated key and report nothing."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ..problems import field_problem

REASON = "appears more than once"


class _Object(dict[str, Any]):
    repeated: tuple[str, ...] = ()


def may_have_duplicate_keys(body: bytes, keys: int, texts: Iterable[str] = ()) -> bool:
    """Whether a valid `body` can have a duplicate key. `keys` were decoded; `texts` are its text values.

    Counts colons: there is one for each key, and those within the texts. False is certain, since a repeated key has a
    colon of its own. True is not: escaped characters and colons elsewhere in the body count, too.
    """
    colons = sum(text.count(":") for text in texts)
    return body.count(b":") != keys + colons or (colons > 0 and b"\\" in body)


def find_duplicate_keys(body: bytes) -> list[tuple[int, str]]:
    """Return (position in the top-level array, or 0; key) of each key that is repeated in an object of valid JSON.

    A key of an object within another value has its place before it: history.3.torque_nm.
    """
    # Numbers stay text: Python limits the digits of an integer.
    document = json.loads(body, object_pairs_hook=_object, parse_int=str, parse_float=str)
    records = document if isinstance(document, list) else [document]
    return [(row, key) for row, record in enumerate(records) for key in _repeated_keys(record)]


def refuse_duplicate_keys(body: bytes, keys: int, texts: Iterable[str] = ()) -> None:
    """Raise Problem 422 that names each repeated key of an object, of which `keys` were decoded."""
    if may_have_duplicate_keys(body, keys, texts) and (found := find_duplicate_keys(body)):
        raise field_problem([(None, key, REASON) for _, key in found])


def _repeated_keys(value: Any) -> Iterator[str]:
    if isinstance(value, _Object):
        yield from value.repeated
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, part in parts:
        for key in _repeated_keys(part):
            yield f"{place}.{key}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(made := dict(pairs)) == len(pairs):
        return made
    marked = _Object(made)
    marked.repeated = tuple(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return marked

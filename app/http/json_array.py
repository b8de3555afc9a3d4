"""Split a JSON array into its items, one at a time, so that memory does not grow with their number."""

import json
import re
from collections.abc import Iterator
from typing import Any

# Numbers stay text: Python limits the digits of an integer, and only texts are of interest here.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)
_blank = re.compile(r"[ \t\n\r]*")


def split_array(text: str) -> Iterator[tuple[Any, str]]:
    """Yield (value, JSON text) of each item of the array in `text`. Raises ValueError if `text` is not a JSON array.

    `NaN` and `Infinity` are accepted. Raises RecursionError for an item that is nested too deeply.
    """
    at = _after_blanks(text, text.index("[") + 1)
    while text[at : at + 1] != "]":
        value, end = _decoder.raw_decode(text, at)
        yield value, text[at:end]
        at = _after_blanks(text, end)
        if text[at : at + 1] == ",":
            at = _after_blanks(text, at + 1)
            if text[at : at + 1] == "]":
                raise json.JSONDecodeError("Expecting value", text, at)
        elif text[at : at + 1] != "]":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    if (end := _after_blanks(text, at + 1)) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _after_blanks(text: str, at: int) -> int:
    return _blank.match(text, at).end()  # type: ignore[union-attr]  # matches the empty text

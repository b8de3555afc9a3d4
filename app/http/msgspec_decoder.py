"""Decoder for valid JSON records, several times as fast as pydantic (docs/adr/0007-msgspec-before-pydantic.md).

The constraints are those of app.schemas and are declared there only. A body that this decoder rejects goes to pydantic,
which reports every invalid field, not only the first one.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import msgspec


@lru_cache(maxsize=4)
def records_decoder(schema: type) -> Callable[[bytes], list[Any] | None]:
    """Return a decoder of JSON records: bytes to structs with the fields of `schema`, a typed dict.

    The decoder returns None for an invalid body. A field that is not required and not given is msgspec.UNSET.
    """
    fields: list[Any] = []
    for name, kind in get_type_hints(schema, include_extras=True).items():
        if get_origin(kind) is NotRequired:
            fields.append((name, get_args(kind)[0] | msgspec.UnsetType, msgspec.UNSET))
        else:
            fields.append((name, kind))
    struct = msgspec.defstruct(schema.__name__, fields, kw_only=True, forbid_unknown_fields=True, gc=False)
    decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]

    def decode(body: bytes) -> list[Any] | None:
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    return decode
